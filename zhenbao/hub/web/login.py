"""Logging in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub.store import audit, people
from zhenbao.hub.web.security import LOGIN_COOKIE, SESSION_COOKIE, check_csrf, login_token, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/login")
def login_page(request: Request) -> Response:
    return _page(request, None)


@router.post("/login")
def login(
    request: Request,
    account: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    address = request.client.host if request.client else ""
    try:
        check_csrf(request.cookies.get(LOGIN_COOKIE, ""), csrf)
        login_name = account.strip().lower()
        site.brake.check(login_name, address)
        token = _enter(site, login_name, password, code, address, browser_of(request))
    except InputError as error:
        return _page(request, error)
    return start(site, token)


@router.post("/logout")
def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    with site.store.writing() as connection:
        people.close_session(connection, request.cookies[SESSION_COOKIE])
        login = session.practitioner.login
        audit.append(connection, site.store.clock.now_ms(), login, "logged-out", f"practitioner:{login}")
    response = RedirectResponse("/login", 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def browser_of(request: Request) -> str:
    """The browser's own name, short: enough to tell one's telephone from one's desk."""
    agent = request.headers.get("user-agent", "")
    known = (("Edg/", "Edge"), ("MicroMessenger", "WeChat"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
             ("Safari/", "Safari"))  # fmt: skip
    name = next((shown for sign, shown in known if sign in agent), "")
    system = next((s for s in ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux") if s in agent), "")
    return " ".join(part for part in (name, system) if part)


def start(site: Site, token: str) -> Response:
    """Into the pages, with the cookie of a new session."""
    response = RedirectResponse("/", 303)
    response.delete_cookie(LOGIN_COOKIE)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=people.SESSION_HOURS * 3600,
        httponly=True,
        samesite="strict",
        secure=site.https,
    )
    return response


def _enter(site: Site, login: str, password: str, code: str, address: str, browser: str) -> str:
    """The token of a new session.

    Raises:
        InputError: ``login-wrong``, which does not say whether the login exists; ``login-code``, the code of the
            second factor is wanted or wrong; ``login-rest``, after too many wrong tries.
    """
    now_ms = site.store.clock.now_ms()
    with site.store.writing() as connection:
        entry = people.enter(connection, login, password, code, now_ms)
        if entry.practitioner is None:
            why = "rests" if entry.rests else "code" if entry.needs_code else "password"
            audit.append(
                connection, now_ms, "-", "login-failed", f"practitioner:{login[:40]}", address=address, why=why
            )
            token = ""
        else:
            token, _ = people.open_session(connection, login, now_ms, address=address, browser=browser)
            audit.append(connection, now_ms, login, "logged-in", f"practitioner:{login}", address=address)
    if entry.practitioner is not None:
        site.brake.right(login, address)
        return token
    if not entry.needs_code or code.strip():
        site.brake.wrong(login, address)
    if entry.rests:
        raise InputError("login-rest", minutes=people.REST_MINUTES)
    raise InputError("login-code" if entry.needs_code else "login-wrong")


def _page(request: Request, error: InputError | None) -> Response:
    site: Site = request.app.state.site
    token = login_token(request)
    told = site.words(request).error(error) if error is not None else None
    status = 200 if error is None else 429 if error.code == "login-rest" else 403
    response = site.page(request, "login.html", status=status, csrf=token, error=told, oidc=site.oidc)
    response.set_cookie(LOGIN_COOKIE, token, max_age=3600, httponly=True, samesite="strict", secure=site.https)
    return response

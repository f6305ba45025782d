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
    csrf: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    address = request.client.host if request.client else ""
    try:
        check_csrf(request.cookies.get(LOGIN_COOKIE, ""), csrf)
        login_name = account.strip().lower()
        site.brake.check(login_name, address)
        token = _enter(site, login_name, password, address)
    except InputError as error:
        return _page(request, error)
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


def _enter(site: Site, login: str, password: str, address: str) -> str:
    """The token of a new session.

    Raises:
        InputError: ``login-wrong``; it does not say whether the login exists.
    """
    now_ms = site.store.clock.now_ms()
    with site.store.reading() as connection:
        person = people.with_password(connection, login, password)
    if person is None:
        site.brake.wrong(login, address)
        with site.store.writing() as connection:
            audit.append(connection, now_ms, "-", "login-failed", f"practitioner:{login[:40]}", address=address)
        raise InputError("login-wrong")
    site.brake.right(login, address)
    with site.store.writing() as connection:
        token, _ = people.open_session(connection, login, now_ms)
        audit.append(connection, now_ms, login, "logged-in", f"practitioner:{login}", address=address)
    return token


def _page(request: Request, error: InputError | None) -> Response:
    site: Site = request.app.state.site
    token = login_token(request)
    told = site.words(request).error(error) if error is not None else None
    status = 200 if error is None else 429 if error.code == "login-rest" else 403
    response = site.page(request, "login.html", status=status, csrf=token, error=told)
    response.set_cookie(LOGIN_COOKIE, token, max_age=3600, httponly=True, samesite="strict", secure=site.https)
    return response

"""Logging in by the county's identity provider, and showing oneself there anew before signing."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from zhenbao.hub.oidc import FLOW_MINUTES, Provider
from zhenbao.hub.store import audit, oidc_flows, people
from zhenbao.hub.web.login import browser_of, start
from zhenbao.hub.web.security import LOGIN_COOKIE, SESSION_COOKIE, check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()
STATE_COOKIE = "zhenbao_oidc"
_PATH = "/oidc"


@router.post("/oidc/begin")
def begin_login(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
    """To the provider. A POST with a token: no foreign page logs anybody in."""
    check_csrf(request.cookies.get(LOGIN_COOKIE, ""), csrf)
    site: Site = request.app.state.site
    address = request.client.host if request.client else ""
    site.brake.check("", address)
    return _leave(request, "login", None)


@router.post("/oidc/anew")
def begin_anew(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
    """To the provider once more, to be asked anew: then a report can be signed without the hub's password."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    return _leave(request, "sign", session.practitioner.login, request.cookies[SESSION_COOKIE])


@router.get("/oidc/callback")
def callback(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    site: Site = request.app.state.site
    provider = _provider(site)
    now_ms = site.store.clock.now_ms()
    held = request.cookies.get(STATE_COOKIE, "")
    try:
        # The state must be one that this browser was given: nobody is logged in by a link.
        if not state or not hmac.compare_digest(held.encode(), state.encode()):
            raise InputError("oidc-refused", reason="state")
        with site.store.writing() as connection:
            flow = oidc_flows.take(connection, state, now_ms)
        if flow is None or flow.purpose == "code":
            raise InputError("oidc-refused", reason="state")
        if error or not code:
            raise InputError("oidc-refused", reason="provider")
        anew = flow.purpose == "sign"
        identity = provider.finish(code, nonce=flow.nonce, verifier=flow.verifier, begun_ms=flow.begun_ms, anew=anew)
        with site.store.reading() as connection:
            login = oidc_flows.login_of(connection, identity.issuer, identity.subject)
        if login is None or (flow.login is not None and login != flow.login):
            raise InputError("oidc-nobody")
    except InputError as refused:
        _failed(site, request, refused)
        raise
    if anew and flow.session_sha256 is not None:
        return _shown_anew(request, site, login, flow.session_sha256, now_ms)
    if provider.settings.hub_code:
        with site.store.reading() as connection:
            owes = people.has_second_factor(connection, login)
        if owes:
            return _ask_code(request, site, login, now_ms)
    return _enter(request, site, login, now_ms)


@router.post("/oidc/code")
def one_time_code(request: Request, csrf: Annotated[str, Form()] = "", code: Annotated[str, Form()] = "") -> Response:
    """The hub's own code, where the county wants it besides the provider's."""
    site: Site = request.app.state.site
    held = request.cookies.get(STATE_COOKIE, "")
    check_csrf(held, csrf)
    now_ms = site.store.clock.now_ms()
    with site.store.writing() as connection:
        flow = oidc_flows.take(connection, held, now_ms)
        login = flow.login if flow is not None and flow.purpose == "code" else None
        right = login is not None and people.take_code(connection, login, code, now_ms)
    if login is None:
        raise InputError("oidc-refused", reason="state")
    if not right:
        return _ask_code(request, site, login, now_ms, error=True)
    return _enter(request, site, login, now_ms)


def _leave(request: Request, purpose: oidc_flows.Purpose, login: str | None, session_token: str = "") -> Response:
    site: Site = request.app.state.site
    begun = _provider(site).begin(anew=purpose == "sign")
    with site.store.writing() as connection:
        oidc_flows.begin(
            connection,
            begun.state,
            begun.nonce,
            begun.verifier,
            purpose,
            login,
            site.store.clock.now_ms(),
            session_token,
        )
    # A page between: the policy lets no form of ours lead to another server, redirected or not.
    response = site.page(request, "oidc_done.html", to=begun.url, leaving=True, anew=False)
    return _hold(response, site, begun.state)


def _hold(response: Response, site: Site, state: str) -> Response:
    # Lax: the provider's answer comes from a foreign page, and must bring this cookie with it.
    response.set_cookie(
        STATE_COOKIE, state, max_age=FLOW_MINUTES * 60, path=_PATH, httponly=True, samesite="lax", secure=site.https
    )
    return response


def _enter(request: Request, site: Site, login: str, now_ms: int) -> Response:
    address = request.client.host if request.client else ""
    with site.store.writing() as connection:
        token, _ = people.open_session(
            connection, login, now_ms, address=address, browser=browser_of(request), way="oidc"
        )
        audit.append(connection, now_ms, login, "logged-in", f"practitioner:{login}", address=address, way="oidc")
    # A strict cookie does not go along when a foreign page leads here, so that a page of ours comes between.
    response = site.page(request, "oidc_done.html", to="/", leaving=False, anew=False)
    for header, value in start(site, token).raw_headers:
        if header == b"set-cookie":
            response.raw_headers.append((header, value))
    response.delete_cookie(STATE_COOKIE, path=_PATH)
    return response


def _shown_anew(request: Request, site: Site, login: str, session_sha256: bytes, now_ms: int) -> Response:
    # The strict session cookie did not come along; the state's own cookie has tied this browser to the session.
    with site.store.writing() as connection:
        people.refresh_session(connection, login, session_sha256, now_ms)
        audit.append(connection, now_ms, login, "shown-anew", f"practitioner:{login}")
    response = site.page(request, "oidc_done.html", to="/", leaving=False, anew=True)
    response.delete_cookie(STATE_COOKIE, path=_PATH)
    return response


def _ask_code(request: Request, site: Site, login: str, now_ms: int, *, error: bool = False) -> Response:
    held = secrets.token_urlsafe(32)
    with site.store.writing() as connection:
        oidc_flows.begin(connection, held, "", "", "code", login, now_ms)
    words = site.words(request)
    told = words.error(InputError("login-code")) if error else None
    response = site.page(request, "oidc_code.html", status=403 if error else 200, csrf=held, error=told)
    return _hold(response, site, held)


def _failed(site: Site, request: Request, refused: InputError) -> None:
    address = request.client.host if request.client else ""
    site.brake.wrong("", address)
    with site.store.writing() as connection:
        now_ms = site.store.clock.now_ms()
        audit.append(connection, now_ms, "-", "login-failed", "oidc", address=address, why=refused.code)


def _provider(site: Site) -> Provider:
    if site.oidc is None:
        raise InputError("page-unknown")
    return site.oidc

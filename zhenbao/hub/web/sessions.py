"""Where a person is logged in, and ending it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub.store import audit, people
from zhenbao.hub.web.security import SESSION_COOKIE, check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/sessions")
def sessions_page(request: Request) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    with site.store.reading() as connection:
        own = people.sessions_of(connection, session.practitioner.login, site.store.clock.now_ms())
    return site.page(
        request,
        "sessions.html",
        session=session,
        here="sessions",
        own=own,
        this=people.session_name(request.cookies[SESSION_COOKIE]),
        hours=people.SESSION_HOURS,
    )


@router.post("/sessions/end")
def sessions_end(request: Request, csrf: Annotated[str, Form()] = "", name: Annotated[str, Form()] = "") -> Response:
    """End one of one's own sessions, or with ``others`` all but this."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    login, this = session.practitioner.login, people.session_name(request.cookies[SESSION_COOKIE])
    now_ms = site.store.clock.now_ms()
    with site.store.writing() as connection:
        own = [s.name for s in people.sessions_of(connection, login, now_ms)]
        ending = [n for n in own if n != this] if name == "others" else [n for n in own if n == name]
        if not ending and name != "others":
            raise InputError("hub-session-unknown")
        for each in ending:
            people.end_session(connection, login, each)
            audit.append(connection, now_ms, login, "session-ended", f"practitioner:{login}", session=each)
    return RedirectResponse("/sessions", 303)

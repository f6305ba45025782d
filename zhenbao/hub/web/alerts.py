"""How a person is alerted: on this device while no page is open, and where that is on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from zhenbao.hub.list_settings import list_settings
from zhenbao.hub.permission import reach
from zhenbao.hub.push import Pusher, check_endpoint, check_keys
from zhenbao.hub.store import audit, push_devices
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()
_WORKER = Path(__file__).parent / "static" / "worker.js"


@router.get("/sw.js")
def worker() -> Response:
    """The service worker; from the root, so that it may speak for every page."""
    return FileResponse(_WORKER, media_type="text/javascript")


@router.get("/alerts")
def alerts_page(request: Request) -> Response:
    return _page(request)


@router.post("/alerts")
def turn_on(
    request: Request,
    csrf: Annotated[str, Form()] = "",
    endpoint: Annotated[str, Form()] = "",
    p256dh: Annotated[str, Form()] = "",
    auth: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    person = session.practitioner
    if reach(person.role, "list") is None:
        raise InputError("denied-role")
    pusher: Pusher | None = request.app.state.pusher
    try:
        if pusher is None:
            raise InputError("push-missing")
        check_endpoint(endpoint, pusher.hosts)
        check_keys(p256dh, auth)
        now_ms, most = site.store.clock.now_ms(), list_settings().push.most_devices
        with site.store.writing() as connection:
            known = any(d.endpoint == endpoint for d in push_devices.of_login(connection, person.login))
            if not known and push_devices.count(connection, person.login) >= most:
                raise InputError("push-many", most=most)
            name = _device_name(request.headers.get("user-agent", ""))
            english = site.language(request) == "en"
            made = push_devices.add(connection, person.login, endpoint, p256dh, auth, name, now_ms, english=english)
            audit.append(connection, now_ms, person.login, "push-on", f"practitioner:{person.login}", device=str(made))
    except InputError as error:
        return _page(request, error)
    return RedirectResponse("/alerts", 303)


@router.post("/alerts/{device_id}/off")
def turn_off(request: Request, device_id: UUID, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    login, now_ms = session.practitioner.login, site.store.clock.now_ms()
    with site.store.writing() as connection:
        if push_devices.remove(connection, device_id, login):
            audit.append(connection, now_ms, login, "push-off", f"practitioner:{login}", device=str(device_id))
    return RedirectResponse("/alerts", 303)


def _page(request: Request, error: InputError | None = None) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    if reach(session.practitioner.role, "list") is None:
        raise InputError("denied-role")
    pusher: Pusher | None = request.app.state.pusher
    with site.store.reading() as connection:
        devices = push_devices.of_login(connection, session.practitioner.login)
    return site.page(
        request,
        "alerts.html",
        session=session,
        status=200 if error is None else 409,
        here="alerts",
        key=pusher.public_key if pusher is not None else "",
        devices=devices,
        error=site.words(request).error(error) if error is not None else None,
    )


def _device_name(agent: str) -> str:
    """Browser and system, enough to tell one's own devices apart."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), "?")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "?")
    return f"{browser} · {system}"


# In the order in which they must be looked for: each later one names the earlier ones too.
_BROWSERS = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)

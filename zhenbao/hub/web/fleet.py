"""The kits: what each tells of itself, and what somebody must do. No patient is on this page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import fleet
from zhenbao.hub.store import organisations
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/fleet")
def fleet_page(request: Request) -> Response:
    return _page(request)


@router.post("/fleet/{kit_id}/{kind}")
def fleet_note(
    request: Request,
    kit_id: str,
    kind: str,
    csrf: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    seer = site.worklist.viewer(session.practitioner)
    try:
        fleet.note(site.store, kit_id, kind, session.practitioner, seer, text)
    except InputError as error:
        if error.code == "denied-role":
            raise
        return _page(request, error)
    return RedirectResponse("/fleet", 303)


def _page(request: Request, error: InputError | None = None) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    kits = fleet.look(site.store, site.worklist.viewer(session.practitioner))
    with site.store.reading() as connection:
        units = {unit.id: unit for unit in organisations.everyone(connection)}
    return site.page(
        request,
        "fleet.html",
        session=session,
        here="fleet",
        status=200 if error is None else 409,
        kits=kits,
        units=units,
        limits=fleet.limits(),
        error=site.words(request).error(error) if error is not None else None,
    )

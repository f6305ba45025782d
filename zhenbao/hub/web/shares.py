"""Requests to share: asking from a case, and the page where the unit that has the records answers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import sharing
from zhenbao.hub.store import organisations, people, records, shares
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/shares")
def shares_page(request: Request) -> Response:
    return _page(request)


@router.post("/cases/{case_id}/share")
def share_ask(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    sharing.ask(site.store, case_id, session.practitioner, reason=reason, days=_days(days))
    return RedirectResponse("/shares", 303)


@router.post("/shares/{request_id}")
def share_decide(
    request: Request,
    request_id: UUID,
    csrf: Annotated[str, Form()] = "",
    do: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    person = session.practitioner
    try:
        if do == "approve":
            sharing.decide(site.store, request_id, person, approve=True, days=_days(days), note=note)
        elif do == "refuse":
            sharing.decide(site.store, request_id, person, approve=False, note=note)
        else:
            sharing.finish(site.store, request_id, person)
    except InputError as error:
        if error.code.startswith("denied-") or error.code in ("share-unknown", "share-own"):
            raise
        return _page(request, error, request_id)
    return RedirectResponse("/shares", 303)


def _page(request: Request, error: InputError | None = None, about: UUID | None = None) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    person = session.practitioner
    seer = site.worklist.viewer(person)
    if not (seer.allowed("share-ask") or seer.allowed("share-decide")):
        raise InputError("denied-role")
    with site.store.reading() as connection:
        mine = shares.of_login(connection, person.login)
        orgs = sharing.may_decide(connection, person, site.store.clock.now_ms())
        theirs = [r for r in shares.of_owners(connection, orgs) if r.login != person.login] if orgs else []
        patients = {r.patient_id: records.patient(connection, r.patient_id) for r in (*mine, *theirs)}
        names = {unit.id: unit.name for unit in organisations.everyone(connection)}
        who = {r.login: people.find(connection, r.login) for r in theirs}
    return site.page(
        request,
        "shares.html",
        session=session,
        status=200 if error is None else 409,
        here="shares",
        mine=mine,
        theirs=theirs,
        patients=patients,
        names=names,
        who=who,
        about=about,
        error=site.words(request).error(error) if error is not None else None,
    )


def _days(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0

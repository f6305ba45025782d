"""Claiming a case, letting it go, taking it over, giving it to somebody, and handing a shift over."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import handover, holding
from zhenbao.hub.access import LONGEST_REASON, SHORTEST_REASON
from zhenbao.hub.permission import CLINICAL, reach
from zhenbao.hub.store import people
from zhenbao.hub.store.people import Session
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()
_ASKED_AGAIN = ("claim-held", "claim-reason", "reason-long")


@router.get("/cases/{case_id}/claim")
def claim_page(request: Request, case_id: UUID) -> Response:
    """Who works on a case, and the way to take it over; the part alone for the case's own page."""
    site: Site = request.app.state.site
    return _claim_page(request, case_id, session_of(request, site.store))


@router.post("/cases/{case_id}/claim")
def claim(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    over: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        holding.claim(site.store, case_id, session, over=over, reason=reason)
    except InputError as error:
        if error.code not in _ASKED_AGAIN:
            raise
        if "HX-Request" in request.headers:
            return Response(status_code=204, headers={"HX-Redirect": f"/cases/{case_id}/claim"})
        return _claim_page(request, case_id, session, error, reason)
    return _done(request, case_id, back)


@router.post("/cases/{case_id}/release")
def release(
    request: Request, case_id: UUID, csrf: Annotated[str, Form()] = "", back: Annotated[str, Form()] = ""
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    holding.release(site.store, case_id, session.practitioner)
    return _done(request, case_id, back)


@router.post("/cases/{case_id}/assign")
def assign(
    request: Request,
    case_id: UUID,
    login: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    site.worklist.assign(case_id, login, session.practitioner)
    return RedirectResponse("/", 303)


@router.get("/handover")
def handover_page(request: Request, giver: str = "", taker: str = "") -> Response:
    """The shift that would go over, once both persons are chosen."""
    site: Site = request.app.state.site
    return _handover_page(request, session_of(request, site.store), giver, taker)


@router.post("/handover")
def hand_over(
    request: Request,
    csrf: Annotated[str, Form()] = "",
    giver: Annotated[str, Form()] = "",
    taker: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        made = handover.hand_over(site.store, giver or session.practitioner.login, taker, session.practitioner, note)
    except InputError as error:
        # Nothing that was typed is lost by a mistake.
        return _handover_page(request, session, giver, taker, error=error, note=note)
    return _handover_page(request, session, giver, "", done=made.cases)


@router.post("/handover/{handover_id}/read")
def handover_read(request: Request, handover_id: UUID, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    handover.read(site.store, handover_id, session.practitioner)
    return RedirectResponse("/", 303)


def _done(request: Request, case_id: UUID, back: str) -> Response:
    """Back to where the button stood; a page that asked without leaving is told by its news."""
    if "HX-Request" in request.headers:
        return Response(status_code=204)
    return RedirectResponse("/" if back == "list" else f"/cases/{case_id}", 303)


def _claim_page(
    request: Request, case_id: UUID, session: Session, error: InputError | None = None, reason: str = ""
) -> Response:
    site: Site = request.app.state.site
    person = session.practitioner
    row = site.worklist.row(case_id, person)
    seer = site.worklist.viewer(person)
    return site.page(
        request,
        "claim_part.html" if "HX-Request" in request.headers else "claim.html",
        session=session,
        status=200 if error is None else 409,
        item=row.item,
        claim=row.claim,
        holder=row.holder,
        may_claim=seer.may("claim", row.item),
        may_open=seer.may("open", row.item),
        reason=reason,
        shortest=SHORTEST_REASON,
        longest=LONGEST_REASON,
        error=site.words(request).error(error) if error is not None else None,
    )


def _handover_page(
    request: Request,
    session: Session,
    giver: str,
    taker: str,
    *,
    error: InputError | None = None,
    note: str = "",
    done: int = 0,
) -> Response:
    site: Site = request.app.state.site
    person = session.practitioner
    far = reach(person.role, "handover")
    if far is None:
        raise InputError("denied-role")
    anybody = far != "assigned"
    giver = giver if anybody else person.login
    shift = None
    if giver and taker and not done:
        try:
            shift = handover.shift(site.store, giver, taker, person)
        except InputError as refused:
            error = error or refused
    with site.store.reading() as connection:
        clinical = [p for p in people.everyone(connection) if p.role in CLINICAL]
    return site.page(
        request,
        "handover.html",
        session=session,
        status=200 if error is None else 409,
        here="handover",
        anybody=anybody,
        giver=giver,
        taker=taker,
        clinical=clinical,
        shift=shift,
        note=note,
        done=done,
        longest=LONGEST_REASON,
        error=site.words(request).error(error) if error is not None else None,
    )

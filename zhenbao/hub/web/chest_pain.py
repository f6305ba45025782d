"""The chest-pain channel of a case: its timeline, its targets, its state, and the figures of a month."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub.chest_pain import deeds
from zhenbao.hub.chest_pain.table import table
from zhenbao.hub.chest_pain.view import Channel, channel, is_one
from zhenbao.hub.store.people import Session
from zhenbao.hub.store.work import WorkItem
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.chest_pain import CHANNEL_STATES
from zhenbao.model.errors import InputError
from zhenbao.model.time import BEIJING, local_time

router = APIRouter()
SHAPES = {
    "met": "✓",
    "missed": "✗",
    "unsure": "?",
    "order": "⇄",
    "running": "▷",
    "overdue": "!",
    "unknown": "–",
}
"""A shape for each verdict, beside its word: colour is never alone."""


@router.get("/cases/{case_id}/chest-pain")
def channel_page(request: Request, case_id: UUID) -> Response:
    """For whose list holds the case; history and advice only for who may open it."""
    return _page(request, case_id)


@router.get("/cases/{case_id}/chest-pain/chain")
def chain_part(request: Request, case_id: UUID) -> Response:
    """The timeline alone, asked for while the page lies open."""
    return _page(request, case_id, template="_chest_pain_chain.html")


@router.post("/cases/{case_id}/chest-pain/time")
def write_time(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    milestone: Annotated[str, Form()] = "",
    at: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    typed = {"milestone": milestone, "at": at, "person": person, "note": note}
    try:
        at_ms = _instant_ms(at)
        deeds.write_time(
            site.store, case_id, session.practitioner, milestone=milestone, at_ms=at_ms, person=person, note=note
        )
    except InputError as error:
        return _again(request, case_id, error, "time", typed)
    return RedirectResponse(f"/cases/{case_id}/chest-pain", 303)


@router.post("/cases/{case_id}/chest-pain/channel")
def set_channel(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    state: Annotated[str, Form()] = "",
    decided_by: Annotated[str, Form()] = "",
    hospital: Annotated[str, Form()] = "",
    ambulance: Annotated[str, Form()] = "",
    advice: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    told = {"decided_by": decided_by, "hospital": hospital, "ambulance": ambulance, "advice": advice}
    try:
        deeds.set_channel(site.store, case_id, session.practitioner, state=state, **told)
    except InputError as error:
        return _again(request, case_id, error, "channel", {"state": state, **told})
    return RedirectResponse(f"/cases/{case_id}/chest-pain", 303)


def block(site: Site, item: WorkItem) -> Channel | None:
    """What a case's own page shows of its channel; None where it has none."""
    with site.store.reading() as connection:
        return channel(connection, item, site.store.clock.now_ms()) if is_one(connection, item) else None


def _again(request: Request, case_id: UUID, error: InputError, form: str, typed: dict[str, str]) -> Response:
    if error.code == "case-unknown" or error.code.startswith("denied-"):
        raise error
    # Nothing that was typed is lost by a mistake.
    return _page(request, case_id, error=error, form=form, typed=typed)


def _page(
    request: Request,
    case_id: UUID,
    *,
    template: str = "chest_pain.html",
    error: InputError | None = None,
    form: str = "",
    typed: dict[str, str] | None = None,
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    row = site.worklist.row(case_id, session.practitioner)
    now_ms = site.store.clock.now_ms()
    with site.store.reading() as connection:
        shown = channel(connection, row.item, now_ms)
    seer = site.worklist.viewer(session.practitioner)
    written = {"milestone": "", "at": local_time(now_ms).strftime("%Y-%m-%dT%H:%M"), "person": "", "note": ""}
    told = _told(shown, session)
    if typed is not None and form == "time":
        written |= typed
    elif typed is not None:
        told |= typed
    return site.page(
        request,
        template,
        session=session,
        status=200 if error is None else 409,
        row=row,
        item=row.item,
        channel=shown,
        shapes=SHAPES,
        milestones=table().may_write,
        states=CHANNEL_STATES,
        afterwards_ms=table().afterwards_ms,
        written=written,
        told=told,
        error=site.words(request).error(error) if error is not None else None,
        form=form,
        may_open=seer.may("open", row.item),
        may_write=seer.may("chest-pain", row.item),
        may_set=seer.may("channel", row.item),
        may_advise=seer.may("report", row.item),
    )


def _told(shown: Channel, session: Session) -> dict[str, str]:
    """The form as the channel stands: another advice need not name the hospital again."""
    last = shown.steps[0] if shown.steps else None
    return {
        "state": last.state if last is not None else "open",
        "decided_by": session.practitioner.name if session.practitioner.role != "operator" else "",
        "hospital": last.hospital if last is not None else "",
        "ambulance": last.ambulance if last is not None else "",
        "advice": "",
    }


def _instant_ms(text: str) -> int:
    """Beijing wall time from a form, as ``2026-11-22T10:05``.

    Raises:
        InputError: ``chest-pain-time``.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise InputError("chest-pain-time", days=table().furthest_back_ms // 86_400_000)
    return round(at.replace(tzinfo=BEIJING).timestamp() * 1000)

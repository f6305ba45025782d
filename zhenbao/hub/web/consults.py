"""Asking the provincial expert, and the expert's own pages."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import consult, slot
from zhenbao.hub.permission import reach
from zhenbao.hub.store import consults, people, records
from zhenbao.hub.store.slots import KINDS
from zhenbao.hub.web.case_parts import ecg_options
from zhenbao.hub.web.drawings import draw
from zhenbao.hub.web.ecg_pages import ecg_page
from zhenbao.hub.web.ecg_view import View, tracing
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site, id_or_none
from zhenbao.model.errors import InputError
from zhenbao.model.time import local_text

router = APIRouter()


@router.get("/cases/{case_id}/consult")
def ask_page(request: Request, case_id: UUID) -> Response:
    return _ask_page(request, case_id)


@router.post("/cases/{case_id}/consult")
def ask(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    expert: Annotated[str, Form()] = "",
    question: Annotated[str, Form()] = "",
    history: Annotated[str, Form()] = "",
    readings: Annotated[list[str] | None, Form()] = None,
    hours: Annotated[str, Form()] = "",
    named: Annotated[str, Form()] = "",
    slot_kind: Annotated[str, Form()] = "",
    slot_from: Annotated[str, Form()] = "",
    slot_until: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    wish = consult.Request(
        expert=expert,
        question=question.replace("\r\n", "\n"),
        history=history.replace("\r\n", "\n"),
        observation_ids=tuple(id_ for text in (readings or [])[:40] if (id_ := id_or_none(text)) is not None),
        hours=int(hours) if hours.isascii() and hours.isdigit() else 0,
        named=named == "yes",
        slot=consult.SlotWish(slot_kind, slot_from, slot_until) if slot_kind else None,
    )
    try:
        consult.ask(site.store, case_id, session.practitioner, wish)
    except InputError as error:
        if not error.code.startswith("consult-"):
            raise
        return _ask_page(request, case_id, wish, error)
    return RedirectResponse(f"/cases/{case_id}#consults", 303)


@router.get("/consults")
def consults_page(request: Request) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    if reach(session.practitioner.role, "opine") is None:
        raise InputError("denied-role")
    with site.store.reading() as connection:
        listed = consults.of_expert(connection, session.practitioner.login)
        askers = {one.asker for one in listed}
        names = {login: found.name for login in askers if (found := people.find(connection, login)) is not None}
    return site.page(request, "consults.html", session=session, here="consults", listed=listed, names=names)


@router.get("/consults/{consult_id}")
def bundle_page(request: Request, consult_id: UUID) -> Response:
    return _bundle_page(request, consult_id)


@router.post("/consults/{consult_id}")
def opinion(
    request: Request, consult_id: UUID, csrf: Annotated[str, Form()] = "", opinion: Annotated[str, Form()] = ""
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        consult.give_opinion(site.store, consult_id, session.practitioner, opinion)
    except InputError as error:
        if not error.code.startswith("opinion-"):
            raise
        return _bundle_page(request, consult_id, error, opinion)
    return RedirectResponse(f"/consults/{consult_id}", 303)


@router.post("/consults/{consult_id}/withdraw")
def withdraw(request: Request, consult_id: UUID, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    case_id = consult.withdraw(site.store, consult_id, session.practitioner)
    return RedirectResponse(f"/cases/{case_id}#consults", 303)


@router.post("/consults/{consult_id}/slot")
def answer_slot(
    request: Request,
    consult_id: UUID,
    csrf: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    on: Annotated[str, Form()] = "",
    time: Annotated[str, Form()] = "",
    place: Annotated[str, Form()] = "",
    number: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        if answer == "refused":
            slot.refuse(site.store, consult_id, session.practitioner, reason)
        else:
            slot.book(site.store, consult_id, session.practitioner, on=on, time=time, place=place, number=number)
    except InputError as error:
        if error.code not in ("slot-answer", "reason-missing", "reason-long"):
            raise
        told = {"answer": answer, "on": on, "time": time, "place": place, "number": number, "reason": reason}
        return _bundle_page(request, consult_id, slot_error=error, slot_typed=told)
    return RedirectResponse(f"/consults/{consult_id}#slot", 303)


@router.post("/consults/{consult_id}/slot/withdraw")
def withdraw_slot(request: Request, consult_id: UUID, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    case_id = slot.withdraw(site.store, consult_id, session.practitioner)
    return RedirectResponse(f"/cases/{case_id}#consults", 303)


@router.get("/consults/{consult_id}/ecg/{recording_id}")
def bundle_ecg(request: Request, consult_id: UUID, recording_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    found = consult.bundle(site.store, consult_id, session.practitioner)
    readings = [reading for reading, _ in found.readings]
    return ecg_page(request, session, readings, recording_id, base=f"/consults/{consult_id}")


def _ask_page(
    request: Request, case_id: UUID, wish: consult.Request | None = None, error: InputError | None = None
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    if (denied := site.worklist.viewer(session.practitioner).denial("consult", case.item)) is not None:
        raise InputError(denied)
    readings = {reading.id: reading for reading, _ in case.readings}
    with site.store.reading() as connection:
        experts = consult.experts(connection)
        arrived = {r.id for id_ in readings for r in records.recordings_of(connection, id_)}
    typed = wish or consult.Request(
        expert="",
        question="",
        history=case.encounter.reason if case.encounter else "",
        observation_ids=tuple(readings),
        hours=consult.limits().default_h,
    )
    return site.page(
        request,
        "consult_ask.html",
        session=session,
        status=200 if error is None else 409,
        case=case,
        experts=experts,
        typed=typed,
        limits=consult.limits(),
        today=local_text(site.store.clock.now_ms())[:10],
        slot_kinds=KINDS,
        lacks=consult.lacking(typed, case.patient, readings, arrived) if error is not None else (),
        error=site.words(request).error(error) if error is not None else None,
    )


def _bundle_page(
    request: Request,
    consult_id: UUID,
    error: InputError | None = None,
    typed: str = "",
    *,
    slot_error: InputError | None = None,
    slot_typed: dict[str, str] | None = None,
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    words = site.words(request)
    found = consult.bundle(site.store, consult_id, session.practitioner)
    tracings = {
        reading.id: [tracing(reading, r, View(), words) for r in recordings if r.unit == "mV"]
        for reading, recordings in found.readings
    }
    return site.page(
        request,
        "bundle.html",
        session=session,
        status=200 if error is None and slot_error is None else 409,
        bundle=found,
        readings=[(reading, found.item.received_ms) for reading, _ in found.readings],
        tracings=tracings,
        drawings={reading.id: draw(reading, recordings, words) for reading, recordings in found.readings},
        waiting={reading.id: False for reading, _ in found.readings},
        files={},
        beside={},
        base=f"/consults/{consult_id}",
        limits=consult.limits(),
        typed=typed,
        error=words.error(error) if error is not None else None,
        slot_error=words.error(slot_error) if slot_error is not None else None,
        slot_typed=slot_typed or {},
        **ecg_options(),
    )

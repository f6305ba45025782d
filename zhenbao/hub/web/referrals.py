"""Referrals: the list, one form and its way, and writing one for a case."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from zhenbao.hub import referral
from zhenbao.hub.store import organisations, records, referrals
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.referral import DownForm, UpForm

router = APIRouter()
LONG = ("reason", "past_history", "treatment", "next_plan", "nursing_plan", "main_results", "medication",
        "review_schedule", "warning_signs", "diagnosis", "impression")  # fmt: skip


@router.get("/referrals")
def referrals_page(request: Request, shown: str = "open") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    if not seer.allowed("refer"):
        raise InputError("denied-role")
    with site.store.reading() as connection:
        listed = referrals.of_orgs(connection, seer.orgs, ended=shown == "ended")
        patients = {r.patient_id: records.patient(connection, r.patient_id) for r in listed}
        names = {unit.id: unit.name for unit in organisations.everyone(connection)}
    due = {reminder.referral.id: reminder for reminder in referral.reminders(site.store, seer)}
    return site.page(
        request,
        "referrals.html",
        session=session,
        here="referrals",
        shown="ended" if shown == "ended" else "open",
        listed=sorted(listed, key=lambda r: (r.id not in due, r.urgency.rank)),
        patients=patients,
        names=names,
        due=due,
    )


@router.get("/referrals/{referral_id}")
def referral_page(request: Request, referral_id: UUID) -> Response:
    return _page(request, referral_id)


@router.post("/referrals/{referral_id}")
async def referral_move(request: Request, referral_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    form = await request.form()
    check_csrf(session.csrf, form.get("csrf"))
    state, note = _text(form, "state"), _text(form, "note")
    try:
        down = DownForm(**_typed(form, DownForm)) if state == "returned" else None
        referral.move(site.store, referral_id, session.practitioner, state, note=note, down=down)
    except InputError as error:
        if error.code == "referral-unknown":
            raise
        return _page(request, referral_id, error, _typed(form, DownForm) | {"note": note})
    return RedirectResponse(f"/referrals/{referral_id}", 303)


@router.get("/cases/{case_id}/refer")
def refer_page(request: Request, case_id: UUID) -> Response:
    return _write_page(request, case_id)


@router.post("/cases/{case_id}/refer")
async def refer(request: Request, case_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    form = await request.form()
    check_csrf(session.csrf, form.get("csrf"))
    typed = _typed(form, UpForm)
    try:
        made = referral.write(
            site.store,
            case_id,
            session.practitioner,
            to_org=_text(form, "to_org"),
            urgency=_text(form, "urgency"),
            form=UpForm(**(typed | {"consent": form.get("consent") == "yes"})),
        )
    except InputError as error:
        if error.code == "case-unknown" or error.code.startswith("denied-"):
            raise
        chosen = {"to_org": _text(form, "to_org"), "urgency": _text(form, "urgency")}
        return _write_page(request, case_id, error, typed | chosen)
    return RedirectResponse(f"/referrals/{made.id}", 303)


def _page(
    request: Request, referral_id: UUID, error: InputError | None = None, typed: dict[str, str] | None = None
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    found = referral.look(site.store, referral_id, session.practitioner)
    seer = site.worklist.viewer(session.practitioner)
    with site.store.reading() as connection:
        patient = records.patient(connection, found.patient_id)
        steps = referrals.steps(connection, referral_id)
        names = {unit.id: unit for unit in organisations.everyone(connection)}
    return site.page(
        request,
        "referral.html",
        session=session,
        status=200 if error is None else 409,
        referral=found,
        patient=patient,
        steps=steps,
        units=names,
        moves=referral.open_moves(seer, found),
        rules=referral.rules(),
        up_fields=[field.name for field in fields(UpForm) if field.name != "consent"],
        down_fields=[field.name for field in fields(DownForm)],
        long=LONG,
        typed=typed or {},
        error=site.words(request).error(error) if error is not None else None,
    )


def _write_page(
    request: Request, case_id: UUID, error: InputError | None = None, typed: dict[str, str] | None = None
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    if (denied := site.worklist.viewer(session.practitioner).denial("refer", case.item)) is not None:
        raise InputError(denied)
    with site.store.reading() as connection:
        units = [unit for unit in organisations.everyone(connection) if unit.id != session.practitioner.org_id]
    person = session.practitioner
    known = {
        "to_org": "",
        "urgency": case.item.urgency.value,
        "impression": case.reports[-1].conclusion if case.reports else "",
        "reason": case.encounter.reason if case.encounter else "",
        "physician": person.name,
        "physician_phone": person.phone,
    }
    return site.page(
        request,
        "refer.html",
        session=session,
        status=200 if error is None else 409,
        case=case,
        units=units,
        fields=[field.name for field in fields(UpForm) if field.name != "consent"],
        long=LONG,
        urgencies=list(Urgency)[:-1],
        typed=typed or known,
        error=site.words(request).error(error) if error is not None else None,
    )


def _typed(form: FormData, type_: type[UpForm] | type[DownForm]) -> dict[str, Any]:
    return {field.name: _text(form, field.name) for field in fields(type_) if field.name != "consent"}


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""

"""Chronic care: who is due, one patient's registers and follow-ups, a form, a plan for home."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from zhenbao.hub import chronic as care
from zhenbao.hub.chronic import FormProblems, Ruled
from zhenbao.hub.permission import reach
from zhenbao.hub.store import briefs, care_notices, chronic, follow_ups, organisations, people, records
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.chronic import Part
from zhenbao.model.errors import InputError
from zhenbao.rules import followup
from zhenbao.rules.followup import Choice
from zhenbao.rules.forms import form as form_of
from zhenbao.rules.forms import tidy

router = APIRouter()
_MOST = 300
_READ_SHOWN = 5
"""Of the notices that were read so many stay."""


@router.get("/chronic")
def chronic_page(request: Request, shown: str = "due", disease: str = "") -> Response:
    """What is due, or who is registered."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    wide = reach(session.practitioner.role, "chronic")
    if wide is None:
        raise InputError("denied-role")
    now_ms = site.store.clock.now_ms()
    day = chronic.today(now_ms)
    orgs = {session.practitioner.org_id} if wide == "own" else seer.orgs
    login, mine = session.practitioner.login, care.policy()["department"].get(session.practitioner.specialty, ())

    def theirs(entry: chronic.Entry) -> bool:
        return (wide != "assigned" or login in entry.team or entry.disease in mine) and disease in ("", entry.disease)

    with site.store.reading() as connection:
        until = day + timedelta(days=followup.remind_days())
        due = [row for row in chronic.due(connection, orgs, until, _MOST) if theirs(row.entry)]
        listed = []
        if shown in ("all", "left"):
            wanted = disease if disease in followup.DISEASES else None
            listed = [
                entry
                for entry in chronic.listed(connection, orgs, disease=wanted, ended=shown == "left", limit=_MOST)
                if theirs(entry)
            ]
        ids = {row.entry.patient_id for row in due} | {entry.patient_id for entry in listed}
        notices = care_notices.of_login(connection, login)
        ids |= {notice.patient_id for notice in notices}
        patients = {id_: records.patient(connection, id_) for id_ in ids}
        units = {unit.id: unit.name for unit in organisations.everyone(connection)}
    return site.page(
        request,
        "chronic.html",
        session=session,
        here="chronic",
        shown=shown if shown in ("all", "left") else "due",
        disease=disease,
        diseases=followup.DISEASES,
        due=due,
        listed=listed,
        patients=patients,
        notices=[notice for place, notice in enumerate(notices) if notice.read_ms is None or place < _READ_SHOWN],
        units=units,
        today=day,
        remind_days=followup.remind_days(),
        overdue=sum(row.on < day for row in due),
    )


@router.get("/chronic/patients/{patient_id}")
def patient_page(request: Request, patient_id: UUID) -> Response:
    return _patient_page(request, patient_id)


@router.post("/chronic/patients/{patient_id}/enter")
def enter(
    request: Request,
    patient_id: UUID,
    csrf: Annotated[str, Form()] = "",
    disease: Annotated[str, Form()] = "",
    org_id: Annotated[str, Form()] = "",
    ground: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        care.enter(site.store, patient_id, session.practitioner, disease=disease, org_id=org_id, ground=ground)
    except InputError as error:
        return _patient_page(request, patient_id, error, {"disease": disease, "ground": ground, "org_id": org_id})
    return RedirectResponse(f"/chronic/patients/{patient_id}", 303)


@router.post("/chronic/entries/{entry_id}/leave")
def leave(
    request: Request, entry_id: UUID, csrf: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = ""
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    patient_id = _patient_of(site, entry_id)
    try:
        care.leave(site.store, entry_id, session.practitioner, reason=reason)
    except InputError as error:
        return _patient_page(request, patient_id, error)
    return RedirectResponse(f"/chronic/patients/{patient_id}", 303)


@router.post("/chronic/entries/{entry_id}/team")
async def team(request: Request, entry_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    form = await request.form()
    check_csrf(session.csrf, form.get("csrf"))
    patient_id = _patient_of(site, entry_id)
    named: dict[Part, str] = {part: _text(form, part) for part in chronic.PARTS}
    try:
        care.name_team(site.store, entry_id, session.practitioner, named)
    except InputError as error:
        return _patient_page(request, patient_id, error)
    return RedirectResponse(f"/chronic/patients/{patient_id}", 303)


@router.get("/chronic/entries/{entry_id}/{tier}")
def follow_up_page(request: Request, entry_id: UUID, tier: str) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    # Whose it is, and whether this form is theirs, is asked before anything is shown.
    measured = care.measured(site.store, entry_id, session.practitioner, tier)
    return _form_page(request, entry_id, tier, measured, measured=frozenset(measured))


@router.post("/chronic/entries/{entry_id}/{tier}")
async def follow_up(request: Request, entry_id: UUID, tier: str) -> Response:
    """First the outcome by rule is shown, then it is confirmed or changed: two steps, and no script is needed."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    form = await request.form()
    check_csrf(session.csrf, form.get("csrf"))
    care.may_fill(site.store, entry_id, session.practitioner, tier)
    answers = _answers(form)
    choice = Choice(_text(form, "outcome"), _text(form, "next_on"), _text(form, "because"))
    try:
        ruled = care.rule(site.store, entry_id, session.practitioner, tier, answers)
        if not form.get("keep"):
            return _form_page(request, entry_id, tier, ruled.answers, ruled=None if form.get("back") else ruled)
        care.follow_up(site.store, entry_id, session.practitioner, tier, answers, choice)
    except InputError as error:
        if not error.code.startswith(("form-", "follow-up-")):
            raise
        shown = None if isinstance(error, FormProblems) else ruled
        return _form_page(request, entry_id, tier, tidy(answers), ruled=shown, error=error, choice=choice)
    return RedirectResponse(f"/chronic/patients/{_patient_of(site, entry_id)}", 303)


@router.post("/chronic/patients/{patient_id}/plan")
async def plan(request: Request, patient_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    form = await request.form()
    check_csrf(session.csrf, form.get("csrf"))
    values = {name: _text(form, name) for name in care.PLAN_FIELDS}
    kinds = ("village-visit", "nursing", "review")
    dates = [(kind, _text(form, kind)) for kind in kinds]
    try:
        care.send_plan(site.store, patient_id, session.practitioner, values, dates)
    except InputError as error:
        return _patient_page(request, patient_id, error, values | dict(dates))
    return RedirectResponse(f"/chronic/patients/{patient_id}", 303)


def _patient_page(
    request: Request, patient_id: UUID, error: InputError | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer, now_ms = site.worklist.viewer(session.practitioner), site.store.clock.now_ms()
    with site.store.reading() as connection:
        found = care.persons(connection, seer, patient_id)
        patient = care.patient_of(connection, found)
        entries = chronic.of_patients(connection, found)
        changes = {entry.id: chronic.changes(connection, entry.id) for entry in entries}
        due = chronic.due_of(connection, [entry.id for entry in entries])
        kept = follow_ups.kept_of(connection, found)
        plans = briefs.plans_of(connection, found)
        everyone = people.everyone(connection)
        units = organisations.everyone(connection)
    _read(site, session.practitioner.login, found, now_ms)
    policy = care.policy()
    place = next((e.org_id for e in entries if e.ended_ms is None), session.practitioner.org_id)
    return site.page(
        request,
        "chronic_patient.html",
        session=session,
        here="chronic",
        status=200 if error is None else 409,
        patient_id=patient_id,
        patient=patient,
        entries=entries,
        changes=changes,
        due=due,
        kept=kept[::-1],
        plans=plans,
        plan_fields=care.PLAN_FIELDS,
        first_visit_days=policy["plan"]["first_visit_days"],
        parts=chronic.PARTS,
        choices={part: [p for p in everyone if p.role in policy["may_be"][part]] for part in chronic.PARTS},
        names={person.login: person.name for person in everyone},
        units={unit.id: unit.name for unit in units},
        own_units=[unit for unit in units if unit.id in seer.orgs],
        place=place,
        diseases=followup.DISEASES,
        fills=policy["may_fill"].get(session.practitioner.role, ()),
        today=chronic.today(now_ms),
        typed=typed or {},
        error=site.words(request).error(error) if error is not None else None,
    )


def _form_page(
    request: Request,
    entry_id: UUID,
    tier: str,
    answers: Mapping[str, str],
    *,
    ruled: Ruled | None = None,
    error: InputError | None = None,
    choice: Choice | None = None,
    measured: frozenset[str] = frozenset(),
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    with site.store.reading() as connection:
        entry = chronic.find(connection, entry_id)
        if entry is None:
            raise InputError("chronic-unknown")
        patient = records.patient(connection, entry.patient_id)
    of = form_of(followup.form_of(entry.disease, next(t for t in followup.TIERS if t == tier)))
    return site.page(
        request,
        "follow_up.html",
        session=session,
        here="chronic",
        status=200 if error is None else 409,
        entry=entry,
        tier=tier,
        patient=patient,
        form=of,
        answers=dict(answers),
        problems={problem.field: problem for problem in error.found} if isinstance(error, FormProblems) else {},
        ruled=ruled,
        measured=measured,
        outcomes=followup.OUTCOMES,
        choice=choice or Choice(),
        error=site.words(request).error(error) if error is not None else None,
    )


def _read(site: Site, login: str, persons: list[UUID], now_ms: int) -> None:
    """Whoever opens a patient has read what there is to be told of them."""
    with site.store.reading() as connection:
        waiting = {n.patient_id for n in care_notices.of_login(connection, login) if n.read_ms is None}
    for patient_id in waiting & set(persons):
        with site.store.writing() as connection:
            care_notices.read(connection, login, patient_id, now_ms)


def _patient_of(site: Site, entry_id: UUID) -> UUID:
    with site.store.reading() as connection:
        entry = chronic.find(connection, entry_id)
    if entry is None:
        raise InputError("chronic-unknown")
    return entry.patient_id


def _answers(form: FormData) -> dict[str, str]:
    """The fields of a form; several ticks of one field are joined."""
    found: dict[str, list[str]] = {}
    for key, value in form.multi_items():
        if key.startswith("f.") and isinstance(value, str):
            found.setdefault(key[2:], []).append(value)
    return {key: ",".join(values) for key, values in found.items()}


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""

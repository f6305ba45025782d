"""Chronic care on the kit, without a network: what is due, a follow-up, recent results, plans that came home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from zhenbao.model.chronic import Disease, FollowUp, Past, PlanKind, RecentResult, Register
from zhenbao.model.ids import uuid7
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import age_years, local_time
from zhenbao.rules import followup
from zhenbao.rules.followup import Choice, Due, Judged
from zhenbao.rules.forms import Form, Problem, form, problems, taken, tidy
from zhenbao.rules.recognition import Recognition, in_a_line, kinds, recognise

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.model.patient import Patient

PLAN_SHOWN_DAYS = 14
"""A day of a plan stays on the list so long after it: whether it was kept is not known here."""


@dataclass(frozen=True, slots=True)
class DueLine:
    """Something to do for a patient of a register."""

    patient: Patient
    register: Register
    due: Due


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A day of a discharge plan."""

    patient: Patient
    plan_id: UUID
    kind: PlanKind
    on: date


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as far as it is filled, with what the rules make of it."""

    form: Form
    answers: dict[str, str]
    from_visit: frozenset[str]
    """Fields that today's readings filled."""
    problems: tuple[Problem, ...]
    judged: Judged | None
    """None while there are problems."""


def today(kit: Kit) -> date:
    """The day in Beijing, by the tablet's clock."""
    return local_time(kit.clock.now_ms()).date()


def due_lines(kit: Kit) -> list[DueLine]:
    """What is due of every patient that the hub told of, with what was written here since; the longest due first."""
    own: dict[UUID, list[FollowUp]] = {}
    for made in kit.store.follow_ups():
        own.setdefault(made.patient_id, []).append(made)
    lines = []
    for brief in kit.store.care_briefs():
        patient = kit.store.patient(brief.patient_id)
        for register in brief.registers if patient is not None else ():
            whole = merged(register, own.get(brief.patient_id, []))
            lines += [DueLine(patient, whole, each) for each in followup.due(whole)]  # type: ignore[arg-type]
    return sorted(lines, key=lambda line: (line.due.on, line.patient.name, line.due.tier))


def plan_lines(kit: Kit) -> list[PlanLine]:
    """Days of discharge plans that lie ahead or have just been; a first visit that was made is done."""
    day, lines = today(kit), []
    for kept in kit.store.plans():
        patient, plan = kit.store.patient(kept.plan.patient_id), kept.plan
        if patient is None:
            continue
        seen_ms = kit.store.last_visit_ms(plan.patient_id)
        for each in plan.dates:
            done = each.kind == "village-visit" and seen_ms is not None and seen_ms > kept.arrived_ms
            if not done and each.on >= day - timedelta(days=PLAN_SHOWN_DAYS):
                lines.append(PlanLine(patient, plan.id, each.kind, each.on))
    return sorted(lines, key=lambda line: (line.on, line.patient.name))


def told_ms(kit: Kit) -> int | None:
    """When the hub last told anything of a register, by its clock; None: never."""
    return max((brief.told_ms for brief in kit.store.care_briefs()), default=None)


def merged(register: Register, own: Sequence[FollowUp]) -> Register:
    """A register with the follow-ups that were written here and that the hub may not have yet."""
    known = set(register.past)
    for made in own:
        on = local_time(made.at_ms).date()
        if made.disease == register.disease and on >= register.since:
            known.add(Past(on, made.tier, made.outcome, made.next_on, made.refer))
    return replace(register, past=followup.recent_past(sorted(known, key=lambda p: p.on)))


def fill(kit: Kit, patient: Patient, disease: Disease, answers: Mapping[str, str]) -> Filled:
    """A village follow-up with what was typed, over what today's readings say."""
    of = form(followup.form_of(disease, "village"))
    day = today(kit)
    readings = [
        reading
        for reading in kit.store.observations(patient_id=patient.id, limit=50)
        if local_time(reading.effective_ms).date() == day
    ]
    measured, typed = taken(of, readings), tidy(answers)
    whole = measured | typed
    found = tuple(problems(of, whole))
    now_ms = kit.clock.now_ms()
    age = age_years(patient.birth_date, now_ms) if patient.birth_date is not None else None
    judged = None if found else followup.judge(disease, whole, age)
    return Filled(of, whole, frozenset(set(measured) - set(typed)), found, judged)


def follow_up(kit: Kit, patient: Patient, disease: Disease, filled: Filled, judged: Judged, choice: Choice) -> FollowUp:
    """The follow-up as it would be kept; ``kit.store.save_follow_up`` keeps it.

    Raises:
        InputError: as ``followup.decide``.
    """
    now_ms, day = kit.clock.now_ms(), today(kit)
    register = register_of(kit, patient.id, disease)
    own = [made for made in kit.store.follow_ups(patient.id) if made.disease == disease]
    past = (
        merged(register, own).past
        if register is not None
        else tuple(Past(local_time(m.at_ms).date(), m.tier, m.outcome, m.next_on, m.refer) for m in own)
    )
    blank = FollowUp(
        id=uuid7(now_ms),
        patient_id=patient.id,
        disease=disease,
        tier="village",
        form=filled.form.key,
        form_version=filled.form.version,
        at_ms=now_ms,
        answers=filled.answers,
        outcome="controlled",
        next_on=day,
        kit_id=kit.settings.kit_id,
    )
    return followup.decide(blank, judged, past, day, choice)


def register_of(kit: Kit, patient_id: UUID, disease: str) -> Register | None:
    """The register of a disease, as the hub told it."""
    for brief in kit.store.care_briefs(patient_id):
        for register in brief.registers:
            if register.disease == disease:
                return register
    return None


def recent(
    kit: Kit, patient: Patient, complaints: Mapping[str, str], *, besides: UUID | None = None
) -> list[tuple[RecentResult, Recognition]]:
    """The newest result of each kind, this kit's own and what the hub told of others', with what it may stand for.

    Args:
        besides: a visit whose readings are no earlier results.
    """
    place = kit.settings.village or kit.settings.kit_id
    found: dict[tuple[str, bool], RecentResult] = {}
    for reading in kit.store.observations(patient_id=patient.id):
        if reading.encounter_id != besides and reading.code in kinds() and reading.status != "quarantined":
            reviewed = DeliveryState.REPORTED in kit.store.delivery(reading.id)
            found[reading.code, True] = in_a_line(reading, place, reviewed=reviewed)
    for brief in kit.store.care_briefs(patient.id):
        for result in brief.recent:
            found[result.code, False] = result
    now_ms = kit.clock.now_ms()
    judged = [(result, recognise(result, now_ms, complaints)) for result in found.values()]
    shown = [(result, how) for result, how in judged if how.verdict != "old"]
    return sorted(shown, key=lambda pair: (pair[0].code, -pair[0].effective_ms))

"""What the hub tells the kits of their own patients: registers, results taken elsewhere, discharge plans.

A kit hears of a patient only under the name that it gave the patient itself, where it takes such messages, and only
when something has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from zhenbao.hub.store import chronic, fleet, identities, organisations, outbox, terms
from zhenbao.hub.store.chronic_tables import care_sent, discharge_plans, follow_ups
from zhenbao.hub.store.outbox import Sender
from zhenbao.hub.store.tables import observations, patient_versions, reports, work_items
from zhenbao.hub.store.tables import outbox as outbox_table
from zhenbao.model.chronic import CareBrief, DischargePlan, RecentResult
from zhenbao.model.observation import Observation
from zhenbao.rules.recognition import in_a_line, kinds, validity
from zhenbao.sync.envelope import pack, unpack

CLOCK_TOLERANCE_MS = 120_000
PLAN_DAYS = 90
"""A plan that a kit could not take at first is offered again so long."""
_DAY_MS = 86_400_000
_OVERLAP_MS = 60_000
"""Transactions that were open while others were looked at."""
_MARK = "care_mark_ms"
_TRIES = 5
"""How many of a kind are looked through for one that counts."""


def tell(connection: Connection, sender: Sender, patient_id: UUID, now_ms: int) -> int:
    """Tell every kit that has registered this person what has changed; returns how many messages were queued."""
    persons = identities.same_person(connection, patient_id)
    known = select(patient_versions.c.patient_id, patient_versions.c.kit_id).where(
        patient_versions.c.patient_id.in_(persons)
    )
    units = {unit.id: unit.name for unit in organisations.everyone(connection)}
    queued = 0
    for name, kit_id in sorted(set(connection.execute(known))):
        if fleet.takes(connection, kit_id, "care-brief"):
            queued += _tell_brief(connection, sender, name, persons, kit_id, units, now_ms)
        if fleet.takes(connection, kit_id, "discharge-plan"):
            queued += _tell_plans(connection, sender, name, persons, kit_id, now_ms)
    return queued


def tell_kit(connection: Connection, sender: Sender, kit_id: str, now_ms: int) -> None:
    """Tell a kit of all its patients: it has just said that it takes such messages."""
    names = select(patient_versions.c.patient_id).where(patient_versions.c.kit_id == kit_id).distinct()
    for name in list(connection.execute(names).scalars()):
        tell(connection, sender, name, now_ms)
    fleet.told(connection, kit_id)


def touched(connection: Connection, now_ms: int) -> tuple[set[UUID], int]:
    """Patients of whom something came since the last look, and the mark to keep once they were told.

    The first look finds none: whatever lies there already is told to each kit when it says what it takes.
    """
    before = terms.setting(connection, _MARK)
    if before is None:
        return set(), now_ms
    mark = int(before)
    since = mark - _OVERLAP_MS
    came = select(observations.c.patient_id, observations.c.received_ms).where(observations.c.received_ms >= since)
    new = select(patient_versions.c.patient_id, patient_versions.c.received_ms).where(
        patient_versions.c.received_ms >= since
    )
    signed = select(reports.c.patient_id, reports.c.signed_ms).where(reports.c.signed_ms >= since)
    written = select(follow_ups.c.patient_id, follow_ups.c.received_ms).where(follow_ups.c.received_ms >= since)
    found: set[UUID] = set()
    for wanted in (came, new, signed, written):
        for name, at_ms in connection.execute(wanted):
            found.add(name)
            mark = max(mark, at_ms)
    return found, mark


def keep_mark(connection: Connection, mark: int) -> None:
    """Everything up to here was told."""
    terms.set_setting(connection, _MARK, str(mark))


def add_plan(connection: Connection, plan: DischargePlan, org_id: str, login: str, referral_id: UUID | None) -> None:
    """Keep a discharge plan; it is never changed."""
    connection.execute(
        insert(discharge_plans).values(
            id=plan.id,
            patient_id=plan.patient_id,
            referral_id=referral_id,
            made_ms=plan.made_ms,
            org_id=org_id,
            login=login,
            body=pack(plan),
        )
    )


def plans_of(connection: Connection, persons: Collection[UUID]) -> list[DischargePlan]:
    """The discharge plans of a person, the newest first."""
    found = (
        select(discharge_plans.c.body)
        .where(discharge_plans.c.patient_id.in_(list(persons)))
        .order_by(discharge_plans.c.made_ms.desc())
    )
    return [
        plan
        for body in connection.execute(found).scalars()
        if isinstance(plan := unpack("discharge-plan", body), DischargePlan)
    ]


def recent(
    connection: Connection,
    persons: Collection[UUID],
    now_ms: int,
    *,
    besides: str | None = None,
    without: Collection[UUID] = (),
) -> tuple[RecentResult, ...]:
    """The newest result of each kind of a person that is worth a look, the newest first.

    Args:
        besides: a kit that knows its own.
        without: readings that are no earlier ones.
    """
    units = {unit.id: unit.name for unit in organisations.everyone(connection)}
    # What is kept because the law says so is shown to nobody, nor sent.
    kept_only = select(work_items.c.encounter_id).where(
        work_items.c.patient_id.in_(list(persons)), work_items.c.restricted_ms.is_not(None)
    )
    newest = []
    for code in kinds():
        rule = validity(code)
        since = now_ms - (rule.shown_days if rule is not None else 0) * _DAY_MS
        wanted = (
            select(observations)
            .where(observations.c.patient_id.in_(list(persons)), observations.c.code == code)
            .where(observations.c.effective_ms > since, observations.c.encounter_id.not_in(kept_only))
            .order_by(observations.c.effective_ms.desc(), observations.c.id.desc())
        )
        if without:
            wanted = wanted.where(observations.c.id.not_in(list(without)))
        if besides is not None:
            wanted = wanted.where(observations.c.kit_id != besides)
        for row in connection.execute(wanted.limit(_TRIES)).all():
            reading = unpack("observation", row.body)
            if isinstance(reading, Observation) and reading.status != "quarantined":
                newest.append(_in_a_line(connection, reading, row.kit_id, row.clock_ahead_ms, units))
                break
    return tuple(sorted(newest, key=lambda r: -r.effective_ms))


def _in_a_line(
    connection: Connection, reading: Observation, kit_id: str, clock_ahead_ms: int, units: dict[str, str]
) -> RecentResult:
    place = organisations.of_kits(connection, [kit_id])[kit_id]
    return in_a_line(
        reading,
        units.get(place, place),
        reviewed=_reviewed(connection, reading),
        clock_doubtful=abs(clock_ahead_ms) > CLOCK_TOLERANCE_MS,
    )


def _tell_brief(
    connection: Connection,
    sender: Sender,
    name: UUID,
    persons: Collection[UUID],
    kit_id: str,
    units: dict[str, str],
    now_ms: int,
) -> int:
    registers = [
        chronic.register(connection, entry, units) for entry in chronic.of_patients(connection, persons, ended=False)
    ]
    brief = CareBrief(name, 0, tuple(registers), recent(connection, persons, now_ms, besides=kit_id))
    digest = hashlib.sha256(pack(brief)).digest()
    mine = (care_sent.c.patient_id == name, care_sent.c.kit_id == kit_id)
    before = connection.execute(select(care_sent.c.sha256).where(*mine)).scalar()
    if before == digest or (before is None and not brief.registers and not brief.recent):
        return 0
    connection.execute(delete(care_sent).where(*mine))
    connection.execute(insert(care_sent).values(patient_id=name, kit_id=kit_id, sha256=digest, at_ms=now_ms))
    outbox.post(connection, sender, replace(brief, told_ms=now_ms), name, kit_id, now_ms)
    return 1


def _tell_plans(
    connection: Connection, sender: Sender, name: UUID, persons: Collection[UUID], kit_id: str, now_ms: int
) -> int:
    queued = 0
    for plan in plans_of(connection, persons):
        gone = select(outbox_table.c.envelope_id).where(
            outbox_table.c.subject_id == plan.id, outbox_table.c.recipient == kit_id
        )
        if now_ms - plan.made_ms > PLAN_DAYS * _DAY_MS or connection.execute(gone).first() is not None:
            continue
        outbox.post(connection, sender, replace(plan, patient_id=name), plan.id, kit_id, now_ms)
        queued += 1
    return queued


def _reviewed(connection: Connection, reading: Observation) -> bool:
    signed = select(reports.c.observation_ids).where(
        reports.c.encounter_id == reading.encounter_id, reports.c.status == "signed"
    )
    told: Iterable[str] = (id_ for text in connection.execute(signed).scalars() for id_ in json.loads(text or "[]"))
    return str(reading.id) in set(told)

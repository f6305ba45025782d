"""What happened in a period in some organisations, as the indicators need it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, select

from zhenbao.hub.indicators import CaseFacts, Indicator, Reading, ReferralFacts, Visit, compute
from zhenbao.hub.store.care_period import care
from zhenbao.hub.store.tables import (
    encounters,
    inbox,
    kit_places,
    loop_steps,
    observations,
    patients,
    referral_steps,
    referrals,
    report_reads,
    reports,
    work_items,
)
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter
from zhenbao.sync.envelope import unpack


@dataclass(frozen=True, slots=True)
class Period:
    """From (inclusive) and to (exclusive), Unix ms by the hub's clock."""

    from_ms: int
    to_ms: int


def indicators(connection: Connection, period: Period, orgs: Collection[str], now_ms: int) -> list[Indicator]:
    """The indicators of a period.

    Args:
        orgs: whose: an organisation and all below it.
    """
    cases = _cases(connection, period, orgs)
    own_kits = set(connection.execute(select(kit_places.c.kit_id).where(kit_places.c.org_id.in_(orgs))).scalars())
    seen = select(inbox.c.sender).where(inbox.c.received_ms >= period.from_ms, inbox.c.received_ms < period.to_ms)
    active = own_kits & set(connection.execute(seen.distinct()).scalars())
    return compute(
        _visits(connection, period, orgs),
        _readings(connection, period, orgs),
        cases,
        _referrals(connection, period, orgs),
        kits_active=len(active),
        kits=len(own_kits),
        care=care(connection, period.from_ms, period.to_ms, orgs, now_ms),
        now_ms=now_ms,
    )


def _visits(connection: Connection, period: Period, orgs: Collection[str]) -> list[Visit]:
    """By the kit's own time of the visit's begin, for cases that lie in these organisations."""
    first_ecg = (
        select(observations.c.encounter_id, func.min(observations.c.effective_ms).label("ecg_ms"))
        .where(observations.c.code == "ecg")
        .group_by(observations.c.encounter_id)
        .subquery()
    )
    found = connection.execute(
        select(
            encounters.c.id, encounters.c.patient_id, encounters.c.body, first_ecg.c.ecg_ms, patients.c.resident_number
        )
        .join(work_items, work_items.c.encounter_id == encounters.c.id)
        .outerjoin(first_ecg, first_ecg.c.encounter_id == encounters.c.id)
        .outerjoin(patients, patients.c.id == encounters.c.patient_id)
        .where(
            encounters.c.started_ms >= period.from_ms,
            encounters.c.started_ms < period.to_ms,
            work_items.c.org_id.in_(orgs),
        )
    )
    persons: dict[str, UUID] = {}
    visits = []
    for row in found:
        value = unpack("encounter", row.body)
        if isinstance(value, Encounter):
            person = persons.setdefault(row.resident_number, row.patient_id) if row.resident_number else row.patient_id
            visits.append(Visit(row.id, person, value.started_ms, value.chest_pain == "yes", row.ecg_ms))
    return visits


def _readings(connection: Connection, period: Period, orgs: Collection[str]) -> list[Reading]:
    found = connection.execute(
        select(observations)
        .join(work_items, work_items.c.encounter_id == observations.c.encounter_id)
        .where(
            observations.c.received_ms >= period.from_ms,
            observations.c.received_ms < period.to_ms,
            work_items.c.org_id.in_(orgs),
        )
    )
    return [
        Reading(
            row.code,
            Urgency(row.urgency),
            _acceptable(row.code, row.body),
            # What the kit's clock is known to have been wrong by would count as the road's time.
            row.effective_ms - row.clock_ahead_ms,
            row.received_ms,
        )
        for row in found
    ]


def _acceptable(code: str, body: bytes) -> bool | None:
    if code != "ecg":
        return None
    value = unpack("observation", body)
    return value.ecg.quality.acceptable if isinstance(value, Observation) and value.ecg is not None else False


def _cases(connection: Connection, period: Period, orgs: Collection[str]) -> list[CaseFacts]:
    # A case's id holds the hub's time of its opening (UUIDv7), which no later reading moves into another month.
    first, after = (UUID(int=unix_ms << 80) for unix_ms in (period.from_ms, period.to_ms))
    rows = connection.execute(
        select(work_items).where(work_items.c.id >= first, work_items.c.id < after, work_items.c.org_id.in_(orgs))
    ).all()
    loop: dict[UUID, list[str]] = {}
    judged: dict[UUID, str] = {}
    read: set[UUID] = set()
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        for case_id, step in connection.execute(
            select(loop_steps.c.work_item_id, loop_steps.c.step)
            .join(work_items, work_items.c.id == loop_steps.c.work_item_id)
            .where(loop_steps.c.work_item_id.in_(part), loop_steps.c.noted_ms >= work_items.c.ranked_ms)
        ):
            loop.setdefault(case_id, []).append(step)
        signed = (
            select(reports.c.work_item_id, reports.c.urgency, report_reads.c.report_id)
            .outerjoin(report_reads, report_reads.c.report_id == reports.c.id)
            .where(reports.c.work_item_id.in_(part), reports.c.status == "signed")
            .order_by(reports.c.signed_number)
        )
        for case_id, urgency, read_id in connection.execute(signed):
            judged[case_id] = urgency
            if read_id is not None:
                read.add(case_id)
    return [
        CaseFacts(
            urgency=Urgency(row.urgency),
            ranked_ms=row.ranked_ms,
            ack_due_ms=row.ack_due_ms,
            report_due_ms=row.report_due_ms,
            acknowledged_ms=row.acknowledged_ms,
            reported_ms=row.reported_ms,
            read=row.id in read,
            loop=tuple(loop.get(row.id, ())),
            judged=Urgency(judged[row.id]) if row.id in judged else None,
        )
        for row in rows
    ]


def _referrals(connection: Connection, period: Period, orgs: Collection[str]) -> list[ReferralFacts]:
    sent = select(referral_steps.c.referral_id).where(
        referral_steps.c.state == "sent",
        referral_steps.c.at_ms >= period.from_ms,
        referral_steps.c.at_ms < period.to_ms,
    )
    rows = connection.execute(
        select(referrals.c.id, referrals.c.patient_id, referrals.c.state, patients.c.resident_number)
        .outerjoin(patients, patients.c.id == referrals.c.patient_id)
        .where(referrals.c.id.in_(sent), referrals.c.from_org.in_(orgs))
    ).all()
    persons: dict[str, UUID] = {}
    facts = []
    for row in rows:
        states = connection.execute(
            select(referral_steps.c.state).where(referral_steps.c.referral_id == row.id)
        ).scalars()
        person = persons.setdefault(row.resident_number, row.patient_id) if row.resident_number else row.patient_id
        facts.append(ReferralFacts(person, row.state, tuple(states)))
    return facts

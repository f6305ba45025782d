"""What is kept of the chest-pain channel, and the facts of a case's chain from all the tables that know one."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from zhenbao.hub.chest_pain.chain import Ecg, Facts, KitTime, Written
from zhenbao.hub.store import records
from zhenbao.hub.store.chest_pain_tables import chest_pain_channel, chest_pain_kit_times, chest_pain_written
from zhenbao.hub.store.tables import (
    observations,
    outbox,
    referral_steps,
    referrals,
    report_reads,
    reports,
    views,
)
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.chest_pain import CaseTime
from zhenbao.model.errors import Rejected

_MILESTONE_CHARACTERS, _BOOT_CHARACTERS = 32, 80


@dataclass(frozen=True, slots=True)
class ChannelStep:
    """One state of a channel, who decided it, and the advice that went along."""

    state: str
    hospital: str
    ambulance: str
    advice: str
    decided_by: str
    login: str
    """Who wrote it."""
    at_ms: int
    arrived_ms: int | None = None
    """When the kit's receipt came."""
    refused: str | None = None
    """The kit will not take it, and why: an older program does not know it."""


def save_kit_time(connection: Connection, time: CaseTime, received_ms: int, clock_ahead_ms: int) -> None:
    """Keep an instant that a kit sent; one that is known changes nothing.

    Raises:
        Rejected: ``envelope-body``, a name that no column holds; ``other-body``, the id is another instant's.
    """
    if not 0 < len(time.milestone) <= _MILESTONE_CHARACTERS or len(time.boot) > _BOOT_CHARACTERS:
        raise Rejected("envelope-body", reason="milestone")
    sent = {
        "encounter_id": time.encounter_id,
        "kit_id": time.kit_id,
        "milestone": time.milestone,
        "at_ms": time.at_ms,
        "noted_ms": time.noted_ms,
        "boot": time.boot,
        "since_boot_ms": time.since_boot_ms,
        "told": time.told,
    }
    known = connection.execute(select(chest_pain_kit_times).where(chest_pain_kit_times.c.id == time.id)).one_or_none()
    if known is None:
        connection.execute(
            insert(chest_pain_kit_times).values(
                id=time.id, **sent, received_ms=received_ms, clock_ahead_ms=clock_ahead_ms
            )
        )
    elif any(known._mapping[name] != value for name, value in sent.items()):
        raise Rejected("other-body")


def write(connection: Connection, encounter_id: UUID, written: Written) -> None:
    """Keep an instant that somebody wrote down."""
    connection.execute(
        insert(chest_pain_written).values(
            id=written.id,
            encounter_id=encounter_id,
            milestone=written.milestone,
            at_ms=written.at_ms,
            noted_ms=written.noted_ms,
            login=written.login,
            person=written.person,
            note=written.note,
        )
    )


def add_step(connection: Connection, encounter_id: UUID, news_id: UUID, step: ChannelStep) -> None:
    """Keep the next state of a channel.

    Args:
        news_id: of what goes to the kit.
    """
    last = select(func.max(chest_pain_channel.c.number)).where(chest_pain_channel.c.encounter_id == encounter_id)
    connection.execute(
        insert(chest_pain_channel).values(
            encounter_id=encounter_id,
            number=(connection.execute(last).scalar() or 0) + 1,
            news_id=news_id,
            state=step.state,
            hospital=step.hospital,
            ambulance=step.ambulance,
            advice=step.advice,
            decided_by=step.decided_by,
            login=step.login,
            at_ms=step.at_ms,
        )
    )


def steps(connection: Connection, encounter_id: UUID) -> list[ChannelStep]:
    """The states of a channel in order; the last one counts."""
    found = connection.execute(
        select(chest_pain_channel, outbox.c.receipted_ms, outbox.c.refused)
        .outerjoin(outbox, (outbox.c.subject_id == chest_pain_channel.c.news_id) & (outbox.c.kind == "channel-news"))
        .where(chest_pain_channel.c.encounter_id == encounter_id)
        .order_by(chest_pain_channel.c.number)
    )
    return [
        ChannelStep(
            row.state,
            row.hospital,
            row.ambulance,
            row.advice,
            row.decided_by,
            row.login,
            row.at_ms,
            None if row.refused else row.receipted_ms,
            row.refused,
        )
        for row in found
    ]


def known(connection: Connection, encounter_id: UUID) -> bool:
    """Whether anything of a chest-pain channel is kept of a visit."""
    return any(
        connection.execute(select(table.c.encounter_id).where(table.c.encounter_id == encounter_id).limit(1)).first()
        for table in (chest_pain_kit_times, chest_pain_written, chest_pain_channel)
    )


def facts(connection: Connection, item: WorkItem) -> Facts:
    """Everything that is known of the chain of one case."""
    encounter = records.encounter(connection, item.encounter_id)
    kit_times = _kit_times(connection, item.encounter_id)
    signed_ms, read_ms, read_received_ms, receipts = _reported(connection, item.encounter_id)
    told = [step.arrived_ms for step in steps(connection, item.encounter_id) if step.arrived_ms is not None]
    return Facts(
        kit_id=item.kit_id,
        started_ms=encounter.started_ms if encounter is not None else None,
        ecg=_first_ecg(connection, item.encounter_id, measured=any(t.milestone == "ecg-end" for t in kit_times)),
        opened_ms=connection.execute(
            select(func.min(views.c.viewed_ms)).where(views.c.work_item_id == item.id)
        ).scalar(),
        signed_ms=signed_ms,
        receipts_ms=(*receipts, *told),
        read_ms=read_ms,
        read_received_ms=read_received_ms,
        referred_ms=_referred_ms(connection, item),
        kit_times=kit_times,
        written=_written(connection, item.encounter_id),
    )


def _kit_times(connection: Connection, encounter_id: UUID) -> tuple[KitTime, ...]:
    table = chest_pain_kit_times
    found = select(table).where(table.c.encounter_id == encounter_id).order_by(table.c.received_ms, table.c.noted_ms)
    return tuple(
        KitTime(
            row.milestone,
            row.at_ms,
            row.noted_ms,
            row.boot,
            row.since_boot_ms,
            row.told,
            row.received_ms,
            row.clock_ahead_ms,
        )
        for row in connection.execute(found)
    )


def _written(connection: Connection, encounter_id: UUID) -> tuple[Written, ...]:
    table = chest_pain_written
    found = select(table).where(table.c.encounter_id == encounter_id).order_by(table.c.noted_ms, table.c.id)
    return tuple(
        Written(row.id, row.milestone, row.at_ms, row.noted_ms, row.login, row.person, row.note)
        for row in connection.execute(found)
    )


def _first_ecg(connection: Connection, encounter_id: UUID, *, measured: bool) -> Ecg | None:
    """The first twelve-lead ECG; how long it took is looked up only where the kit has not said when it ended."""
    row = connection.execute(
        select(
            observations.c.id, observations.c.effective_ms, observations.c.received_ms, observations.c.clock_ahead_ms
        )
        .where(observations.c.encounter_id == encounter_id, observations.c.code == "ecg")
        .order_by(observations.c.effective_ms, observations.c.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    duration_ms = None
    if not measured:
        # A recording of no channels says nothing; it must not hide the case either.
        found = [r for r in records.recordings_of(connection, row.id) if r.channels and r.fs_hz > 0]
        duration_ms = round(1000 * found[0].duration_s) if found else None
    return Ecg(row.effective_ms, row.received_ms, row.clock_ahead_ms, duration_ms)


def _reported(connection: Connection, encounter_id: UUID) -> tuple[int | None, int | None, int | None, list[int]]:
    """When the first report was signed; when it was read, by the kit and by the hub; receipts of all of them."""
    found = connection.execute(
        select(
            reports.c.signed_ms,
            report_reads.c.read_ms,
            report_reads.c.received_ms,
            outbox.c.receipted_ms,
            outbox.c.refused,
        )
        .outerjoin(outbox, (outbox.c.subject_id == reports.c.id) & (outbox.c.kind == "report"))
        .outerjoin(report_reads, report_reads.c.report_id == reports.c.id)
        .where(reports.c.encounter_id == encounter_id, reports.c.status == "signed")
        .order_by(reports.c.signed_number)
    ).all()
    if not found:
        return None, None, None, []
    receipts = [row.receipted_ms for row in found if row.receipted_ms is not None and not row.refused]
    return found[0].signed_ms, found[0].read_ms, found[0].received_ms, receipts


def _referred_ms(connection: Connection, item: WorkItem) -> int | None:
    """When a referral of this visit was first sent."""
    return connection.execute(
        select(func.min(referral_steps.c.at_ms))
        .join(referrals, referrals.c.id == referral_steps.c.referral_id)
        .where(
            referrals.c.patient_id == item.patient_id,
            referrals.c.encounter_id == item.encounter_id,
            referral_steps.c.state == "sent",
        )
    ).scalar()

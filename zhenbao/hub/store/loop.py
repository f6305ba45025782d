"""The closed loop of critical values and what was escalated: rows that are only added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select

from zhenbao.hub.clocks import Facts, Reached
from zhenbao.hub.store.report_tables import report_forms
from zhenbao.hub.store.tables import escalations, loop_steps, outbox, report_reads, reports, work_items
from zhenbao.hub.store.work import WorkItem, as_item
from zhenbao.model.finding import Urgency

LoopStep = Literal["found", "notified", "read-back", "handled", "recorded"]
Channel = Literal["phone", "page", "kit", "in-person"]
_KEEP_WATCHING_MS = 14 * 86_400_000
"""A reported case whose report nobody reads is somebody's task for two weeks; then it is for the statistics."""


@dataclass(frozen=True, slots=True)
class LoopEntry:
    """One step that somebody took."""

    step: LoopStep
    at_ms: int
    """When it happened, as they say."""
    noted_ms: int
    """When they wrote it down, by the hub's clock."""
    login: str
    """Who wrote it; ``hub`` for what the hub knows by itself."""
    person: str
    """The other person: who was told, who repeated it, who acted."""
    channel: Channel
    note: str

    @property
    def afterwards(self) -> bool:
        """Written down later than it happened by more than five minutes: marked 补记."""
        return self.noted_ms - self.at_ms > 300_000


@dataclass(frozen=True, slots=True)
class Escalation:
    """Somebody was to be called, once."""

    case_id: UUID
    key: str
    to: str
    login: str | None
    phone: str
    due_ms: int
    at_ms: int


def add(connection: Connection, case_id: UUID, entry: LoopEntry) -> None:
    """Note a step. The same step may be noted again (somebody else was told); the first one counts."""
    last = select(func.max(loop_steps.c.number)).where(loop_steps.c.work_item_id == case_id)
    connection.execute(
        insert(loop_steps).values(
            work_item_id=case_id,
            number=(connection.execute(last).scalar() or 0) + 1,
            step=entry.step,
            at_ms=entry.at_ms,
            noted_ms=entry.noted_ms,
            login=entry.login,
            person=entry.person,
            channel=entry.channel,
            note=entry.note,
        )
    )


def entries(connection: Connection, case_id: UUID) -> list[LoopEntry]:
    """The steps of a case in the order of their noting."""
    found = select(loop_steps).where(loop_steps.c.work_item_id == case_id).order_by(loop_steps.c.number)
    return [_entry(row) for row in connection.execute(found)]


def done(entries_: Iterable[LoopEntry], ranked_ms: int) -> tuple[str, ...]:
    """The steps that are done for what is critical now: a new critical value asks for a loop of its own.

    By when they were written down: a village that telephones before its readings arrive has been told.
    """
    return tuple(dict.fromkeys(entry.step for entry in entries_ if entry.noted_ms >= ranked_ms))


def watched(connection: Connection, now_ms: int) -> list[tuple[WorkItem, Facts]]:
    """Every case with a clock that may run, with the facts of its clocks."""
    newest = (
        select(
            reports.c.encounter_id,
            func.max(reports.c.signed_number).label("number"),
        )
        .where(reports.c.status == "signed", reports.c.signed_ms > now_ms - _KEEP_WATCHING_MS)
        .group_by(reports.c.encounter_id)
        .subquery()
    )
    found = connection.execute(
        select(
            work_items,
            reports.c.signed_ms,
            outbox.c.receipted_ms,
            outbox.c.refused,
            report_reads.c.received_ms.label("read_received_ms"),
            reports.c.urgency.label("said_urgency"),
            report_forms.c.amends_id,
        )
        .outerjoin(newest, newest.c.encounter_id == work_items.c.encounter_id)
        .outerjoin(reports, reports.c.signed_number == newest.c.number)
        .outerjoin(report_forms, report_forms.c.report_id == reports.c.id)
        .outerjoin(outbox, (outbox.c.subject_id == reports.c.id) & (outbox.c.kind == "report"))
        .outerjoin(report_reads, report_reads.c.report_id == reports.c.id)
        .where(
            work_items.c.status.in_(("open", "reported")),
            # Also an old case of which something was signed of late: an amended report is read like any other. And one
            # that nobody has reported, however old it is.
            or_(
                work_items.c.status == "open",
                work_items.c.ranked_ms > now_ms - _KEEP_WATCHING_MS,
                work_items.c.encounter_id.in_(select(newest.c.encounter_id)),
            ),
            work_items.c.restricted_ms.is_(None),
            ~_over(),
        )
        .order_by(work_items.c.urgency_rank, work_items.c.ranked_ms)
    ).all()
    # Of every case: a village that repeated its report by telephone knows it, critical or not.
    noted = _noted(connection, [row.id for row in found])
    return [(as_item(row), _facts(row._mapping, noted.get(row.id, ()))) for row in found]


def _over() -> ColumnElement[bool]:
    """Reported, delivered, read and not critical: no clock can run, and most cases of two weeks are so."""
    red = Urgency.RED.value
    return and_(
        work_items.c.status == "reported",
        work_items.c.urgency != red,
        reports.c.urgency != red,
        outbox.c.receipted_ms.is_not(None),
        outbox.c.refused.is_(None),
        report_reads.c.received_ms.is_not(None),
    )


def escalated(connection: Connection, cases: Sequence[WorkItem]) -> dict[UUID, list[Escalation]]:
    """Who was to be called for these cases since their urgency began, in order."""
    since = {case.id: case.ranked_ms for case in cases}
    result: dict[UUID, list[Escalation]] = {}
    for start in range(0, len(cases), 500):
        ids = [case.id for case in cases[start : start + 500]]
        found = select(escalations).where(escalations.c.work_item_id.in_(ids)).order_by(escalations.c.at_ms)
        for r in connection.execute(found):
            if r.ranked_ms == since[r.work_item_id]:
                entry = Escalation(r.work_item_id, r.step, r.to, r.login, r.phone, r.due_ms, r.at_ms)
                result.setdefault(r.work_item_id, []).append(entry)
    return result


def escalate(
    connection: Connection, case: WorkItem, reached: Reached, login: str | None, phone: str, now_ms: int
) -> bool:
    """Note that somebody is to be called; False where it was noted before (also by another process)."""
    key = {"work_item_id": case.id, "ranked_ms": case.ranked_ms, "step": reached.step.key}
    known = select(escalations.c.step).where(*(escalations.c[name] == value for name, value in key.items()))
    if connection.execute(known).first() is not None:
        return False
    connection.execute(
        insert(escalations).values(
            **key, to=reached.step.to, login=login, phone=phone, due_ms=reached.due_ms, at_ms=now_ms
        )
    )
    return True


def _noted(connection: Connection, case_ids: list[UUID]) -> dict[UUID, list[LoopEntry]]:
    """The steps of some cases in the order of their noting."""
    noted: dict[UUID, list[LoopEntry]] = {}
    for start in range(0, len(case_ids), 500):
        found = (
            select(loop_steps)
            .where(loop_steps.c.work_item_id.in_(case_ids[start : start + 500]))
            .order_by(loop_steps.c.work_item_id, loop_steps.c.number)
        )
        for row in connection.execute(found):
            noted.setdefault(row.work_item_id, []).append(_entry(row))
    return noted


def _entry(r: Row[Any]) -> LoopEntry:
    return LoopEntry(r.step, r.at_ms, r.noted_ms, r.login, r.person, r.channel, r.note)


def _urgency(r: object) -> Urgency:
    """The case's, or its newest report's where that is more urgent: then the village must read it as soon as that."""
    row = cast("dict[str, object]", r)
    case = Urgency(str(row["urgency"]))
    said = row["said_urgency"]
    if row["status"] == "open" or said is None:
        return case
    return min(case, Urgency(str(said)), key=lambda urgency: urgency.rank)


def _facts(r: object, noted: Sequence[LoopEntry]) -> Facts:
    row = cast("dict[str, object]", r)
    ranked_ms = cast(int, row["ranked_ms"])
    # Who repeated the first report by telephone has not heard of the one that corrects it.
    last_ms = max((e.at_ms for e in noted if e.step == "read-back" and e.noted_ms >= ranked_ms), default=None)
    corrected = row["amends_id"] is not None and last_ms is not None and last_ms < cast("int", row["signed_ms"])
    open_ = row["status"] == "open"
    signed = None if open_ else cast("int | None", row["signed_ms"] or row["reported_ms"])
    urgency = _urgency(row)
    return Facts(
        urgency=urgency,
        ranked_ms=ranked_ms,
        late=bool(row["late"]),
        acknowledged_ms=cast("int | None", row["acknowledged_ms"]),
        reported_ms=signed,
        delivered_ms=None if signed is None or row["refused"] else cast("int | None", row["receipted_ms"]),
        read_ms=None if signed is None else cast("int | None", row["read_received_ms"]),
        loop=done(noted, ranked_ms),
        said_ms=None if urgency.value == row["urgency"] else signed,
        corrected=corrected,
    )

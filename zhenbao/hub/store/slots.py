"""Wishes for an appointment with a provincial expert as rows: at most one a consultation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from zhenbao.hub.store.slot_tables import slot_requests

Kind = Literal["remote", "visit"]
"""远程会诊, or a visit that is reserved at the expert's hospital."""
KINDS: tuple[Kind, ...] = get_args(Kind)
State = Literal["asked", "booked", "refused", "withdrawn"]
MOST = 100


@dataclass(frozen=True, slots=True)
class Slot:
    """One wish and what became of it. Instants are the hub's, days those of Beijing."""

    consult_id: UUID
    work_item_id: UUID
    asker: str
    expert: str
    kind: Kind
    from_on: date
    until_on: date
    """The last day that would do."""
    asked_ms: int
    remind_ms: int
    """When whoever asked is reminded of an answer that is missing."""
    state: State = "asked"
    booked_on: date | None = None
    booked_time: str = ""
    place: str = ""
    number: str = ""
    """Of the reservation, as the province gives it."""
    reason: str = ""
    """Why it was refused."""
    ended_ms: int | None = None


def add(connection: Connection, slot: Slot) -> None:
    """Keep a wish."""
    columns = slot_requests.c.keys()
    connection.execute(insert(slot_requests).values({name: getattr(slot, name) for name in columns}))


def find(connection: Connection, consult_id: UUID) -> Slot | None:
    """The wish that went with a consultation."""
    row = connection.execute(select(slot_requests).where(slot_requests.c.consult_id == consult_id)).one_or_none()
    return None if row is None else _slot(row)


def of_consults(connection: Connection, consult_ids: Sequence[UUID]) -> dict[UUID, Slot]:
    """The wishes of some consultations, by consultation."""
    found = connection.execute(select(slot_requests).where(slot_requests.c.consult_id.in_(consult_ids)))
    return {slot.consult_id: slot for row in found for slot in (_slot(row),)}


def end(connection: Connection, consult_id: UUID, state: State, now_ms: int, **values: object) -> bool:
    """Note what became of a wish; False where that was noted before."""
    changed = connection.execute(
        update(slot_requests)
        .where(slot_requests.c.consult_id == consult_id, slot_requests.c.state == "asked")
        .values(state=state, ended_ms=now_ms, **values)
    )
    return changed.rowcount == 1


def unanswered(connection: Connection, asker: str, now_ms: int, limit: int = MOST) -> list[Slot]:
    """Whose answer is missing although its time is over, the longest waiting first."""
    found = (
        select(slot_requests)
        .where(slot_requests.c.asker == asker, slot_requests.c.state == "asked", slot_requests.c.remind_ms <= now_ms)
        .order_by(slot_requests.c.remind_ms)
        .limit(limit)
    )
    return [_slot(row) for row in connection.execute(found)]


def _slot(row: Row[tuple[object, ...]]) -> Slot:
    return Slot(**row._mapping)

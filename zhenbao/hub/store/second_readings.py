"""Second readings as rows: asked of a specialty, answered by a person who did not read first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Row, insert, or_, select, update

from zhenbao.hub.store.report_tables import second_readings

Sample = Literal["report", "archive"]
State = Literal["asked", "agreed", "disagreed", "amended"]
MOST = 200


@dataclass(frozen=True, slots=True)
class SecondReading:
    """One second reading. Instants are the hub's."""

    id: UUID
    work_item_id: UUID
    report_id: UUID | None
    """The first report; None where the hub archived the case without one."""
    sample: Sample
    specialty: str
    org_id: str
    first_login: str | None
    """Who may not be the second."""
    asked_ms: int
    due_ms: int
    state: State = "asked"
    reader: str | None = None
    note: str = ""
    done_ms: int | None = None
    amended_id: UUID | None = None
    """The report that followed a disagreement."""


def ask(connection: Connection, reading: SecondReading) -> bool:
    """Ask for a second reading; False where it was asked for before."""
    if find(connection, reading.id) is not None:
        return False
    connection.execute(
        insert(second_readings).values(
            id=reading.id,
            work_item_id=reading.work_item_id,
            report_id=reading.report_id,
            sample=reading.sample,
            specialty=reading.specialty,
            org_id=reading.org_id,
            first_login=reading.first_login,
            asked_ms=reading.asked_ms,
            due_ms=reading.due_ms,
            state=reading.state,
        )
    )
    return True


def find(connection: Connection, reading_id: UUID) -> SecondReading | None:
    row = connection.execute(select(second_readings).where(second_readings.c.id == reading_id)).one_or_none()
    return None if row is None else as_reading(row)


def of_case(connection: Connection, case_id: UUID) -> list[SecondReading]:
    """All of a case, oldest first."""
    found = select(second_readings).where(second_readings.c.work_item_id == case_id)
    return [as_reading(row) for row in connection.execute(found.order_by(second_readings.c.asked_ms))]


def waiting(
    connection: Connection, specialty: str, orgs: Collection[str], login: str, limit: int = MOST
) -> list[SecondReading]:
    """What a person may read a second time, the longest due first; and their disagreements that nothing followed."""
    found = select(second_readings).where(
        second_readings.c.specialty == specialty,
        second_readings.c.state.in_(("asked", "disagreed")),
        second_readings.c.org_id.in_(orgs),
        or_(second_readings.c.first_login.is_(None), second_readings.c.first_login != login),
    )
    rows = connection.execute(found.order_by(second_readings.c.due_ms).limit(limit))
    return [reading for row in rows if (reading := as_reading(row)).state == "asked" or reading.reader == login]


def answer(connection: Connection, reading_id: UUID, state: State, reader: str, note: str, now_ms: int) -> bool:
    """Note what the second reader says; False where somebody else answered first."""
    changed = connection.execute(
        update(second_readings)
        .where(second_readings.c.id == reading_id, second_readings.c.state == "asked")
        .values(state=state, reader=reader, note=note, done_ms=now_ms)
    )
    return changed.rowcount == 1


def followed(connection: Connection, reading_id: UUID, report_id: UUID) -> None:
    """A report followed a disagreement."""
    connection.execute(
        update(second_readings)
        .where(second_readings.c.id == reading_id, second_readings.c.state == "disagreed")
        .values(state="amended", amended_id=report_id)
    )


def as_reading(row: Row[tuple[object, ...]]) -> SecondReading:
    """The second reading in a row of its table."""
    return SecondReading(**row._mapping)

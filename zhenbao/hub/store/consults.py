"""Consultations upward as rows. Whether one is open is the business of its grant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from zhenbao.hub.store.report_tables import consults

MOST = 100


@dataclass(frozen=True, slots=True)
class Consult:
    """One question to one expert. Instants are the hub's."""

    id: UUID
    work_item_id: UUID
    asker: str
    expert: str
    question: str
    history: str
    observation_ids: tuple[UUID, ...]
    named: bool
    """The patient's name goes along; never the number."""
    grant_id: UUID
    asked_ms: int
    ends_ms: int
    withdrawn_ms: int | None = None
    looked_ms: int | None = None
    """When the expert first opened it."""
    opinion: str | None = None
    answered_ms: int | None = None

    def ended(self, now_ms: int) -> bool:
        """Whether nothing of it may be seen any more."""
        return self.withdrawn_ms is not None or self.ends_ms <= now_ms


def add(connection: Connection, consult: Consult) -> None:
    connection.execute(
        insert(consults).values(
            id=consult.id,
            work_item_id=consult.work_item_id,
            asker=consult.asker,
            expert=consult.expert,
            question=consult.question,
            history=consult.history,
            observation_ids=json.dumps([str(id_) for id_ in consult.observation_ids]),
            named=consult.named,
            grant_id=consult.grant_id,
            asked_ms=consult.asked_ms,
            ends_ms=consult.ends_ms,
        )
    )


def find(connection: Connection, consult_id: UUID) -> Consult | None:
    row = connection.execute(select(consults).where(consults.c.id == consult_id)).one_or_none()
    return None if row is None else _consult(row)


def of_case(connection: Connection, case_id: UUID) -> list[Consult]:
    """All of a case, oldest first."""
    found = select(consults).where(consults.c.work_item_id == case_id).order_by(consults.c.asked_ms)
    return [_consult(row) for row in connection.execute(found)]


def of_expert(connection: Connection, login: str, limit: int = MOST) -> list[Consult]:
    """What an expert was asked, newest first."""
    found = select(consults).where(consults.c.expert == login).order_by(consults.c.asked_ms.desc()).limit(limit)
    return [_consult(row) for row in connection.execute(found)]


def change(connection: Connection, consult_id: UUID, **values: object) -> None:
    connection.execute(update(consults).where(consults.c.id == consult_id).values(**values))


def _consult(row: Row[tuple[object, ...]]) -> Consult:
    values = dict(row._mapping)
    values["observation_ids"] = tuple(UUID(id_) for id_ in json.loads(str(values["observation_ids"])))
    return Consult(**values)

"""Quality scores as rows: one a drawn report, by somebody who did not know whose it was."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub.store import second_readings as drawn
from zhenbao.hub.store.quality_tables import quality_scores
from zhenbao.hub.store.report_tables import second_readings
from zhenbao.hub.store.second_readings import SecondReading
from zhenbao.hub.store.tables import work_items

Verdict = Literal["agree", "minor", "major"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
MOST = 50


@dataclass(frozen=True, slots=True)
class Score:
    """One score. Instants are the hub's."""

    id: UUID
    """Of the drawn second reading."""
    work_item_id: UUID
    org_id: str
    verdict: Verdict
    note: str
    login: str
    scored_ms: int


def unscored(connection: Connection, orgs: Collection[str], since_ms: int, limit: int = MOST) -> list[SecondReading]:
    """What was drawn since and nobody scored, the oldest first; a case that is only kept stays shut."""
    found = (
        select(second_readings)
        .join(work_items, work_items.c.id == second_readings.c.work_item_id)
        .outerjoin(quality_scores, quality_scores.c.id == second_readings.c.id)
        .where(
            second_readings.c.asked_ms >= since_ms,
            second_readings.c.org_id.in_(orgs),
            work_items.c.restricted_ms.is_(None),
            quality_scores.c.id.is_(None),
        )
        .order_by(second_readings.c.asked_ms)
        .limit(limit)
    )
    return [drawn.as_reading(row) for row in connection.execute(found)]


def find(connection: Connection, id_: UUID) -> Score | None:
    """The score of a drawn report; None: nobody scored it."""
    row = connection.execute(select(quality_scores).where(quality_scores.c.id == id_)).one_or_none()
    return None if row is None else Score(**row._mapping)


def add(connection: Connection, score: Score) -> None:
    """Keep a score; none is ever changed."""
    columns = quality_scores.c.keys()
    connection.execute(insert(quality_scores).values({name: getattr(score, name) for name in columns}))


def of_period(connection: Connection, from_ms: int, to_ms: int, orgs: Collection[str]) -> list[Verdict]:
    """What was said in a period."""
    return list(
        connection.execute(
            select(quality_scores.c.verdict).where(
                quality_scores.c.scored_ms >= from_ms,
                quality_scores.c.scored_ms < to_ms,
                quality_scores.c.org_id.in_(orgs),
            )
        ).scalars()
    )

"""Follow-ups as they were written, on a kit or at the hub. None is ever changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub.store.chronic_tables import follow_ups
from zhenbao.model.chronic import FollowUp, Past
from zhenbao.model.errors import Rejected
from zhenbao.model.time import local_time
from zhenbao.sync.envelope import pack, unpack


@dataclass(frozen=True, slots=True)
class Kept:
    """A follow-up, where it was written and when the hub had it."""

    follow_up: FollowUp
    org_id: str
    received_ms: int


def save(connection: Connection, value: FollowUp, org_id: str, login: str | None, now_ms: int) -> bool:
    """Keep one; False where this very one is known.

    Raises:
        Rejected: ``other-body``: the id is known with another content.
    """
    known = connection.execute(select(follow_ups.c.body).where(follow_ups.c.id == value.id)).scalar()
    if known is not None:
        if unpack("follow-up", known) != value:
            raise Rejected("other-body")
        return False
    connection.execute(
        insert(follow_ups).values(
            id=value.id,
            patient_id=value.patient_id,
            disease=value.disease,
            tier=value.tier,
            at_ms=value.at_ms,
            received_ms=now_ms,
            org_id=org_id,
            login=login,
            outcome=value.outcome,
            body=pack(value),
        )
    )
    return True


def of_patients(
    connection: Connection, patient_ids: Collection[UUID], disease: str | None = None, limit: int = 200
) -> list[FollowUp]:
    """The last follow-ups of a person, oldest first."""
    return [kept.follow_up for kept in kept_of(connection, patient_ids, disease, limit)]


def kept_of(
    connection: Connection, patient_ids: Collection[UUID], disease: str | None = None, limit: int = 200
) -> list[Kept]:
    """The last follow-ups of a person with where they came from, oldest first."""
    wanted = select(follow_ups).where(follow_ups.c.patient_id.in_(list(patient_ids)))
    if disease is not None:
        wanted = wanted.where(follow_ups.c.disease == disease)
    newest = wanted.order_by(follow_ups.c.at_ms.desc(), follow_ups.c.id.desc()).limit(limit)
    found = [
        Kept(value, row.org_id, row.received_ms)
        for row in connection.execute(newest)
        if isinstance(value := unpack("follow-up", row.body), FollowUp)
    ]
    return found[::-1]


def past(kept: Kept) -> Past:
    """What the rules need of it.

    A kit whose clock was ahead would put a patient off by as much: a day after that of its receipt is taken for the day
    of its receipt, and the next date comes nearer with it.
    """
    value, came_on = kept.follow_up, local_time(kept.received_ms).date()
    on = local_time(value.at_ms).date()
    ahead = max(timedelta(), on - came_on)
    return Past(on - ahead, value.tier, value.outcome, value.next_on - ahead, value.refer)

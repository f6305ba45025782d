"""What opens a patient to somebody for a time: an emergency look, a consultation, an approved request to share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from zhenbao.hub.store.tables import grants
from zhenbao.model.ids import uuid7

Kind = Literal["break-glass", "consult", "share"]
BREAK_GLASS_HOURS = 24


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may see which patient, why, and until when. Instants are the hub's."""

    id: UUID
    login: str
    patient_id: UUID
    kind: Kind
    reason: str
    by: str
    """Who gave it; the person themselves for an emergency look."""
    begun_ms: int
    ends_ms: int
    org_id: str | None = None
    """Of a share: whose cases alone it opens; None: all of the patient's."""


def give(
    connection: Connection,
    login: str,
    patient_id: UUID,
    kind: Kind,
    reason: str,
    by: str,
    now_ms: int,
    hours: float,
    org_id: str | None = None,
) -> Grant:
    """Open a patient to somebody for some hours."""
    ends_ms = now_ms + round(hours * 3_600_000)
    grant = Grant(uuid7(now_ms), login, patient_id, kind, reason, by, now_ms, ends_ms, org_id)
    connection.execute(
        insert(grants).values(
            id=grant.id,
            login=login,
            patient_id=patient_id,
            kind=kind,
            reason=reason,
            by=by,
            begun_ms=grant.begun_ms,
            ends_ms=grant.ends_ms,
            org_id=org_id,
        )
    )
    return grant


def end(connection: Connection, grant_id: UUID, now_ms: int) -> None:
    """End a grant before its time."""
    connection.execute(update(grants).where(grants.c.id == grant_id, grants.c.ends_ms > now_ms).values(ends_ms=now_ms))


def end_of_patients(connection: Connection, patient_ids: Collection[UUID], kinds: Collection[Kind], now_ms: int) -> int:
    """End what is still open of these kinds to these patients; returns how many."""
    ended = (
        update(grants)
        .where(grants.c.patient_id.in_(patient_ids), grants.c.kind.in_(kinds), grants.c.ends_ms > now_ms)
        .values(ends_ms=now_ms)
    )
    return connection.execute(ended).rowcount


def open_for(connection: Connection, login: str, now_ms: int) -> list[Grant]:
    """The grants of a person that have not ended."""
    found = select(grants).where(grants.c.login == login, grants.c.ends_ms > now_ms).order_by(grants.c.begun_ms)
    return [Grant(**row._mapping) for row in connection.execute(found)]

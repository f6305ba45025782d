"""Requests to share: one unit asks another for what it has of one person; the other agrees or not, for a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from zhenbao.hub.store.law_tables import share_requests
from zhenbao.model.ids import uuid7

State = Literal["asked", "approved", "refused", "withdrawn", "ended", "lapsed"]
LAPSES_DAYS = 14
"""A request that nobody has answered by then must be made anew, with a reason that is still true."""
DAY_MS = 86_400_000
_COLUMNS = share_requests.c


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """One request. ``login`` of ``asking_org`` asks ``owner_org`` for its cases of ``patient_id``."""

    id: UUID
    patient_id: UUID
    login: str
    asking_org: str
    owner_org: str
    reason: str
    days: int
    """For how long."""
    state: State
    asked_ms: int
    decided_by: str | None = None
    decided_ms: int | None = None
    note: str = ""
    grant_id: UUID | None = None
    ends_ms: int | None = None

    def state_at(self, now_ms: int) -> State:
        """What it has come to: time ends an agreement, and a request that waits too long."""
        if self.state == "asked" and now_ms >= self.asked_ms + LAPSES_DAYS * DAY_MS:
            return "lapsed"
        if self.state == "approved" and self.ends_ms is not None and now_ms >= self.ends_ms:
            return "ended"
        return self.state


def ask(
    connection: Connection,
    login: str,
    asking_org: str,
    patient_id: UUID,
    owner_org: str,
    reason: str,
    days: int,
    now_ms: int,
) -> ShareRequest:
    """Keep a request."""
    made = ShareRequest(uuid7(now_ms), patient_id, login, asking_org, owner_org, reason, days, "asked", now_ms)
    connection.execute(
        insert(share_requests).values(
            id=made.id,
            patient_id=patient_id,
            login=login,
            asking_org=asking_org,
            owner_org=owner_org,
            reason=reason,
            days=days,
            state=made.state,
            asked_ms=now_ms,
        )
    )
    return made


def settle(
    connection: Connection,
    request: ShareRequest,
    state: State,
    by: str,
    now_ms: int,
    *,
    note: str = "",
    grant_id: UUID | None = None,
    ends_ms: int | None = None,
) -> bool:
    """Move a request on; False where somebody else did meanwhile."""
    moved = (
        update(share_requests)
        .where(_COLUMNS.id == request.id, _COLUMNS.state == request.state)
        .values(
            state=state,
            decided_by=by,
            decided_ms=now_ms,
            note=note or request.note,
            grant_id=grant_id or request.grant_id,
            ends_ms=ends_ms,
        )
    )
    return connection.execute(moved).rowcount == 1


def find(connection: Connection, id_: UUID) -> ShareRequest | None:
    """One request."""
    row = connection.execute(select(share_requests).where(_COLUMNS.id == id_)).one_or_none()
    return None if row is None else ShareRequest(**row._mapping)


def of_login(connection: Connection, login: str, limit: int = 100) -> list[ShareRequest]:
    """What a person asked for, newest first."""
    found = select(share_requests).where(_COLUMNS.login == login).order_by(_COLUMNS.asked_ms.desc()).limit(limit)
    return [ShareRequest(**row._mapping) for row in connection.execute(found)]


def of_owners(connection: Connection, orgs: Collection[str], limit: int = 100) -> list[ShareRequest]:
    """What these organisations were asked for, newest first."""
    found = select(share_requests).where(_COLUMNS.owner_org.in_(orgs)).order_by(_COLUMNS.asked_ms.desc()).limit(limit)
    return [ShareRequest(**row._mapping) for row in connection.execute(found)]


def of_patients(connection: Connection, patient_ids: Collection[UUID]) -> list[ShareRequest]:
    """All requests for a person, oldest first."""
    found = select(share_requests).where(_COLUMNS.patient_id.in_(patient_ids)).order_by(_COLUMNS.asked_ms)
    return [ShareRequest(**row._mapping) for row in connection.execute(found)]

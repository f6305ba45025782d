"""What the three who share a plan are told, each once, and whether they have read it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from zhenbao.hub.store.chronic_tables import care_notices
from zhenbao.hub.store.tables import practitioners


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened to a patient of theirs."""

    key: str
    kind: str
    """``entered left team outcome refer plan urgent-case``: keys of the ``hub.chronic.event`` words."""
    patient_id: UUID
    at_ms: int
    read_ms: int | None


def tell(connection: Connection, logins: Collection[str], kind: str, patient_id: UUID, key: str, now_ms: int) -> int:
    """Tell these people, once each whatever is repeated; returns how many were told now. Who left is not told."""
    told = 0
    for login in dict.fromkeys(logins):
        there = select(practitioners.c.login).where(
            practitioners.c.login == login, practitioners.c.disabled_ms.is_(None)
        )
        known = select(care_notices.c.key).where(care_notices.c.login == login, care_notices.c.key == key)
        if connection.execute(there).first() is None or connection.execute(known).first() is not None:
            continue
        row = {"login": login, "key": key, "kind": kind, "patient_id": patient_id, "at_ms": now_ms}
        connection.execute(insert(care_notices).values(**row))
        told += 1
    return told


def of_login(connection: Connection, login: str, limit: int = 50) -> list[Notice]:
    """The notices of a person: unread ones first, then the newest."""
    found = (
        select(care_notices)
        .where(care_notices.c.login == login)
        .order_by(care_notices.c.read_ms.is_not(None), care_notices.c.at_ms.desc())
        .limit(limit)
    )
    return [Notice(r.key, r.kind, r.patient_id, r.at_ms, r.read_ms) for r in connection.execute(found)]


def unread(connection: Connection, login: str) -> int:
    """How many wait."""
    waiting = select(func.count()).where(care_notices.c.login == login, care_notices.c.read_ms.is_(None))
    return int(connection.execute(waiting).scalar_one())


def read(connection: Connection, login: str, patient_id: UUID, now_ms: int) -> int:
    """They have looked at this patient."""
    seen = update(care_notices).where(
        care_notices.c.login == login, care_notices.c.read_ms.is_(None), care_notices.c.patient_id == patient_id
    )
    return connection.execute(seen.values(read_ms=now_ms)).rowcount

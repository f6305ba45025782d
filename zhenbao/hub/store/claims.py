"""Who works on a case now. A claim lives as long as its session and its holder's activity; what ended it is kept.

A claim is not ownership: the owner answers for a case and is called by its clocks whether anybody holds it or not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Exists, and_, delete, exists, func, insert, select, update

from zhenbao.hub.list_settings import list_settings
from zhenbao.hub.store.list_tables import claim_steps, claims
from zhenbao.hub.store.people import SESSION_HOURS
from zhenbao.hub.store.tables import web_sessions, work_items

Action = Literal["claimed", "released", "taken-over", "reassigned", "handed-over", "signed", "idle", "logged-out"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody works on a case."""

    case_id: UUID
    login: str
    since_ms: int
    active_ms: int


@dataclass(frozen=True, slots=True)
class ClaimStep:
    """One change of who holds a case."""

    at_ms: int
    action: Action
    by: str
    holder: str | None
    before: str | None
    reason: str


def live(connection: Connection, case_ids: Collection[UUID], now_ms: int) -> dict[UUID, Claim]:
    """The claims on these cases that have not ended, by case."""
    if not case_ids:
        return {}
    found = connection.execute(
        select(claims.c.work_item_id, claims.c.login, claims.c.since_ms, claims.c.active_ms).where(
            claims.c.work_item_id.in_(list(case_ids)), _lives(now_ms)
        )
    )
    return {row.work_item_id: Claim(*row) for row in found}


def of_case(connection: Connection, case_id: UUID, now_ms: int) -> Claim | None:
    """The claim on one case."""
    return live(connection, [case_id], now_ms).get(case_id)


def held_by(connection: Connection, login: str, now_ms: int) -> list[UUID]:
    """The cases that a person holds."""
    held = select(claims.c.work_item_id).where(claims.c.login == login, _lives(now_ms))
    return list(connection.execute(held).scalars())


def ended(connection: Connection, now_ms: int) -> list[tuple[UUID, str, Action]]:
    """Claims that have ended by themselves: case, holder, and whether by idleness or with the session."""
    gone = connection.execute(
        select(claims.c.work_item_id, claims.c.login, _session(now_ms)).where(~_lives(now_ms)).limit(500)
    )
    return [(id_, login, "idle" if session else "logged-out") for id_, login, session in gone]


def is_held(now_ms: int, *, by: str | None = None, not_by: str | None = None) -> Exists:
    """For a query on the work items: whether somebody, this person, or somebody else holds the case."""
    wanted = [claims.c.work_item_id == work_items.c.id, _lives(now_ms)]
    if by is not None:
        wanted.append(claims.c.login == by)
    if not_by is not None:
        wanted.append(claims.c.login != not_by)
    return exists().where(*wanted)


def take(connection: Connection, case_id: UUID, login: str, session: bytes, now_ms: int) -> None:
    """Give the claim to somebody, whoever had it."""
    connection.execute(delete(claims).where(claims.c.work_item_id == case_id))
    connection.execute(
        insert(claims).values(work_item_id=case_id, login=login, session=session, since_ms=now_ms, active_ms=now_ms)
    )


def touch(connection: Connection, case_id: UUID, login: str, session: bytes, now_ms: int) -> None:
    """The holder did something with the case, in this session: it is theirs for as long again."""
    connection.execute(
        update(claims)
        .where(claims.c.work_item_id == case_id, claims.c.login == login)
        .values(session=session, active_ms=now_ms)
    )


def drop(connection: Connection, case_id: UUID) -> None:
    """Nobody holds the case."""
    connection.execute(delete(claims).where(claims.c.work_item_id == case_id))


def note(
    connection: Connection,
    case_id: UUID,
    action: Action,
    by: str,
    now_ms: int,
    *,
    holder: str | None,
    before: str | None,
    reason: str = "",
) -> None:
    """Keep what happened. The reason stays here and out of the audit: it may speak of the patient."""
    last = select(func.max(claim_steps.c.number)).where(claim_steps.c.work_item_id == case_id)
    connection.execute(
        insert(claim_steps).values(
            work_item_id=case_id,
            number=(connection.execute(last).scalar() or 0) + 1,
            at_ms=now_ms,
            action=action,
            by=by,
            holder=holder,
            before=before,
            reason=reason,
        )
    )


def steps(connection: Connection, case_id: UUID, limit: int = 10) -> list[ClaimStep]:
    """What happened to the claims on a case, newest first."""
    c = claim_steps.c
    found = (
        select(c.at_ms, c.action, c.by, c.holder, c.before, c.reason)
        .where(c.work_item_id == case_id)
        .order_by(c.number.desc())
        .limit(limit)
    )
    return [ClaimStep(*row) for row in connection.execute(found)]


def _lives(now_ms: int) -> ColumnElement[bool]:
    idle_ms = round(list_settings().claims.idle_minutes * 60_000)
    return and_(claims.c.active_ms > now_ms - idle_ms, _session(now_ms))


def _session(now_ms: int) -> Exists:
    """Logging out and disabling an account delete the session's row."""
    return exists().where(
        web_sessions.c.token_sha256 == claims.c.session, web_sessions.c.created_ms >= now_ms - SESSION_HOURS * 3_600_000
    )

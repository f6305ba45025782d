"""Who did what, when: rows that are only ever added, each sealed to the one before it.

The hash of a row is the SHA-256 over its content and the hash of the row before it, so a changed, removed or
inserted row breaks every hash after it. Details name cases, reports and logins; never a patient.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from zhenbao.hub.store.rows import insert_all
from zhenbao.hub.store.tables import audit, meta

GENESIS = "0" * 64
_JSON = msgspec.json.Encoder(order="sorted")
"""Without spaces and escapes that need not be, keys in order: what ``json.dumps`` writes with those settings."""
_HEAD = select(meta.c.value).where(meta.c.key == "audit").with_for_update()
_SET_HEAD = update(meta).where(meta.c.key == "audit").values(value=bindparam("head"))


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did to something."""

    action: str
    """A key of the ``audit`` words."""
    subject: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One deed."""

    number: int
    at_ms: int
    actor: str
    action: str
    """A key of the ``audit`` words."""
    subject: str
    detail: dict[str, str]
    hash: str


def head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the last row. In a writing transaction nobody else can add one before it ends."""
    value = connection.execute(_HEAD).scalar_one()
    number, _, last_hash = value.partition(":")
    return int(number), last_hash


def append(connection: Connection, at_ms: int, actor: str, action: str, subject: str, **detail: str) -> None:
    """Add a row inside the transaction of the deed itself, so that neither stands without the other."""
    append_all(connection, at_ms, actor, [Deed(action, subject, detail)])


def append_all(connection: Connection, at_ms: int, actor: str, deeds: Sequence[Deed]) -> None:
    """Add rows in their order, as ``append`` does, at the cost of one."""
    if not deeds:
        return
    last, previous = head(connection)
    added = []
    for number, deed in enumerate(deeds, last + 1):
        detail = _canonical(deed.detail)
        hash_ = _hash(number, at_ms, actor, deed.action, deed.subject, detail, previous)
        added.append(
            {
                "number": number,
                "at_ms": at_ms,
                "actor": actor,
                "action": deed.action,
                "subject": deed.subject,
                "detail": detail,
                "previous_hash": previous,
                "hash": hash_,
            }
        )
        previous = hash_
    insert_all(connection, audit, added)
    connection.execute(_SET_HEAD, {"head": f"{last + len(added)}:{previous}"})


def rows(connection: Connection, limit: int) -> list[AuditRow]:
    """The last ``limit`` rows, newest first."""
    return found(connection, before=None, actor=None, action=None, limit=limit)


def found(
    connection: Connection, *, before: int | None, actor: str | None, action: str | None, limit: int
) -> list[AuditRow]:
    """Rows of an actor or of an action, newest first, from below a number."""
    wanted = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(audit.c.number < before)
    if actor is not None:
        wanted = wanted.where(audit.c.actor == actor)
    if action is not None:
        wanted = wanted.where(audit.c.action == action)
    return [
        AuditRow(r.number, r.at_ms, r.actor, r.action, r.subject, json.loads(r.detail), r.hash)
        for r in connection.execute(wanted)
    ]


def first_broken(connection: Connection) -> int | None:
    """The number of the first row that does not follow from those before it; None when all do.

    It finds what was altered inside the chain or cut off its end. Somebody who can rewrite the whole database can
    also rewrite the whole chain: to notice that, keep the last hash somewhere else.
    """
    previous, number = GENESIS, 0
    for r in connection.execute(select(audit).order_by(audit.c.number)):
        detail = _canonical(json.loads(r.detail))
        hash_ = _hash(number + 1, r.at_ms, r.actor, r.action, r.subject, detail, previous)
        if (r.number, r.previous_hash, r.hash) != (number + 1, previous, hash_):
            return number + 1
        previous, number = r.hash, r.number
    return None if head(connection) == (number, previous) else number + 1


def _hash(number: int, at_ms: int, actor: str, action: str, subject: str, detail: str, previous: str) -> str:
    """Over ``[number, at_ms, actor, action, subject, detail, previous]`` as canonical JSON, ``detail`` being JSON."""
    # What is packed already is put in its place, and not packed twice.
    before, after = _canonical([number, at_ms, actor, action, subject])[:-1], f'"{previous}"]'
    return hashlib.sha256(f"{before},{detail},{after}".encode()).hexdigest()


def _canonical(value: object) -> str:
    return _JSON.encode(value).decode()

"""Who did what, when: rows that are only ever added, each sealed to the one before it.

The hash of a row is the SHA-256 over its content and the hash of the row before it, so a changed, removed or
inserted row breaks every hash after it. Details name cases, reports and logins; never a patient.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from zhenbao.hub.store.rows import insert_all
from zhenbao.hub.store.tables import audit, meta
from zhenbao.model.errors import InputError

GENESIS = "0" * 64
_JSON = msgspec.json.Encoder(order="sorted")
"""Without spaces and escapes that need not be, keys in order: what ``json.dumps`` writes with those settings."""
REDACTED = "audit-redacted"
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
                "redacted": False,
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


def of_subjects(connection: Connection, subjects: Sequence[str]) -> list[AuditRow]:
    """What was done to some things, in order."""
    found_rows = []
    for start in range(0, len(subjects), 500):
        part = select(audit).where(audit.c.subject.in_(subjects[start : start + 500]))
        found_rows += [
            AuditRow(r.number, r.at_ms, r.actor, r.action, r.subject, json.loads(r.detail), r.hash)
            for r in connection.execute(part)
        ]
    return sorted(found_rows, key=lambda row: row.number)


def redact(connection: Connection, at_ms: int, actor: str, subjects: Sequence[str]) -> int:
    """Delete what rows say of some things; who did what when, and their hashes, stay. Returns how many rows.

    A row of its own names the numbers, inside the chain: whoever empties other rows by hand is found.
    """
    numbers = [row.number for row in of_subjects(connection, subjects)]
    for start in range(0, len(numbers), 500):
        part = numbers[start : start + 500]
        connection.execute(update(audit).where(audit.c.number.in_(part)).values(subject="", detail="{}", redacted=True))
    if numbers:
        append(connection, at_ms, actor, REDACTED, "audit", numbers=",".join(map(str, numbers)))
    return len(numbers)


def parse_known(text: str) -> tuple[int, str]:
    """``12:ab34...`` as ``hub audit-verify`` prints it, to be kept on paper.

    Raises:
        InputError: ``audit-known``.
    """
    found = re.fullmatch(r"([0-9]{1,15}):([0-9a-f]{64})", text.strip())
    if found is None:
        raise InputError("audit-known")
    return int(found[1]), found[2]


@dataclass(frozen=True, slots=True)
class Chain:
    """What a walk over the whole chain found."""

    rows: int
    last_hash: str
    broken: int | None
    """The first row that does not follow from those before it; None when all do."""
    redacted: int
    """Rows whose content was deleted by a deletion that the chain itself tells of."""


def first_broken(connection: Connection) -> int | None:
    """The number of the first row that does not follow from those before it; None when all do.

    It finds what was altered inside the chain or cut off its end. Somebody who can rewrite the whole database can
    also rewrite the whole chain: to notice that, keep the last hash somewhere else (``verify``).
    """
    return verify(connection).broken


def verify(connection: Connection, *, known: Sequence[tuple[int, str]] = ()) -> Chain:
    """Walk the whole chain.

    Args:
        known: numbers and hashes that were kept somewhere else, as on paper: the chain must still hold them.
    """
    previous, number = GENESIS, 0
    wanted = dict(known)
    emptied: list[int] = []
    told: set[int] = set()
    broken: int | None = None
    for r in connection.execute(select(audit).order_by(audit.c.number)):
        if r.redacted:
            emptied.append(r.number)
            follows = (r.number, r.previous_hash, r.subject, r.detail) == (number + 1, previous, "", "{}")
        else:
            detail = _canonical(json.loads(r.detail))
            hash_ = _hash(number + 1, r.at_ms, r.actor, r.action, r.subject, detail, previous)
            follows = (r.number, r.previous_hash, r.hash) == (number + 1, previous, hash_)
            if r.action == REDACTED and follows:
                told |= {int(n) for n in json.loads(r.detail)["numbers"].split(",")}
        if not follows or wanted.pop(number + 1, r.hash) != r.hash:
            broken = number + 1
            break
        previous, number = r.hash, r.number
    if broken is None:
        untold = next((n for n in emptied if n not in told), None)
        missing = min(wanted, default=None)
        if untold is not None:
            broken = untold
        elif head(connection) != (number, previous) or missing is not None:
            broken = number + 1
    return Chain(number, previous, broken, len(emptied))


def _hash(number: int, at_ms: int, actor: str, action: str, subject: str, detail: str, previous: str) -> str:
    """Over ``[number, at_ms, actor, action, subject, detail, previous]`` as canonical JSON, ``detail`` being JSON."""
    # What is packed already is put in its place, and not packed twice.
    before, after = _canonical([number, at_ms, actor, action, subject])[:-1], f'"{previous}"]'
    return hashlib.sha256(f"{before},{detail},{after}".encode()).hexdigest()


def _canonical(value: object) -> str:
    return _JSON.encode(value).decode()

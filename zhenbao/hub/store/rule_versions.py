"""The county's versions of the rules: what was changed, by whom, why, and which one routes now.

Versions are only ever added; going back is activating an older one again.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, func, insert, select

from zhenbao.hub.store import audit
from zhenbao.hub.store.law_tables import rule_activations, rule_versions
from zhenbao.model.errors import InputError
from zhenbao.rules.ruleset import RuleSet, build, program_digest

PROGRAM = 0
"""The number under which the program's own rules go."""
SHORTEST_REASON = 4
LONGEST_NAME, LONGEST_REASON, LONGEST_CONTENT = 40, 400, 100_000
_LAST = select(rule_activations.c.version).order_by(rule_activations.c.number.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version as it was handed in."""

    number: int
    content: str
    program: str
    """Which of the program's tables it was checked against."""
    clinician: str
    reason: str
    made_ms: int


@dataclass(frozen=True, slots=True)
class Activation:
    """Somebody put a version into force."""

    number: int
    version: int
    clinician: str
    reason: str
    at_ms: int


def add(connection: Connection, content: str, clinician: str, reason: str, actor: str, now_ms: int) -> RuleVersion:
    """Keep a version after checking it as a whole; it routes nothing until it is activated.

    Raises:
        InputError: ``rules-who``, ``rules-reason``, ``rules-file`` or ``rules-table``.
    """
    who, why = _told(clinician, reason)
    if len(content) > LONGEST_CONTENT:
        raise InputError("rules-file", reason=f"> {LONGEST_CONTENT}")
    last = connection.execute(select(func.max(rule_versions.c.number))).scalar() or 0
    build(last + 1, content)
    version = RuleVersion(last + 1, content, program_digest(), who, why, now_ms)
    connection.execute(
        insert(rule_versions).values(
            number=version.number,
            content=content,
            program=version.program,
            clinician=who,
            reason=why,
            made_ms=now_ms,
        )
    )
    audit.append(connection, now_ms, actor, "rules-added", f"rules:{version.number}", clinician=who)
    return version


def activate(
    connection: Connection, number: int, clinician: str, reason: str, actor: str, now_ms: int, *, back: bool = False
) -> Activation:
    """Route by this version from now on; cases keep the version that routed them.

    Raises:
        InputError: ``rules-who``, ``rules-reason``, ``rules-version``; ``rules-table`` where it no longer fits the
            program.
    """
    who, why = _told(clinician, reason)
    build(number, content_of(connection, number))
    last = connection.execute(select(func.max(rule_activations.c.number))).scalar() or 0
    made = Activation(last + 1, number, who, why, now_ms)
    connection.execute(
        insert(rule_activations).values(number=made.number, version=number, clinician=who, reason=why, at_ms=now_ms)
    )
    action = "rules-rolled-back" if back else "rules-activated"
    audit.append(connection, now_ms, actor, action, f"rules:{number}", clinician=who)
    return made


def roll_back(connection: Connection, clinician: str, reason: str, actor: str, now_ms: int) -> Activation:
    """Put into force what was in force before the last activation.

    Raises:
        InputError: as ``activate``; ``rules-no-earlier``.
    """
    done = activations(connection)
    if not done:
        raise InputError("rules-no-earlier")
    before = done[-2].version if len(done) > 1 else PROGRAM
    return activate(connection, before, clinician, reason, actor, now_ms, back=True)


def active_number(connection: Connection) -> int:
    """The version in force."""
    found: int | None = connection.execute(_LAST).scalar()
    return PROGRAM if found is None else found


def active(connection: Connection) -> RuleSet:
    """The rules in force.

    Raises:
        InputError: ``rules-table``: they do not fit this version of the program; ``hub rules activate`` chooses others.
    """
    number = active_number(connection)
    return _built(number, content_of(connection, number) if number != PROGRAM else "")


def of_case(connection: Connection, version: str | None) -> RuleSet:
    """The rules that ranked a case; those in force where they are not known any more."""
    number = (version or "").partition("-")[0]
    try:
        return _built(int(number), content_of(connection, int(number))) if number.isdecimal() else active(connection)
    except InputError:
        return active(connection)


@lru_cache(maxsize=8)
def _built(number: int, content: str) -> RuleSet:
    return build(number, content)


def content_of(connection: Connection, number: int) -> str:
    """The changes of a version; empty for the program's own.

    Raises:
        InputError: ``rules-version``.
    """
    if number == PROGRAM:
        return ""
    found: str | None = connection.execute(
        select(rule_versions.c.content).where(rule_versions.c.number == number)
    ).scalar()
    if found is None:
        raise InputError("rules-version", number=number)
    return found


def versions(connection: Connection) -> list[RuleVersion]:
    """All versions, oldest first."""
    rows = connection.execute(select(rule_versions).order_by(rule_versions.c.number))
    return [RuleVersion(**row._mapping) for row in rows]


def activations(connection: Connection) -> list[Activation]:
    """What was put into force when, oldest first."""
    rows = connection.execute(select(rule_activations).order_by(rule_activations.c.number))
    return [Activation(**row._mapping) for row in rows]


def difference(connection: Connection, one: int, other: int) -> list[str]:
    """The lines in which two versions differ, as ``diff -u`` writes them; none where they are the same.

    Raises:
        InputError: ``rules-version``.
    """
    before, after = content_of(connection, one).splitlines(), content_of(connection, other).splitlines()
    return list(difflib.unified_diff(before, after, str(one), str(other), lineterm=""))


def _told(clinician: str, reason: str) -> tuple[str, str]:
    who, why = " ".join(clinician.split()), " ".join(reason.split())
    if not 2 <= len(who) <= LONGEST_NAME:
        raise InputError("rules-who", longest=LONGEST_NAME)
    if not SHORTEST_REASON <= len(why) <= LONGEST_REASON:
        raise InputError("rules-reason", shortest=SHORTEST_REASON, longest=LONGEST_REASON)
    return who, why

"""Chronic registers: who is managed for what, by whom, every change of it, and what is due. Rows, no rights."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from zhenbao.hub.store import follow_ups, identities, organisations, people
from zhenbao.hub.store.chronic_tables import chronic_changes, chronic_due, chronic_entries
from zhenbao.model.chronic import Disease, Member, Part, Register, Tier
from zhenbao.model.time import local_time
from zhenbao.rules import followup

PARTS: tuple[Part, ...] = ("specialist", "gp", "manager")


@dataclass(frozen=True, slots=True)
class Entry:
    """A patient in a register; ``ended_ms`` None: still managed."""

    id: UUID
    patient_id: UUID
    disease: Disease
    org_id: str
    since: date
    entered_ms: int
    ended_ms: int | None
    specialist: str | None
    gp: str | None
    manager: str | None

    def login(self, part: Part) -> str | None:
        """Who of the three."""
        return {"specialist": self.specialist, "gp": self.gp, "manager": self.manager}[part]

    @property
    def team(self) -> tuple[str, ...]:
        """The logins of those who are named."""
        return tuple(login for part in PARTS if (login := self.login(part)) is not None)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an entry."""

    what: str
    at_ms: int
    login: str
    detail: dict[str, str]


@dataclass(frozen=True, slots=True)
class DueRow:
    """One thing to do."""

    entry: Entry
    tier: Tier
    form: str
    why: str
    on: date
    org_id: str
    """Whose task it is."""


def add(connection: Connection, entry: Entry, login: str, ground: str) -> None:
    """Enter a patient."""
    columns = ("id", "patient_id", "disease", "org_id", "since", "entered_ms", "ended_ms", *PARTS)
    connection.execute(insert(chronic_entries).values({name: getattr(entry, name) for name in columns}))
    note(connection, entry.id, "entered", entry.entered_ms, login, {"ground": ground, "org": entry.org_id})
    plan(connection, entry)


def end(connection: Connection, entry: Entry, login: str, reason: str, now_ms: int) -> bool:
    """Let a patient leave; False where that was done meanwhile."""
    left = update(chronic_entries).where(chronic_entries.c.id == entry.id, chronic_entries.c.ended_ms.is_(None))
    if connection.execute(left.values(ended_ms=now_ms)).rowcount != 1:
        return False
    note(connection, entry.id, "left", now_ms, login, {"reason": reason})
    connection.execute(delete(chronic_due).where(chronic_due.c.entry_id == entry.id))
    return True


def set_team(connection: Connection, entry: Entry, team: dict[Part, str | None], login: str, now_ms: int) -> None:
    """Name the three."""
    connection.execute(update(chronic_entries).where(chronic_entries.c.id == entry.id).values(**team))
    note(connection, entry.id, "team", now_ms, login, {part: name or "-" for part, name in team.items()})


def note(connection: Connection, entry_id: UUID, what: str, now_ms: int, login: str, detail: dict[str, str]) -> None:
    """Keep a change; none is ever altered."""
    last = select(func.max(chronic_changes.c.number)).where(chronic_changes.c.entry_id == entry_id)
    connection.execute(
        insert(chronic_changes).values(
            entry_id=entry_id,
            number=(connection.execute(last).scalar() or 0) + 1,
            what=what,
            at_ms=now_ms,
            login=login,
            detail=json.dumps(detail, ensure_ascii=False),
        )
    )


def find(connection: Connection, entry_id: UUID) -> Entry | None:
    """One entry."""
    row = connection.execute(select(chronic_entries).where(chronic_entries.c.id == entry_id)).one_or_none()
    return None if row is None else _entry(row)


def of_patients(connection: Connection, patient_ids: Collection[UUID], *, ended: bool = True) -> list[Entry]:
    """The entries of a person, those that stand first."""
    wanted = select(chronic_entries).where(chronic_entries.c.patient_id.in_(list(patient_ids)))
    if not ended:
        wanted = wanted.where(chronic_entries.c.ended_ms.is_(None))
    found = [_entry(row) for row in connection.execute(wanted)]
    return sorted(found, key=lambda e: (e.ended_ms is not None, e.entered_ms, e.disease))


def changes(connection: Connection, entry_id: UUID) -> list[Change]:
    """Every change of an entry in order."""
    found = select(chronic_changes).where(chronic_changes.c.entry_id == entry_id).order_by(chronic_changes.c.number)
    return [Change(r.what, r.at_ms, r.login, json.loads(r.detail)) for r in connection.execute(found)]


def register(connection: Connection, entry: Entry, units: dict[str, str]) -> Register:
    """An entry as the rules and the kits know it.

    Args:
        units: the organisations' names.
    """
    persons = identities.same_person(connection, entry.patient_id)
    past = [follow_ups.past(kept) for kept in follow_ups.kept_of(connection, persons, entry.disease)]
    team = []
    for part in PARTS:
        person = people.find(connection, login) if (login := entry.login(part)) is not None else None
        if person is not None:
            team.append(Member(part, person.name, person.phone))
    since = [p for p in past if p.on >= entry.since]
    return Register(
        entry.id,
        entry.disease,
        entry.since,
        units.get(entry.org_id, entry.org_id),
        followup.recent_past(since),
        tuple(team),
    )


def plan(connection: Connection, entry: Entry) -> None:
    """Write down anew what is due for an entry. Call whenever an entry or a follow-up of it came or went."""
    connection.execute(delete(chronic_due).where(chronic_due.c.entry_id == entry.id))
    if entry.ended_ms is not None:
        return
    for due in followup.due(register(connection, entry, {})):
        connection.execute(
            insert(chronic_due).values(
                entry_id=entry.id,
                tier=due.tier,
                form=due.form,
                why=due.why,
                due_on=due.on,
                org_id=_whose(connection, entry.org_id, due.tier),
            )
        )


def due(connection: Connection, orgs: Collection[str], until: date, limit: int) -> list[DueRow]:
    """What some organisations themselves have to do until a day, the longest due first."""
    found = (
        select(chronic_entries, chronic_due.c.tier, chronic_due.c.form, chronic_due.c.why, chronic_due.c.due_on,
               chronic_due.c.org_id.label("whose"))
        .join(chronic_entries, chronic_entries.c.id == chronic_due.c.entry_id)
        .where(chronic_due.c.org_id.in_(orgs), chronic_due.c.due_on <= until)
        .order_by(chronic_due.c.due_on, chronic_due.c.entry_id)
        .limit(limit)
    )  # fmt: skip
    return [DueRow(_entry(r), r.tier, r.form, r.why, r.due_on, r.whose) for r in connection.execute(found)]


def due_of(connection: Connection, entry_ids: Sequence[UUID]) -> list[DueRow]:
    """What is due of some entries, the soonest first."""
    found = (
        select(chronic_entries, chronic_due.c.tier, chronic_due.c.form, chronic_due.c.why, chronic_due.c.due_on,
               chronic_due.c.org_id.label("whose"))
        .join(chronic_entries, chronic_entries.c.id == chronic_due.c.entry_id)
        .where(chronic_due.c.entry_id.in_(entry_ids))
        .order_by(chronic_due.c.due_on, chronic_due.c.tier)
    )  # fmt: skip
    return [DueRow(_entry(r), r.tier, r.form, r.why, r.due_on, r.whose) for r in connection.execute(found)]


def listed(
    connection: Connection, orgs: Collection[str], *, disease: str | None, ended: bool, limit: int
) -> list[Entry]:
    """The registers of some organisations, the newest entries first."""
    wanted = select(chronic_entries).where(chronic_entries.c.org_id.in_(orgs))
    over = chronic_entries.c.ended_ms
    wanted = wanted.where(over.is_not(None) if ended else over.is_(None))
    if disease is not None:
        wanted = wanted.where(chronic_entries.c.disease == disease)
    newest = wanted.order_by(chronic_entries.c.entered_ms.desc()).limit(limit)
    return [_entry(row) for row in connection.execute(newest)]


def today(now_ms: int) -> date:
    """The day in Beijing."""
    return local_time(now_ms).date()


def _whose(connection: Connection, org_id: str, tier: Tier) -> str:
    """The organisation of a tier that answers for a unit; the unit itself where there is none such above it."""
    if tier == "village":
        return org_id
    for above in organisations.above(connection, org_id):
        unit = organisations.find(connection, above)
        if unit is not None and unit.kind == tier:
            return above
    return org_id if tier == "township" else organisations.ROOT


def _entry(row: Row[Any]) -> Entry:
    r = row._mapping
    names = ("id", "patient_id", "disease", "org_id", "since", "entered_ms", "ended_ms", *PARTS)
    return Entry(**{name: r[name] for name in names})

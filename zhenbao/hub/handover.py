"""Handing a whole shift over: every open case of one person goes to another, with a note that they must read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, insert, or_, select, update

from zhenbao.hub.access import LONGEST_REASON, viewer
from zhenbao.hub.permission import CLINICAL, reach
from zhenbao.hub.store import HubStore, audit, claims, people, work
from zhenbao.hub.store.list_tables import handovers
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.tables import work_items
from zhenbao.hub.store.work import WorkItem, as_item
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7

MOST_CASES = 500


@dataclass(frozen=True, slots=True)
class Handover:
    """A shift that was handed over."""

    id: UUID
    from_login: str
    to_login: str
    by: str
    at_ms: int
    cases: int
    note: str
    read_ms: int | None


@dataclass(frozen=True, slots=True)
class Shift:
    """What one person would hand over to another."""

    cases: tuple[WorkItem, ...]
    """Go over."""
    staying: tuple[WorkItem, ...]
    """Stay: the other may not report on them, or the one who hands over may not give them."""


def shift(store: HubStore, from_login: str, to_login: str, by: Practitioner) -> Shift:
    """The open cases that a person owns or works on now.

    Raises:
        InputError: ``denied-role``, ``login-unknown``, ``handover-same``.
    """
    with store.reading() as connection:
        return _shift(connection, from_login, _receiver(connection, from_login, to_login, by), by, store.clock.now_ms())


def hand_over(store: HubStore, from_login: str, to_login: str, by: Practitioner, note: str) -> Handover:
    """Give every open case of a shift to somebody, in one transaction.

    Who takes over owns the cases from now on and is called by their clocks; nobody works on them before they say so.

    Raises:
        InputError: as ``shift``; ``handover-note``, the note is empty; ``reason-long``; ``handover-nothing``.
    """
    told = note.replace("\r\n", "\n").strip()
    if not told:
        raise InputError("handover-note")
    if len(told) > LONGEST_REASON:
        raise InputError("reason-long", longest=LONGEST_REASON)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        to = _receiver(connection, from_login, to_login, by)
        cases = _shift(connection, from_login, to, by, now_ms).cases
        if not cases:
            raise InputError("handover-nothing")
        phone = to.phone or store.roster.phone_of(to.login)
        held = claims.live(connection, [item.id for item in cases], now_ms)
        for item in cases:
            work.assign(connection, item, to.login, phone)
            if item.id in held and held[item.id].login == from_login:
                claims.drop(connection, item.id)
                claims.note(connection, item.id, "handed-over", by.login, now_ms, holder=None, before=from_login)
        made = Handover(uuid7(now_ms), from_login, to.login, by.login, now_ms, len(cases), told, None)
        connection.execute(
            insert(handovers).values(
                id=made.id,
                from_login=from_login,
                to_login=to.login,
                by=by.login,
                at_ms=now_ms,
                cases=len(cases),
                note=told,
            )
        )
        # The note stays out of the audit: it may speak of patients.
        deed = {"before": from_login, "owner": to.login, "handover": str(made.id)}
        deeds = [audit.Deed("case-handed-over", f"case:{item.id}", deed) for item in cases]
        total = audit.Deed("shift-handed-over", f"handover:{made.id}", {**deed, "cases": str(len(cases))})
        audit.append_all(connection, now_ms, by.login, [*deeds, total])
    return made


def waiting_for(connection: Connection, login: str) -> list[Handover]:
    """Notes that a person has not yet said to have read, newest first."""
    found = (
        select(handovers)
        .where(handovers.c.to_login == login, handovers.c.read_ms.is_(None))
        .order_by(handovers.c.at_ms.desc())
        .limit(20)
    )
    return [Handover(**row._mapping) for row in connection.execute(found)]


def read(store: HubStore, handover_id: UUID, person: Practitioner) -> None:
    """The one who takes over has read the note; harmless for anybody else."""
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        changed = connection.execute(
            update(handovers)
            .where(handovers.c.id == handover_id, handovers.c.to_login == person.login, handovers.c.read_ms.is_(None))
            .values(read_ms=now_ms)
        )
        if changed.rowcount:
            audit.append(connection, now_ms, person.login, "handover-read", f"handover:{handover_id}")


def receivers(connection: Connection, by: Practitioner) -> list[Practitioner]:
    """To whom a shift may go: all who write reports."""
    return [p for p in people.everyone(connection) if p.role in CLINICAL and p.login != by.login]


def _receiver(connection: Connection, from_login: str, to_login: str, by: Practitioner) -> Practitioner:
    far = reach(by.role, "handover")
    if far is None or (far == "assigned" and from_login != by.login):
        raise InputError("denied-role")
    if from_login == to_login:
        raise InputError("handover-same")
    known = {p.login: p for p in people.everyone(connection) if p.role in CLINICAL}
    if to_login not in known:
        raise InputError("login-unknown", login=to_login[:40])
    if people.find(connection, from_login) is None:
        raise InputError("login-unknown", login=from_login[:40])
    return known[to_login]


def _shift(connection: Connection, from_login: str, to: Practitioner, by: Practitioner, now_ms: int) -> Shift:
    c = work_items.c
    mine = [c.owner == from_login]
    if held := claims.held_by(connection, from_login, now_ms):
        mine.append(c.id.in_(held))
    wanted = select(work_items).where(c.status == "open", or_(*mine)).order_by(c.urgency_rank, c.id).limit(MOST_CASES)
    giver, taker = viewer(connection, by, now_ms), viewer(connection, to, now_ms)
    going: list[WorkItem] = []
    staying: list[WorkItem] = []
    for item in map(as_item, connection.execute(wanted)):
        allowed = giver.may("handover", item) and taker.may("report", replace(item, owner=to.login))
        (going if allowed else staying).append(item)
    return Shift(tuple(going), tuple(staying))

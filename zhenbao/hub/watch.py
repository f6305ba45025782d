"""What the hub does by itself while people are busy: it sees clocks run out, and has the next person called, once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from zhenbao.hub import holding
from zhenbao.hub.case_code import case_code
from zhenbao.hub.clocks import reached, running
from zhenbao.hub.second_reading import sample_archive
from zhenbao.hub.store import HubStore, audit, loop, organisations
from zhenbao.hub.store.loop import Escalation
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import StorageError
from zhenbao.rules.escalation import To

_log = logging.getLogger(__name__)
PERIOD_S = 5.0
HUB = "hub"


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody must be called now. It carries nothing of the patient: see ``case_code``."""

    code: str
    clock: str
    to: str
    login: str | None
    phone: str


@dataclass(frozen=True, slots=True)
class Task:
    """Something that somebody must do about a case, until its clock has ended."""

    item: WorkItem
    escalation: Escalation
    clock: str


def sweep(store: HubStore) -> list[Call]:
    """Look at every running clock once; note and return what has newly run out.

    Each step is noted once for each time a case is ranked, whoever looks and however often.

    Raises:
        StorageError: nothing was noted; look again later.
    """
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        watched = loop.watched(connection, now_ms)
        known = loop.escalated(connection, [item for item, _ in watched])
    due = [
        (item, step)
        for item, facts in watched
        for step in reached(facts, now_ms)
        if step.step.key not in {e.key for e in known.get(item.id, [])}
    ]
    calls = []
    for item, step in due:
        # One transaction a call: a hub that dies between two has made the one and not the other.
        with store.writing() as connection:
            login, phone = _who(connection, store, item, step.step.to, now_ms)
            if not loop.escalate(connection, item, step, login, phone, now_ms):
                continue
            audit.append(
                connection, now_ms, HUB, "case-escalated", f"case:{item.id}", step=step.step.key, to=login or ""
            )
        calls.append(Call(case_code(item.id), step.step.clock, step.step.to, login, phone))
    return calls


def tasks(store: HubStore) -> list[Task]:
    """What was escalated and has not been done: the most urgent first, then the longest due."""
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        watched = loop.watched(connection, now_ms)
        known = loop.escalated(connection, [item for item, _ in watched])
    found = []
    for item, facts in watched:
        clocks = {clock.kind for clock in running(facts)}
        for escalation in known.get(item.id, []):
            clock = escalation.key.partition("-")[0]
            if clock in clocks:
                found.append(Task(item, escalation, clock))
    return sorted(found, key=lambda t: (t.item.urgency.rank, t.escalation.due_ms, t.escalation.key))


def watch(store: HubStore, stop: threading.Event, notify: Callable[[Call], None]) -> None:
    """Sweep until told to stop. A sweep that fails is tried again; what was noted is told even so."""
    while not stop.is_set():
        try:
            for call in sweep(store):
                notify(call)
            holding.expire(store)
            sample_archive(store)
        except StorageError as error:
            _log.error("the clocks could not be looked at: %s", error.code)
        stop.wait(PERIOD_S)


def _who(connection: Connection, store: HubStore, item: WorkItem, to: To, now_ms: int) -> tuple[str | None, str]:
    """Login and telephone of whom a step calls; where nobody is named, the hub's desk."""
    roster = store.roster
    if to == "second-line" and item.specialty is not None:
        # Where nobody of the specialty is on duty the emergency doctors have it: their second line stands behind.
        for specialty in (item.specialty, roster.desk.emergency):
            duty = roster.on_duty(specialty, now_ms)
            if duty is not None:
                if duty.second:
                    return duty.second, duty.second_phone
                break
    elif to != "desk":
        contact = roster.contact_for(to, item.specialty, organisations.above(connection, item.org_id))
        if contact is not None:
            return contact.login or None, contact.phone
    return None, roster.desk.phone

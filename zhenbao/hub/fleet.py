"""What is wrong with a kit (``fleet.toml``), and what somebody has done about it. No patient is in it anywhere."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from zhenbao import __version__
from zhenbao.hub.access import Viewer
from zhenbao.hub.store import HubStore, audit, fleet
from zhenbao.hub.store.fleet import FleetTask, KitFacts
from zhenbao.hub.store.people import Practitioner
from zhenbao.model.errors import InputError

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
LONGEST_NOTE = 400
_TASKS = ("silent", "battery", "clock", "queue", "refused", "certificate", "calibration", "storage")
"""What becomes a task. An older version is shown and no task: the county decides when it updates."""


@dataclass(frozen=True, slots=True)
class KitLook:
    """One kit, with what is wrong with it now and what is being done."""

    facts: KitFacts
    troubles: tuple[str, ...]
    """Keys of the ``hub.fleet.trouble`` words, the worst first."""
    tasks: tuple[FleetTask, ...]


@functools.cache
def limits() -> Mapping[str, Mapping[str, Any]]:
    """The limits."""
    return tomllib.loads(files("zhenbao.hub").joinpath("fleet.toml").read_text(encoding="utf-8"))


def troubles(kit: KitFacts, now_ms: int) -> tuple[str, ...]:
    """What is wrong with a kit. What it does not tell is unknown, and no trouble."""
    if kit.revoked:
        return ()
    at = limits()
    found = []
    if kit.last_contact_ms is None:
        found.append("never")
    elif now_ms - kit.last_contact_ms > at["silent"]["hours"] * _HOUR_MS:
        found.append("silent")
    status = kit.status
    if status is None:
        return tuple(found)
    # Ages of what the kit told count from when it told it: a silent kit's battery may be full by now.
    told_ms = status.made_ms
    if status.battery_percent is not None and not status.on_mains:
        found += ["battery"] if status.battery_percent < at["battery"]["below_percent"] else []
    if abs(kit.clock_ahead_ms) > at["clock"]["apart_minutes"] * 60_000:
        found.append("clock")
    if status.oldest_ms is not None and told_ms - status.oldest_ms > at["queue"]["older_hours"] * _HOUR_MS:
        found.append("queue")
    if status.refused > at["refused"]["more_than"]:
        found.append("refused")
    if status.certificate_until_ms is not None:
        left_ms = status.certificate_until_ms - now_ms
        found += ["certificate"] if left_ms < at["certificate"]["days_left"] * _DAY_MS else []
    if any(s.verdict != "passed" or told_ms - s.at_ms > at["calibration"]["days"] * _DAY_MS for s in status.sensors):
        found.append("calibration")
    if status.free_mb is not None and status.free_mb < at["storage"]["below_mb"]:
        found.append("storage")
    if status.version != __version__:
        found.append("version")
    return tuple(found)


def look(store: HubStore, seer: Viewer | None = None) -> list[KitLook]:
    """The kits within somebody's reach, those with tasks first; None: who runs this machine.

    Raises:
        InputError: ``denied-role``.
    """
    if seer is not None and not seer.allowed("fleet"):
        raise InputError("denied-role")
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        kits = [kit for kit in fleet.facts(connection) if seer is None or kit.org_id in seer.orgs]
        tasks = fleet.open_tasks(connection)
    found = [KitLook(kit, troubles(kit, now_ms), tuple(t for t in tasks if t.kit_id == kit.kit_id)) for kit in kits]
    return sorted(found, key=lambda each: (not each.tasks, -len(each.troubles), each.facts.kit_id))


def sweep(store: HubStore) -> None:
    """Begin a task for what is newly wrong, and end those whose cause is gone.

    Raises:
        StorageError: nothing was noted; look again later.
    """
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        kits, known = fleet.facts(connection), fleet.open_tasks(connection)
    wrong = {(kit.kit_id, kind) for kit in kits for kind in troubles(kit, now_ms) if kind in _TASKS}
    over = [task for task in known if (task.kit_id, task.kind) not in wrong]
    if not over and wrong <= {(task.kit_id, task.kind) for task in known}:
        return
    with store.writing() as connection:
        # Another process may have been faster.
        known_now = {(task.kit_id, task.kind) for task in fleet.open_tasks(connection)}
        for kit_id, kind in sorted(wrong - known_now):
            fleet.begin(connection, kit_id, kind, now_ms)
            audit.append(connection, now_ms, "hub", "fleet-task", f"kit:{kit_id[:60]}", kind=kind)
        fleet.end(connection, over, now_ms)


def note(store: HubStore, kit_id: str, kind: str, by: Practitioner, seer: Viewer, text: str) -> None:
    """Write down what was done about a task. It ends by its own fact.

    Raises:
        InputError: ``denied-role``; ``fleet-unknown``; ``reason-missing`` or ``reason-long``.
    """
    told = " ".join(text.split())
    if len(told) < 2:
        raise InputError("reason-missing", shortest=2)
    if len(told) > LONGEST_NOTE:
        raise InputError("reason-long", longest=LONGEST_NOTE)
    within = {each.facts.kit_id: each for each in look(store, seer)}
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        task = next((t for t in fleet.open_tasks(connection) if (t.kit_id, t.kind) == (kit_id, kind)), None)
        if task is None or kit_id not in within:
            raise InputError("fleet-unknown")
        fleet.note(connection, task, by.login, told, now_ms)
        audit.append(connection, now_ms, by.login, "fleet-noted", f"kit:{kit_id[:60]}", kind=kind)

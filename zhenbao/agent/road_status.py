"""What the service tells the doctor's commands about the roads: a small file without identity, and a lock beside it.

The file is written when something changed, at most every two seconds while things move; whether the service still
runs is known by the lock that it holds, so that no clock and no heartbeat on a worn flash is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from zhenbao.model.errors import LinkDown
from zhenbao.sync.links.several import RoadState, SeveralRoads

FILE, LOCK, HURRY = "roads.json", "service.lock", "roads.hurry"
EVERY_S = 2.0
_LOOK_BACK = 30
"""So many looks go into the measured speed: a minute."""


@dataclass(frozen=True, slots=True)
class RoadLook:
    """One road, as the service last saw it."""

    name: str
    connected: bool
    stalled: bool
    backlog_bytes: int
    trouble: str = ""
    """An error's code; empty: none."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoadStatus:
    """All roads, and how fast bytes were acknowledged while there were any to send."""

    roads: tuple[RoadLook, ...]
    bytes_per_s: float | None = None
    """None: not measured yet."""


class Speed:
    """Bytes a second, counted only while something is under way: an idle road is not a slow one."""

    def __init__(self) -> None:
        self._before: tuple[float, int, int] | None = None
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOK_BACK)

    def look(self, now_s: float, acknowledged_bytes: int, backlog_bytes: int) -> float | None:
        """Take one look; gives the speed of the last minute of work, or None."""
        if self._before is not None:
            then_s, acknowledged, backlog = self._before
            moved = acknowledged_bytes - acknowledged
            if backlog or moved:
                self._looks.append((now_s - then_s, moved))
        self._before = now_s, acknowledged_bytes, backlog_bytes
        busy_s = sum(seconds for seconds, _ in self._looks)
        return sum(moved for _, moved in self._looks) / busy_s if busy_s > 0 else None


def look(roads: SeveralRoads, speed: Speed, now_s: float) -> RoadStatus:
    """The roads now."""
    states = roads.states()
    rate = speed.look(now_s, sum(s.acknowledged_bytes for s in states), sum(s.backlog_bytes for s in states))
    return RoadStatus(tuple(_road(state) for state in states), rate)


def _road(state: RoadState) -> RoadLook:
    trouble, facts = "", {}
    if state.trouble is not None:
        trouble = state.trouble.code
        facts = {key: value if isinstance(value, int) else str(value) for key, value in state.trouble.facts.items()}
    return RoadLook(state.name, state.connected, state.stalled, state.backlog_bytes, trouble, facts)


def report(
    home: Path,
    roads: SeveralRoads,
    monotonic_s: Callable[[], float],
    stop: threading.Event,
    on_trouble: Callable[[LinkDown], None] | None = None,
) -> None:
    """Write the file until ``stop`` is set; for a thread of the service's.

    Args:
        on_trouble: told once of each new reason why a road does not work.
    """
    speed, written = Speed(), None
    told: dict[str, str] = {}
    while not stop.wait(EVERY_S if written is not None else 0.2):
        if (home / HURRY).exists():
            (home / HURRY).unlink(missing_ok=True)
            roads.hurry()
        status = look(roads, speed, monotonic_s())
        if status != written:
            _write(home / FILE, status)
            written = status
        for state in roads.states():
            code = state.trouble.code if state.trouble is not None else ""
            if code and code != told.get(state.name) and on_trouble is not None:
                on_trouble(state.trouble)  # type: ignore[arg-type]
            if code or state.connected:
                told[state.name] = code


def ask_to_hurry(home: Path) -> None:
    """Ask the running service to connect now and not at its next attempt: somebody stands before the screen."""
    with contextlib.suppress(OSError):
        (home / HURRY).touch(mode=0o600)


def read_status(home: Path) -> RoadStatus | None:
    """What the running service wrote; None where none runs."""
    if not service_runs(home):
        return None
    try:
        table = json.loads((home / FILE).read_text(encoding="utf-8"))
        roads = tuple(RoadLook(**road) for road in table["roads"])
        return RoadStatus(roads, table["bytes_per_s"])
    except (OSError, KeyError, TypeError, ValueError):
        return RoadStatus(())  # it runs, and has not written yet


@contextmanager
def running(home: Path) -> Iterator[bool]:
    """Hold the lock that says that a service runs here; yields False where another one holds it."""
    with (home / LOCK).open("a") as file:
        yield _locked(file)


def service_runs(home: Path) -> bool:
    """Whether a service runs on this kit now."""
    try:
        with (home / LOCK).open("a") as file:
            return not _locked(file)
    except OSError:
        return False


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, status: RoadStatus) -> None:
    draft = path.with_name(f".{path.name}.new")
    try:
        # Not synced: after a power cut it would be wrong anyhow.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(status), file)
        draft.replace(path)
    except OSError:
        # A full disk must not end the service: the commands then show the last state that found room.
        draft.unlink(missing_ok=True)

"""A session with a device as lines of JSON: written while it runs, and played back to a driver later.

One object a line. First a head, ``{"zhenbao-session": 1, "link": "gatt", "driver": "bp-gatt", "device": ...}``; then
what happened: ``t`` seconds since the start, ``op`` (``has read write subscribe clear heard gone`` on Bluetooth,
``in out`` on a serial port), ``uuid`` and ``hex``. The file holds readings: it is made readable for its owner alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tap = Callable[[str, str, bytes], None]
    """(operation, characteristic or empty, bytes)"""

_MARK = "zhenbao-session"
_VERSION = 1
_OPERATIONS = frozenset({"has", "read", "write", "subscribe", "clear", "heard", "gone", "in", "out"})
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened."""

    t_s: float
    operation: str
    uuid: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """A recorded session."""

    link: str
    """``gatt`` or ``serial``."""
    driver: str
    device: str
    """Address, or port."""
    steps: tuple[Step, ...]


class SessionWriter:
    """Writes the file line by line, so that what happened before a crash is in it. Use as a context manager."""

    def __init__(self, path: Path, *, link: str, driver: str, device: str, seconds: Callable[[], float]) -> None:
        self._file: TextIO = open(  # noqa: SIM115 - closed by __exit__
            path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
        )
        self._seconds, self._began_s = seconds, seconds()
        self._write({_MARK: _VERSION, "link": link, "driver": driver, "device": device})

    def __call__(self, operation: str, uuid: str, value: bytes) -> None:
        """One step; a ``Tap``."""
        step = {"t": round(self._seconds() - self._began_s, 4), "op": operation, "uuid": uuid, "hex": value.hex()}
        self._write({key: part for key, part in step.items() if part != ""})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_session(path: Path) -> Session:
    """Read a recorded session.

    Raises:
        InputError: ``session-absent``, ``session-unknown`` (not such a file), ``session-damaged`` with ``line``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError("session-absent", reason=error.strerror or "") from error
    lines = raw.decode("utf-8", "replace").splitlines()
    head = _object(lines[0]) if lines and len(raw) <= _MOST_BYTES else None
    if head is None or head.get(_MARK) != _VERSION or head.get("link") not in ("gatt", "serial"):
        raise InputError("session-unknown")
    steps = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        step = _step(_object(line))
        if step is None:
            # A crash may cut the last line; anything else is damage.
            if number == len(lines):
                break
            raise InputError("session-damaged", line=number)
        steps.append(step)
    return Session(str(head["link"]), str(head.get("driver", "")), str(head.get("device", "")), tuple(steps))


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _step(found: dict[str, Any] | None) -> Step | None:
    if found is None:
        return None
    t_s, operation, uuid, text = found.get("t"), found.get("op"), found.get("uuid", ""), found.get("hex", "")
    if not (isinstance(t_s, int | float) and isinstance(uuid, str) and isinstance(text, str)):
        return None
    if operation not in _OPERATIONS:
        return None
    try:
        return Step(float(t_s), operation, uuid, bytes.fromhex(text))
    except (OverflowError, ValueError):
        return None

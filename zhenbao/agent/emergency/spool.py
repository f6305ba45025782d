"""Sealed emergencies that wait for the hub, one file each in the kit's folder, beside what the hub answered.

Everything here works while the kit is locked. Only the hub's signed receipt removes a packet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from zhenbao.agent.store.faults import storage_error
from zhenbao.agent.store.space import NAME as BALLAST
from zhenbao.agent.vault.file import write_whole

FOLDER = "emergency"
_SEALED, _ANSWER = ".sealed", ".answer"
_KEPT_ANSWERS = 50
"""Of packets that are gone: enough to see what became of the last ones, and no growing folder."""


class Answer(msgspec.Struct, frozen=True):
    """What the hub said of one emergency."""

    at_ms: int
    """By the kit's clock."""
    refused: str = ""
    """A code; empty: the hub has it."""
    proof: bytes = b""
    """The signed receipts as they came: read with ``sync.messages.read_receipts``."""


@dataclass(frozen=True, slots=True)
class Account:
    """What waits, and what the hub answered to the last ones."""

    waiting: int
    received: int
    last_received_ms: int | None
    refused: tuple[str, ...]
    """The reasons."""


def put(home: Path, id_: UUID, seal: Callable[[], bytes]) -> None:
    """Keep an emergency; it is on the disk when this returns. A full disk gives up the kit's reserve for it.

    Args:
        id_: of the emergency, which is its reading's; one that is kept or answered is not sealed again.
        seal: makes the packet.

    Raises:
        StorageError: it was not kept.
    """
    place = _place(home, id_, _SEALED)
    if place.exists() or _place(home, id_, _ANSWER).exists():
        return
    packet = seal()
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            write_whole(place, packet)
        except OSError as error:
            if storage_error(error, home).code != "store-full":
                raise
            (home / BALLAST).unlink(missing_ok=True)
            write_whole(place, packet)
    except OSError as error:
        raise storage_error(error, home) from error


def kept(home: Path) -> list[UUID]:
    """Every packet that is still here, the oldest first, those that the hub refused among them."""
    return _named(home, _SEALED)


def waiting(home: Path) -> list[UUID]:
    """Every packet without an answer, the oldest first."""
    answered = set(_named(home, _ANSWER))
    return [id_ for id_ in kept(home) if id_ not in answered]


def packet(home: Path, id_: UUID) -> bytes | None:
    """A packet; None where the hub has it by now.

    Raises:
        StorageError: the disk does not give it.
    """
    try:
        return _place(home, id_, _SEALED).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(error, home) from error


def answered(home: Path, id_: UUID, answer: Answer) -> None:
    """Note the hub's answer. What it has received is removed; what it refused stays, for somebody to look into.

    Raises:
        StorageError: it could not be noted; the packet is then still here.
    """
    try:
        write_whole(_place(home, id_, _ANSWER), msgspec.json.encode(answer))
        if not answer.refused:
            _place(home, id_, _SEALED).unlink(missing_ok=True)
        gone = set(_named(home, _ANSWER)) - set(kept(home))
        for old in sorted(gone)[:-_KEPT_ANSWERS]:
            _place(home, old, _ANSWER).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, home) from error


def account(home: Path) -> Account:
    """What waits and what was answered."""
    answers = []
    for id_ in _named(home, _ANSWER):
        # One that cannot be read says nothing, and holds up nothing.
        with contextlib.suppress(OSError, msgspec.DecodeError):
            answers.append(msgspec.json.decode(_place(home, id_, _ANSWER).read_bytes(), type=Answer))
    received = [answer.at_ms for answer in answers if not answer.refused]
    refused = tuple(answer.refused for answer in answers if answer.refused)
    return Account(len(waiting(home)), len(received), max(received, default=None), refused)


def _named(home: Path, suffix: str) -> list[UUID]:
    # A name begins with the time at which the reading was made.
    found = []
    for place in sorted((home / FOLDER).glob(f"*{suffix}")):
        with contextlib.suppress(ValueError):
            found.append(UUID(place.name.removesuffix(suffix)))
    return found


def _place(home: Path, id_: UUID, suffix: str) -> Path:
    return home / FOLDER / f"{id_}{suffix}"

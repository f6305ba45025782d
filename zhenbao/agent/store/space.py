"""Room on the disk: watermarks that tell early, and a ballast that is given up when the disk is full.

A full disk is expected on a tablet. SQLite cannot even delete rows then; giving up a file of our own makes room
at once. What is urgent (a critical reading, a receipt) may use that room, everything else is refused until
somebody has cleaned up. Numbers are in ``space.toml``.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path

NAME = "ballast"
DEFAULT_BYTES = 16 << 20


class Level(StrEnum):
    """How much room there is."""

    GREEN = "green"
    YELLOW = "yellow"
    """The doctor is told, and what may go is pruned."""
    RED = "red"
    """Only what is critical is kept."""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """``space.toml``: multiples of the ballast's size, and how much one electrocardiogram takes."""

    yellow_ballasts: float
    red_ballasts: float
    ecg_bytes: int


@dataclass(frozen=True, slots=True)
class Room:
    """What can still be kept."""

    level: Level
    free_bytes: int
    """On the disk, besides the ballast."""
    reusable_bytes: int
    """Inside the database file: what was pruned and is not used again yet."""
    ecgs: int
    """So many electrocardiograms may come before only critical ones are kept."""


@cache
def watermarks() -> Watermarks:
    """The numbers of ``space.toml``."""
    table = tomllib.loads(files("zhenbao.agent.store").joinpath("space.toml").read_text("utf-8"))
    return Watermarks(table["yellow"]["ballasts"], table["red"]["ballasts"], table["ecg"]["bytes"])


class Ballast:
    """A file of ``size`` bytes beside the database.

    Args:
        directory: the store's folder.
        size: bytes to hold back; at least twice the size to which the write-ahead log is trimmed.
    """

    def __init__(self, directory: Path, size: int = DEFAULT_BYTES) -> None:
        self.size = size
        self._directory = directory
        self._path = directory / NAME

    @property
    def held(self) -> bool:
        """Whether the reserve is still there."""
        return self._path.exists()

    @property
    def free_bytes(self) -> int:
        """What this user may still write on the disk."""
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize

    def room(self, reusable_bytes: int = 0) -> Room:
        """What can still be kept, counting ``reusable_bytes`` that are free inside the database."""
        marks = watermarks()
        held, free_bytes = self.held, self.free_bytes
        total = free_bytes + reusable_bytes
        red_below = self.size * (marks.red_ballasts if held else 1)
        if total < red_below:
            level = Level.RED
        else:
            level = Level.GREEN if held and total >= marks.yellow_ballasts * self.size else Level.YELLOW
        return Room(level, free_bytes, reusable_bytes, int(max(0, total - red_below) // marks.ecg_bytes))

    def release(self) -> bool:
        """Give the room up; False where it had been given up before."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> None:
        """Take the room back as soon as the disk has plenty (three times as much)."""
        if self.held or self.free_bytes < 3 * self.size:
            return
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self.size)
            finally:
                os.close(descriptor)
            draft.rename(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()

"""Room on the disk: a ballast that is given up when the disk is full, so that what matters most can still be kept.

A full disk is expected on a tablet. SQLite cannot even delete rows then; giving up a file of our own makes room
at once. What is urgent (a critical reading, a receipt) may use that room, everything else is refused until
somebody has cleaned up.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NAME = "ballast"
DEFAULT_BYTES = 16 << 20


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

    @property
    def low(self) -> bool:
        """Too little room for ordinary work: only urgent things are kept."""
        return not self.held and self.free_bytes < self.size

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

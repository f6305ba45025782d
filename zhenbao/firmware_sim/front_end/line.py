"""The serial line to the host: a pseudo-terminal, and what may go wrong on it."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
import time
import tty
from dataclasses import dataclass
from pathlib import Path

from zhenbao.firmware_sim.front_end.frames import Answer

_GARBAGE = bytes.fromhex("00 A5 5A FF 13 A5 37 A5 5A 03 FF FF 07 5A")
"""Noise with sync marks in it, one of them with a length that no frame may have."""
_HOST_READS_WITHIN_S = 5.0
_SETTLED_S = 0.1
_SAMPLES = (Answer.ECG, Answer.FLOW)


@dataclass(frozen=True, slots=True)
class LineFaults:
    """What happens to the device's frames on their way. Counts are of sample frames (ECG, FLOW), from 1; 0 is never."""

    corrupt_every: int = 0
    """One payload bit of every k-th sample frame is flipped; its CRC is then wrong."""
    drop_every: int = 0
    """Every k-th sample frame is lost."""
    drop_types: tuple[Answer, ...] = ()
    """The first frame of each of these types is lost (an ACK, say); later ones pass."""
    garbage_every: int = 0
    """Noise that holds sync marks comes before every k-th sample frame."""
    chunk_bytes: int = 0
    """The bytes are written in pieces of so many."""
    pull_after: int = 0
    """The cable is pulled in the middle of the k-th sample frame."""
    cut_after_bytes: int | None = None
    """The cable is pulled after so many bytes, wherever that is."""


class CablePulled(Exception):
    """The host cannot be reached any more."""


class Line:
    """A pty whose slave the host opens as its serial port; raw, so that no byte is changed.

    Args:
        link: path of a symbolic link to the slave, for a name that stays; made, and removed at the end.
    """

    def __init__(self, faults: LineFaults, link: Path | None = None) -> None:
        self._master, self._slave = os.openpty()
        # The slave stays open here too: the line then outlives a host that closes and opens its port.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._link = link
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.path)
            self.path = str(link)
        self._faults = faults
        self._samples = 0
        self._lost_once: set[int] = set()
        self._pending = bytearray()
        self.taken = 0
        """Bytes that the host's side has taken since power-up."""

    @property
    def pending(self) -> int:
        """Bytes that the host has not taken yet."""
        return len(self._pending)

    def send(self, frame: bytes) -> None:
        """Queue a frame, with the faults that strike it."""
        type_, faults = frame[2], self._faults
        if faults.cut_after_bytes is not None and self.taken + len(self._pending) + len(frame) > faults.cut_after_bytes:
            self._pending += frame[: max(faults.cut_after_bytes - self.taken - len(self._pending), 0)]
            self._drain()
            raise CablePulled
        if type_ in faults.drop_types and type_ not in self._lost_once:
            self._lost_once.add(type_)
            return
        if type_ not in _SAMPLES:
            self._pending += frame
            return
        self._samples += 1
        if _strikes(faults.drop_every, self._samples):
            return
        if _strikes(faults.garbage_every, self._samples):
            self._pending += _GARBAGE
        if _strikes(faults.corrupt_every, self._samples):
            middle = len(frame) // 2
            frame = frame[:middle] + bytes([frame[middle] ^ 0x10]) + frame[middle + 1 :]
        if self._samples == faults.pull_after:
            self._pending += frame[: len(frame) // 2]
            self._drain()
            raise CablePulled
        self._pending += frame

    def wait(self, seconds: float, wake: int) -> bytes:
        """Move bytes both ways until some arrive, ``wake`` is readable, or the time is over; return what arrived."""
        writers = [self._master] if self._pending else []
        readable, writable, _ = select.select([self._master, wake], writers, [], max(seconds, 0.0))
        if writable:
            self._write_some()
        if self._master in readable:
            return os.read(self._master, 4096)
        return b""

    def give_up(self) -> None:
        """Nobody reads: forget what waits. The host sees the gap by the frames' numbers."""
        self._pending.clear()

    def close(self) -> None:
        """Pull the cable."""
        os.close(self._master)
        os.close(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def _write_some(self) -> None:
        piece = self._pending[: self._faults.chunk_bytes or 4096]
        try:
            taken = os.write(self._master, piece)
        except BlockingIOError:
            return
        del self._pending[:taken]
        self.taken += taken

    def _drain(self) -> None:
        """Let the host have what is queued, as far as it reads: a pty forgets it when it closes.

        The kernel hands bytes over a little later than it takes them, so the line must have been empty for a while.
        """
        deadline = time.monotonic() + _HOST_READS_WITHIN_S
        empty_since = time.monotonic()
        while time.monotonic() < min(deadline, empty_since + _SETTLED_S):
            if self._pending and select.select([], [self._master], [], 0.005)[1]:
                self._write_some()
            if self._pending or self._unread():
                empty_since = time.monotonic()
            time.sleep(0.001)

    def _unread(self) -> int:
        """Bytes that lie on the host's side, not yet read."""
        return int.from_bytes(fcntl.ioctl(self._slave, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def _strikes(every: int, count: int) -> bool:
    return every > 0 and count % every == 0

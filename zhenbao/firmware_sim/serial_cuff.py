"""A simulated Beurer BM65 on a pty: it answers single bytes, as the notes of BM65DataDownloader describe it.

AA: 55. A4: 32 characters. A2: how many records. A3 n: record n (from 1), nine bytes: a header, systolic - 25,
diastolic - 25, pulse, month, day, hour, minute, year - 2000. A pty has no speed: 4800 baud are not played.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

DESCRIPTION = "Andon Blood Pressure Meter KD001"
_HEADER = 0xAC


@dataclass(frozen=True, slots=True)
class StoredReading:
    """One measurement in the cuff's memory: mmHg, beats per minute, and the cuff's own time."""

    systolic: int
    diastolic: int
    pulse: int
    at: datetime

    def __bytes__(self) -> bytes:
        at = self.at
        return bytes(
            [
                _HEADER,
                self.systolic - 25,
                self.diastolic - 25,
                self.pulse,
                at.month,
                at.day,
                at.hour,
                at.minute,
                at.year - 2000,
            ]
        )


@dataclass(frozen=True, slots=True)
class SerialCuffFaults:
    """What may be wrong. Record numbers are from 1; 0 is never."""

    silent: bool = False
    """The cuff is off, or the cable leads nowhere."""
    deaf_hellos: int = 0
    """So many greetings go unheard while it wakes up."""
    greeting: int = 0x55
    """What it answers to AA."""
    flip_every: int = 0
    """One bit of every k-th record that is sent is flipped."""
    always_flipped: int = 0
    """This record comes with another bit flipped each time."""
    short_record: int = 0
    """This record always lacks its last bytes."""
    noise_before: int = 0
    """So many bytes of noise lie on the line before each record."""
    silent_from: int = 0
    """It falls silent when this record is asked for."""
    pulled_at: int = 0
    """The cable is pulled in the middle of this record."""
    count: int | None = None
    """How many records it claims."""


class SerialCuff:
    """The cuff; a context manager. ``port`` is what the kit opens.

    Args:
        readings: its memory, in its own order; may hold any nine bytes as well.
        link: symbolic link to the port, for a name that stays.
    """

    def __init__(
        self,
        readings: Sequence[StoredReading | bytes],
        faults: SerialCuffFaults = SerialCuffFaults(),
        link: Path | None = None,
    ) -> None:
        self.faults = faults
        self.memory = [bytes(reading) for reading in readings]
        self.asked: list[bytes] = []
        """Every command that it took."""
        self._link = link
        self._records_sent = 0
        self._pending = b""

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._wake_read, self._wake = os.pipe()
        self.port = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.port)
            self.port = str(self._link)
        self._pulled = False
        self._thread = threading.Thread(target=self._live, name="serial-cuff", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        if not self._pulled:
            self._pull()
        os.close(self._wake)
        os.close(self._wake_read)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def _pull(self) -> None:
        self._pulled = True
        os.close(self._master)
        os.close(self._slave)

    def _live(self) -> None:
        while not self._pulled:
            readable, _, _ = select.select([self._master, self._wake_read], [], [])
            if self._wake_read in readable:
                return
            self._pending += os.read(self._master, 64)
            while not self._pulled and self._take():
                pass

    def _take(self) -> bool:
        """Answer one whole command; False when there is none."""
        if not self._pending:
            return False
        size = 2 if self._pending[0] == 0xA3 else 1
        if len(self._pending) < size:
            return False
        command, self._pending = self._pending[:size], self._pending[size:]
        self.asked.append(command)
        if not self.faults.silent:
            self._answer(command)
        return True

    def _answer(self, command: bytes) -> None:
        match command[0]:
            case 0xAA:
                if sum(asked == command for asked in self.asked) > self.faults.deaf_hellos:
                    self._send(bytes([self.faults.greeting]))
            case 0xA4:
                self._send(DESCRIPTION.encode().ljust(32))
            case 0xA2:
                self._send(bytes([len(self.memory) if self.faults.count is None else self.faults.count]))
            case 0xA3:
                self._send_record(command[1])

    def _send_record(self, number: int) -> None:
        faults = self.faults
        if not 1 <= number <= len(self.memory) or 0 < faults.silent_from <= number:
            return
        self._records_sent += 1
        record = bytearray(self.memory[number - 1])
        if faults.flip_every and self._records_sent % faults.flip_every == 0:
            record[1] ^= 0x08
        if faults.always_flipped == number:
            record[2] ^= 1 << self._records_sent % 8
        if faults.short_record == number:
            del record[5:]
        if faults.pulled_at == number:
            self._send(bytes(record[:4]))
            self._pull()
            return
        self._send(bytes(faults.noise_before) + bytes(record))

    def _send(self, data: bytes) -> None:
        os.write(self._master, data)

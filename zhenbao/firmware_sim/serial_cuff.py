"""A simulated Beurer BM65 on a pty: it answers single bytes, as the notes of BM65DataDownloader describe it.

AA: 55. A4: 32 characters. A2: how many records. A3 n: record n (from 1), nine bytes: a header, systolic - 25,
diastolic - 25, pulse, month, day, hour, minute, year - 2000. A pty has no speed: 4800 baud are not played.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from zhenbao.firmware_sim.serial_board import CableOut, SerialBoard

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
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time."""
    cut_after_bytes: int | None = None
    """The cable is pulled after so many bytes."""
    bytes_per_s: float = 0.0
    """A slow line; 0 is as fast as the host reads."""


class SerialCuff(SerialBoard):
    """The cuff; a context manager. ``port`` is what the kit opens.

    Args:
        readings: its memory, in its own order; may hold any nine bytes as well.
        link: symbolic link to the port, for a name that stays.
        speed: how many times faster than real time it inflates.
    """

    def __init__(
        self,
        readings: Sequence[StoredReading | bytes] = (),
        faults: SerialCuffFaults = SerialCuffFaults(),
        link: Path | None = None,
        *,
        speed: float = 1.0,
    ) -> None:
        super().__init__(link=link, cut_after_bytes=faults.cut_after_bytes, bytes_per_s=faults.bytes_per_s)
        self.faults = faults
        self.memory = [bytes(reading) for reading in readings]
        self.asked: list[bytes] = []
        """Every command that it took."""
        self._speed = speed
        self._busy = threading.Event()
        self._records_sent = 0
        self._pending = b""

    def measure(self, reading: StoredReading | bytes) -> None:
        """A measurement is finished: the newest record stands last."""
        self.memory.append(bytes(_by_its_clock(reading, self.faults)))

    def press_start(self, reading: StoredReading | bytes, seconds: float = 35.0) -> None:
        """The doctor presses START: the cuff hears nothing while it inflates, and then has ``reading``."""

        def finish() -> None:
            self.measure(reading)
            self._busy.clear()

        self._busy.set()
        threading.Timer(seconds / self._speed, finish).start()

    def run(self) -> None:
        while self.is_on:
            self._pending += self.receive(0.05)
            while self._take():
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
        if not (self.faults.silent or self._busy.is_set()):
            self._answer(command)
        return True

    def _answer(self, command: bytes) -> None:
        match command[0]:
            case 0xAA:
                if sum(asked == command for asked in self.asked) > self.faults.deaf_hellos:
                    self.send(bytes([self.faults.greeting]))
            case 0xA4:
                self.send(DESCRIPTION.encode().ljust(32))
            case 0xA2:
                self.send(bytes([len(self.memory) if self.faults.count is None else self.faults.count]))
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
            self.send(bytes(record[:4]))
            self.pull_cable()
            raise CableOut
        self.send(bytes(faults.noise_before) + bytes(record))


def _by_its_clock(reading: StoredReading | bytes, faults: SerialCuffFaults) -> StoredReading | bytes:
    return replace(reading, at=reading.at + faults.clock_offset) if isinstance(reading, StoredReading) else reading

"""A simulated Contour meter on a serial line: it offers, sends frames one by one, and repeats what is refused.

Written from ASTM E1381 and E1394 as such meters use them: one record a frame, ETB after each but the last, numbers 1 to
7, 0, 1 and so on; the sum is of all bytes from the number to ETB or ETX, eight bits, two digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.firmware_sim.serial_meters.cable import SerialMeter
from zhenbao.model.time import SystemClock, local_time

if TYPE_CHECKING:
    from zhenbao.model.time import Clock

_ENQ, _ACK, _NAK, _EOT = b"\x05", b"\x06", b"\x15", b"\x04"
_MOST_REPEATS = 6


@dataclass(frozen=True, slots=True)
class Stored:
    """One result in the meter's memory."""

    at: datetime
    value: str
    """As displayed: ``93`` (mg/dL) or ``5.2`` (mmol/L); 601 or 33.4 where the display shows HI."""
    marks: str = ""
    """For instance ``A/M0/T1``, ``>``, ``C``."""


@dataclass(frozen=True, slots=True)
class ContourFaults:
    """What may be wrong. Frames are counted from 1, the header is the first."""

    wrong_sum_once: int = 0
    """This frame has a wrong sum, the first time."""
    wrong_sum_always: int = 0
    """This frame has a wrong sum, every time."""
    busy_first: int = 0
    """So many nudges are answered with NAK before it offers."""
    always_busy: bool = False
    deaf_to_ack: int = 0
    """The acknowledgement of this frame is lost, once: the frame is sent again."""
    stops_after: int = 0
    """After this frame it ends (EOT) without having sent the rest."""
    begins_anew_after: int = 0
    """After this frame it offers again and sends everything from the start, once."""
    dead: bool = False
    header_first: bool = False
    """A nudge is answered with EOT, the header, ENQ: as a Contour USB does."""
    cut_after_bytes: int | None = None
    """The cable is pulled after so many bytes."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time, beside ``clock_offset_s``."""


class ContourMeter(SerialMeter):
    """The meter. ``clock_offset_s`` is its clock minus the true (Beijing) time."""

    def __init__(
        self,
        records: Iterable[Stored] = (),
        *,
        mmol: bool = False,
        model: str = "Contour7150",
        serial: str = "7150-SIM0001",
        clock_offset_s: float = 0.0,
        clock: Clock | None = None,
        faults: ContourFaults = ContourFaults(),
        link: Path | None = None,
    ) -> None:
        super().__init__(link=link, cut_after_bytes=faults.cut_after_bytes)
        self.records = list(records)
        self.mmol = mmol
        self.model = model
        self.serial = serial
        self.clock_offset_s = clock_offset_s
        self.faults = faults
        self._clock = clock or SystemClock()
        self._frames: list[bytes] = []
        self._next = 0
        """Index of the frame that waits for its acknowledgement; -1 while offering."""
        self._sending = False
        self._tries = 0
        self._nudges = 0
        self._struck: set[str] = set()

    def now(self) -> datetime:
        """The meter's own wall time, naive."""
        true = local_time(self._clock.now_ms()).replace(tzinfo=None)
        return true + timedelta(seconds=self.clock_offset_s) + self.faults.clock_offset

    def test_blood(self, value: str, marks: str = "") -> Stored:
        """A drop of blood now."""
        stored = Stored(self.now(), value, marks)
        self.records.append(stored)
        return stored

    def hear(self, data: bytes) -> None:
        for value in data:
            self._hear(bytes([value]))

    def _hear(self, byte: bytes) -> None:
        faults = self.faults
        if faults.dead:
            return
        if byte == _EOT:
            self._nudges += 1
            if faults.always_busy or self._nudges <= faults.busy_first:
                self.send(_NAK)
                return
            self._offer(with_header=faults.header_first)
        elif not self._sending:
            return
        elif byte == _ACK:
            if self._next >= 0 and self._next == faults.deaf_to_ack - 1 and self._once("deaf"):
                self._send_frame()
                return
            self._forward()
        elif byte == _NAK:
            self._tries += 1
            if self._tries >= _MOST_REPEATS:
                self._end()
            elif self._next < 0:
                self.send(_ENQ)
            else:
                self._send_frame()

    def _offer(self, *, with_header: bool = False) -> None:
        self._frames = self._packed()
        self._sending, self._next, self._tries = True, -1, 0
        self.send((_EOT + self._frames[0] if with_header else b"") + _ENQ)

    def _forward(self) -> None:
        acknowledged = self._next + 1
        self._tries = 0
        if acknowledged and acknowledged == self.faults.begins_anew_after and self._once("anew"):
            self._offer()
            return
        self._next += 1
        if self._next == len(self._frames) or (acknowledged and acknowledged == self.faults.stops_after):
            self._end()
        else:
            self._send_frame()

    def _send_frame(self) -> None:
        frame, place = self._frames[self._next], self._next + 1
        wrong = place == self.faults.wrong_sum_always
        if wrong or (place == self.faults.wrong_sum_once and self._once("sum")):
            frame = frame[:-4] + (b"00" if frame[-4:-2] != b"00" else b"01") + frame[-2:]
        self.send(frame)

    def _end(self) -> None:
        self._sending = False
        self.send(_EOT)

    def _once(self, what: str) -> bool:
        first = what not in self._struck
        self._struck.add(what)
        return first

    def _packed(self) -> list[bytes]:
        unit, flag = ("mmol/L", 1) if self.mmol else ("mg/dL", 0)
        records = [
            f"H|\\^&||SIMSIM|{self.model}^01.10\\02.20\\03.30^{self.serial}^0000-"
            f"|A=1^C=63^G=1^I=0200^R=0^S=1^U={flag}^V=10600^Z=1|{len(self.records)}|||||P|1|{self.now():%Y%m%d%H%M}",
            "P|1",
        ]
        for number, stored in enumerate(self.records, 1):
            records.append(f"R|{number}|^^^Glucose|{stored.value}|{unit}^P||{stored.marks}||{stored.at:%Y%m%d%H%M}")
        records.append("L|1||N")
        return [_framed(number % 8, text, last=number == len(records)) for number, text in enumerate(records, 1)]


def _framed(number: int, text: str, *, last: bool) -> bytes:
    body = b"%d" % number + text.encode("ascii") + b"\r" + (b"\x03" if last else b"\x17")
    return b"\x02" + body + b"%02X" % (sum(body) % 256) + b"\r\n"

"""A simulated LifeScan OneTouch Ultra2: requests of one line, answers of one line with a sum, all records at once.

Written from the published protocol's facts: 9600 baud, a request is DC1 CR, the command, CR; the sum is of all bytes of
the line before its last space, sixteen bits. The memory counts in mg/dL, whatever the display shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.firmware_sim.serial_meters.cable import SerialMeter
from zhenbao.model.time import SystemClock, local_time

if TYPE_CHECKING:
    from zhenbao.model.time import Clock

_WEEK = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@dataclass(frozen=True, slots=True)
class Stored:
    """One result in the meter's memory."""

    at: datetime
    mg_dl: int
    """More than 600: the display showed HI; less than 20: LO."""
    meal: str = "N"
    """N none, B before, A after a meal."""
    comment: int = 0
    control: bool = False
    damaged: bool = False
    """The memory's own check of this record fails: ``?``."""


@dataclass(frozen=True, slots=True)
class OneTouchFaults:
    """What may be wrong."""

    wrong_sum_once: bool = False
    """The first record sent has a wrong sum, the first time."""
    wrong_sum_always: bool = False
    """The first record sent has a wrong sum, every time."""
    day_first: bool = False
    """Dates are written day/month/year."""
    drops_line_once: bool = False
    """The second record is not sent, the first time."""
    dead: bool = False
    """It answers nothing."""
    deaf_once: bool = False
    """The first request is not heard: the meter wakes up by it."""
    cut_after_bytes: int | None = None
    """The cable is pulled after so many bytes."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time, beside ``clock_offset_s``."""


class OneTouchUltra2(SerialMeter):
    """The meter. ``clock_offset_s`` is its clock minus the true (Beijing) time."""

    def __init__(
        self,
        records: Iterable[Stored] = (),
        *,
        mmol_display: bool = False,
        serial: str = "ZBS000SIY",
        clock_offset_s: float = 0.0,
        clock: Clock | None = None,
        faults: OneTouchFaults = OneTouchFaults(),
        link: Path | None = None,
    ) -> None:
        super().__init__(link=link, cut_after_bytes=faults.cut_after_bytes)
        self.records = list(records)
        self.mmol_display = mmol_display
        self.serial = serial
        self.clock_offset_s = clock_offset_s
        self.faults = faults
        self.requests: list[str] = []
        self._clock = clock or SystemClock()
        self._held = b""
        self._struck = False

    def now(self) -> datetime:
        """The meter's own wall time, naive."""
        true = local_time(self._clock.now_ms()).replace(tzinfo=None, microsecond=0)
        return true + timedelta(seconds=self.clock_offset_s) + self.faults.clock_offset

    def test_blood(self, mg_dl: int, meal: str = "N") -> Stored:
        """A drop of blood now."""
        stored = Stored(self.now(), mg_dl, meal)
        self.records.append(stored)
        return stored

    def hear(self, data: bytes) -> None:
        self._held += data
        *whole, self._held = self._held.split(b"\r")
        for part in whole:
            command = part.strip(b"\x11\n").decode("ascii", "replace")
            if command:
                self._obey(command)

    def _obey(self, command: str) -> None:
        self.requests.append(command)
        if self.faults.dead or (self.faults.deaf_once and len(self.requests) == 1):
            return
        unit = "MMOL/L" if self.mmol_display else "MG/DL "
        if command == "DM@":
            self._line(f'@ "{self.serial}"')
        elif command == "DM?":
            self._line("?P02.00.00 30/08/06")
        elif command == "DMSU?":
            self._line(f'SU?,"{unit}"')
        elif command == "DMF":
            self._line(f"F {self._moment(self.now())}")
        elif command == "DMP":
            self._dump(unit)
        elif told := re.fullmatch(r"DMT(\d\d/\d\d/\d\d \d\d:\d\d:\d\d)", command):
            wanted = datetime.strptime(told[1], "%m/%d/%y %H:%M:%S")  # noqa: DTZ007 - a meter knows no zone
            self.clock_offset_s += (wanted - self.now()).total_seconds()
            self._line(f"T {self._moment(self.now())}")
        elif command == "DMZ":
            self.records.clear()
            self._line("Z")

    def _dump(self, unit: str) -> None:
        newest_first = sorted(self.records, key=lambda r: r.at, reverse=True)
        self._line(f'P {len(newest_first):03d},"{self.serial}","{unit}"')
        strikes, self._struck = not self._struck, True
        for place, record in enumerate(newest_first):
            if place == 1 and self.faults.drops_line_once and strikes:
                continue
            wrong = place == 0 and (self.faults.wrong_sum_always or (self.faults.wrong_sum_once and strikes))
            self._line(self._record(record), wrong_sum=wrong)

    def _record(self, record: Stored) -> str:
        value = f"{'C' if record.control else ' '} {record.mg_dl:03d}{'?' if record.damaged else ' '}"
        return f'P {self._moment(record.at)},"{value}","{record.meal}","{record.comment:02d}", 00'

    def _moment(self, at: datetime) -> str:
        order = "%d/%m/%y" if self.faults.day_first else "%m/%d/%y"
        return f'"{_WEEK[int(at.strftime("%w"))]}","{at.strftime(order)}","{at.strftime("%H:%M:%S")}   "'

    def _line(self, text: str, *, wrong_sum: bool = False) -> None:
        data = text.encode("ascii")
        total = (sum(data) + wrong_sum) % 65536
        self.send(data + b" %04X\r\n" % total)

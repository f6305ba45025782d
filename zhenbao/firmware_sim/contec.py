"""A simulated Contec spirometer with stored tests, over serial. Facts: docs/devices/contec-sp10.md (unverified)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.firmware_sim.serial_board import SerialBoard
from zhenbao.model.time import SystemClock, local_time

if TYPE_CHECKING:
    from zhenbao.model.time import Clock

_NAMES = ("fvc", "fev05", "fev1", "ratio", "fev3", "fev6", "pef", "fef25", "fef50", "fef75", "fef2575", "peft", "evol")
_POINTS_PER_PART = 100


@dataclass(frozen=True, slots=True)
class SimulatedTest:
    """A stored test; numbers as the device counts them (0.01 L, 0.1 % for ``ratio``)."""

    number: int
    at: tuple[int, int, int, int, int, int]
    """Year of the century, month, day, hour, minute, second."""
    numbers: dict[str, int]
    points: Sequence[tuple[float, float, float]] = ()
    """Seconds, L/s, L."""
    kind: int = 1
    sex: int = 0
    age: int = 60
    height_cm: int = 168


@dataclass(frozen=True, slots=True)
class ContecFaults:
    """What goes wrong."""

    silent: bool = False
    bad_record: int = 0
    """The sum of the k-th test's record is wrong."""
    wild_curve: int = 0
    """A point of the k-th test's curve has a flow that nobody breathes."""
    no_empty_part: bool = False
    """A curve ends without an empty part: the next test follows, or silence."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time, until a host sets it."""
    foreign_answer: bool = False
    """It answers the greeting as another device would."""
    cut_after_bytes: int | None = None
    """The cable is pulled after so many bytes."""
    bytes_per_s: float = 0.0
    """A slow line; 0 is as fast as the host reads."""


@dataclass
class Heard:
    """What the host ordered."""

    orders: list[bytes] = field(default_factory=list)


class ContecSpirometer(SerialBoard):
    """The spirometer."""

    def __init__(
        self,
        tests: Sequence[SimulatedTest] = (),
        *,
        faults: ContecFaults = ContecFaults(),
        chunk_bytes: int = 4096,
        link: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(chunk_bytes, link=link, cut_after_bytes=faults.cut_after_bytes, bytes_per_s=faults.bytes_per_s)
        self.tests = list(tests)
        self._clock = clock or SystemClock()
        self.clock_offset = faults.clock_offset
        """Its clock minus the true time now."""
        self.heard = Heard()
        self._faults = faults
        self._test = -1
        self._parts: list[bytes] = []

    def now(self) -> datetime:
        """Its own wall time, naive."""
        return local_time(self._clock.now_ms()).replace(tzinfo=None) + self.clock_offset

    def blow(
        self,
        numbers: Mapping[str, int],
        *,
        age: int = 60,
        height_cm: int = 168,
        points: Sequence[tuple[float, float, float]] = (),
    ) -> SimulatedTest:
        """Somebody has blown and the test is stored, by its own clock. ``numbers`` as `SimulatedTest` counts them."""
        at = self.now()
        when = (at.year - 2000, at.month, at.day, at.hour, at.minute, at.second)
        test = SimulatedTest(len(self.tests) + 1, when, dict(numbers), points, age=age, height_cm=height_cm)
        self.tests.append(test)
        return test

    def run(self) -> None:
        buffer = bytearray()
        while self.is_on:
            buffer += self.receive(0.05)
            while (order := _cut(buffer)) is not None:
                self.heard.orders.append(order)
                if not self._faults.silent:
                    self._obey(order)

    def _obey(self, order: bytes) -> None:
        head = order[0]
        if head == 0x80:
            self._test = -1
            self._tell(*([0xE1] + [0] * 42 if self._faults.foreign_answer else [0xF0]))
        elif head == 0x83:
            self.clock_offset += _told(order) - self.now()
            self._tell(0xF3)
        elif head == 0x82:
            self._tell(0xF2)
        elif head == 0x94:
            self._tell(0xE4, *([0] * 21))
        elif head == 0x90:
            count = len(self.tests)
            self._tell(0xE0, count & 0x7F, count >> 7, *([0] * 6))
        elif head == 0x91 and order[1] == 0x00:
            self._next_test()
        elif head == 0x92 or (head == 0x91 and order[1] == 0x01):
            self._next_part()
        elif head == 0x91 and order[1] == 0x7F:
            self.tests.clear()

    def _next_test(self) -> None:
        self._test += 1
        if self._test >= len(self.tests):
            return
        test = self.tests[self._test]
        numbers = [v for name in _NAMES for v in _pair(test.numbers.get(name, 0))]
        frame = _summed(
            0xE1,
            0,
            test.kind,
            *_pair(test.number),
            *test.at,
            test.sex,
            test.age,
            *_pair(test.height_cm),
            1,
            0,
            *numbers,
        )
        if self._faults.bad_record == self._test + 1:
            frame = frame[:-1] + bytes([frame[-1] ^ 1])
        points = [list(point) for point in test.points]
        if self._faults.wild_curve == self._test + 1:
            points[len(points) // 2][1] = 25.0
        cut = [points[i : i + _POINTS_PER_PART] for i in range(0, len(points), _POINTS_PER_PART)]
        self._parts = [self._part(some) for some in cut]
        if not self._faults.no_empty_part:
            self._parts.append(self._part([]))
        self.send(frame)

    def _next_part(self) -> None:
        if self._parts:
            self.send(self._parts.pop(0))
        else:
            self._next_test()

    def _part(self, points: Sequence[Sequence[float]]) -> bytes:
        body = [v for time_s, flow, volume in points for v in _eight(time_s, flow, volume)]
        return _summed(0xE2, self._test & 0x7F, len(points), *body)

    def _tell(self, *values: int) -> None:
        self.send(_summed(*values))


def _told(order: bytes) -> datetime:
    """The time that the host tells: year of the century to second, then milliseconds as a pair."""
    year, month, day, hour, minute, second, low, high = order[1:9]
    return datetime(2000 + year, month, day, hour, minute, second, 1000 * (low + 128 * high))  # noqa: DTZ001 - no zone


def _cut(buffer: bytearray) -> bytes | None:
    """The first whole order; the host's orders have the lengths that their heads say."""
    sizes = {0x80: 2, 0x83: 10, 0x82: 2, 0x94: 2, 0x90: 2, 0x91: 4, 0x92: 3}
    while buffer and buffer[0] not in sizes:
        del buffer[0]
    if not buffer or len(buffer) < sizes[buffer[0]]:
        return None
    order = bytes(buffer[: sizes[buffer[0]]])
    del buffer[: len(order)]
    return order


def _summed(*values: int) -> bytes:
    return bytes((*values, sum(values) % 128))


def _pair(value: int) -> tuple[int, int]:
    return value % 128, value // 128


def _eight(time_s: float, flow_l_s: float, volume_l: float) -> list[int]:
    whole = (
        round(time_s * 10_000).to_bytes(3, "little")
        + round(flow_l_s * 1000).to_bytes(2, "little", signed=True)
        + round(volume_l * 1000).to_bytes(2, "little", signed=True)
    )
    high = sum(1 << place for place, byte in enumerate(whole) if byte > 127)
    return [high, *(byte % 128 for byte in whole)]

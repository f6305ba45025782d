"""Contec spirometers over serial: greet, set the clock as the dialogue demands, fetch stored tests and curves.

UNVERIFIED: written from one foreign program, never tried with a device; what it gives is charted as a summary marked
so. Tests are kept on the device: the order to delete them is not in this driver.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from zhenbao.drivers.contec import codec, frame
from zhenbao.drivers.contec.codec import CurvePart, StoredTest
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock, local_time

_START = bytes((0x80, 0x00))
_PREDICTED_TAKEN = bytes((0x90, 0x10))
_KEEP = frame.summed(0x91, 0x7E, 0x01)
_MOST_TESTS, _MOST_PARTS = 1000, 1000


class ByteLink(Protocol):
    """What the driver needs of a port; ``zhenbao.drivers.links.serial.SerialLink`` is one."""

    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte; empty after ``timeout_s`` of silence. DeviceError: the port is gone."""

    async def write(self, data: bytes) -> None:
        """Send all of it. DeviceError: the port is gone."""


@dataclass(frozen=True, slots=True)
class FetchedTest:
    """A stored test with its curve, and why the curve is missing where it is."""

    test: StoredTest
    curve: CurvePart | None
    curve_refused: str = ""
    """What a curve should have been that was refused."""


@dataclass(slots=True)
class _Unfinished:
    """A test whose curve is on its way."""

    test: StoredTest | None
    parts: list[CurvePart] = field(default_factory=list)
    reason: str = ""

    def take(self, got: bytes) -> bool:
        """Add a part of the curve; False for an empty one."""
        try:
            part = codec.decode_wave(got)
            if self.parts and part.record != self.parts[0].record:
                raise FrameError(got, 1, "parts of one test")
        except FrameError as error:
            self.reason = self.reason or error.expected
            return True
        if part.time_s:
            self.parts.append(part)
        return bool(part.time_s)

    def broken_off(self) -> FetchedTest | None:
        """The test without the curve of which more may have been to come."""
        return None if self.test is None else FetchedTest(self.test, None, self.reason or "the end of the curve")

    def finished(self) -> FetchedTest | None:
        if self.test is None:
            return None
        try:
            curve = None if self.reason else codec.joined(self.parts)
        except FrameError as error:
            return FetchedTest(self.test, None, error.expected)
        return FetchedTest(self.test, curve, self.reason)


class ContecSpirometer:
    """Fetches what the spirometer has stored."""

    name: ClassVar[str] = "contec-sp10"
    ANSWER_S: ClassVar[float] = 3.0

    def __init__(self, clock: Clock | None = None, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.device = Device(self.name, "Contec")
        self.refused: list[FrameError] = []
        """Tests that could not be read."""
        self._clock = clock or SystemClock()
        self._now_s = monotonic_s
        self._decoder = frame.Decoder()
        self._inbox: deque[bytes] = deque()

    async def read(self, link: ByteLink) -> AsyncGenerator[FetchedTest, None]:
        """Yield the stored tests in the device's order.

        What ends a curve is not written down: the next test, an empty part, or silence after the last test each does.

        Raises:
            DeviceError: ``spirometer-silent``, ``spirometer-dialogue`` (an answer that does not belong),
                ``serial-lost``.
            FrameError: after all that could be read: a test was refused.
        """
        count = await self._greet(link)
        current: _Unfinished | None = None
        seen = 0
        for _ in range(min(count, _MOST_TESTS) * _MOST_PARTS):
            try:
                got = await self._next(link)
            except DeviceError as error:
                if error.code == "spirometer-silent" and seen >= count and current is not None:
                    break
                if current is not None and (fetched := current.broken_off()):
                    yield fetched
                raise
            if got[0] == frame.RECORD:
                if current is not None and (fetched := current.finished()):
                    yield fetched
                current, seen = self._begun(got), seen + 1
                await link.write(frame.summed(0x92, 0x00))
            elif got[0] == frame.WAVE and current is not None:
                if not current.take(got) and seen >= count:
                    break
                await link.write(frame.summed(0x91, 0x01, 0x01))
            else:
                raise DeviceError("spirometer-dialogue")
        if current is not None:
            await link.write(_KEEP)
            if fetched := current.finished():
                yield fetched
        if self.refused:
            raise self.refused[0]

    def _begun(self, got: bytes) -> _Unfinished:
        try:
            return _Unfinished(codec.decode_record(got))
        except FrameError as error:
            self.refused.append(error)
            return _Unfinished(None)

    async def _greet(self, link: ByteLink) -> int:
        await link.write(_START)
        answers: dict[int, Callable[[], bytes]] = {
            frame.HELLO: self._time,
            frame.CLOCK_SET: lambda: frame.summed(0x82),
            frame.READY: lambda: frame.summed(0x94),
            frame.PREDICTED: lambda: _PREDICTED_TAKEN,
        }
        for _ in range(2 * len(answers)):
            got = await self._next(link)
            if got[0] == frame.COUNT:
                count = codec.decode_count(got)
                if count:
                    await link.write(frame.summed(0x91, 0x00, 0x01))
                return count
            if got[0] not in answers:
                break
            await link.write(answers[got[0]]())
        raise DeviceError("spirometer-dialogue")

    def _time(self) -> bytes:
        now_ms = self._clock.now_ms()
        now = local_time(now_ms)
        milliseconds = now_ms % 1000
        return frame.summed(
            0x83,
            now.year - 2000,
            now.month,
            now.day,
            now.hour,
            now.minute,
            now.second,
            milliseconds & 0x7F,
            milliseconds >> 7,
        )

    async def _next(self, link: ByteLink) -> bytes:
        until_s = self._now_s() + self.ANSWER_S
        while not self._inbox:
            left_s = until_s - self._now_s()
            if left_s <= 0:
                raise DeviceError("spirometer-silent")
            self._inbox.extend(self._decoder.feed(await link.read(left_s)))
        return self._inbox.popleft()

"""Reads a OneTouch Ultra2: who it is, its clock, its records; asks again where a line is damaged. Erases nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from zhenbao.drivers.glucose.onetouch import codec
from zhenbao.drivers.glucose.serial_results import numbered
from zhenbao.drivers.quirks import meter_facts
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import BEIJING, Clock, SystemClock, local_time

if TYPE_CHECKING:
    from zhenbao.drivers.glucose.codec import GlucoseReading
    from zhenbao.drivers.links.serial import SerialLink

_T = TypeVar("_T")
_CLOCK_TOLERANCE_S = 3.0


class OneTouchUltra2:
    """Yields all records, the newest first; the kit drops what it knows by ``device_key``."""

    name: ClassVar[str] = "glucose-onetouch"
    baud: ClassVar[int] = codec.BAUD
    PATIENCE_S: ClassVar[float] = 3.0
    """How long a line may be in coming."""
    TRIES: ClassVar[int] = 3
    MOST_LEFT: ClassVar[int] = 200
    """Pieces of an earlier answer to throw away before asking all the same."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._received = b""
        self.device = Device(self.name)
        """Which meter, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's."""

    async def identify(self, link: SerialLink) -> Device:
        """Who it is. Wakes the meter.

        Raises:
            DeviceError: ``meter-silent``, ``serial-lost``.
            FrameError: what answers is not an Ultra2, or only damaged lines come.
        """
        serial = await self._asked(link, codec.request("DM@"), codec.decode_serial)
        version = await self._asked(link, codec.request("DM?"), codec.decode_version)
        self.device = Device(self.name, "LifeScan", "OneTouch Ultra2", serial, version)
        return self.device

    async def read(self, link: SerialLink) -> AsyncGenerator[GlucoseReading, None]:
        """Yield the records; none is not an error.

        Raises:
            DeviceError: ``meter-silent``, ``meter-lost`` (it stopped before the last record), ``serial-lost``.
            FrameError: a line stayed damaged after asking again. Either is raised after all good readings were yielded.
        """
        await self.identify(link)
        try:
            self.device_offset_s = self._offset_s(await self._asked(link, codec.request("DMF"), codec.decode_clock))
        except FrameError:
            self.device_offset_s = None  # a clock that cannot be read takes no result away
        known: set[str] = set()
        failed: DeviceError | FrameError | None = None
        for _ in range(self.TRIES):
            readings, failed = await self._dump(link)
            for reading in numbered(readings, self.device):
                if reading.device_key not in known:
                    known.add(reading.device_key)
                    yield reading
            if failed is None or failed.code == "serial-lost":
                break
        if failed is not None:
            raise failed

    async def set_clock(self, link: SerialLink) -> float:
        """Set the meter's clock to the kit's; give what it was off by before, in seconds.

        Raises:
            DeviceError, FrameError: as `identify`; ``meter-clock`` where it does not keep what it was told.
        """
        await self.identify(link)
        before_s = self._offset_s(await self._asked(link, codec.request("DMF"), codec.decode_clock))
        wanted = local_time(self._clock.now_ms()).replace(tzinfo=None, microsecond=0)
        told = await self._asked(link, codec.set_clock_request(wanted), codec.decode_clock)
        if abs((datetime.fromisoformat(told) - wanted).total_seconds()) > _CLOCK_TOLERANCE_S:
            raise DeviceError("meter-clock")
        return before_s

    def _offset_s(self, told: str) -> float:
        moment = datetime.fromisoformat(told).replace(tzinfo=BEIJING)
        return (moment - local_time(self._clock.now_ms())).total_seconds()

    async def _asked(self, link: SerialLink, request: bytes, decode: Callable[[bytes], _T]) -> _T:
        """One request with one line as its answer, asked again a few times."""
        failed: DeviceError | FrameError = self._silent()
        for _ in range(self.TRIES):
            await self._quiet(link)
            await link.write(request)
            try:
                return decode(await self._line(link))
            except FrameError as error:
                failed = error
            except DeviceError as error:
                if error.code != "meter-silent":
                    raise
                failed = error
        raise failed

    async def _dump(self, link: SerialLink) -> tuple[list[GlucoseReading], DeviceError | FrameError | None]:
        """All records once; what was good, and what went wrong first."""
        readings: list[GlucoseReading] = []
        failed: DeviceError | FrameError | None = None
        try:
            await self._quiet(link)
            await link.write(codec.request("DMP"))
            header = codec.decode_header(await self._line(link))
            if header.serial != self.device.serial:
                raise DeviceError("meter-lost")  # another meter was put on the cable meanwhile
            for _ in range(header.count):
                try:
                    readings.append(self._record(await self._line(link), header.display_unit))
                except FrameError as error:
                    failed = failed or error
        except FrameError as error:
            failed = error
        except DeviceError as error:
            failed = DeviceError("meter-lost") if readings and error.code == "meter-silent" else error
        return readings, failed

    def _record(self, line: bytes, unit: Literal["mmol/L", "mg/dL"]) -> GlucoseReading:
        return codec.decode_record(line, meter_facts(self.device), display_unit=unit)

    async def _quiet(self, link: SerialLink) -> None:
        """Throw away what belongs to an earlier request."""
        self._received = b""
        for _ in range(self.MOST_LEFT):
            if not await link.read(0.05):
                return

    async def _line(self, link: SerialLink) -> bytes:
        """The next line without its end; empty lines are none."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self.PATIENCE_S
        while True:
            line, end, rest = self._received.replace(b"\n", b"\r").partition(b"\r")
            if end:
                self._received = rest
                if line:
                    return line
                continue
            if len(self._received) > codec.LONGEST_LINE:
                raise FrameError(self._received, codec.LONGEST_LINE, "the end of a line")
            data = await link.read(max(deadline_s - loop.time(), 0.0))
            if not data or loop.time() > deadline_s:
                raise self._silent()
            self._received += data

    def _silent(self) -> DeviceError:
        return DeviceError("meter-silent", seconds=round(self.PATIENCE_S))

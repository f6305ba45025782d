"""Receives what a Contour meter sends over a serial line: header, results, end. Nothing is asked, set or erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.glucose.contour.receiver import Receiver, State
from zhenbao.drivers.glucose.contour.records import DRIVER, Header, decode_header, decode_result
from zhenbao.drivers.glucose.serial_results import numbered
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import BEIJING, Clock, SystemClock, local_time

if TYPE_CHECKING:
    from zhenbao.drivers.glucose.codec import GlucoseReading
    from zhenbao.drivers.links.serial import SerialLink

_HALF_MINUTE_S = 30.0
"""A clock told to the minute is, on average, half a minute further."""


class ContourMeter:
    """Yields all results that the meter sends, in its order; the kit drops what it knows by ``device_key``."""

    name: ClassVar[str] = DRIVER
    baud: ClassVar[int] = 9600
    OFFER_S: ClassVar[float] = 2.0
    """How long the meter's offer may be in coming before it is nudged, at most so often:"""
    OFFERS: ClassVar[int] = 15
    PATIENCE_S: ClassVar[float] = 5.0
    """How long a frame may be in coming before it is asked for again."""
    TRIES: ClassVar[int] = 6
    """ASTM E1381: after so many refusals of one frame the transfer is over."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._header: Header | None = None
        self.device = Device(self.name)
        """Which meter, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's."""

    async def identify(self, link: SerialLink) -> Device:
        """Who it is. The transfer is left after the header.

        Raises:
            DeviceError, FrameError: as `read`.
        """
        async with aclosing(self._records(link)) as records:
            async for record in records:
                if record[:1] == b"H":
                    break
        return self.device

    async def read(self, link: SerialLink) -> AsyncGenerator[GlucoseReading, None]:
        """Yield the results; none is not an error.

        Raises:
            DeviceError: ``meter-silent``; ``meter-busy`` (it does not want to send); ``meter-lost`` (it stopped before
                its last record); ``serial-lost``.
            FrameError: a frame stayed damaged after six tries, or a record is not one. Either is raised after all good
                readings were yielded.
        """
        # A meter that begins anew sends everything again: each beginning is numbered for itself.
        memories: list[list[GlucoseReading]] = [[]]
        failed: DeviceError | FrameError | None = None
        wrong: FrameError | None = None
        try:
            async for record in self._records(link):
                try:
                    reading = self._result(record)
                except FrameError as error:
                    wrong = wrong or error
                    continue
                if record[:1] == b"H":
                    memories.append([])
                elif reading is not None:
                    memories[-1].append(reading)
        except (DeviceError, FrameError) as error:
            failed = error
        known: set[str] = set()
        for readings in memories:
            for reading in numbered(readings, self.device):
                if reading.device_key not in known:
                    known.add(reading.device_key)
                    yield reading
        if failed or wrong:
            raise failed or wrong  # type: ignore[misc]

    def _result(self, record: bytes) -> GlucoseReading | None:
        if record[:1] != b"R":
            return None  # patient, order, comment: nothing of a measurement
        if self._header is None:
            raise FrameError(record, 0, "a header before the first result")
        return decode_result(record, self._header)

    async def _records(self, link: SerialLink) -> AsyncGenerator[bytes, None]:
        """Every record up to the meter's end, the header already taken in."""
        receiver, whole = Receiver(), False
        loop = asyncio.get_running_loop()
        progress_s, frames = loop.time(), 0
        while receiver.state is not State.ENDED:
            waiting = receiver.state is State.WAITING
            patience_s, tries = (self.OFFER_S, self.OFFERS) if waiting else (self.PATIENCE_S, self.TRIES)
            chunk = await link.read(patience_s)
            answer = receiver.receive(chunk) if chunk else receiver.silence()
            for record in receiver.take_records():
                if record[:1] == b"H":
                    self._begin(record)
                whole = whole or record[:1] == b"L"
                yield record
            # A record is taken in before it is acknowledged.
            if answer:
                await link.write(answer)
            if receiver.frames > frames:
                progress_s, frames = loop.time(), receiver.frames
            if receiver.failures >= tries or loop.time() - progress_s > patience_s * tries:
                raise self._gave_up(receiver)
        if not whole:
            raise DeviceError("meter-lost")

    def _begin(self, record: bytes) -> None:
        self._header = decode_header(record)
        self.device = self._header.device
        if self._header.device_time is not None:
            told = datetime.fromisoformat(self._header.device_time).replace(tzinfo=BEIJING)
            offset_s = (told - local_time(self._clock.now_ms())).total_seconds()
            self.device_offset_s = offset_s + (0.0 if self._header.to_the_second else _HALF_MINUTE_S)

    def _gave_up(self, receiver: Receiver) -> DeviceError | FrameError:
        if receiver.refused is not None:
            return receiver.refused
        if receiver.state is State.RECEIVING:
            return DeviceError("meter-lost")
        return DeviceError("meter-busy") if receiver.busy else self._silent()

    def _silent(self) -> DeviceError:
        return DeviceError("meter-silent", seconds=round(self.OFFER_S * self.OFFERS))

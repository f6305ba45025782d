"""Blood glucose meters over Bluetooth: stored records are asked for, from where the kit left off; none is deleted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.gatt_information import CURRENT_TIME, DATE_TIME, clock_offset_s, device_information
from zhenbao.drivers.glucose import racp, records
from zhenbao.drivers.glucose.clock import CONTOUR_CLOCK, contour_time, current_time, date_time
from zhenbao.drivers.glucose.codec import GlucoseReading
from zhenbao.drivers.glucose.records import RecordRequests
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.quirks import meter_facts
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock, local_time

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink

_CLOCK_TOLERANCE_S = 3.0


class GlucoseMeter:
    """Yields stored results that the kit has not seen; the kit drops what it knows by ``device_key``."""

    name: ClassVar[str] = "glucose-gatt"
    service: ClassVar[str] = sig_uuid(0x1808)
    protected: ClassVar[str] = records.CONTROL
    """What a technician's pairing touches."""
    PROCEDURE_S: ClassVar[float] = 30.0
    """Glucose Profile 1.0.1: how long a collector waits; the wait begins anew with each record."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.device = Device(self.name)
        """Which meter, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""

    async def read(self, link: GattLink, *, after_sequence: int | None = None) -> AsyncGenerator[GlucoseReading, None]:
        """Yield readings in the order of arrival; none is not an error.

        Args:
            link: a fresh connection.
            after_sequence: the highest sequence number the kit has of this meter; None at first contact. A hint: if
                the meter's counter stands below it (reset, or wrapped), all records are fetched again.

        Raises:
            DeviceError: ``meter-busy``, ``meter-silent`` (30 s without an answer), ``meter-refused`` (fact ``result``),
                ``meter-lost`` (it hung up before it was done); ``not-paired``, ``gatt-missing``, ``link-lost``.
            FrameError: it sent something else than a record. Either is raised after all good readings were yielded.
        """
        wanted = [records.MEASUREMENT, *([records.CONTEXT] if link.has(records.CONTEXT) else []), records.CONTROL]
        async with link.notifications(*wanted) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            facts = meter_facts(self.device)
            requests = RecordRequests(link, received, self.device, facts, patience_s=self.PROCEDURE_S)
            everything = racp.report_from(0) if facts.only_newer else racp.REPORT_ALL
            if not facts.lasting_sequence:
                after_sequence = None  # "newer than" means nothing to this meter
            newer = everything if after_sequence is None else racp.report_from((after_sequence + 1) & 0xFFFF)
            async for reading in requests.request(newer):
                yield reading
            if newer != racp.REPORT_ALL and await self._hint_was_useless(requests, after_sequence):
                async for reading in requests.request(racp.REPORT_ALL):
                    yield reading
            if requests.code not in (racp.SUCCESS, racp.NO_RECORDS):
                raise DeviceError("meter-refused", result=requests.code)
            if requests.refused is not None:
                raise requests.refused

    async def set_clock(self, link: GattLink) -> float | None:
        """Set the meter's clock to the kit's; give what it was off by before, in seconds, where that can be read.

        For a technician, outside any visit: results stored before keep the time of the old clock, and their offset is
        not known any more.

        Raises:
            DeviceError: ``meter-clock-closed`` (fact ``model``): it has no clock that is known how to set;
                ``meter-clock``: it does not keep what it was told; ``not-paired``, ``gatt-refused``, ``link-lost``.
        """
        self.device = await device_information(link, self.name)
        before_s = await clock_offset_s(link, self._clock)
        kind = meter_facts(self.device).clock
        if kind == "contour" and link.has(CONTOUR_CLOCK):
            async with link.notifications(CONTOUR_CLOCK):  # it takes nothing from who does not listen
                await link.write(CONTOUR_CLOCK, contour_time(local_time(self._clock.now_ms())))
            return before_s
        if kind == "unknown" or not (link.has(CURRENT_TIME) or link.has(DATE_TIME)):
            raise DeviceError("meter-clock-closed", model=self.device.model)
        now = local_time(self._clock.now_ms())
        if link.has(CURRENT_TIME):
            await link.write(CURRENT_TIME, current_time(now))
        else:
            await link.write(DATE_TIME, date_time(now))
        after_s = await clock_offset_s(link, self._clock)
        if after_s is None or abs(after_s) > _CLOCK_TOLERANCE_S:
            raise DeviceError("meter-clock")
        return before_s

    @staticmethod
    async def _hint_was_useless(requests: RecordRequests, after_sequence: int | None) -> bool:
        """Whether everything must be fetched: the meter cannot search by number, or its counter was reset."""
        if requests.code in racp.UNSUPPORTED:
            return True
        if requests.code != racp.NO_RECORDS or after_sequence is None:
            return False
        last: list[int] = []
        # A meter that cannot tell its last record, or hangs up once it has nothing new, is no failure of the reading.
        with suppress(DeviceError):
            last = [reading.sequence async for reading in requests.request(racp.REPORT_LAST)]
        requests.code = racp.NO_RECORDS
        return bool(last) and last[-1] < after_sequence

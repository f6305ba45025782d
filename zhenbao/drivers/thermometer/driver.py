"""Thermometers over Bluetooth: the measurement is on its way as soon as the thermometer is connected.

As with a cuff, what is confirmed is gone from the device, so the subscription comes first and is cleared at the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.gatt_information import clock_offset_s, device_information
from zhenbao.drivers.indicated import QUIET_S, results
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.thermometer.codec import Temperature, decode, decode_site
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink


class Thermometer:
    """Yields each temperature the thermometer indicates, until it disconnects or falls silent."""

    name: ClassVar[str] = "thermometer-gatt"
    service: ClassVar[str] = sig_uuid(0x1809)
    MEASUREMENT: ClassVar[str] = sig_uuid(0x2A1C)
    SITE: ClassVar[str] = sig_uuid(0x2A1D)
    protected: ClassVar[str] = MEASUREMENT
    """What a technician's pairing touches."""
    QUIET_S: ClassVar[float] = QUIET_S

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.device = Device(self.name)
        """Which thermometer, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""

    async def read(self, link: GattLink, *, timeout_s: float) -> AsyncGenerator[Temperature, None]:
        """Yield readings in the order of arrival.

        Args:
            link: a fresh connection; nothing may have been asked of the thermometer before.
            timeout_s: how long the first reading is awaited.

        Raises:
            DeviceError: ``thermometer-silent`` if it sent nothing; ``not-paired``, ``link-lost``, ``gatt-missing``.
            FrameError: it sent something else than a temperature; raised after all good readings were yielded.
        """
        async with link.notifications(self.MEASUREMENT) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            only_site = await self._only_site(link)
            silent = DeviceError("thermometer-silent")
            async for reading in results(received, decode, timeout_s=timeout_s, quiet_s=self.QUIET_S, silent=silent):
                yield replace(reading, device=self.device, site=reading.site or only_site)

    async def _only_site(self, link: GattLink) -> str | None:
        """Where a thermometer with one place of measurement measures; it need not repeat that in each reading."""
        if link.has(self.SITE):
            with suppress(DeviceError, FrameError):
                return decode_site(await link.read(self.SITE))
        return None

"""Thermometers over Bluetooth (Health Thermometer Service)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.spot import SpotDevice
from zhenbao.drivers.thermometer.codec import Temperature, decode, decode_site
from zhenbao.model.errors import DeviceError, FrameError

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink


class Thermometer(SpotDevice[Temperature]):
    """Yields each temperature the thermometer indicates, with its place."""

    name: ClassVar[str] = "thermometer-gatt"
    service: ClassVar[str] = sig_uuid(0x1809)
    MEASUREMENT: ClassVar[str] = sig_uuid(0x2A1C)
    SITE: ClassVar[str] = sig_uuid(0x2A1D)
    SILENT: ClassVar[str] = "thermometer-silent"
    protected: ClassVar[str] = MEASUREMENT
    """What a technician's pairing touches."""

    async def decoder(self, link: GattLink) -> Callable[[bytes], Temperature]:
        """A place that a frame does not tell is the device's only one, where it has one."""
        device, only_site = self.device, await self._only_site(link)

        def read(frame: bytes) -> Temperature:
            reading = decode(frame)
            return replace(reading, device=device, site=reading.site or only_site)

        return read

    async def _only_site(self, link: GattLink) -> str | None:
        """Where a thermometer with one place of measurement measures; it need not repeat that in each reading."""
        if link.has(self.SITE):
            with suppress(DeviceError, FrameError):
                return decode_site(await link.read(self.SITE))
        return None

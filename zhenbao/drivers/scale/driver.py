"""Weighing scales over Bluetooth: the weighing is on its way as soon as the scale is connected.

As with a cuff, what is confirmed is gone from the device, so the subscription comes first and is cleared at the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.gatt_information import clock_offset_s, device_information
from zhenbao.drivers.indicated import QUIET_S, results
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.quirks import scale_quirk
from zhenbao.drivers.scale.codec import Weight, decode
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink


class WeighingScale:
    """Yields each weighing the scale indicates, until it disconnects or falls silent."""

    name: ClassVar[str] = "scale-gatt"
    service: ClassVar[str] = sig_uuid(0x181D)
    MEASUREMENT: ClassVar[str] = sig_uuid(0x2A9D)
    protected: ClassVar[str] = MEASUREMENT
    """What a technician's pairing touches."""
    QUIET_S: ClassVar[float] = QUIET_S

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.device = Device(self.name)
        """Which scale, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""

    async def read(self, link: GattLink, *, timeout_s: float) -> AsyncGenerator[Weight, None]:
        """Yield weighings in the order of arrival.

        Args:
            link: a fresh connection; nothing may have been asked of the scale before.
            timeout_s: how long the first weighing is awaited.

        Raises:
            DeviceError: ``scale-silent`` if it sent nothing; ``not-paired``, ``link-lost``, ``gatt-missing``.
            FrameError: it sent something else than a weighing; raised after all good ones were yielded.
        """
        async with link.notifications(self.MEASUREMENT) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            decoded = partial(decode, quirk=scale_quirk(self.device))
            silent = DeviceError("scale-silent")
            async for reading in results(received, decoded, timeout_s=timeout_s, quiet_s=self.QUIET_S, silent=silent):
                yield replace(reading, device=self.device)

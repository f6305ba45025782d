"""Blood pressure cuffs over Bluetooth: the measurement is on its way as soon as the cuff is connected.

A cuff measures by itself, then connects and indicates its result once; what is confirmed, it deletes. So the
subscription comes first, everything else after it, and it is cleared before the connection ends: a bonded cuff whose
subscription stayed would send its next result while nobody listens, and the result would be gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.bp.codec import BloodPressure, CuffPressure, decode, decode_cuff_pressure
from zhenbao.drivers.gatt_information import clock_offset_s, device_information
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.quirks import cuff_quirk
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink, Notification, Notifications


class BloodPressureCuff:
    """Yields each reading the cuff indicates, until it disconnects or falls silent.

    Args:
        clock: the kit's.
        on_pressure: told the pressure in the cuff while it measures, by those cuffs that send it (2A36). It is not a
            result, and a frame of it that cannot be read costs none.
    """

    name: ClassVar[str] = "bp-gatt"
    service: ClassVar[str] = sig_uuid(0x1810)
    MEASUREMENT: ClassVar[str] = sig_uuid(0x2A35)
    CUFF_PRESSURE: ClassVar[str] = sig_uuid(0x2A36)
    protected: ClassVar[str] = MEASUREMENT
    """What a technician's pairing touches."""
    QUIET_S: ClassVar[float] = 2.0
    """After a reading: how long further stored readings are awaited."""

    MEASURES_S: ClassVar[float] = 180.0
    """So long a cuff may go on sending its pressure before it is taken for one that never ends."""

    def __init__(
        self, clock: Clock | None = None, *, on_pressure: Callable[[CuffPressure], None] | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_pressure = on_pressure
        self.pressures = 0
        """Frames of the live pressure that were read."""
        self.refused_pressures = 0
        """Frames of the live pressure that could not be read."""
        self.device = Device(self.name)
        """Which cuff, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""

    async def read(self, link: GattLink, *, timeout_s: float) -> AsyncGenerator[BloodPressure, None]:
        """Yield readings in the order of arrival.

        Args:
            link: a fresh connection; nothing may have been asked of the cuff before.
            timeout_s: how long the first reading is awaited; counted anew while the cuff shows that it measures.

        Raises:
            DeviceError: ``cuff-silent`` if it sent nothing (perhaps it measured: the doctor looks at its display);
                ``cuff-broke-off`` if it was measuring when it fell silent or hung up (its result may still come);
                ``not-paired``, ``link-lost``, ``gatt-missing``.
            FrameError: it sent something else than a measurement; raised after all good readings were yielded.
        """
        live = () if self._on_pressure is None else (self.CUFF_PRESSURE,)
        async with link.notifications(self.MEASUREMENT, welcome=live) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            quirk = cuff_quirk(self.device)
            refused: FrameError | None = None
            notification = await self._measurement(received, timeout_s)
            if notification is None:
                raise DeviceError("cuff-broke-off" if self.pressures else "cuff-silent")
            if quirk.hangs_up_after_send:
                with suppress(DeviceError):
                    await link.unsubscribe(self.MEASUREMENT)
            while notification is not None:
                try:
                    reading = decode(notification.value, quirk)
                except FrameError as error:
                    refused = refused or error
                else:
                    yield replace(reading, device=self.device)
                notification = await self._measurement(received, self.QUIET_S)
            if refused is not None:
                raise refused

    async def _measurement(self, received: Notifications, timeout_s: float) -> Notification | None:
        """The next measurement; what shows the cuff at work is passed on meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.MEASURES_S
        while (notification := await _next(received, timeout_s)) is not None:
            if notification.uuid != self.CUFF_PRESSURE:
                return notification
            self._show(notification.value)
            if loop.time() > until:
                return None
        return None

    def _show(self, frame: bytes) -> None:
        try:
            pressure = decode_cuff_pressure(frame)
        except FrameError:
            self.refused_pressures += 1
        else:
            self.pressures += 1
            if self._on_pressure is not None:
                self._on_pressure(pressure)


async def _next(received: Notifications, timeout_s: float) -> Notification | None:
    """The next notification; None after silence, or once the cuff has hung up (both are a normal end)."""
    try:
        return await received.next(timeout_s)
    except TimeoutError:
        return None

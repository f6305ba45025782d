"""Blood pressure cuffs over Bluetooth: the measurement is on its way as soon as the cuff is connected.

A cuff measures by itself, then connects and indicates its result once; what is confirmed, it deletes. So the
subscription comes first, everything else after it, and it is cleared before the connection ends: a bonded cuff whose
subscription stayed would send its next result while nobody listens, and the result would be gone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.bp.codec import BloodPressure, decode
from zhenbao.drivers.gatt_information import clock_offset_s, device_information
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.quirks import cuff_quirk
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink, Notification, Notifications


class BloodPressureCuff:
    """Yields each reading the cuff indicates, until it disconnects or falls silent."""

    name: ClassVar[str] = "bp-gatt"
    service: ClassVar[str] = sig_uuid(0x1810)
    MEASUREMENT: ClassVar[str] = sig_uuid(0x2A35)
    protected: ClassVar[str] = MEASUREMENT
    """What a technician's pairing touches."""
    QUIET_S: ClassVar[float] = 2.0
    """After a reading: how long further stored readings are awaited."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.device = Device(self.name)
        """Which cuff, known before the first reading is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""

    async def read(self, link: GattLink, *, timeout_s: float) -> AsyncGenerator[BloodPressure, None]:
        """Yield readings in the order of arrival.

        Args:
            link: a fresh connection; nothing may have been asked of the cuff before.
            timeout_s: how long the first reading is awaited.

        Raises:
            DeviceError: ``cuff-silent`` if it sent nothing (perhaps it measured: the doctor looks at its display);
                ``not-paired``, ``link-lost``, ``gatt-missing``.
            FrameError: it sent something else than a measurement; raised after all good readings were yielded.
        """
        async with link.notifications(self.MEASUREMENT) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            quirk = cuff_quirk(self.device)
            refused: FrameError | None = None
            notification = await _next(received, timeout_s)
            if notification is None:
                raise DeviceError("cuff-silent")
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
                notification = await _next(received, self.QUIET_S)
            if refused is not None:
                raise refused


async def _next(received: Notifications, timeout_s: float) -> Notification | None:
    """The next notification; None after silence, or once the cuff has hung up (both are a normal end)."""
    try:
        return await received.next(timeout_s)
    except TimeoutError:
        return None

"""One connection's requests for a meter's stored records."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from zhenbao.drivers.glucose import racp
from zhenbao.drivers.glucose.codec import GlucoseReading, decode_measurement
from zhenbao.drivers.glucose.context import decode_context
from zhenbao.drivers.links.gatt import GattRefused, sig_uuid
from zhenbao.model.errors import DeviceError, FrameError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from zhenbao.drivers.links.gatt import GattLink, Notification, Notifications
    from zhenbao.drivers.quirks import MeterFacts
    from zhenbao.model.observation import Device

MEASUREMENT, CONTEXT, CONTROL = (sig_uuid(number) for number in (0x2A18, 0x2A34, 0x2A52))
_CCCD_WRONG, _IN_PROGRESS = 0xFD, 0xFE


class RecordRequests:
    """Asks and listens; each request ends with the meter's response, whose code is kept in ``code``."""

    def __init__(
        self, link: GattLink, received: Notifications, device: Device, facts: MeterFacts, *, patience_s: float
    ) -> None:
        self._link = link
        self._received = received
        self._device = device
        self._facts = facts
        self._patience_s = patience_s
        self._seen: set[str] = set()
        self.code = racp.NO_RECORDS
        self.refused: FrameError | None = None
        """The first record that could not be read; it stops none of the others."""

    async def request(self, command: bytes) -> AsyncGenerator[GlucoseReading, None]:
        """Send one request; yield the records it brings, each with its context where it has one.

        Raises:
            DeviceError: ``meter-busy``, ``meter-silent``, ``meter-lost``; after what was received was yielded.
            FrameError: the response is not one.
        """
        self._seen.clear()
        held: GlucoseReading | None = None  # its context is announced and has not come yet
        failed: DeviceError | FrameError | None = None
        try:
            async for notification in self._procedure(command):
                if notification.uuid == CONTEXT:
                    if held is not None:
                        yield _with_context(held, notification.value)
                        held = None
                    continue
                if held is not None:
                    yield held
                held = self._reading(notification.value)
                if held is not None and not held.context_follows:
                    yield held
                    held = None
        except (DeviceError, FrameError) as error:
            failed = error
        if held is not None:
            yield held
        if failed is not None:
            raise failed

    async def _procedure(self, command: bytes) -> AsyncGenerator[Notification, None]:
        """What arrives between a request and its response."""
        try:
            await self._link.write(CONTROL, command)
        except GattRefused as error:
            if error.att_code in (_CCCD_WRONG, _IN_PROGRESS):
                raise DeviceError("meter-busy") from error
            raise
        while True:
            try:
                notification = await self._received.next(self._patience_s)
            except TimeoutError as error:
                raise DeviceError("meter-silent", seconds=round(self._patience_s)) from error
            if notification is None:
                raise DeviceError("meter-lost")
            if notification.uuid != CONTROL:
                yield notification
                continue
            response = racp.decode_response(notification.value)
            if isinstance(response, racp.RacpResponse) and response.request == command[0]:
                self.code = response.code
                return

    def _reading(self, frame: bytes) -> GlucoseReading | None:
        try:
            reading = replace(decode_measurement(frame, self._facts), device=self._device)
        except FrameError as error:
            self.refused = self.refused or error
            return None
        if reading.device_key in self._seen:
            return None
        self._seen.add(reading.device_key)
        return reading


def _with_context(reading: GlucoseReading, frame: bytes) -> GlucoseReading:
    # A context that cannot be read takes nothing away from its measurement.
    with suppress(FrameError):
        context = decode_context(frame)
        if context.sequence == reading.sequence:
            return replace(reading, context=context)
    return reading

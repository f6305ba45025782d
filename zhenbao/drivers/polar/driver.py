"""The Polar H10 over Bluetooth: ask its settings, start the ECG, place what comes, stop it.

Call ``read`` again on a fresh link after a lost one: the strap's clock runs on, so the samples that were lost in
between become a gap and the strip goes on in its right place.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.ecg.strip import StripEnd, StripHead, StripSamples, packed
from zhenbao.drivers.gatt_information import device_information
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.polar import codec
from zhenbao.drivers.polar.heart_rate import StrapBeats, decode_heart_rate
from zhenbao.drivers.polar.placing import Placement
from zhenbao.model.ecg import MONITOR_LEADS
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.recording import NO_VALUE

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink, Notifications

_LSB_MV = 0.001
_RATE_HZ, _RESOLUTION_BITS = 130, 14
PolarEvent = StripHead | StripSamples | StrapBeats | StripEnd


def _pmd(number: int) -> str:
    return f"fb005c{number:02x}-02e7-f387-1cad-8acd2d8df0c8"


class PolarH10:
    """Records one chest lead that is no standard lead, with the strap's own beat intervals beside it."""

    name: ClassVar[str] = "polar-h10"
    service: ClassVar[str] = sig_uuid(0x180D)
    """What it advertises."""
    CONTROL: ClassVar[str] = _pmd(0x81)
    DATA: ClassVar[str] = _pmd(0x82)
    HEART_RATE: ClassVar[str] = sig_uuid(0x2A37)
    protected: ClassVar[str] = DATA
    """What a technician's pairing touches."""
    ANSWER_S: ClassVar[float] = 5.0
    SILENCE_S: ClassVar[float] = 5.0
    """A strap sends a frame every 0.56 s."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.device = Device(self.name)
        """Which strap, known with the head."""
        self.refused = 0
        """Frames that could not be read or placed; their samples are missing."""
        self._now_s = monotonic_s
        self._placement: Placement | None = None
        self._contact: bool | None = None

    async def read(self, link: GattLink, *, duration_s: float) -> AsyncGenerator[PolarEvent, None]:
        """Yield the head (once, however many links it takes), then samples and beats as they come, then the end.

        Samples that came while the strap felt no skin are "no value".

        Raises:
            DeviceError: ``strap-lost`` (read again on a new link), ``strap-silent``, ``strap-refused``, ``strap-mtu``,
                ``strap-no-ecg``, ``gatt-missing``, ``not-paired``.
            FrameError: it answered what the protocol does not allow.
        """
        heart_rate = (self.HEART_RATE,) if link.has(self.HEART_RATE) else ()
        # The control point's answers need its subscription, and the data a large MTU, before anything is asked.
        async with link.notifications(self.CONTROL, self.DATA, *heart_rate) as received:
            if codec.ECG not in codec.decode_features(await link.read(self.CONTROL)):
                raise DeviceError("strap-no-ecg")
            if self._placement is None:
                self.device = await device_information(link, self.name)
            await self._start(link, received)
            if self._placement is None:
                self._placement = Placement(float(_RATE_HZ))
                yield StripHead(float(_RATE_HZ), _LSB_MV, MONITOR_LEADS[0], self.device)
            try:
                wanted = round(duration_s * _RATE_HZ)
                async with aclosing(self._record(received, self._placement, wanted)) as events:
                    async for event in events:
                        yield event
            finally:
                if link.connected:
                    with suppress(DeviceError):
                        await link.write(self.CONTROL, codec.stop_request())

    async def _record(
        self, received: Notifications, placement: Placement, wanted: int
    ) -> AsyncGenerator[StripSamples | StrapBeats | StripEnd, None]:
        heard_s = self._now_s()
        while placement.next_sample < wanted:
            try:
                # Beats go on while the ECG may have stopped: only its own frames count against silence.
                notification = await received.next(max(0.0, heard_s + self.SILENCE_S - self._now_s()))
            except TimeoutError:
                raise DeviceError("strap-silent") from None
            if notification is None:
                raise DeviceError("strap-lost")
            try:
                if notification.uuid == self.HEART_RATE:
                    beats = decode_heart_rate(notification.value)
                    self._contact = beats.contact
                    yield beats
                elif notification.uuid == self.DATA:
                    frame = codec.decode_ecg(notification.value)
                    heard_s = self._now_s()
                    first = placement.place(frame)
                    if first is None:
                        self.refused += 1
                    elif first < wanted:
                        lost = self._contact is False
                        values = [NO_VALUE] * len(frame.microvolts) if lost else frame.microvolts
                        yield StripSamples(first, packed(values[: wanted - first]))
            except FrameError:
                self.refused += 1
        yield StripEnd(wanted)

    async def _start(self, link: GattLink, received: Notifications) -> None:
        answer = await self._ask(link, received, codec.settings_request())
        choices = codec.decode_settings(_accepted(answer).parameters)
        if _RATE_HZ not in choices.get(codec.RATE, ()) or _RESOLUTION_BITS not in choices.get(codec.RESOLUTION, ()):
            raise DeviceError("strap-refused", status="settings")
        start = codec.start_request(_RATE_HZ, _RESOLUTION_BITS)
        answer = await self._ask(link, received, start)
        if answer.status not in (codec.OK, codec.INVALID_MTU):
            # An earlier recording may still run.
            await self._ask(link, received, codec.stop_request())
            answer = await self._ask(link, received, start)
        _accepted(answer)

    async def _ask(self, link: GattLink, received: Notifications, request: bytes) -> codec.Answer:
        """Write a request and wait for its answer. What else arrives meanwhile belongs to no recording yet."""
        await link.write(self.CONTROL, request)
        until_s = self._now_s() + self.ANSWER_S
        while True:
            try:
                notification = await received.next(max(0.0, until_s - self._now_s()))
            except TimeoutError:
                raise DeviceError("strap-silent") from None
            if notification is None:
                raise DeviceError("strap-lost")
            if notification.uuid == self.CONTROL:
                answer = codec.decode_answer(notification.value)
                if answer.answers(request[0], request[1]):
                    return answer


def _accepted(answer: codec.Answer) -> codec.Answer:
    if answer.status == codec.INVALID_MTU:
        raise DeviceError("strap-mtu")
    if answer.status != codec.OK:
        raise DeviceError("strap-refused", status=f"0x{answer.status:02X}")
    return answer

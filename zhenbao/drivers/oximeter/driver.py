"""Pulse oximeters: what they send while a finger is in them, message by message.

Bluetooth: the subscription comes first, everything else after it; it is cleared before the connection ends, so that a
bonded oximeter keeps a finished result until somebody listens. Whether a stream has settled is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.gatt_information import clock_offset_s, device_information
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.oximeter import cms50d_plus, nonin, plx
from zhenbao.drivers.oximeter.reading import Oximetry
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink
    from zhenbao.drivers.links.serial import SerialLink


class PulseOximeter:
    """Yields what an oximeter with the Pulse Oximeter Service sends: moments of its stream, and finished results."""

    name: ClassVar[str] = "oximeter-gatt"
    service: ClassVar[str] = sig_uuid(0x1822)
    SPOT: ClassVar[str] = sig_uuid(0x2A5E)
    CONTINUOUS: ClassVar[str] = sig_uuid(0x2A5F)
    protected: ClassVar[tuple[str, ...]] = (SPOT, CONTINUOUS)
    """What a technician's pairing touches: the first of these that the oximeter has (each of them is optional)."""
    decoders: ClassVar[dict[str, Callable[[bytes], Oximetry]]] = {
        SPOT: plx.decode_spot,
        CONTINUOUS: plx.decode_continuous,
    }
    SILENT_S: ClassVar[float] = 10.0
    """After a first message: how long the next is awaited."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.device = Device(self.name)
        """Which oximeter, known before the first message is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""
        self.refused: FrameError | None = None
        """The first message that could not be read."""

    async def read(self, link: GattLink, *, timeout_s: float) -> AsyncGenerator[Oximetry, None]:
        """Yield messages in the order of arrival, until the oximeter hangs up or falls silent.

        Args:
            link: a fresh connection.
            timeout_s: how long the first message is awaited.

        Raises:
            DeviceError: ``oximeter-silent`` if it sent nothing; ``not-paired``, ``link-lost``, ``gatt-missing``.
            FrameError: nothing of what it sent could be read.
        """
        offered = [uuid for uuid in self.decoders if link.has(uuid)]
        if not offered:
            raise (
                DeviceError("gatt-missing", characteristic=self.protected[0])
                if link.connected
                else DeviceError("link-lost")
            )
        heard = False
        async with link.notifications(*offered) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            while True:
                try:
                    notification = await received.next(self.SILENT_S if heard else timeout_s)
                except TimeoutError:
                    break
                if notification is None:
                    break
                try:
                    message = self.decoders[notification.uuid](notification.value)
                except FrameError as error:
                    self.refused = self.refused or error
                else:
                    heard = True
                    yield replace(message, device=self.device)
        if not heard:
            raise self.refused or DeviceError("oximeter-silent")


class NoninOximeter(PulseOximeter):
    """A Nonin 3230 or 3150 by Nonin's own service, which tells when a number is good (SmartPoint)."""

    name: ClassVar[str] = "oximeter-nonin"
    service: ClassVar[str] = nonin.SERVICE
    protected: ClassVar[tuple[str, ...]] = (nonin.CONTINUOUS,)
    decoders: ClassVar[dict[str, Callable[[bytes], Oximetry]]] = {nonin.CONTINUOUS: nonin.decode}


class SerialOximeter:
    """A Contec CMS50D+ on a serial port: one reading for every second of its stream."""

    name: ClassVar[str] = "oximeter-cms50d-plus"
    baudrate: ClassVar[int] = cms50d_plus.BAUDRATE
    parity: ClassVar[str] = cms50d_plus.PARITY
    SILENT_S: ClassVar[float] = 3.0

    def __init__(self) -> None:
        # It tells nothing of itself, and has no clock in this stream.
        self.device = Device(self.name, "Contec", "CMS50D+")
        self.device_offset_s: float | None = None
        self.damaged = 0
        """Damaged pieces of its stream so far."""

    async def read(self, link: SerialLink, *, timeout_s: float) -> AsyncGenerator[Oximetry, None]:
        """Yield readings until the port falls silent (the oximeter switches itself off without a finger).

        Args:
            link: the port, opened with this class's ``baudrate`` and ``parity``.
            timeout_s: how long the first reading is awaited; another device may chatter on the port meanwhile.

        Raises:
            DeviceError: ``oximeter-silent`` if it sent no reading; ``serial-lost``.
        """
        decoder = cms50d_plus.Decoder()
        packets: list[cms50d_plus.Packet] = []
        heard = False
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + timeout_s
        while chunk := await link.read(self.SILENT_S if heard else max(0.0, until_s - now_s())):
            for packet in decoder.feed(chunk):
                packets.append(packet)
                if len(packets) == cms50d_plus.PACKETS_PER_S:
                    self.damaged = decoder.damaged
                    heard = True
                    yield replace(cms50d_plus.reading(packets), device=self.device)
                    packets.clear()
        if not heard:
            raise DeviceError("oximeter-silent")

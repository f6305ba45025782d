"""A kit's side for the simulated devices: a bumble central over TCP, and a byte-level reader of the serial port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import struct
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from bumble import att, core
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration, Peer
from bumble.hci import Address
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport

DEADLINE_S = 10.0


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds; fail after the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - bumble's state has no event to wait for
            await asyncio.sleep(0.002)


class Central:
    """One run of the kit: a fresh Bluetooth host on the radio that ``hci`` names."""

    def __init__(self, transport: Transport, device: Device) -> None:
        self._transport = transport
        self.device = device
        self.connection: Connection | None = None
        self.peer: Peer | None = None
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    async def connect(self, address: str) -> None:
        self.connection = await self.device.connect(Address(address), timeout=DEADLINE_S)
        self.peer = Peer(self.connection)
        await self.peer.request_mtu(247)
        await self.peer.discover_all()

    def characteristic(self, uuid: int):
        return self.peer.get_characteristics_by_uuid(core.UUID.from_16_bits(uuid))[0]

    async def subscribe(self, uuid: int) -> asyncio.Queue[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        await self.peer.gatt_client.subscribe(self.characteristic(uuid), queue.put_nowait, prefer_notify=True)
        return queue

    async def unsubscribe(self, uuid: int) -> None:
        await self.peer.gatt_client.unsubscribe(self.characteristic(uuid), force=True)

    async def read(self, uuid: int) -> bytes:
        return bytes(await self.peer.gatt_client.read_value(self.characteristic(uuid)))

    async def write(self, uuid: int, value: bytes) -> None:
        await self.peer.gatt_client.write_value(self.characteristic(uuid), value, with_response=True)

    async def pair(self) -> None:
        await self.connection.pair()

    async def encrypt(self) -> None:
        await self.connection.encrypt()

    async def seen(self, address: str, times: int = 3, besides: set[str] | None = None) -> None:
        """Scan until ``address`` was heard so often; every other address heard goes into ``besides``."""
        heard = 0
        enough = asyncio.Event()

        def hear(advertisement: Advertisement) -> None:
            nonlocal heard
            text = advertisement.address.to_string(False)
            if text == address:
                heard += 1
                if heard >= times:
                    enough.set()
            elif besides is not None:
                besides.add(text)

        self.device.on(Device.EVENT_ADVERTISEMENT, hear)
        await self.device.start_scanning(filter_duplicates=False)
        async with asyncio.timeout(DEADLINE_S):
            await enough.wait()
        await self.device.stop_scanning()
        self.device.remove_listener(Device.EVENT_ADVERTISEMENT, hear)

    async def vanish(self) -> None:
        """The process ends without a word."""
        await self._transport.close()


class Kit:
    """What a kit keeps between its runs: its address and its bonds."""

    def __init__(self) -> None:
        self.bonds = MemoryKeyStore()
        self._open: list[Central] = []

    async def run(self, hci: str) -> Central:
        assert hci.startswith("hci:")
        transport = await open_transport(hci.removeprefix("hci:"))
        configuration = DeviceConfiguration(name="kit", address=Address("F0:00:00:00:00:01"))
        device = Device.from_config_with_hci(configuration, transport.source, transport.sink)
        device.keystore = self.bonds
        device.pairing_config_factory = lambda _: PairingConfig(
            sc=True,
            mitm=False,
            bonding=True,
            delegate=PairingDelegate(),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )
        async with asyncio.timeout(DEADLINE_S):
            await device.power_on()
        central = Central(transport, device)
        self._open.append(central)
        return central

    async def close(self) -> None:
        for central in self._open:
            with contextlib.suppress(core.BaseBumbleError):
                await central.vanish()


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    kept = Kit()
    yield kept
    await kept.close()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    return wait_until


@pytest.fixture
def att_error() -> type[att.ATT_Error]:
    return att.ATT_Error


@dataclass(frozen=True)
class Frame:
    """One frame of the front-end, cut by hand from docs/devices/front-end.md section 1."""

    type: int
    sequence: int
    time_us: int
    payload: bytes


class SerialHost:
    """Opens a serial port and cuts its bytes into frames; damage is counted."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.held = b""
        self.wrong = 0
        self.largest_read = 0
        self.gone = False
        self._sequence = 0

    def close(self) -> None:
        os.close(self.fd)

    def send(self, type_: int, payload: bytes = b"") -> int:
        """Send a command; give its sequence."""
        body = struct.pack("<BHHQ", type_, len(payload), self._sequence, 0) + payload
        os.write(self.fd, b"\xa5\x5a" + body + struct.pack("<I", zlib.crc32(body)))
        self._sequence += 1
        return self._sequence - 1

    def next(self) -> Frame | None:
        """The next whole frame; None when the cable is out."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            frame = self._cut()
            if frame is not None:
                return frame
            if self.gone:
                return None
            remaining = deadline - time.monotonic()
            assert remaining > 0, "the front-end said nothing"
            if select.select([self.fd], [], [], remaining)[0]:
                self._read()

    def collect(self, last: int) -> list[Frame]:
        """Frames up to and including the first of type ``last``, or to the end of the cable."""
        frames = []
        while (frame := self.next()) is not None:
            frames.append(frame)
            if frame.type == last:
                break
        return frames

    def ask(self, type_: int, payload: bytes = b"") -> int:
        """Send a command and give the result of its ACK."""
        sequence = self.send(type_, payload)
        *_, ack = self.collect(0x06)
        assert ack.payload[:3] == struct.pack("<HB", sequence, type_)
        return ack.payload[3]

    def _read(self) -> None:
        try:
            chunk = os.read(self.fd, 65536)
        except OSError:
            chunk = b""
        self.gone = not chunk
        self.largest_read = max(self.largest_read, len(chunk))
        self.held += chunk

    def _cut(self) -> Frame | None:
        while True:
            at = self.held.find(b"\xa5\x5a")
            if at < 0:
                self.held = self.held[-1:]
                return None
            self.held = self.held[at:]
            if len(self.held) < 15:
                return None
            type_, length, sequence, time_us = struct.unpack_from("<BHHQ", self.held, 2)
            if length <= 1024:
                if len(self.held) < 19 + length:
                    return None
                crc = int.from_bytes(self.held[15 + length : 19 + length], "little")
                if zlib.crc32(self.held[2 : 15 + length]) == crc:
                    payload = self.held[15 : 15 + length]
                    self.held = self.held[19 + length :]
                    return Frame(type_, sequence, time_us, payload)
            self.wrong += 1
            self.held = self.held[1:]


@pytest.fixture
def open_port():
    """Open a serial port; it is closed at the end of the test."""
    hosts: list[SerialHost] = []

    def open_(path: str) -> SerialHost:
        hosts.append(SerialHost(path))
        return hosts[-1]

    yield open_
    for host in hosts:
        host.close()

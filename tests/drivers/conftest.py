"""Bluetooth peripherals on a virtual controller: second witnesses, on bumble's own server, without our codecs."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bumble import att, data_types
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import (
    GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
    Characteristic,
    CharacteristicValue,
    Descriptor,
    Service,
)
from bumble.hci import Address
from bumble.keys import MemoryKeyStore
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport
from scripted_board import Board, obey

from zhenbao.drivers.frontend import session
from zhenbao.drivers.links.serial import SerialLink, open_serial
from zhenbao.model.errors import FrameError

PROPERTIES, PERMISSIONS = Characteristic.Properties, att.Attribute.Permissions
ENCRYPTED = (
    PERMISSIONS.READABLE
    | PERMISSIONS.WRITEABLE
    | PERMISSIONS.READ_REQUIRES_ENCRYPTION
    | PERMISSIONS.WRITE_REQUIRES_ENCRYPTION
)
DEADLINE_S = 10.0


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - bumble tells nobody
            await asyncio.sleep(0.005)


class Peripheral:
    """A bonding, encrypting device that keeps its subscriptions per bond, as the specification demands."""

    def __init__(self, transport: Transport, *, name: str, address: str, service: int) -> None:
        self.device = Device.from_config_with_hci(
            DeviceConfiguration(
                name=name, address=Address(address), advertising_interval_min=20, advertising_interval_max=20
            ),
            transport.source,
            transport.sink,
        )
        self.device.keystore = MemoryKeyStore()
        self.service = service
        self.delegate = PairingDelegate()
        self.device.pairing_config_factory = lambda _c: PairingConfig(
            sc=True,
            mitm=self.delegate.io_capability != PairingDelegate.NO_OUTPUT_NO_INPUT,
            bonding=True,
            delegate=self.delegate,
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )
        self.stored_subscriptions: dict[str, dict[int, bytes]] = {}
        self.pairings = 0
        self.connection: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.device.on(Device.EVENT_CONNECTION, self._connected)
        self.device.gatt_server.on("characteristic_subscription", self._subscribed)

    def protected(self, number: int, properties: Any, value: Any = b"") -> Characteristic:
        """A characteristic whose subscription needs encryption (bumble's own CCCD does not)."""
        cccd = Descriptor(GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR, ENCRYPTED)
        characteristic = Characteristic(UUID.from_16_bits(number), properties, ENCRYPTED, value, [cccd])
        cccd.value = self.device.gatt_server.make_descriptor_value(characteristic)
        return characteristic

    @staticmethod
    def open(number: int, value: bytes) -> Characteristic:
        return Characteristic(UUID.from_16_bits(number), PROPERTIES.READ, PERMISSIONS.READABLE, value)

    def information(self, maker: str, model: str, serial: str, firmware: str) -> Service:
        values = {0x2A29: maker, 0x2A24: model, 0x2A25: serial, 0x2A26: firmware}
        return Service(UUID.from_16_bits(0x180A), [self.open(n, text.encode()) for n, text in values.items()])

    async def start(self) -> None:
        self.device.advertising_data = bytes(
            AdvertisingData(
                [
                    data_types.Flags(AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE),
                    data_types.CompleteLocalName(self.device.name),
                    data_types.CompleteListOf16BitServiceUUIDs([UUID.from_16_bits(self.service)]),
                ]
            )
        )
        await self.device.power_on()
        await self.device.start_advertising(auto_restart=True)

    def ready(self, connection: Any, handle: int, bits: int) -> None:
        """A subscription is in force; overridden by devices that send at once."""

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _connected(self, connection: Any) -> None:
        self.connection = connection
        connection.on(connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda *_: self._encrypted(connection))
        connection.on(connection.EVENT_PAIRING, lambda *_: setattr(self, "pairings", self.pairings + 1))
        connection.on(connection.EVENT_DISCONNECTION, lambda *_: setattr(self, "connection", None))

    def _subscribed(self, connection: Any, characteristic: Any, notify: bool, indicate: bool) -> None:
        bits = notify | indicate << 1
        self.stored_subscriptions.setdefault(str(connection.peer_address), {})[characteristic.handle] = bytes([bits, 0])
        if bits:
            self.ready(connection, characteristic.handle, bits)

    def _encrypted(self, connection: Any) -> None:
        for handle, bits in self.stored_subscriptions.get(str(connection.peer_address), {}).items():
            self.device.gatt_server.subscribers.setdefault(connection, {})[handle] = bits
            if bits[0]:
                self.ready(connection, handle, bits[0])


class Cuff(Peripheral):
    """Indicates what it has measured as soon as a subscription is in force; deletes what is confirmed."""

    def __init__(self, transport: Transport, *, maker: str = "Acme", model: str = "Cuff 1") -> None:
        super().__init__(transport, name="TEST-BP", address="F0:00:00:00:18:10", service=0x1810)
        self.pending: list[bytes] = []
        self.confirmed: list[bytes] = []
        self.hang_up_after_send = False
        self._sending = asyncio.Lock()
        self.measurement = self.protected(0x2A35, PROPERTIES.INDICATE)
        self.device.add_services(
            [
                Service(UUID.from_16_bits(0x1810), [self.measurement, self.open(0x2A49, b"\0\0")]),
                self.information(maker, model, "SN-0001", "1.2"),
                Service(
                    UUID.from_16_bits(0x1805),
                    [self.open(0x2A2B, struct.pack("<HBBBBBBBB", 2026, 11, 22, 10, 35, 0, 7, 0, 0))],
                ),
            ]
        )

    @property
    def subscription(self) -> int:
        """Bits of the only bond's stored subscription to the measurement."""
        stored = list(self.stored_subscriptions.values())
        return stored[0].get(self.measurement.handle, b"\0")[0] if stored else 0

    def ready(self, connection: Any, handle: int, bits: int) -> None:
        if handle == self.measurement.handle:
            self.spawn(self._send(connection))

    async def _send(self, connection: Any) -> None:
        async with self._sending:
            sent = False
            while self.pending and self.connection is connection:
                await self.device.indicate_subscriber(connection, self.measurement, self.pending[0])
                self.confirmed.append(self.pending.pop(0))
                sent = True
            if sent and self.hang_up_after_send and self.connection is connection:
                await connection.disconnect()


class Meter(Peripheral):
    """Answers record requests; its records are given as bytes."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, name="TEST-GLU", address="F0:00:00:00:18:08", service=0x1808)
        self.records: dict[int, list[tuple[int, bytes]]] = {}
        """By sequence: characteristic number and value of each notification."""
        self.requests: list[bytes] = []
        self.unsupported_operators: set[int] = set()
        self.hang_up_after: int | None = None
        self.mute = False
        self.busy = False
        """Another procedure is under way: requests are refused with 0xFE."""
        self.measurement = self.protected(0x2A18, PROPERTIES.NOTIFY)
        self.context = self.protected(0x2A34, PROPERTIES.NOTIFY)
        self.control = self.protected(
            0x2A52, PROPERTIES.INDICATE | PROPERTIES.WRITE, CharacteristicValue(write=self._requested)
        )
        self.device.add_services(
            [
                Service(
                    UUID.from_16_bits(0x1808),
                    [self.measurement, self.context, self.control, self.open(0x2A51, b"\0\0")],
                ),
                self.information("Roche", "Accu-Chek Guide Me", "SN-7", "3.0"),
            ]
        )

    def _requested(self, connection: Any, value: bytes) -> None:
        self.requests.append(bytes(value))
        if self.busy:
            raise att.ATT_Error(0xFE)
        self.spawn(self._answer(connection, bytes(value)))

    async def _answer(self, connection: Any, request: bytes) -> None:
        if self.mute:
            return
        operation, operator, operand = request[0], request[1], request[2:]
        wanted = sorted(self.records)
        if operator == 3:
            wanted = [s for s in wanted if s >= struct.unpack_from("<H", operand, 1)[0]]
        elif operator == 6:
            wanted = wanted[-1:]
        if operator in self.unsupported_operators:
            answer = bytes([6, 0, operation, 4])
        else:
            for count, sequence in enumerate(wanted):
                if count == self.hang_up_after:
                    await connection.disconnect()
                    return
                for number, value in self.records[sequence]:
                    characteristic = self.measurement if number == 0x2A18 else self.context
                    await self.device.notify_subscriber(connection, characteristic, value)
            answer = bytes([6, 0, operation, 1 if wanted else 6])
        await self.device.indicate_subscriber(connection, self.control, answer)


class Air:
    """Virtual air with one free controller for the kit."""

    def __init__(self, link: LocalLink, address: str, transport: Any) -> None:
        self.link = link
        self.address = address
        self._transport = transport

    async def free(self) -> None:
        """Wait until the controller's server has seen the kit go: bumble's serves one client after the other."""
        await until(lambda: self._transport.sink.transport is None)

    def controller(self, name: str) -> Transport:
        controller = Controller(name, link=self.link)
        return Transport(controller, controller)


@pytest_asyncio.fixture
async def air() -> AsyncIterator[Air]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    link = LocalLink()
    transport = await open_transport(f"tcp-server:127.0.0.1:{port}")
    Controller("kit", host_source=transport.source, host_sink=transport.sink, link=link)
    yield Air(link, f"hci:tcp-client:127.0.0.1:{port}", transport)
    with contextlib.suppress(OSError):
        await transport.close()


@pytest_asyncio.fixture
async def cuff(air: Air) -> Cuff:
    cuff = Cuff(air.controller("cuff"))
    await cuff.start()
    return cuff


@pytest_asyncio.fixture
async def meter(air: Air) -> Meter:
    meter = Meter(air.controller("meter"))
    await meter.start()
    return meter


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "kit" / "bonds.json"


Decoded = Callable[[Callable[[bytes], object], bytes], object]


@pytest.fixture(scope="session")
def decoded_or_refused() -> Decoded:
    """Any bytes: a value that keeps the bytes it was made of, or a refusal that says what belongs where in them."""

    def check(decode: Callable[[bytes], object], frame: bytes) -> object:
        value, refused = None, None
        try:
            value = decode(frame)
        except FrameError as error:
            refused = error
        if refused is None:
            assert getattr(value, "raw", frame) == frame
        else:
            assert refused.frame in frame
            assert 0 <= refused.offset <= len(refused.frame)
            assert refused.expected
        return value

    return check


@pytest_asyncio.fixture
async def board() -> AsyncIterator[Board]:
    board = Board(obey)
    yield board
    board.unplug()


@pytest_asyncio.fixture
async def link(board: Board) -> AsyncIterator[SerialLink]:
    async with open_serial(board.port) as link:
        yield link


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, ten times shorter."""
    monkeypatch.setattr(session, "ACK_S", 0.05)
    monkeypatch.setattr(session, "SILENCE_S", 0.2)
    monkeypatch.setattr(session, "_MID_FRAME_S", 0.02)

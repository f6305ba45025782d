"""What every simulated Bluetooth meter has in common: advertising, bonds made in pairing mode only, kept subscriptions.

Facts: Core Specification Vol 3 Part G 3.3.3.3 (a server keeps the CCCDs of a bonded client), Part H (LE Secure
Connections, Just Works). bumble gives its automatic CCCDs no security and forgets them when a link ends, so both are
made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bumble import core, data_types, gatt
from bumble.controller import Controller
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.hci import Address
from bumble.keys import MemoryKeyStore
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import Transport

ADVERTISING_INTERVAL_MS = 40
PERMIT = gatt.Characteristic.Permissions
PROPERTY = gatt.Characteristic.Properties


@dataclass(frozen=True, slots=True)
class Identity:
    """What the Device Information Service (180A) tells."""

    maker: str = "Zhenbao Simulation"
    model: str = "SIM"
    serial: str = "SIM-0001"
    firmware: str = "1.0.0"


class _OnlyInPairingMode(PairingDelegate):  # type: ignore[misc]  # bumble has no types here
    """A pairing is accepted only while a technician holds the button: Just Works, or with digits on the display."""

    def __init__(self, allowed: Callable[[], bool], display: Callable[[int], None] | None, passkey: int | None) -> None:
        capability = PairingDelegate.IoCapability
        super().__init__(capability.NO_OUTPUT_NO_INPUT if display is None else capability.DISPLAY_OUTPUT_ONLY)
        self._allowed = allowed
        self._display = display
        self._passkey = passkey

    async def accept(self) -> bool:
        return self._allowed()

    async def generate_passkey(self) -> int:
        digits: int = await super().generate_passkey() if self._passkey is None else self._passkey
        return digits

    async def display_number(self, number: int, digits: int) -> None:
        if self._display is not None:
            self._display(number)


class Peripheral(ABC):
    """One meter. Made anywhere; lives in the event loop that calls `power_on`, and is used from that loop.

    Args:
        name: as advertised.
        address: static random Bluetooth address.
        service: UUID that is advertised: a number of the Bluetooth SIG, or the text of a maker's own.
        identity: maker, model, serial and firmware.
    """

    def __init__(self, name: str, address: str, service: int | str, identity: Identity) -> None:
        self.name = name
        self.address = address
        self.identity = identity
        self.never_advertises = False
        """Fault: the radio is dead."""
        self.forgets_subscriptions = False
        """Fault: the CCCDs of a bonded host are dropped when the link ends."""
        self.shows_digits = False
        """Whether it shows six digits when it is paired, and wants them typed by the host."""
        self.digits: int | None = None
        """The digits on its display; None while no pairing asks for them."""
        self.passkey: int | None = None
        """Six digits that it shows in every pairing; None: others each time, where it shows any."""
        self.connection: Any = None
        """The link to a host (bumble's ``Connection``), or None."""
        self._service = service
        self._pairing_mode = False
        self._in_the_air = False
        self._powered: Device | None = None
        self._controller: Controller | None = None
        self._subscriptions: dict[str, dict[int, bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._bonds = MemoryKeyStore()

    @property
    def pairing_mode(self) -> bool:
        """Whether a technician has put the meter in pairing mode; it then advertises and accepts new bonds."""
        return self._pairing_mode

    @pairing_mode.setter
    def pairing_mode(self, on: bool) -> None:
        self._pairing_mode = on
        self._wake.set()

    @property
    def bonded_hosts(self) -> int:
        """How many hosts hold a bond."""
        return len(self._bonds.all_keys)

    @abstractmethod
    def wants_to_advertise(self) -> bool:
        """Whether the meter would show itself now."""

    @abstractmethod
    def services(self) -> list[gatt.Service]:
        """The meter's own services; called once, at power-on."""

    @abstractmethod
    async def serve(self, connection: Connection) -> None:
        """Send what waits, as far as the host may have it now. Called whenever something has changed."""

    async def power_on(self, link: LocalLink) -> None:
        """Join the air."""
        self._controller = Controller(self.name, link=link)
        transport = Transport(self._controller, self._controller)
        configuration = DeviceConfiguration(
            name=self.name,
            address=Address(self.address),
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
            irk=hashlib.sha256(self.address.encode()).digest()[:16],
        )
        device = self._powered = Device.from_config_with_hci(configuration, transport.source, transport.sink)
        device.keystore = self._bonds
        device.pairing_config_factory = lambda _: self._pairing()
        device.on(Device.EVENT_CONNECTION, self._on_connection)
        device.gatt_server.on(device.gatt_server.EVENT_CHARACTERISTIC_SUBSCRIPTION, self._on_subscription)
        device.add_services([*self.services(), self._device_information()])
        flags = core.AdvertisingData.Flags
        device.advertising_data = bytes(
            core.AdvertisingData(
                [
                    data_types.Flags(flags.LE_GENERAL_DISCOVERABLE_MODE | flags.BR_EDR_NOT_SUPPORTED),
                    _service_list(self._service),
                    data_types.CompleteLocalName(self.name),
                ]
            )
        )
        await device.power_on()
        self._in_the_air = True
        self.spawn(self._live())
        self._wake.set()

    def _pairing(self) -> PairingConfig:
        shows = self.shows_digits or self.passkey is not None
        return PairingConfig(
            sc=True,
            mitm=shows,
            bonding=True,
            delegate=_OnlyInPairingMode(lambda: self._pairing_mode, self._show if shows else None, self.passkey),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )

    async def power_off(self) -> None:
        """Leave the air; bonds, subscriptions and stored readings stay."""
        self._in_the_air = False
        for task in self._tasks:
            task.cancel()
        self.changed()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hang_up()
        if self._powered is not None and self._controller is not None:
            await self._powered.stop_advertising()
            self._controller.link.remove_controller(self._controller)
        self._powered = self._controller = None

    async def hang_up(self) -> None:
        """End the link from the meter's side."""
        if self.connection is None:
            return
        gone = asyncio.ensure_future(self.until_gone(self.connection))
        leaving = asyncio.ensure_future(self.connection.disconnect())
        await asyncio.wait({gone, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, leaving):
            task.cancel()
        # The other end may have left at the same moment: its link layer then refuses ours.
        await asyncio.gather(gone, leaving, return_exceptions=True)

    def secure_characteristic(
        self, uuid: int | str, properties: gatt.Characteristic.Properties, value: object = b""
    ) -> gatt.Characteristic[bytes]:
        """A characteristic whose value and CCCD need an encrypted link."""
        permissions = PERMIT(0)
        if properties & PROPERTY.READ:
            permissions |= PERMIT.READABLE | PERMIT.READ_REQUIRES_ENCRYPTION
        if properties & PROPERTY.WRITE:
            permissions |= PERMIT.WRITEABLE | PERMIT.WRITE_REQUIRES_ENCRYPTION
        descriptors = []
        if properties & (PROPERTY.NOTIFY | PROPERTY.INDICATE):
            both = (
                PERMIT.READABLE | PERMIT.WRITEABLE | PERMIT.READ_REQUIRES_ENCRYPTION | PERMIT.WRITE_REQUIRES_ENCRYPTION
            )
            descriptors.append(gatt.Descriptor(gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR, both))
        made = gatt.Characteristic(uuid_of(uuid), properties, permissions, value, descriptors)
        for descriptor in descriptors:
            descriptor.value = self._device.gatt_server.make_descriptor_value(made)
        return made

    def subscribed(self, connection: Connection, characteristic: gatt.Characteristic[bytes], bit: int) -> bool:
        """Whether the host has set ``bit`` (1 notify, 2 indicate) in the characteristic's CCCD."""
        cccd = self._device.gatt_server.subscribers.get(connection, {}).get(characteristic.handle, b"\0\0")
        return bool(cccd[0] & bit)

    async def notify(self, connection: Connection, characteristic: gatt.Characteristic[bytes], value: bytes) -> None:
        """Send without confirmation; nothing happens where the host has not subscribed."""
        await self._device.gatt_server.notify_subscriber(connection, characteristic, value)

    async def indicate(
        self, connection: Connection, characteristic: gatt.Characteristic[bytes], value: bytes, *, force: bool = False
    ) -> bool:
        """Send and wait for the host's confirmation.

        Args:
            force: send although the host has not subscribed (some meters do).

        Returns:
            Whether it was confirmed: False when the link ended first.
        """
        gone = asyncio.ensure_future(self.until_gone(connection))
        sending = asyncio.ensure_future(
            self._device.gatt_server.indicate_subscriber(connection, characteristic, value, force)
        )
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            return sending.done() and sending.exception() is None and self.connection is connection
        finally:
            gone.cancel()
            sending.cancel()

    async def until_gone(self, connection: Connection) -> None:
        """Wait until the link has ended."""
        if self.connection is not connection:
            return
        gone = asyncio.Event()
        listener = connection.on(connection.EVENT_DISCONNECTION, lambda *_: gone.set())
        try:
            await gone.wait()
        finally:
            connection.remove_listener(connection.EVENT_DISCONNECTION, listener)

    def changed(self) -> None:
        """Something to send, or a reason to advertise, has come or gone."""
        self._wake.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside; ends with the meter."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget_hosts(self) -> None:
        """Every bond is lost, with the subscriptions kept for it: the batteries were out too long, or a reset."""
        self._bonds.all_keys.clear()
        self._subscriptions.clear()

    def _show(self, digits: int) -> None:
        self.digits = digits

    @property
    def _device(self) -> Device:
        if self._powered is None:
            raise RuntimeError(f"{self.name} is not in the air")
        return self._powered

    async def _live(self) -> None:
        # bumble may swallow a cancellation in the middle of a command, so the loop looks for itself.
        while self._in_the_air:
            await self._wake.wait()
            self._wake.clear()
            await self._advertise()
            if self.connection is not None:
                with contextlib.suppress(core.BaseBumbleError):  # the link ended under it; what was not confirmed stays
                    await self.serve(self.connection)

    async def _advertise(self) -> None:
        wanted = (
            self.connection is None and not self.never_advertises and (self._pairing_mode or self.wants_to_advertise())
        )
        if wanted and not self._device.is_advertising:
            await self._device.start_advertising()
        elif not wanted and self._device.is_advertising:
            await self._device.stop_advertising()

    def _on_connection(self, connection: Connection) -> None:
        self.connection = connection
        connection.on(connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda *_: self._restore(connection))
        connection.on(connection.EVENT_DISCONNECTION, lambda *_: self._on_disconnection(connection))
        self.changed()

    def _on_disconnection(self, connection: Connection) -> None:
        if self.connection is connection:
            self.connection = self.digits = None
        self.changed()

    def _on_subscription(
        self, connection: Connection, characteristic: gatt.Characteristic[bytes], notify: bool, indicate: bool
    ) -> None:
        if not self.forgets_subscriptions:
            kept = self._subscriptions.setdefault(str(connection.peer_address), {})
            kept[characteristic.handle] = bytes([notify | indicate << 1, 0])
        self.changed()

    def _restore(self, connection: Connection) -> None:
        if connection.is_encrypted and (kept := self._subscriptions.get(str(connection.peer_address))):
            self._device.gatt_server.subscribers.setdefault(connection, {}).update(kept)
        self.changed()

    def _device_information(self) -> gatt.Service:
        texts = {
            0x2A29: self.identity.maker,
            0x2A24: self.identity.model,
            0x2A25: self.identity.serial,
            0x2A26: self.identity.firmware,
        }
        return gatt.Service(
            core.UUID.from_16_bits(0x180A),
            [
                gatt.Characteristic(core.UUID.from_16_bits(uuid), PROPERTY.READ, PERMIT.READABLE, text.encode())
                for uuid, text in texts.items()
            ],
        )


def uuid_of(uuid: int | str) -> core.UUID:
    """A UUID of the Bluetooth SIG by its number, or a maker's own by its text."""
    return core.UUID.from_16_bits(uuid) if isinstance(uuid, int) else core.UUID(uuid)


def _service_list(service: int | str) -> Any:
    if isinstance(service, int):
        return data_types.CompleteListOf16BitServiceUUIDs([uuid_of(service)])
    return data_types.CompleteListOf128BitServiceUUIDs([uuid_of(service)])

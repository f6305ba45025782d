"""A connection to one Bluetooth device, as drivers use it: read, write, and notifications that are never lost."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from zhenbao.model.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

    from zhenbao.drivers.links.tap import Tap

_SECURITY_ERRORS = frozenset({0x05, 0x08, 0x0C, 0x0F})
"""ATT: insufficient authentication, authorization, key size, encryption (Core Specification, Vol 3, Part F)."""
_SECURITY_DBUS = frozenset(
    {
        "org.bluez.Error.AuthenticationCanceled",
        "org.bluez.Error.AuthenticationFailed",
        "org.bluez.Error.AuthenticationRejected",
        "org.bluez.Error.AuthenticationTimeout",
        "org.bluez.Error.NotAuthorized",
        "org.bluez.Error.NotPermitted",
    }
)


def sig_uuid(number: int) -> str:
    """The 128-bit form of a 16-bit number of the Bluetooth SIG."""
    return f"0000{number:04x}-0000-1000-8000-00805f9b34fb"


class GattRefused(DeviceError):
    """The device answered a read, write or subscription with an ATT error."""

    def __init__(self, att_code: int) -> None:
        super().__init__("gatt-refused", att=f"0x{att_code:02X}")
        self.att_code = att_code


class Notification(NamedTuple):
    """One value that the device sent by itself."""

    uuid: str
    value: bytes


class Notifications:
    """What has arrived on the subscribed characteristics, in order. Ends when the device disconnects."""

    def __init__(self) -> None:
        self._arrived: deque[Notification] = deque()
        self._over = False
        self._news = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many have arrived and were not taken."""
        return len(self._arrived)

    def put(self, notification: Notification) -> None:
        """Called by the link."""
        self._arrived.append(notification)
        self._news.set()

    def end(self) -> None:
        """Called by the link: nothing more will come."""
        self._over = True
        self._news.set()

    async def next(self, timeout_s: float | None = None) -> Notification | None:
        """The next one; None once the device has disconnected and everything it sent was taken.

        Raises:
            TimeoutError: nothing within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while not self._arrived and not self._over:
                self._news.clear()
                await self._news.wait()
        return self._arrived.popleft() if self._arrived else None

    async def __aiter__(self) -> AsyncIterator[Notification]:
        while (notification := await self.next()) is not None:
            yield notification


class GattLink:
    """A connected device. Made by ``Radio.connect``; UUIDs are in their 128-bit form (``sig_uuid``).

    Every method raises ``DeviceError``: ``not-paired`` (the device wants a bond that is not there), ``gatt-refused``,
    ``gatt-missing`` (no such characteristic), ``link-lost``.
    """

    def __init__(self, client: BleakClient, tap: Tap | None = None) -> None:
        self._client = client
        self._tap: Tap = tap or (lambda *_: None)
        self._subscriptions: list[Notifications] = []
        self._subscribed: list[str] = []

    @property
    def address(self) -> str:
        """The device's Bluetooth address."""
        return self._client.address

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    def disconnected(self) -> None:
        """Called by the radio when the connection is gone, for whatever reason."""
        self._tap("gone", "", b"")
        for subscription in self._subscriptions:
            subscription.end()

    def has(self, uuid: str) -> bool:
        """Whether the device has this characteristic."""
        found = self.connected and self._client.services.get_characteristic(uuid) is not None
        self._tap("has", uuid, bytes([found]))
        return found

    async def read(self, uuid: str) -> bytes:
        """The value of a characteristic."""
        with self._errors(uuid):
            value = bytes(await self._client.read_gatt_char(uuid))
        self._tap("read", uuid, value)
        return value

    async def write(self, uuid: str, data: bytes) -> None:
        """Write a characteristic and wait until the device has taken it."""
        with self._errors(uuid):
            self._tap("write", uuid, data)
            await self._client.write_gatt_char(uuid, data, response=True)

    @asynccontextmanager
    async def notifications(self, *uuids: str, welcome: tuple[str, ...] = ()) -> AsyncIterator[Notifications]:
        """Subscribe to characteristics; unsubscribe on leaving.

        Each is heard from the moment it is subscribed. On leaving, the subscription is cleared in the device, so that a
        bonded meter keeps its next result until somebody listens, instead of sending it while nobody does.

        Args:
            uuids: what must be heard.
            welcome: what is heard where the device has it and allows it; subscribed after the others.
        """
        received = Notifications()
        self._subscriptions.append(received)

        def heard(characteristic: BleakGATTCharacteristic, value: bytearray) -> None:
            self._tap("heard", characteristic.uuid, bytes(value))
            received.put(Notification(characteristic.uuid, bytes(value)))

        try:
            for uuid in uuids:
                try:
                    with self._errors(uuid):
                        self._tap("subscribe", uuid, b"")
                        await self._client.start_notify(uuid, heard)
                except DeviceError:
                    # A bonded meter may send in the instant of encryption and hang up before it answers the
                    # subscription: what it sent is here and counts.
                    if self.connected or not received.waiting:
                        raise
                    break
                self._subscribed.append(uuid)
            for uuid in welcome:
                if self.has(uuid):
                    with suppress(DeviceError), self._errors(uuid):
                        await self._client.start_notify(uuid, heard)
                        self._subscribed.append(uuid)
            yield received
        finally:
            await self.clear(*uuids, *welcome)
            self._subscriptions.remove(received)

    async def clear(self, *uuids: str) -> None:
        """Clear these subscriptions in the device, or all of them; what was not subscribed is left alone."""
        for uuid in [known for known in self._subscribed if not uuids or known in uuids]:
            self._subscribed.remove(uuid)
            with suppress(DeviceError):
                await self.unsubscribe(uuid)

    async def unsubscribe(self, uuid: str) -> None:
        """Clear one subscription in the device. Nothing happens if it has gone."""
        if self.connected:
            self._tap("clear", uuid, b"")
            with self._errors(uuid):
                await self._client.stop_notify(uuid)

    async def secure(self) -> None:
        """Make the link secure with the bond; without one pair, where the radio allows it."""
        with self._errors(""):
            await self._client.pair()

    @contextmanager
    def _errors(self, uuid: str) -> Iterator[None]:
        from bleak.exc import BleakCharacteristicNotFoundError, BleakDBusError, BleakError, BleakGATTProtocolError

        try:
            yield
        except BleakGATTProtocolError as error:
            code = int(error.code)
            raise DeviceError("not-paired") if code in _SECURITY_ERRORS else GattRefused(code) from error
        except BleakCharacteristicNotFoundError as error:
            raise DeviceError("gatt-missing", characteristic=uuid) from error
        except BleakDBusError as error:
            if error.dbus_error in _SECURITY_DBUS:
                raise DeviceError("not-paired") from error
            raise DeviceError("link-lost") from error
        except (BleakError, TimeoutError, EOFError, OSError) as error:
            raise DeviceError("link-lost") from error

"""A bleak backend on bumble: bleak's own client and scanner API on a controller without the operating system's stack.

bleak instantiates backend classes by itself, so the classes made here are closed over one ``BumbleHost``. What a
real stack does about security is done here in the same way: an ATT error that asks for security encrypts the link with
the stored key and repeats the request; without a key it pairs, but only where a technician allowed it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import (
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)
from bumble import att, hci
from bumble.core import BaseBumbleError
from bumble.core import TimeoutError as BumbleTimeoutError
from bumble.device import Device, Peer

from zhenbao.drivers.links.advertisement import advertisement_data, full_uuid
from zhenbao.drivers.links.bumble_host import BumbleHost

_T = TypeVar("_T")
_MTU = 247
_CANCEL_S = 1.0
_DISCONNECT_S = 5.0
_PAIR_S = 60.0
"""A technician reads six digits from a display and types them; the device itself gives up after 30 s of silence."""
_WANTS_SECURITY = (
    BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
    BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
)


def scanner_class(host: BumbleHost) -> type[BaseBleakScanner]:
    """The scanner backend of this host."""

    class BumbleScanner(BaseBleakScanner):
        def __init__(
            self,
            detection_callback: AdvertisementDataCallback | None,
            service_uuids: list[str] | None,
            scanning_mode: str = "active",
            **_options: Any,
        ) -> None:
            super().__init__(detection_callback, service_uuids)
            self._active = scanning_mode == "active"

        async def start(self) -> None:
            self.seen_devices = {}
            host.device.on(Device.EVENT_ADVERTISEMENT, self._heard)
            await _bumble(host.device.start_scanning(active=self._active, filter_duplicates=False))

        async def stop(self) -> None:
            host.device.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)
            await _bumble(host.device.stop_scanning())

        def _heard(self, advertisement: Any) -> None:
            key = advertisement.address.to_string(False)
            seen = self.seen_devices.get(key)
            # Advertisement and scan response come apart: one may hold the services, the other the name.
            data = advertisement_data(advertisement, earlier=seen[1] if seen else None)
            if self.is_allowed_uuid(data.service_uuids):
                device = self.create_or_update_device(
                    key, key, data.local_name, {"address": advertisement.address}, data
                )
                self.call_detection_callbacks(device, data)

    return BumbleScanner


def client_class(host: BumbleHost, *, may_pair: bool) -> type[BaseBleakClient]:
    """The client backend of this host.

    Args:
        may_pair: whether a device that asks for security and is not bonded is paired with. Never in a doctor's reading.
    """

    class BumbleClient(BaseBleakClient):
        def __init__(self, address_or_ble_device: BLEDevice | str, **options: Any) -> None:
            super().__init__(
                address_or_ble_device,
                disconnected_callback=options.get("disconnected_callback"),
                timeout=options.get("timeout", 30.0),
            )
            self._target = (
                address_or_ble_device.details["address"]
                if isinstance(address_or_ble_device, BLEDevice)
                else hci.Address(address_or_ble_device)
            )
            self._services_wanted: set[str] | None = options.get("services")
            self._connection: Any = None
            self._peer: Any = None
            self._subscribers: dict[int, Callable[[bytes], None]] = {}
            self._ended = asyncio.Event()

        @property
        def name(self) -> str:
            return self.address

        @property
        def mtu_size(self) -> int:
            return int(self._peer.gatt_client.mtu) if self._peer else 23

        @property
        def is_connected(self) -> bool:
            return self._connection is not None

        async def connect(self, pair: bool, **_options: Any) -> None:
            if self._connection is not None:
                raise BleakError("Client is already connected")
            try:
                # The outer limit is for controllers (bumble's virtual one) that never report a connection cancelled.
                async with asyncio.timeout(self._timeout + _CANCEL_S):
                    self._connection = await host.device.connect(self._target, timeout=self._timeout)
            except (BumbleTimeoutError, TimeoutError) as error:
                raise BleakDeviceNotFoundError(self.address, f"{self.address} did not answer") from error
            except BaseBumbleError as error:
                raise BleakError(f"connecting failed: {error}") from error
            self._ended.clear()
            self._connection.on(self._connection.EVENT_DISCONNECTION, self._gone)
            self._peer = Peer(self._connection)
            try:
                if pair:
                    await self.pair()
                await self._while_connected(lambda: self._peer.request_mtu(_MTU))
                await self._while_connected(self._discover)
            except BaseException:
                await self.disconnect()
                raise

        async def disconnect(self) -> None:
            if self._connection is not None:
                try:
                    async with asyncio.timeout(_DISCONNECT_S):
                        await _bumble(self._connection.disconnect())
                except (TimeoutError, BleakError):
                    # It went away by itself, or the controller no longer answers; either way it is over.
                    self._gone(0)

        async def pair(self, *_args: Any, **_options: Any) -> None:
            """Make the link secure: with the stored key, else by pairing, if that is allowed."""
            if not self._link().is_encrypted and not await self._encrypt():
                if not may_pair:
                    raise BleakGATTProtocolError(BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION)
                async with asyncio.timeout(_PAIR_S):
                    await self._while_connected(lambda: self._link().pair())
                if await host.bonds.get(str(self._link().peer_address)) is None:
                    raise BleakError("the device paired but kept no bond")

        async def unpair(self) -> None:
            await host.bonds.delete(str(self._target))
            await self.disconnect()

        async def read_gatt_char(
            self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_options: Any
        ) -> bytearray:
            return bytearray(await self._request(characteristic.obj.read_value))

        async def read_gatt_descriptor(
            self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_options: Any
        ) -> bytearray:
            return bytearray(await self._request(descriptor.obj.read_value))

        async def write_gatt_char(
            self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
        ) -> None:
            await self._request(
                lambda: self._peer.gatt_client.write_value(characteristic.obj, bytes(data), with_response=response)
            )

        async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
            await self._request(
                lambda: self._peer.gatt_client.write_value(descriptor.obj, bytes(data), with_response=True)
            )

        async def start_notify(
            self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_options: Any
        ) -> None:
            def heard(value: bytes) -> None:
                callback(bytearray(value))

            # bumble registers the subscriber before it writes the CCCD: what a bonded meter sends in the instant of
            # encryption is heard.
            self._subscribers[characteristic.handle] = heard
            await self._request(lambda: self._peer.gatt_client.subscribe(characteristic.obj, heard, prefer_notify=True))
            if not self._link().is_encrypted:
                # Some meters take the subscription in clear and then wait for encryption in silence.
                await self._encrypt()

        async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
            heard = self._subscribers.pop(characteristic.handle, None)
            # force: writes zeros also for a subscription that an earlier connection left behind.
            await self._request(lambda: self._peer.gatt_client.unsubscribe(characteristic.obj, heard, force=True))

        def _link(self) -> Any:
            if self._connection is None:
                raise BleakError("Not connected")
            return self._connection

        def _gone(self, _reason: int) -> None:
            if self._connection is None:
                return
            self._ended.set()
            self._connection = self._peer = None
            self.services = None
            self._subscribers.clear()
            if self._disconnected_callback:
                self._disconnected_callback()

        async def _encrypt(self) -> bool:
            """Encrypt with the stored key. False if there is none, or if the device no longer knows it."""
            peer = str(self._link().peer_address)
            if await host.bonds.get(peer) is None:
                return False
            try:
                await self._while_connected(lambda: self._link().encrypt())
            except BleakError:
                if not may_pair or self._connection is None:
                    raise BleakGATTProtocolError(BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION) from None
                await host.bonds.delete(peer)
                return False
            return True

        async def _discover(self) -> None:
            found = BleakGATTServiceCollection()
            for service in await self._peer.discover_services():
                if self._services_wanted and full_uuid(service.uuid) not in self._services_wanted:
                    continue
                bleak_service = BleakGATTService(service, service.handle, full_uuid(service.uuid))
                found.add_service(bleak_service)
                for characteristic in await service.discover_characteristics():
                    bleak_characteristic = BleakGATTCharacteristic(
                        characteristic,
                        characteristic.handle,
                        full_uuid(characteristic.uuid),
                        list(gatt_char_props_to_strs(characteristic.properties)),
                        lambda: self.mtu_size - 3,
                        bleak_service,
                    )
                    found.add_characteristic(bleak_characteristic)
                    for descriptor in await characteristic.discover_descriptors():
                        found.add_descriptor(
                            BleakGATTDescriptor(
                                descriptor, descriptor.handle, full_uuid(descriptor.type), bleak_characteristic
                            )
                        )
            self.services = found

        async def _request(self, operation: Callable[[], Awaitable[_T]]) -> _T:
            """Run an ATT request; where the device asks for security, give it once and repeat."""
            try:
                return await self._while_connected(operation)
            except BleakGATTProtocolError as error:
                if error.code not in _WANTS_SECURITY or self._link().is_encrypted:
                    raise
            await self.pair()
            return await self._while_connected(operation)

        async def _while_connected(self, operation: Callable[[], Awaitable[_T]]) -> _T:
            """Run an operation; it ends with the link.

            bumble cancels only the request that is under way when the link goes: one about to be sent would wait
            30 s for an answer that cannot come, and a doctor with it.
            """
            self._link()
            running = asyncio.ensure_future(_bumble(operation()))
            gone = asyncio.ensure_future(self._ended.wait())
            try:
                await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
                if running.done() and not running.cancelled():
                    return running.result()
                raise BleakError("disconnected")
            finally:
                gone.cancel()
                running.cancel()

    return BumbleClient


async def _bumble(operation: Awaitable[_T]) -> _T:
    """Await, with bumble's errors as bleak's."""
    try:
        return await operation
    except att.ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except BaseBumbleError as error:
        raise BleakError(f"{type(error).__name__}: {error}") from error

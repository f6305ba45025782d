"""Bluetooth Low Energy: find a device, connect to it, pair with it.

The radio is the operating system's (bleak as it is), or a controller behind an HCI address (bleak on bumble): a
simulator, or a dongle without a Bluetooth stack. Pairing is not reading: ``connect`` never starts one, ``pair`` does.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zhenbao.drivers.links.gatt import GattLink
from zhenbao.model.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import BaseBleakScanner

    from zhenbao.drivers.links.bumble_host import BumbleHost
    from zhenbao.drivers.links.passkey import Passkey
    from zhenbao.drivers.links.tap import Tap

HCI = "hci:"
_CONNECT_S = 30.0
_STRANGER_S = 3.0
"""Where another device of the kind is heard, the kit's own has so long to show itself too."""


@dataclass(frozen=True, slots=True)
class Found:
    """A device that advertises now."""

    address: str
    name: str
    services: frozenset[str]
    handle: BLEDevice = field(compare=False, repr=False)


@asynccontextmanager
async def open_radio(address: str | None, keys: Path) -> AsyncIterator[Radio]:
    """Open the radio; closed on leaving.

    Args:
        address: None for the operating system's Bluetooth; else ``hci:`` and what bumble's ``open_transport`` takes:
            ``hci:tcp-client:127.0.0.1:9001``, ``hci:usb:0``, ``hci:serial:/dev/ttyACM0,1000000``.
        keys: file of the bonds made over an HCI address (readable for its owner alone); the operating system keeps
            its own.

    Raises:
        DeviceError: ``radio-address`` (not such an address), ``radio-absent``, ``radio-unsupported`` (bumble is not
            installed).
    """
    if address is None:
        yield Radio(None)
        return
    if not address.startswith(HCI):
        raise DeviceError("radio-address", address=address)
    try:
        from zhenbao.drivers.links.bumble_host import open_host
    except ModuleNotFoundError as error:
        raise DeviceError("radio-unsupported", address=address) from error
    async with open_host(address.removeprefix(HCI), keys) as host:
        yield Radio(host)


class Radio:
    """An open radio. Made by ``open_radio``."""

    def __init__(self, host: BumbleHost | None) -> None:
        self._host = host

    async def find(
        self,
        *services: str,
        timeout_s: float,
        name: str | None = None,
        address: str | None = None,
        own: bool = False,
    ) -> Found:
        """Wait until a device advertises.

        Args:
            services: 128-bit UUIDs; it must advertise one of them.
            name: only a device of this name.
            address: only this device; then the service is not asked for, as some bonded devices do not advertise it.
            own: only a device that is bonded with this kit: another kit's may have the same name and service.

        Raises:
            DeviceError: ``device-not-found`` after ``timeout_s``; ``not-paired`` (one is there, and the kit has no bond
                at all); ``device-other`` (one is there, and it is not one of this kit's); ``radio-off``.
        """
        import asyncio

        from bleak import BleakScanner
        from bleak.exc import BleakBluetoothNotAvailableError, BleakError

        stranger: Found | None = None
        try:
            async with asyncio.timeout(timeout_s) as limit, BleakScanner(backend=self._scanner()) as scanner:
                async for device, data in scanner.advertisement_data():
                    wanted = (
                        device.address.lower() == address.lower()
                        if address is not None
                        else not set(services).isdisjoint(data.service_uuids)
                        and name in (None, data.local_name, device.name)
                    )
                    if not wanted:
                        continue
                    label = data.local_name or device.name or ""
                    found = Found(device.address, label, frozenset(data.service_uuids), device)
                    if not own or await self._is_own(found):
                        return found
                    if stranger is None:
                        stranger = found
                        soon_s = asyncio.get_running_loop().time() + _STRANGER_S
                        limit.reschedule(min(limit.when() or soon_s, soon_s))
        except TimeoutError:
            if stranger is not None:
                if self._host is not None and not await self.bonds():
                    raise DeviceError("not-paired") from None
                raise DeviceError("device-other", device=stranger.name or stranger.address) from None
        except BleakBluetoothNotAvailableError as error:
            raise DeviceError("radio-off") from error
        except (BleakError, OSError, EOFError) as error:
            raise DeviceError("radio-absent", address="") from error
        raise DeviceError("device-not-found", seconds=round(timeout_s))

    async def around(self, seconds: float) -> list[Found]:
        """Everything that advertises within ``seconds``, each once, with all that its advertisements told together.

        Raises:
            DeviceError: ``radio-off``, ``radio-absent``.
        """
        import asyncio

        from bleak import BleakScanner
        from bleak.exc import BleakBluetoothNotAvailableError, BleakError

        seen: dict[str, Found] = {}
        try:
            async with asyncio.timeout(seconds), BleakScanner(backend=self._scanner()) as scanner:
                async for device, data in scanner.advertisement_data():
                    before = seen.get(device.address)
                    name = data.local_name or device.name or (before.name if before else "")
                    services = frozenset(data.service_uuids) | (before.services if before else frozenset())
                    seen[device.address] = Found(device.address, name, services, device)
        except TimeoutError:
            pass
        except BleakBluetoothNotAvailableError as error:
            raise DeviceError("radio-off") from error
        except (BleakError, OSError, EOFError) as error:
            raise DeviceError("radio-absent", address="") from error
        return list(seen.values())

    @asynccontextmanager
    async def connect(
        self, found: Found, *, may_pair: bool = False, timeout_s: float = _CONNECT_S, tap: Tap | None = None
    ) -> AsyncIterator[GattLink]:
        """Connect; disconnected on leaving.

        Args:
            tap: is told of everything that passes.
            may_pair: only a technician's flow sets it. Without it a device that wants a bond and has none raises
                ``not-paired``, here (operating system) or at the first protected access (HCI address).

        Raises:
            DeviceError: ``not-paired``, ``connect-failed``.
        """
        from bleak import BleakClient
        from bleak.exc import BleakError

        if self._host is None and not may_pair and _paired_by_system(found) is False:
            # BlueZ would start a pairing without digits by itself at the first protected access.
            raise DeviceError("not-paired")

        def gone(_client: BleakClient) -> None:
            link.disconnected()

        client = BleakClient(
            found.handle, disconnected_callback=gone, timeout=timeout_s, backend=self._client(may_pair)
        )
        link = GattLink(client, tap)
        try:
            await client.connect()
        except (BleakError, TimeoutError, OSError, EOFError) as error:
            raise DeviceError("connect-failed", device=found.name or found.address) from error
        try:
            yield link
        finally:
            await link.clear()
            try:
                await client.disconnect()
            except (BleakError, TimeoutError, OSError, EOFError):
                link.disconnected()

    async def pair(
        self,
        found: Found,
        *protected: str,
        passkey: Passkey | None = None,
        afterwards: Callable[[GattLink], Awaitable[None]] | None = None,
    ) -> None:
        """Make a bond, as a technician. The device must be in its pairing mode.

        Touching a protected characteristic makes the device ask for security, and that starts the pairing. It is
        touched by clearing its subscription: so no stored result is sent to the technician, and none is lost. A bond
        that BlueZ still keeps is dropped first: it would not pair again, though the device may have forgotten.

        Args:
            protected: 128-bit UUIDs of characteristics that notify or indicate (a driver's ``protected``); the first
                that the device has is touched.
            passkey: asks the technician for the digits that the device shows; None: only pairing without digits.
            afterwards: looks at the device that was just paired, while it is connected; subscribes to nothing.

        Raises:
            DeviceError: ``pairing-failed``, ``connect-failed``, ``gatt-missing``; ``pairing-agent``: BlueZ does not
                let this program pair for the technician.
        """
        if self._host is None and (path := _bluez_path(found)) is not None and _paired_by_system(found):
            from zhenbao.drivers.links.bluez import forget_bond

            await forget_bond(path)
            found = await self.find(*found.services, name=found.name or None, timeout_s=_CONNECT_S)
        try:
            async with self._answering(found, passkey), self.connect(found, may_pair=True) as link:
                if self._host is not None:
                    await link.unsubscribe(next(filter(link.has, protected), protected[0]))
                await link.secure()
                if afterwards is not None:
                    await afterwards(link)
        except DeviceError as error:
            if error.code in ("not-paired", "link-lost"):
                raise DeviceError("pairing-failed", device=found.name or found.address) from error
            raise

    async def bonds(self) -> list[str]:
        """Addresses of bonded devices; empty with the operating system's Bluetooth, which keeps them itself."""
        return [] if self._host is None else [address for address, _ in await self._host.bonds.get_all()]

    async def forget(self, address: str) -> None:
        """Forget a bond made over an HCI address. Harmless where there is none."""
        if self._host is not None:
            await self._host.bonds.delete(address)

    @asynccontextmanager
    async def _answering(self, found: Found, passkey: Passkey | None) -> AsyncIterator[None]:
        """While inside, whoever makes the bond may ask the technician for the digits."""
        if self._host is not None:
            self._host.passkey = passkey
            try:
                yield
            finally:
                self._host.passkey = None
        elif (path := _bluez_path(found)) is not None:
            from zhenbao.drivers.links.bluez import pairing_agent

            async with pairing_agent(path, passkey):
                yield
        else:
            yield

    async def _is_own(self, found: Found) -> bool:
        """Whether it is bonded with this kit; where the system does not tell, it may be."""
        if self._host is None:
            return _paired_by_system(found) is not False
        return await self._host.bonded(found.handle.details["address"])

    def _scanner(self) -> type[BaseBleakScanner] | None:
        if self._host is None:
            return None
        from zhenbao.drivers.links.bumble_backend import scanner_class

        return scanner_class(self._host)

    def _client(self, may_pair: bool) -> type[BaseBleakClient] | None:
        if self._host is None:
            return None
        from zhenbao.drivers.links.bumble_backend import client_class

        return client_class(self._host, may_pair=may_pair)


def _bluez_path(found: Found) -> str | None:
    """The device's D-Bus object, where the operating system's Bluetooth is BlueZ."""
    details: Any = found.handle.details
    return details.get("path") if isinstance(details, dict) else None


def _paired_by_system(found: Found) -> bool | None:
    """What BlueZ says of the device; None where the platform does not tell."""
    details: Any = found.handle.details
    paired = details.get("props", {}).get("Paired") if isinstance(details, dict) else None
    return None if paired is None else bool(paired)

"""A Bluetooth host without the operating system's: bumble on a controller behind an HCI address."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bumble.core import BaseBumbleError
from bumble.device import Device, DeviceConfiguration
from bumble.hci import Address
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport

from zhenbao.drivers.links.bond_keys import BondFile
from zhenbao.drivers.links.passkey import Passkey
from zhenbao.model.errors import DeviceError

_POWER_ON_S = (2.0, 5.0)
_POWER_OFF_S = 2.0


class BumbleHost:
    """One powered controller with its bonds."""

    def __init__(self, device: Any, bonds: BondFile) -> None:
        self.device = device
        self.bonds = bonds
        self.passkey: Passkey | None = None
        """Set while a technician pairs; without it only pairing without digits is possible."""
        device.keystore = bonds
        device.pairing_config_factory = self._pairing_config

    async def bonded(self, address: Any) -> bool:
        """Whether this device holds a bond with the kit; one that changes its address is known by its key."""
        resolver = self.device.address_resolver
        identity = resolver.resolve(address) if resolver is not None and address.is_resolvable else None
        known = (identity or address).to_string(False)
        return any(name.partition("/")[0] == known for name, _ in await self.bonds.get_all())

    def _pairing_config(self, _connection: Any) -> Any:
        # mitm=False lets the device decide: one that shows digits asks for them, one without a display does not.
        return PairingConfig(
            sc=True,
            mitm=False,
            bonding=True,
            delegate=PairingDelegate() if self.passkey is None else _Keyboard(self.passkey),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )


class _Keyboard(PairingDelegate):  # type: ignore[misc]  # bumble carries no types here
    def __init__(self, passkey: Passkey) -> None:
        super().__init__(PairingDelegate.KEYBOARD_INPUT_ONLY)
        self._passkey = passkey

    async def get_number(self) -> int | None:
        return await self._passkey()


@asynccontextmanager
async def open_host(transport_name: str, keys: Path) -> AsyncIterator[BumbleHost]:
    """Open a controller and switch it on; switched off and closed on leaving.

    Args:
        transport_name: what bumble's ``open_transport`` takes, for instance ``tcp-client:127.0.0.1:9001``, ``usb:0``.
        keys: file of the bonds.

    Raises:
        DeviceError: ``radio-absent``: nothing there, or it does not answer.
    """
    bonds = await asyncio.to_thread(BondFile, keys)
    transport, host = await _switched_on(transport_name, bonds)
    try:
        yield host
    finally:
        # A controller that is gone does not answer this either.
        with suppress(OSError, TimeoutError, BaseBumbleError):
            async with asyncio.timeout(_POWER_OFF_S):
                await host.device.power_off()
        await _close(transport)


async def _switched_on(transport_name: str, bonds: BondFile) -> tuple[Any, BumbleHost]:
    """A controller that answered. One that does not is opened again: a TCP server that is still busy with the end of
    the last connection swallows the first commands of the next."""
    cause: BaseException | None = None
    for patience_s in _POWER_ON_S:
        try:
            async with asyncio.timeout(patience_s):
                transport = await open_transport(transport_name)
        except (OSError, ValueError, TimeoutError, BaseBumbleError) as error:
            cause = error
            break
        configuration = DeviceConfiguration(name="Zhenbao", address=Address(bonds.own_address))
        device = Device.from_config_with_hci(configuration, transport.source, transport.sink)
        host = BumbleHost(device, bonds)
        try:
            async with asyncio.timeout(patience_s):
                await device.power_on()
        except (OSError, TimeoutError, BaseBumbleError) as error:
            cause = error
            await _close(transport)
        except asyncio.CancelledError:
            await _close(transport)
            raise
        else:
            return transport, host
    raise DeviceError("radio-absent", address=transport_name) from cause


async def _close(transport: Any) -> None:
    with suppress(OSError, BaseBumbleError):
        await transport.close()

"""BlueZ's adapter on the air of the simulated meters: a virtual controller of bumble's behind ``/dev/vhci``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bumble import hci
from bumble.controller import Controller
from bumble.link import LocalLink
from bumble.transport import open_transport
from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER = "/org/bluez/hci0"
BONDS = Path("/var/lib/bluetooth")
_POWER_ON_S = 30.0


@asynccontextmanager
async def bluez_adapter(link: LocalLink) -> AsyncIterator[MessageBus]:
    """``hci0``, powered on; gives a connection to the system bus."""
    transport = await open_transport("vhci")
    controller = Controller("bluez", host_source=transport.source, host_sink=transport.sink, link=link)
    # The virtual controller claims these and then answers them as an older one would (bumble issue 841).
    controller.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        await _power_on(bus)
        yield bus
    finally:
        bus.disconnect()
        await transport.close()


async def call(bus: MessageBus, path: str, interface: str, member: str, signature: str = "", *body: object) -> None:
    """Call a method of BlueZ.

    Raises:
        DBusError: it refused.
    """
    message = Message("org.bluez", path, interface, member, signature=signature, body=list(body))
    answer = await bus.call(message)
    if answer.message_type is MessageType.ERROR:
        raise DBusError(answer.error_name or "", str(answer.body))


async def forget(bus: MessageBus, address: str) -> None:
    """What ``bluetoothctl remove`` does."""
    await call(bus, ADAPTER, "org.bluez.Adapter1", "RemoveDevice", "o", device_path(address))


def device_path(address: str) -> str:
    """A device's D-Bus object."""
    return f"{ADAPTER}/dev_{address.replace(':', '_')}"


def bond_file(address: str) -> Path | None:
    """The file in which BlueZ keeps a device's bond; None: it has none."""
    for info in BONDS.glob(f"*/{address}/info"):
        if "LongTermKey]" in info.read_text(encoding="utf-8"):
            return info
    return None


async def _power_on(bus: MessageBus) -> None:
    properties = "org.freedesktop.DBus.Properties"
    powered = ("org.bluez.Adapter1", "Powered", Variant("b", True))
    async with asyncio.timeout(_POWER_ON_S):
        while True:
            try:
                await call(bus, ADAPTER, properties, "Set", "ssv", *powered)
            except DBusError:  # bluetoothd, or the adapter, is not there yet
                await asyncio.sleep(0.2)
            else:
                return

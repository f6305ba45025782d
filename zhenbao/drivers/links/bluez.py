"""What BlueZ leaves to the program that pairs: to answer for the person in front of it, and to drop a dead bond.

Without an agent BlueZ cannot pair a device that shows digits. Ours is registered while a technician pairs and at no
other time, and it answers for the one device that is being paired. BlueZ keeps the bond itself (``/var/lib/bluetooth``,
readable for root alone).

Source: BlueZ 5.66, ``doc/agent-api.txt`` and ``doc/adapter-api.txt``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbus_fast import BusType, DBusError, DBusFastError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

from zhenbao.drivers.links.passkey import Passkey
from zhenbao.model.errors import DeviceError

_PATH = "/zhenbao/pairing"
_AGENTS = ("/org/bluez", "org.bluez.AgentManager1")
_REJECTED, _CANCELED = "org.bluez.Error.Rejected", "org.bluez.Error.Canceled"


class PairingAgent(ServiceInterface):
    """``org.bluez.Agent1``. What it does not have (PIN codes, comparing numbers) it cannot be made to accept.

    Args:
        device: D-Bus object of the device that is being paired.
        passkey: asks the technician for its digits.
    """

    def __init__(self, device: str, passkey: Passkey | None) -> None:
        super().__init__("org.bluez.Agent1")
        self._device = device
        self._passkey = passkey
        self._asking: asyncio.Future[int | None] | None = None

    @dbus_method("RequestPasskey")
    async def request_passkey(self, device: DBusObjectPath) -> DBusUInt32:
        self._only_ours(device)
        if self._passkey is None:
            raise DBusError(_REJECTED, "nobody to ask")
        self._asking = asyncio.ensure_future(self._passkey())
        await asyncio.wait([self._asking])
        if self._asking.cancelled():
            raise DBusError(_CANCELED, "the device gave up")
        digits = self._asking.result()
        if digits is None:
            raise DBusError(_REJECTED, "the technician gave up")
        return digits

    @dbus_method("RequestAuthorization")
    def request_authorization(self, device: DBusObjectPath) -> None:
        """Asked where the device has neither a display nor keys and began the pairing itself."""
        self._only_ours(device)

    @dbus_method("Cancel")
    def cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    @dbus_method("Release")
    def release(self) -> None:
        """BlueZ ends; nothing is held."""

    def _only_ours(self, device: str) -> None:
        if device != self._device:
            raise DBusError(_REJECTED, "another device")


@asynccontextmanager
async def pairing_agent(device: str, passkey: Passkey | None) -> AsyncIterator[None]:
    """Answer BlueZ's questions about one device; unregistered on leaving, and the agent before it answers again.

    Args:
        device: its D-Bus object.
        passkey: asks the technician for the digits; None: only pairing without digits.

    Raises:
        DeviceError: ``pairing-agent``: BlueZ is not there, or does not take an agent from this program.
    """
    async with _system_bus() as bus:
        bus.export(_PATH, PairingAgent(device, passkey))
        # Only digits from its display tell the device from a program in between: they are asked for if they can be.
        capability = "NoInputNoOutput" if passkey is None else "KeyboardOnly"
        await _call(bus, _AGENTS, "RegisterAgent", "os", _PATH, capability)
        # The one who asks for the pairing is bleak on a connection of its own: only the default agent is asked then.
        await _call(bus, _AGENTS, "RequestDefaultAgent", "o", _PATH)
        yield


async def forget_bond(device: str) -> None:
    """Drop BlueZ's bond with a device. All that BlueZ knows of it goes with it: it has to be found anew.

    Raises:
        DeviceError: ``pairing-agent``: BlueZ is not there, or refuses.
    """
    async with _system_bus() as bus:
        adapter = (device.rpartition("/")[0], "org.bluez.Adapter1")
        await _call(bus, adapter, "RemoveDevice", "o", device)


@asynccontextmanager
async def _system_bus() -> AsyncIterator[MessageBus]:
    """BlueZ forgets an agent with the connection that registered it."""
    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        await bus.connect()
    except (OSError, DBusFastError) as error:
        raise DeviceError("pairing-agent") from error
    try:
        yield bus
    finally:
        bus.disconnect()


async def _call(bus: MessageBus, where: tuple[str, str], member: str, signature: str, *body: str) -> None:
    """Call a method of BlueZ; ``where`` is object and interface."""
    call = Message("org.bluez", *where, member, signature=signature, body=list(body))
    try:
        answer = await bus.call(call)
    except (OSError, EOFError, DBusFastError) as error:
        raise DeviceError("pairing-agent") from error
    if answer.message_type is MessageType.ERROR:
        raise DeviceError("pairing-agent")

"""The system's message bus (D-Bus), for reading: properties as plain values, everything with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from zhenbao.model.errors import DeviceError

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

_ANSWER_S = 5.0


@asynccontextmanager
async def system_bus(address: str | None = None) -> AsyncIterator[MessageBus]:
    """A connection to the system bus, or to the one at ``address``; closed on leaving.

    Raises:
        DeviceError: ``bus-absent``.
    """
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, InvalidAddressError

    bus = MessageBus(address, BusType.SYSTEM)
    try:
        async with asyncio.timeout(_ANSWER_S):
            await bus.connect()
    except (OSError, EOFError, TimeoutError, AuthError, InvalidAddressError) as error:
        raise DeviceError("bus-absent") from error
    try:
        yield bus
    finally:
        bus.disconnect()


async def call(
    bus: MessageBus, service: str, path: str, interface: str, member: str, signature: str = "", *arguments: object
) -> list[Any] | None:
    """Call a method; its results as plain values. None where nobody is there to answer, or it was refused.

    Raises:
        DeviceError: ``bus-silent``: no answer in 5 s, or the bus went away.
    """
    from dbus_fast import Message, MessageType
    from dbus_fast.unpack import unpack_variants

    message = Message(service, path, interface, member, signature=signature, body=list(arguments))
    try:
        async with asyncio.timeout(_ANSWER_S):
            reply = await bus.call(message)
    except (OSError, EOFError, TimeoutError) as error:
        raise DeviceError("bus-silent") from error
    if reply is None or reply.message_type is MessageType.ERROR:
        return None
    plain: list[Any] = unpack_variants(reply.body)
    return plain


async def properties(bus: MessageBus, service: str, path: str, interface: str) -> dict[str, Any]:
    """All properties of an interface; empty where nobody has it.

    Raises:
        DeviceError: ``bus-silent``.
    """
    found = await call(bus, service, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface)
    return dict(found[0]) if found else {}


def text(value: object) -> str:
    """A property that should be text; empty otherwise."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """A property that should be an integer; None otherwise."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def listed(value: object) -> list[Any]:
    """A property that should be a list; empty otherwise."""
    return value if isinstance(value, list) else []

"""Every way out of this machine that the system knows, put together: NetworkManager, ModemManager, or the AT port."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zhenbao.model.errors import DeviceError
from zhenbao.sync.uplink.at_port import read_modem
from zhenbao.sync.uplink.bus import system_bus
from zhenbao.sync.uplink.modem_manager import read_modems
from zhenbao.sync.uplink.network_manager import Connection, read_connections
from zhenbao.sync.uplink.state import Kind, Uplink

UNKNOWN = Uplink(Kind.OTHER)
"""Nobody can say how this machine is connected: it may be, and a probe will tell."""


@dataclass(frozen=True, slots=True)
class View:
    """What was seen in one look."""

    uplinks: tuple[Uplink, ...]
    """The system's own choice first."""
    trouble: tuple[DeviceError, ...] = ()
    """What could not be read, and why."""


def look(*, bus_address: str | None = None, modem_port: str = "") -> View:
    """Look once. For a thread without an event loop of its own.

    Args:
        bus_address: None: the system bus.
        modem_port: the AT port of a modem, read only where no ModemManager has a modem: a port has one master.
    """
    return asyncio.run(_look(bus_address, modem_port))


async def _look(bus_address: str | None, modem_port: str) -> View:
    connections: list[Connection] | None = None
    modems: dict[str, Uplink] = {}
    trouble = []
    try:
        async with system_bus(bus_address) as bus:
            connections = await read_connections(bus)
            modems = await read_modems(bus) or {}
    except DeviceError as error:
        trouble.append(error)
    if not modems and modem_port:
        try:
            modems = {"": await asyncio.to_thread(read_modem, modem_port)}
        except DeviceError as error:
            trouble.append(error)
    uplinks = together(connections or [], modems)
    if connections is None and not any(uplink.up for uplink in uplinks):
        uplinks = (*uplinks, UNKNOWN)
    return View(uplinks, tuple(trouble))


def together(connections: Sequence[Connection], modems: dict[str, Uplink]) -> tuple[Uplink, ...]:
    """Connections with what their modems tell, then the modems that carry none."""
    left = dict(modems)
    found = []
    for connection in connections:
        uplink = connection.uplink
        if uplink.kind is Kind.CELLULAR and (path := _modem_of(connection, left)) is not None:
            modem = left.pop(path)
            uplink = replace(
                modem,
                interface=uplink.interface or modem.interface,
                up=uplink.up,
                metered=uplink.metered,
                reach=uplink.reach,
            )
        found.append(uplink)
    return (*found, *left.values())


def _modem_of(connection: Connection, modems: dict[str, Uplink]) -> str | None:
    """The modem that NetworkManager names; else the only one there is."""
    if connection.modem_path in modems:
        return connection.modem_path
    return next(iter(modems)) if len(modems) == 1 else None

"""What NetworkManager knows of this machine's ways out (D-Bus API of NetworkManager 1.0 and later)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.sync.uplink.bus import listed, number, properties, text
from zhenbao.sync.uplink.state import Kind, Reach, Uplink

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

SERVICE = "org.freedesktop.NetworkManager"
_MANAGER = "/org/freedesktop/NetworkManager"
_ACTIVE = f"{SERVICE}.Connection.Active"
_DEVICE = f"{SERVICE}.Device"
_ACTIVATED = 2
"""NMActiveConnectionState."""
_KINDS = {
    "802-3-ethernet": Kind.ETHERNET,
    "802-11-wireless": Kind.WIFI,
    "gsm": Kind.CELLULAR,
    "cdma": Kind.CELLULAR,
}
"""By connection type; what is not here (tunnels, bridges, loopback) is built on one of these."""
_METERED = {1: True, 2: False, 3: True, 4: False}
"""NMMetered: yes, no, guessed yes, guessed no; 0 is unknown."""
_REACH = {1: Reach.NONE, 2: Reach.PORTAL, 3: Reach.LIMITED, 4: Reach.FULL}
"""NMConnectivityState; 0 is unknown."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One active connection."""

    uplink: Uplink
    primary: bool
    """Whether the system's own traffic goes this way."""
    modem_path: str = ""
    """Of a cellular one: its modem in ModemManager."""


async def read_connections(bus: MessageBus) -> list[Connection] | None:
    """Every active connection that leads out, the primary one first; None without a NetworkManager.

    Raises:
        DeviceError: ``bus-silent``.
    """
    manager = await properties(bus, SERVICE, _MANAGER, SERVICE)
    if not manager:
        return None
    primary = text(manager.get("PrimaryConnection"))
    reach = _REACH.get(number(manager.get("Connectivity")) or 0)
    metered = _METERED.get(number(manager.get("Metered")) or 0)
    found = []
    for path in listed(manager.get("ActiveConnections")):
        active = await properties(bus, SERVICE, path, _ACTIVE)
        kind = _KINDS.get(text(active.get("Type")))
        devices = listed(active.get("Devices"))
        if kind is None or not devices:
            continue
        device = await properties(bus, SERVICE, devices[0], _DEVICE)
        is_primary = path == primary if primary not in ("", "/") else active.get("Default") is True
        # The manager's own words are about the primary connection; a device's are about itself.
        own_metered = _METERED.get(number(device.get("Metered")) or 0)
        own_reach = _REACH.get(number(device.get("Ip4Connectivity")) or 0)
        uplink = Uplink(
            kind,
            text(device.get("IpInterface")) or text(device.get("Interface")),
            up=number(active.get("State")) == _ACTIVATED,
            metered=metered if own_metered is None and is_primary else own_metered,
            reach=reach if own_reach is None and is_primary else own_reach,
        )
        modem_path = text(device.get("Udi")) if kind is Kind.CELLULAR else ""
        found.append(Connection(uplink, is_primary, modem_path))
    return sorted(found, key=lambda connection: not connection.primary)

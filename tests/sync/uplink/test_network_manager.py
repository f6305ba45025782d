"""NetworkManager as python-dbusmock plays it, on a bus of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zhenbao.model.errors import DeviceError
from zhenbao.sync.uplink.bus import system_bus
from zhenbao.sync.uplink.network_manager import Connection, read_connections
from zhenbao.sync.uplink.state import Kind, Reach, Uplink

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import PrivateBus

pytestmark = pytest.mark.slow

NM, ROOT = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
MOCK = "org.freedesktop.DBus.Mock"
ACTIVE = f"{ROOT}/ActiveConnection"


async def read(address: str) -> list[Connection] | None:
    async with system_bus(address) as bus:
        return await read_connections(bus)


def add_wifi(bus: PrivateBus) -> None:
    bus.call(NM, ROOT, f"{MOCK}.AddWiFiDevice", "wifi", "wlan0", "100")
    bus.call(
        NM, ROOT, f"{MOCK}.AddAccessPoint", f"{ROOT}/Devices/wifi", "ap", "clinic", "00:23:F8:7E:12:BB",
        "2", "2425", "5400", "82", "0",
    )  # fmt: skip
    bus.call(NM, ROOT, f"{MOCK}.AddWiFiConnection", f"{ROOT}/Devices/wifi", "clinic", "clinic", "")
    bus.call(
        NM, ROOT, f"{MOCK}.AddActiveConnection", f"['{ROOT}/Devices/wifi']", f"{ROOT}/Settings/clinic",
        f"{ROOT}/AccessPoint/ap", "wifi", "2",
    )  # fmt: skip


def add_modem_connection(bus: PrivateBus, state: int = 2) -> None:
    """The template has no modem device: its objects are made from the mock's own verbs, as NetworkManager has them."""
    device, active = f"{ROOT}/Devices/modem", f"{ACTIVE}/modem"
    bus.call(
        NM, ROOT, f"{MOCK}.AddObject", device, f"{NM}.Device",
        "{'Interface': <'cdc-wdm0'>, 'IpInterface': <'wwan0'>, 'DeviceType': <uint32 8>, 'Metered': <uint32 0>,"
        " 'Udi': <'/org/freedesktop/ModemManager1/Modem/0'>, 'Ip4Connectivity': <uint32 3>}", "@a(ssss) []",
    )  # fmt: skip
    bus.call(
        NM, ROOT, f"{MOCK}.AddObject", active, f"{NM}.Connection.Active",
        f"{{'Type': <'gsm'>, 'State': <uint32 {state}>, 'Default': <false>, 'Devices': <[objectpath '{device}']>}}",
        "@a(ssss) []",
    )  # fmt: skip
    update(bus, f"{{'ActiveConnections': <[objectpath '{ACTIVE}/wifi', objectpath '{active}']>}}")


def update(bus: PrivateBus, properties: str) -> None:
    bus.call(NM, ROOT, f"{MOCK}.UpdateProperties", NM, properties)


async def test_no_connection(network_bus: PrivateBus) -> None:
    assert await read(network_bus.address) == []


async def test_wifi_is_the_way_and_tells_nothing_of_its_cost(network_bus: PrivateBus) -> None:
    add_wifi(network_bus)
    assert await read(network_bus.address) == [
        Connection(Uplink(Kind.WIFI, "wlan0", up=True, metered=None, reach=Reach.FULL), primary=True)
    ]


@pytest.mark.parametrize(("code", "metered"), [(0, None), (1, True), (2, False), (3, True), (4, False)])
async def test_what_a_byte_costs(network_bus: PrivateBus, code: int, metered: bool | None) -> None:
    add_wifi(network_bus)
    network_bus.call(
        NM, ROOT, f"{MOCK}.AddProperties", NM,
        f"{{'Metered': <uint32 {code}>, 'PrimaryConnection': <objectpath '{ACTIVE}/wifi'>}}",
    )  # fmt: skip
    (connection,) = await read(network_bus.address) or []
    assert connection.uplink.metered is metered


@pytest.mark.parametrize(
    ("code", "reach"), [(0, None), (1, Reach.NONE), (2, Reach.PORTAL), (3, Reach.LIMITED), (4, Reach.FULL)]
)
async def test_how_far_the_system_believes_one_gets(network_bus: PrivateBus, code: int, reach: Reach | None) -> None:
    add_wifi(network_bus)
    network_bus.call(NM, ROOT, f"{MOCK}.SetConnectivity", str(code))
    (connection,) = await read(network_bus.address) or []
    assert connection.uplink.reach is reach


async def test_two_ways_the_primary_one_first(network_bus: PrivateBus) -> None:
    add_wifi(network_bus)
    add_modem_connection(network_bus)
    network_bus.call(
        NM, ROOT, f"{MOCK}.AddProperties", NM,
        f"{{'Metered': <uint32 1>, 'PrimaryConnection': <objectpath '{ACTIVE}/modem'>}}",
    )  # fmt: skip
    modem, wifi = await read(network_bus.address) or []
    assert modem == Connection(
        Uplink(Kind.CELLULAR, "wwan0", up=True, metered=True, reach=Reach.LIMITED),
        primary=True,
        modem_path="/org/freedesktop/ModemManager1/Modem/0",
    )
    assert (wifi.primary, wifi.uplink.metered, wifi.uplink.reach) == (False, None, None)


async def test_a_connection_that_is_still_being_made_is_not_up(network_bus: PrivateBus) -> None:
    add_wifi(network_bus)
    add_modem_connection(network_bus, state=1)
    _, modem = await read(network_bus.address) or []
    assert modem.uplink.up is False


async def test_a_bus_without_a_network_manager(network_bus: PrivateBus) -> None:
    mock = network_bus.processes.pop()
    mock.terminate()
    mock.wait(timeout=10)
    assert mock.stderr is not None
    mock.stderr.close()
    assert await read(network_bus.address) is None


async def test_a_machine_without_a_bus(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as failed:
        await read(f"unix:path={tmp_path}/none")
    assert failed.value.code == "bus-absent"

"""ModemManager as python-dbusmock plays it, on a bus of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zhenbao.sync.uplink.bus import system_bus
from zhenbao.sync.uplink.modem_manager import read_modems
from zhenbao.sync.uplink.state import Kind, Radio, Registration, Signal, Sim, Uplink

if TYPE_CHECKING:
    from conftest import PrivateBus

pytestmark = pytest.mark.slow

MM, ROOT = "org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1"
MOCK = "org.freedesktop.DBus.Mock"
MODEM = f"{ROOT}/Modems/8"
BEARER = f"{ROOT}/Bearer/0"


async def read(address: str) -> dict[str, Uplink] | None:
    async with system_bus(address) as bus:
        return await read_modems(bus)


def update(bus: PrivateBus, interface: str, properties: str) -> None:
    bus.call(MM, MODEM, f"{MOCK}.UpdateProperties", f"{MM}.{interface}", properties)


def add_signal(bus: PrivateBus, **cells: tuple[float, float, float]) -> None:
    """The template has no Signal interface: it measures once Setup was called, as ModemManager does."""
    bus.call(MM, MODEM, f"{MOCK}.AddProperties", f"{MM}.Modem.Signal", "{'Rate': <uint32 0>, 'Lte': <@a{sv} {}>}")
    code = f"signal = self.props['{MM}.Modem.Signal']; signal['Rate'] = dbus.UInt32(args[0])"
    for cell, (rsrp, rsrq, snr) in cells.items():
        values = f"'rsrp': {rsrp:.1f}, 'rsrq': {rsrq:.1f}, 'snr': {snr:.1f}"
        code += f"; signal['{cell}'] = dbus.Dictionary({{{values}}}, signature='sv')"
    bus.call(MM, MODEM, f"{MOCK}.AddMethod", f"{MM}.Modem.Signal", "Setup", "u", "", code)


async def test_a_modem_without_permission_to_measure_has_no_signal(modem_bus: PrivateBus) -> None:
    modem_bus.call(MM, ROOT, f"{MOCK}.AddSimpleModem")
    modem_bus.call(MM, MODEM, f"{MOCK}.AddProperties", f"{MM}.Modem.Signal", "{'Rate': <uint32 0>}")
    code = "raise dbus.exceptions.DBusException('no', name='org.freedesktop.ModemManager1.Error.Core.Unauthorized')"
    modem_bus.call(MM, MODEM, f"{MOCK}.AddMethod", f"{MM}.Modem.Signal", "Setup", "u", "", code)
    (modem,) = (await read(modem_bus.address) or {}).values()
    assert (modem.signal, modem.radio) == (None, Radio.LTE)


async def test_no_modem(modem_bus: PrivateBus) -> None:
    assert await read(modem_bus.address) == {}


async def test_the_templates_modem_as_it_stands(modem_bus: PrivateBus) -> None:
    """Enabled, LTE, and nothing about its registration or signal in dBm: that stays unknown."""
    modem_bus.call(MM, ROOT, f"{MOCK}.AddSimpleModem")
    assert await read(modem_bus.address) == {
        MODEM: Uplink(Kind.CELLULAR, up=False, radio=Radio.LTE, sim=Sim.READY, plmn="00101")
    }


async def test_a_connected_nsa_modem(modem_bus: PrivateBus) -> None:
    modem_bus.call(MM, ROOT, f"{MOCK}.AddSimpleModem")
    add_signal(modem_bus, Lte=(-99, -14, 7), Nr5g=(-96, -10, 18))
    modem_bus.call(
        MM, ROOT, f"{MOCK}.AddObject", BEARER, f"{MM}.Bearer", "{'Connected': <true>, 'Interface': <'wwan0'>}",
        "@a(ssss) []",
    )  # fmt: skip
    modem_bus.call(MM, MODEM, f"{MOCK}.AddProperty", f"{MM}.Modem", "Bearers", f"<[objectpath '{BEARER}']>")
    modem_bus.call(MM, MODEM, f"{MOCK}.AddProperty", f"{MM}.Modem.Modem3gpp", "RegistrationState", "<uint32 1>")
    update(modem_bus, "Modem", "{'State': <int32 11>, 'AccessTechnologies': <uint32 49152>}")
    update(modem_bus, "Modem.Modem3gpp", "{'OperatorCode': <'46000'>}")
    assert await read(modem_bus.address) == {
        MODEM: Uplink(
            Kind.CELLULAR, "wwan0", up=True, radio=Radio.NSA, registration=Registration.HOME, sim=Sim.READY,
            plmn="46000", signal=Signal(-99, -14, 7), nr_signal=Signal(-96, -10, 18),
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    ("technologies", "radio", "signal"),
    [
        (1 << 15, Radio.SA, Signal(-92, -11, 18)),
        (1 << 14, Radio.LTE, None),
        (1 << 5, Radio.OLDER, None),
        (0, None, None),
    ],
)
async def test_the_technology(
    modem_bus: PrivateBus, technologies: int, radio: Radio | None, signal: Signal | None
) -> None:
    modem_bus.call(MM, ROOT, f"{MOCK}.AddSimpleModem")
    add_signal(modem_bus, Nr5g=(-92, -11, 18))
    update(modem_bus, "Modem", f"{{'AccessTechnologies': <uint32 {technologies}>}}")
    (modem,) = (await read(modem_bus.address) or {}).values()
    assert (modem.radio, modem.signal) == (radio, signal)


@pytest.mark.parametrize(
    ("state", "reason", "sim"),
    [
        (-1, 2, Sim.MISSING),
        (-1, 3, Sim.FAULT),
        (-1, 1, None),
        (2, 0, Sim.LOCKED),
        (8, 0, Sim.READY),
        (0, 0, None),
    ],
)
async def test_the_sim(modem_bus: PrivateBus, state: int, reason: int, sim: Sim | None) -> None:
    modem_bus.call(MM, ROOT, f"{MOCK}.AddSimpleModem")
    update(modem_bus, "Modem", f"{{'State': <int32 {state}>}}")
    modem_bus.call(MM, MODEM, f"{MOCK}.AddProperty", f"{MM}.Modem", "StateFailedReason", f"<uint32 {reason}>")
    (modem,) = (await read(modem_bus.address) or {}).values()
    assert modem.sim is sim
    assert modem.up is False

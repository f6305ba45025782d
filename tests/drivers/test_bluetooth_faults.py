"""Every cell of docs/devices/faults.md for Bluetooth devices, at the driver: simulated devices, bleak's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bumble.controller import Controller
from bumble.device import Device, DeviceConfiguration
from bumble.hci import Address
from bumble.transport.common import Transport
from fault_table import BATTERY, HANGS_UP, HELD, OTHER, UNPLUGGED, Cell

from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.links.ble import Found, Radio, open_radio
from zhenbao.drivers.links.gatt import GattLink
from zhenbao.drivers.oximeter.driver import PulseOximeter
from zhenbao.drivers.polar.driver import PolarH10
from zhenbao.drivers.scale.driver import WeighingScale
from zhenbao.drivers.thermometer.driver import Thermometer
from zhenbao.firmware_sim import oximeter as simulated
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.chest_strap import RATE_HZ, strap_of
from zhenbao.firmware_sim.cuff import BloodPressureMeter, Reading
from zhenbao.firmware_sim.glucose_meter import GlucoseMeter as SimulatedMeter
from zhenbao.firmware_sim.oximeter import Finger
from zhenbao.firmware_sim.peripheral import Peripheral
from zhenbao.firmware_sim.scale import BathroomScale
from zhenbao.firmware_sim.thermometer import ClinicalThermometer
from zhenbao.firmware_sim.waveforms.ecg import EcgModel
from zhenbao.model.errors import DeviceError

pytestmark = pytest.mark.slow
AT = datetime(2026, 11, 22, 10, 30)
OTHER_ADDRESS = "F0:00:00:00:99:99"


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: the device on the table, and its driver."""

    row: str
    make: Callable[..., Any]
    """Takes ``address``, where another one is wanted."""
    has_result: Callable[[Any], object]
    """It has something to tell, and shows itself."""
    driver: type[Any]
    read: Callable[[Any, GattLink], AsyncGenerator[Any, None]]
    bonds: bool = True


def _strap(**more: Any) -> Any:
    return strap_of(EcgModel(rate_bpm=72).render(60, RATE_HZ), speed=20, **more)


def _read(driver: Any, link: GattLink) -> AsyncGenerator[Any, None]:
    readings: AsyncGenerator[Any, None] = driver.read(link, timeout_s=0.4)
    return readings


KINDS = {
    kind.driver: kind
    for kind in (
        Kind(
            "Bluetooth cuff",
            BloodPressureMeter,
            lambda cuff: cuff.measure(150, 90, 110, 70, AT),
            BloodPressureCuff,
            _read,
        ),
        Kind(
            "Bluetooth meter", SimulatedMeter, lambda m: m.test_blood(7.8), GlucoseMeter, lambda d, link: d.read(link)
        ),
        Kind(
            "Bluetooth oximeter",
            partial(simulated.PulseOximeter, speed=50.0),
            lambda oximeter: oximeter.put_in(Finger(97, 70)),
            PulseOximeter,
            _read,
        ),
        Kind("thermometer, scale", ClinicalThermometer, lambda t: t.measure(38.5, AT), Thermometer, _read),
        Kind("thermometer, scale", BathroomScale, lambda scale: scale.weigh(64.5, AT), WeighingScale, _read),
        Kind("chest strap", _strap, lambda _: None, PolarH10, lambda d, link: d.read(link, duration_s=8), bonds=False),
    )
}


def cells(fault: str, codes: dict[type[Any], str]) -> tuple[list[Cell], Any]:
    """The cells that a test shows, and its parameters: the kind of device and the code that it ends with."""
    shown = [Cell(KINDS[driver].row, fault, code) for driver, code in codes.items()]
    return shown, pytest.mark.parametrize(
        ("kind", "code"), [pytest.param(KINDS[d], code, id=f"{d.name} {code}") for d, code in codes.items()]
    )


@asynccontextmanager
async def table(kind: Kind, keys: Path, device: Any) -> AsyncIterator[tuple[SimulatedAir, Radio]]:
    """The device, bonded with the kit where it bonds, with a result to tell."""
    async with SimulatedAir([device]) as air, open_radio(air.hci, keys) as radio:
        if kind.bonds:
            device.pairing_mode = True
            protected = kind.driver.protected
            await radio.pair(
                await radio.find(kind.driver.service, timeout_s=10),
                *([protected] if isinstance(protected, str) else protected),
            )
            device.pairing_mode = False
        kind.has_result(device)
        yield air, radio


async def found(radio: Radio, kind: Kind, *, timeout_s: float = 10) -> Found:
    return await radio.find(kind.driver.service, timeout_s=timeout_s, own=kind.bonds)


async def outcome(radio: Radio, kind: Kind, most: int = 100, *, own: bool | None = None) -> tuple[list[Any], str]:
    """What a reading gave, and the code that it ended with; a stream without end is left after ``most``."""
    driver, got = quick(kind), []
    own = kind.bonds if own is None else own
    try:
        async with (
            asyncio.timeout(30),
            radio.connect(await radio.find(kind.driver.service, timeout_s=10, own=own)) as link,
            aclosing(kind.read(driver, link)) as readings,
        ):
            async for reading in readings:
                got.append(reading)
                if len(got) == most:
                    break
    except DeviceError as error:
        return got, error.code
    return got, ""


def quick(kind: Kind) -> Any:
    """A driver of little patience."""
    driver = kind.driver()
    for patience in ("QUIET_S", "SILENT_S", "PROCEDURE_S", "SILENCE_S"):
        if hasattr(driver, patience):
            setattr(driver, patience, 0.5)
    return driver


async def quiet(device: Any) -> None:
    """It shows itself, and then no more."""
    await until(lambda: device._device.is_advertising)
    device.never_advertises = True
    device.changed()
    await until(lambda: not device._device.is_advertising)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - bumble tells nobody
            await asyncio.sleep(0.005)


ABSENT, absent = cells(UNPLUGGED, dict.fromkeys(KINDS, "device-not-found"))


@absent
async def test_a_device_that_shows_itself_no_more(keys: Path, kind: Kind, code: str) -> None:
    device = kind.make()
    async with table(kind, keys, device) as (_, radio):
        await quiet(device)
        with pytest.raises(DeviceError) as error:
            await found(radio, kind, timeout_s=0.3)
    assert error.value.code == code


GONE, gone = cells(UNPLUGGED, dict.fromkeys(KINDS, "connect-failed"))


@gone
async def test_a_device_that_leaves_between_showing_itself_and_the_link(keys: Path, kind: Kind, code: str) -> None:
    device = kind.make()
    async with table(kind, keys, device) as (_, radio):
        seen = await found(radio, kind)
        await quiet(device)
        with pytest.raises(DeviceError) as error:
            async with radio.connect(seen, timeout_s=0.3):
                pass
    assert error.value.code == code


LOST, lost = cells(UNPLUGGED, dict.fromkeys(KINDS, "link-lost"))


@lost
async def test_a_device_that_leaves_before_anything_was_asked(keys: Path, kind: Kind, code: str) -> None:
    device = kind.make()
    async with table(kind, keys, device) as (_, radio):
        async with radio.connect(await found(radio, kind)) as link:
            await device.hang_up()
            await until(lambda: not link.connected)
            with pytest.raises(DeviceError) as error:
                async for _ in kind.read(quick(kind), link):
                    pass
        assert error.value.code == code
        # Nothing was taken away: it tells its result the next time.
        got, _ = await outcome(radio, kind)
        assert got


BROKE_OFF, broke_off = cells(
    UNPLUGGED, {BloodPressureCuff: "cuff-broke-off", GlucoseMeter: "meter-lost", PolarH10: "strap-lost"}
)


@broke_off
async def test_a_device_that_leaves_in_the_middle(keys: Path, kind: Kind, code: str) -> None:
    if kind.driver is BloodPressureCuff:
        device = kind.make(live_pressure=True, speed=50.0)
        device.faults = replace(device.faults, hangs_up_inflating=True)
    elif kind.driver is GlucoseMeter:
        device = kind.make()
        for mmol_l in (5.1, 6.2, 7.3):
            device.test_blood(mmol_l)
        device.faults = replace(device.faults, drops_link_after=2)
    else:
        device = kind.make()
        device.faults = replace(device.faults, drop_link_at=(5,))
    async with table(kind, keys, device) as (_, radio):
        if kind.driver is BloodPressureCuff:
            device.waiting.clear()
            device.press_start(Reading(150, 90, 110, 70, AT), seconds=30)
            driver = BloodPressureCuff(on_pressure=lambda _: None)
            with pytest.raises(DeviceError) as error:
                async with radio.connect(await found(radio, kind)) as link:
                    [_ async for _ in driver.read(link, timeout_s=5)]
            assert error.value.code == code
            assert driver.pressures
        else:
            got, ended = await outcome(radio, kind)
            assert ended == code
            assert got, "what came before is kept"


SILENT, silent = cells(
    BATTERY,
    {
        BloodPressureCuff: "cuff-silent",
        GlucoseMeter: "meter-silent",
        PulseOximeter: "oximeter-silent",
        Thermometer: "thermometer-silent",
        WeighingScale: "scale-silent",
        PolarH10: "strap-silent",
    },
)


@silent
async def test_a_device_that_falls_silent(keys: Path, kind: Kind, code: str) -> None:
    device = kind.make()
    if kind.driver is GlucoseMeter:
        device.faults = replace(device.faults, hangs_after=0)
    elif kind.driver is PolarH10:
        device.faults = replace(device.faults, silent_after=3)
    else:
        device.faults = replace(device.faults, silent=True)
    async with table(kind, keys, device) as (_, radio):
        _, ended = await outcome(radio, kind)
    assert ended == code


HOST, host = cells(HELD, dict.fromkeys(KINDS, "device-not-found"))


@host
async def test_a_device_that_another_host_holds(keys: Path, kind: Kind, code: str) -> None:
    """A Bluetooth device speaks with one host: it shows itself no more while a telephone's program has it."""
    device = kind.make()
    async with table(kind, keys, device) as (air, radio):
        controller = Controller("telephone", link=air.link)
        transport = Transport(controller, controller)
        telephone = Device.from_config_with_hci(
            DeviceConfiguration(name="telephone", address=Address("F0:00:00:00:00:77")),
            transport.source,
            transport.sink,
        )
        await telephone.power_on()
        link = await telephone.connect(Address(device.address))
        await until(lambda: device.connection is not None and not device._device.is_advertising)
        with pytest.raises(DeviceError) as error:
            await found(radio, kind, timeout_s=0.3)
        assert error.value.code == code
        await link.disconnect()
        await until(lambda: device.connection is None)
        assert (await found(radio, kind)).address == device.address


NORMAL, normal = cells(HANGS_UP, {BloodPressureCuff: "", PulseOximeter: "", Thermometer: "", WeighingScale: ""})


@normal
async def test_a_device_that_hangs_up_once_it_has_told_its_result(keys: Path, kind: Kind, code: str) -> None:
    device = kind.make()
    if kind.driver is PulseOximeter:
        device.faults = replace(device.faults, hangs_up_after=3)
    else:
        device.faults = replace(device.faults, hangs_up_after_sending=True)
    async with table(kind, keys, device) as (_, radio):
        got, ended = await outcome(radio, kind)
    assert ended == code
    assert got


EARLY, early = cells(HANGS_UP, {GlucoseMeter: "meter-lost", PolarH10: "strap-lost"})


@early
async def test_a_device_that_hangs_up_too_early_goes_on_the_next_time(keys: Path, kind: Kind, code: str) -> None:
    device = kind.make()
    if kind.driver is GlucoseMeter:
        for mmol_l in (5.1, 6.2, 7.3):
            device.test_blood(mmol_l)
        device.faults = replace(device.faults, drops_link_after=3)
    else:
        device.faults = replace(device.faults, drop_link_at=(4,))
    async with table(kind, keys, device) as (_, radio):
        first, ended = await outcome(radio, kind)
        device.faults = type(device.faults)()
        again, then = await outcome(radio, kind)
    assert (ended, then) == (code, "")
    if kind.driver is GlucoseMeter:
        assert {r.device_key for r in first} < {r.device_key for r in again}
        assert len(again) == 4


STRANGER, stranger = cells(OTHER, {d: "device-other" for d in KINDS if KINDS[d].bonds})


@stranger
async def test_another_kits_device_of_the_same_name(keys: Path, kind: Kind, code: str) -> None:
    ours, theirs = kind.make(), kind.make(address=OTHER_ADDRESS)
    async with SimulatedAir([ours, theirs]) as air, open_radio(air.hci, keys) as radio:
        ours.pairing_mode = True
        protected = kind.driver.protected
        await radio.pair(
            await radio.find(kind.driver.service, timeout_s=10, address=ours.address),
            *([protected] if isinstance(protected, str) else protected),
        )
        await quiet(ours)
        ours.pairing_mode = False
        kind.has_result(theirs)
        with pytest.raises(DeviceError) as error:
            await found(radio, kind)
    assert error.value.code == code
    assert theirs.bonded_hosts == 0


UNPAIRED, unpaired = cells(OTHER, {d: "not-paired" for d in KINDS if KINDS[d].bonds})


@unpaired
async def test_a_device_that_was_never_paired_with_this_kit(keys: Path, kind: Kind, code: str) -> None:
    """However it is come by: not looked for as one's own, and asked without a bond, it is refused and starts none."""
    device = kind.make()
    async with SimulatedAir([device]) as air, open_radio(air.hci, keys) as radio:
        kind.has_result(device)
        for own in (True, False):
            _, ended = await outcome(radio, kind, own=own)
            assert ended == code
        assert device.bonded_hosts == 0


BY_ADDRESS, by_address = cells(OTHER, {PolarH10: "device-not-found"})


@by_address
async def test_another_persons_strap_is_not_this_kits_address(keys: Path, kind: Kind, code: str) -> None:
    theirs: Peripheral = kind.make(address=OTHER_ADDRESS)
    async with SimulatedAir([theirs]) as air, open_radio(air.hci, keys) as radio:
        with pytest.raises(DeviceError) as error:
            await radio.find(kind.driver.service, timeout_s=0.3, address="F0:00:00:00:18:0D")
    assert error.value.code == code


CELLS = [
    *ABSENT, *GONE, *LOST, *BROKE_OFF, *SILENT, *HOST, *NORMAL, *EARLY, *STRANGER, *UNPAIRED, *BY_ADDRESS,
]  # fmt: skip
"""What is shown here."""

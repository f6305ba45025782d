"""Thermometer and scale over real Bluetooth protocol: bleak's client against simulated devices that share no code."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.drivers.scale.driver import WeighingScale
from zhenbao.drivers.thermometer.driver import Thermometer
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.peripheral import Identity
from zhenbao.firmware_sim.scale import BathroomScale
from zhenbao.firmware_sim.spot_meter import SpotFaults, SpotMeter
from zhenbao.firmware_sim.thermometer import ClinicalThermometer
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

AT = datetime(2026, 11, 22, 10, 30)


async def bond(radio: Radio, driver: type[Thermometer | WeighingScale], meter: SpotMeter) -> None:
    meter.pairing_mode = True
    await radio.pair(await radio.find(driver.service, timeout_s=10), driver.protected)
    meter.pairing_mode = False


async def read(radio: Radio, driver: Thermometer | WeighingScale, *, timeout_s: float = 10) -> list:
    driver.QUIET_S = 0.2  # type: ignore[misc]
    async with radio.connect(await radio.find(driver.service, timeout_s=10)) as link:
        return [reading async for reading in driver.read(link, timeout_s=timeout_s)]


async def test_a_thermometer_is_read_in_its_unit_with_its_place(keys: Path) -> None:
    thermometer = ClinicalThermometer(fahrenheit=True)
    async with SimulatedAir([thermometer]) as air, open_radio(air.hci, keys) as radio:
        await bond(radio, Thermometer, thermometer)
        assert thermometer.delivered == []  # pairing takes no result away
        thermometer.measure(38.5, AT)
        thermometer.measure(None, None, site=None)
        first, failed = await read(radio, Thermometer())
    # 38.5 x 1.8 + 32 = 101.3
    assert (first.temperature, first.site) == (Quantity(101.3, "[degF]"), "ear")
    assert first.device_time == "2026-11-22T10:30:00"
    assert first.device == Device("thermometer-gatt", "Zhenbao Simulation", "TEMP-SIM", "TEMP-0001", "1.0.0")
    assert (failed.temperature, failed.site) == (None, "ear"), "the place is told once, by 2A1D"


async def test_an_and_scale_in_pounds_is_read_by_its_quirk(keys: Path) -> None:
    scale = BathroomScale(pounds=True, pound_steps=10, identity=Identity("A&D Medical", "UC-352BLE", "S9", "1"))
    async with SimulatedAir([scale]) as air, open_radio(air.hci, keys) as radio:
        await bond(radio, WeighingScale, scale)
        scale.weigh(31.2072, AT, user=2, bmi_and_height=(245, 680))
        (reading,) = await read(radio, WeighingScale())
    # The real scale of the vector: 68.8 lb
    assert reading.weight == Quantity(68.8, "[lb_av]")
    assert (reading.user, reading.bmi) == (2, Quantity(24.5, "kg/m2"))
    assert reading.device_key is not None
    assert reading.device_key.startswith("S9|2026-11-22T10:30:00|")


@pytest.mark.parametrize(
    ("driver", "meter", "code"),
    [
        pytest.param(Thermometer, ClinicalThermometer, "thermometer-silent", id="thermometer"),
        pytest.param(WeighingScale, BathroomScale, "scale-silent", id="scale"),
    ],
)
async def test_silence_and_a_missing_bond_are_told_apart(keys: Path, driver: type, meter: type, code: str) -> None:
    made = meter(faults=SpotFaults(silent=True))
    made.hold(bytes.fromhex("00b036"))
    async with SimulatedAir([made]) as air, open_radio(air.hci, keys) as radio:
        with pytest.raises(DeviceError) as error:
            await read(radio, driver(), timeout_s=1)
        assert error.value.code == "not-paired"
        assert made.bonded_hosts == 0
        await bond(radio, driver, made)
        with pytest.raises(DeviceError) as error:
            await read(radio, driver(), timeout_s=0.3)
        assert error.value.code == code
    assert len(made.waiting) == 1


async def test_a_wrong_frame_takes_no_other_result_away(keys: Path) -> None:
    scale = BathroomScale(faults=SpotFaults(hangs_up_after_sending=True))
    got = []
    async with SimulatedAir([scale]) as air, open_radio(air.hci, keys) as radio:
        await bond(radio, WeighingScale, scale)
        scale.hold(b"\0\1")
        scale.weigh(64.5, None)
        async with radio.connect(await radio.find(WeighingScale.service, timeout_s=10)) as link:
            readings = WeighingScale().read(link, timeout_s=10)
            got.append(await anext(readings))
            with pytest.raises(FrameError):
                await anext(readings)
    assert [reading.weight for reading in got] == [Quantity(64.5, "kg")]
    assert got[0].device_key is None

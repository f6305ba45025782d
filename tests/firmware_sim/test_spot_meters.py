"""The simulated thermometer and scale: bytes written by hand from the documents, faults one by one."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.body_layouts import Float32
from zhenbao.firmware_sim.scale import BathroomScale
from zhenbao.firmware_sim.spot_meter import SpotFaults, SpotMeter
from zhenbao.firmware_sim.thermometer import ClinicalThermometer

AT = datetime(2026, 11, 22, 10, 30)
DEADLINE_S = 10.0


async def bond(kit, meter: SpotMeter, hci: str):
    central = await kit.run(hci)
    meter.pairing_mode = True
    await central.connect(meter.address)
    await central.pair()
    meter.pairing_mode = False
    return central


@pytest.mark.parametrize(
    ("celsius", "at", "site", "fahrenheit", "expected"),
    [
        # 37.6 Cel = 376e-1: 78 01 00 ff
        pytest.param(37.6, None, None, False, "00 780100ff", id="plain"),
        pytest.param(37.6, AT, 3, False, "06 780100ff ea070b160a1e00 03", id="all fields"),
        # 99.7 F = 997e-1: e5 03 00 ff
        pytest.param(37.6, None, None, True, "01 e50300ff", id="Fahrenheit"),
        pytest.param(None, None, 3, False, "04 ffff7f00 03", id="failed: NaN"),
    ],
)
def test_bytes_of_the_thermometer(celsius, at, site, fahrenheit: bool, expected: str) -> None:
    thermometer = ClinicalThermometer(fahrenheit=fahrenheit)
    assert thermometer.measure(celsius, at, site) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("kilograms", "options", "expected"),
    [
        # 70 kg = 14000 x 0.005: b0 36
        pytest.param(70.0, {}, "00 b036", id="plain"),
        pytest.param(70.0, {"at": AT, "user": 2}, "06 b036 ea070b160a1e00 02", id="time and user"),
        pytest.param(70.0, {"bmi_and_height": (245, 1690)}, "08 b036 f500 9a06", id="BMI and height"),
        pytest.param(None, {}, "00 ffff", id="failed"),
    ],
)
def test_bytes_of_the_scale(kilograms, options: dict, expected: str) -> None:
    assert BathroomScale().weigh(kilograms, **{"at": None, **options}) == bytes.fromhex(expected)


def test_pounds_and_a_wrong_clock() -> None:
    # 70 kg = 154.32 lb: 48 3c; of an A&D 154.3: 07 06
    assert BathroomScale(pounds=True).weigh(70, None) == bytes.fromhex("01 483c")
    assert BathroomScale(pounds=True, pound_steps=10).weigh(70, None) == bytes.fromhex("01 0706")
    slow = BathroomScale(faults=SpotFaults(clock_offset=timedelta(days=-365)))
    assert slow.weigh(70, AT) == bytes.fromhex("02 b036 e9070b160a1e00")


def test_what_does_not_fit_a_float_is_refused() -> None:
    with pytest.raises(ValueError, match="FLOAT"):
        Float32(1 << 23)


async def test_a_bonded_host_gets_a_result_once(kit, until) -> None:
    scale = BathroomScale()
    scale.weigh(70, None)
    async with SimulatedAir([scale]) as air:
        central = await bond(kit, scale, air.hci)
        values = await central.subscribe(0x2A9D)
        async with asyncio.timeout(DEADLINE_S):
            assert bytes(await values.get()) == bytes.fromhex("00 b036")
        await until(lambda: scale.delivered)
    assert not scale.waiting


async def test_sent_twice_truncated_and_hung_up(kit, until) -> None:
    thermometer = ClinicalThermometer(faults=SpotFaults(sends_twice=True, truncated=3, hangs_up_after_sending=True))
    thermometer.measure(37.6, None, None)
    async with SimulatedAir([thermometer]) as air:
        central = await bond(kit, thermometer, air.hci)
        values = await central.subscribe(0x2A1C)
        async with asyncio.timeout(DEADLINE_S):
            assert [bytes(await values.get()) for _ in range(2)] == [bytes.fromhex("00 7801")] * 2
        await until(lambda: thermometer.connection is None)


async def test_it_hangs_up_before_sending_and_keeps_the_result(kit, until) -> None:
    thermometer = ClinicalThermometer(faults=SpotFaults(hangs_up_before_sending=True))
    thermometer.measure(37.6, None)
    async with SimulatedAir([thermometer]) as air:
        central = await bond(kit, thermometer, air.hci)
        values = await central.subscribe(0x2A1C)
        await until(lambda: thermometer.connection is None)
        assert values.empty()
    assert len(thermometer.waiting) == 1

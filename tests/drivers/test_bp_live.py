"""The pressure in the cuff while it inflates, over real Bluetooth protocol: the simulated cuff and bleak's client."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from bumble.core import UUID
from bumble.gatt import Service

from zhenbao.drivers.bp.codec import BloodPressure, CuffPressure
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.links.ble import open_radio
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.cuff import BloodPressureMeter, CuffFaults, Reading
from zhenbao.model.errors import DeviceError
from zhenbao.model.quantity import Quantity

READING = Reading(150, 92, 111, 66, datetime(2026, 11, 22, 10, 30))


async def measure(
    keys: Path, faults: CuffFaults, *, live: bool = True
) -> tuple[list[BloodPressure], list[CuffPressure], BloodPressureCuff, BloodPressureMeter]:
    """Pair, press START, and read while it inflates."""
    cuff = BloodPressureMeter(speed=50.0, live_pressure=True, faults=faults)
    heard: list[CuffPressure] = []
    driver = BloodPressureCuff(on_pressure=heard.append if live else None)
    driver.QUIET_S = 0.2  # type: ignore[misc]
    async with SimulatedAir([cuff]) as air, open_radio(air.hci, keys) as radio:
        cuff.pairing_mode = True
        await radio.pair(await radio.find(driver.service, timeout_s=10), driver.protected)
        cuff.pairing_mode = False
        cuff.press_start(READING, seconds=30)
        found = await radio.find(driver.service, timeout_s=10)
        async with radio.connect(found) as link:
            if faults.hangs_up_inflating:
                with pytest.raises(DeviceError, match="cuff-broke-off"):
                    [_ async for _ in driver.read(link, timeout_s=5)]
                readings = []
            else:
                readings = [reading async for reading in driver.read(link, timeout_s=5)]
    return readings, heard, driver, cuff


async def test_the_pressure_is_told_while_it_inflates_and_then_the_result(keys: Path) -> None:
    readings, heard, driver, cuff = await measure(keys, CuffFaults())
    assert [(r.systolic, r.diastolic) for r in readings] == [(Quantity(150, "mm[Hg]"), Quantity(92, "mm[Hg]"))]
    shown = [p.pressure.value for p in heard if p.pressure]
    assert len(shown) >= 5
    assert max(shown) > 150
    assert shown[-1] == 0
    assert {p.pressure.unit for p in heard if p.pressure} == {"mm[Hg]"}
    assert driver.refused_pressures == 0
    assert cuff.delivered == [READING]


async def test_kilopascal_stays_kilopascal(keys: Path) -> None:
    (reading,), heard, _, _ = await measure(keys, CuffFaults(kilopascal=True))
    # 150 mmHg = 20.0 kPa, 92 = 12.3
    assert (reading.systolic, reading.diastolic) == (Quantity(20.0, "kPa"), Quantity(12.3, "kPa"))
    assert max(p.pressure.value for p in heard if p.pressure) < 30
    assert {p.pressure.unit for p in heard if p.pressure} == {"kPa"}


async def test_garbled_pressures_cost_no_result(keys: Path) -> None:
    readings, heard, driver, _ = await measure(keys, CuffFaults(live_garbled=True))
    assert len(readings) == 1
    assert driver.refused_pressures >= 2
    assert len(heard) == driver.pressures >= 2


async def test_a_cuff_that_refuses_the_live_pressure_is_read_all_the_same(keys: Path) -> None:
    readings, heard, _, _ = await measure(keys, CuffFaults(live_refused=True))
    assert len(readings) == 1
    assert heard == []


async def test_who_does_not_ask_for_the_pressure_is_sent_none(keys: Path) -> None:
    readings, heard, driver, _ = await measure(keys, CuffFaults(), live=False)
    assert len(readings) == 1
    assert heard == []
    assert driver.pressures == 0


async def test_a_link_that_ends_while_it_inflates_is_told_apart_and_the_result_waits(keys: Path) -> None:
    readings, heard, _, cuff = await measure(keys, CuffFaults(hangs_up_inflating=True))
    assert readings == []
    assert heard
    assert cuff.delivered == []


async def test_a_pressure_that_never_ends_does_not_hold_the_doctor(air, cuff, keys: Path) -> None:
    """A second witness: a peripheral of the tests that sends its pressure for ever."""
    live = cuff.protected(0x2A36, cuff.measurement.properties.NOTIFY)
    cuff.device.add_service(Service(UUID.from_16_bits(0x1810), [live]))
    sending = True

    async def pump() -> None:
        while sending:
            if cuff.connection is not None:
                await cuff.device.notify_subscriber(cuff.connection, live, bytes.fromhex("00 7800 ff07 ff07"))
            await asyncio.sleep(0.02)

    async with open_radio(air.address, keys) as radio:
        driver = BloodPressureCuff(on_pressure=lambda _: None)
        driver.MEASURES_S = 0.3  # type: ignore[misc]
        await radio.pair(await radio.find(driver.service, timeout_s=10), driver.protected)
        pumping = asyncio.ensure_future(pump())
        found = await radio.find(driver.service, timeout_s=10)
        async with radio.connect(found) as link:
            with pytest.raises(DeviceError) as error:
                [_ async for _ in driver.read(link, timeout_s=2)]
        sending = False
        await pumping
    assert error.value.code == "cuff-broke-off"
    assert driver.pressures >= 5

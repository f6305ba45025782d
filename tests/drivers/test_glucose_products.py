"""Single products over real Bluetooth protocol: numbers that run backwards, clocks of their own, a full memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from zhenbao.drivers.glucose.clock import contour_time, current_time
from zhenbao.drivers.glucose.codec import GlucoseReading, numbers_follow_time
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.links.ble import open_radio
from zhenbao.firmware_sim import glucose_meter as sim
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.glucose_meter import GlucoseFaults, GlucoseRecord
from zhenbao.firmware_sim.peripheral import Identity
from zhenbao.model.errors import DeviceError
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import BEIJING

MORNING = datetime(2026, 11, 22, 7, 5)
ISENS = Identity("i-SENS", "CareSens N", "S-1", "1.2.4")
CONTOUR = Identity("Ascensia", "Contour Next ONE", "C-1", "1.0")
INSTANT = Identity("Roche", "Accu-Chek Instant", "R-1", "1.0")


def history(n: int) -> list[GlucoseRecord]:
    return [GlucoseRecord.mg_dl(i, MORNING + timedelta(hours=i), 60 + i) for i in range(1, n + 1)]


@asynccontextmanager
async def paired(meter: sim.GlucoseMeter, keys: Path) -> AsyncIterator[tuple[GlucoseMeter, object]]:
    """A driver and its link to a meter that a technician has paired."""
    async with SimulatedAir([meter]) as air, open_radio(air.hci, keys) as radio:
        meter.pairing_mode = True
        found = await radio.find(GlucoseMeter.service, timeout_s=10)
        await radio.pair(found, GlucoseMeter.protected)
        meter.pairing_mode = False
        found = await radio.find(GlucoseMeter.service, timeout_s=10)
        async with radio.connect(found) as link:
            yield GlucoseMeter(), link


async def fetch(meter: sim.GlucoseMeter, keys: Path, after: int | None = None) -> list[GlucoseReading]:
    async with paired(meter, keys) as (driver, link):
        return [reading async for reading in driver.read(link, after_sequence=after)]


async def test_a_full_memory_of_five_hundred(keys: Path) -> None:
    readings = await fetch(sim.GlucoseMeter(history(500), identity=INSTANT), keys)
    assert [r.concentration for r in readings[:540]] == [
        Quantity(60 + n, "mg/dL") if 60 + n <= 600 else Quantity(600, "mg/dL", ">") for n in range(1, 501)
    ]
    assert len({r.device_key for r in readings}) == 500


async def test_numbers_that_run_backwards_lose_and_double_nothing(tmp_path: Path) -> None:
    """Every number changes with a new result; the new one has the lowest number of all."""
    faults = GlucoseFaults(reversed_sequence=True)
    meter = sim.GlucoseMeter(history(5), identity=ISENS, faults=faults)
    before = await fetch(meter, tmp_path / "1.json")
    meter.add_record(GlucoseRecord.mg_dl(6, MORNING + timedelta(hours=6), 300))
    after = await fetch(meter, tmp_path / "2.json", after=5)
    new = [r for r in after if r.device_key not in {b.device_key for b in before}]
    assert [(r.sequence, r.concentration) for r in new] == [(1, Quantity(300, "mg/dL"))]
    assert meter.requests == [bytes.fromhex("0101")] * 2
    assert not numbers_follow_time(after)


async def test_repeated_numbers_and_repeated_records(tmp_path: Path) -> None:
    faults = GlucoseFaults(duplicate_sequence=True, sends_twice=True)
    readings = await fetch(sim.GlucoseMeter(history(6), identity=INSTANT, faults=faults), tmp_path / "keys.json")
    assert [r.concentration.value for r in readings if r.concentration] == [61, 62, 63, 64, 65, 66]
    assert [r.sequence for r in readings] == [1, 1, 2, 2, 3, 3]
    assert not numbers_follow_time(readings)  # "newer than 3" would lose the next one


async def test_a_contour_is_asked_from_a_number_on(tmp_path: Path) -> None:
    meter = sim.GlucoseMeter(history(3), identity=CONTOUR, clock_kind="contour", faults=GlucoseFaults(only_newer=True))
    first = await fetch(meter, tmp_path / "1.json")
    later = await fetch(meter, tmp_path / "2.json", after=2)
    assert ([r.sequence for r in first], [r.sequence for r in later]) == ([1, 2, 3], [3])
    assert [r.hex() for r in meter.requests] == ["0103010000", "0103010300"]
    assert numbers_follow_time(first)


@pytest.mark.parametrize(
    ("kind", "identity", "told"),
    [("current-time", INSTANT, True), ("date-time", INSTANT, True), ("contour", CONTOUR, False)],
)
async def test_a_clock_is_read_where_it_can_be_and_set_by_a_technician(
    kind: sim.ClockKind, identity: Identity, told: bool, tmp_path: Path
) -> None:
    meter = sim.GlucoseMeter(history(2), identity=identity, clock_kind=kind, clock_offset_s=7200)
    async with paired(meter, tmp_path / "keys.json") as (driver, link):
        [_ async for _ in driver.read(link)]
        assert driver.device_offset_s == (pytest.approx(7200, abs=2) if told else None)
        assert meter.clock_offset_s == 7200  # reading sets nothing
        before_s = await driver.set_clock(link)
    assert before_s == (pytest.approx(7200, abs=2) if told else None)
    assert abs(meter.clock_offset_s) < 2


@pytest.mark.parametrize(("kind", "identity"), [("none", INSTANT), ("current-time", ISENS)])
async def test_a_clock_that_is_not_known_is_not_touched(
    kind: sim.ClockKind, identity: Identity, tmp_path: Path
) -> None:
    meter = sim.GlucoseMeter(history(1), identity=identity, clock_kind=kind, clock_offset_s=7200)
    async with paired(meter, tmp_path / "keys.json") as (driver, link):
        with pytest.raises(DeviceError) as error:
            await driver.set_clock(link)
    assert error.value.code == "meter-clock-closed"
    assert meter.clock_offset_s == 7200


def test_the_bytes_of_a_clock() -> None:
    """Field by field: 2026-11-22 10:35:07.5 in Beijing, a Sunday; in UTC 02:35:07, 480 minutes behind."""
    moment = datetime(2026, 11, 22, 10, 35, 7, 500_000, BEIJING)
    assert current_time(moment) == bytes.fromhex("ea07 0b 16 0a 23 07 07 80 02")
    assert contour_time(moment) == bytes.fromhex("01 ea07 0b 16 02 23 07 e001")
    with pytest.raises(ValueError, match="zone"):
        contour_time(datetime(2026, 11, 22))

"""A OneTouch Ultra2 on a pseudo-terminal: what is asked, what becomes of each record, and what goes wrong."""

from datetime import datetime, timedelta

import pytest

from zhenbao.drivers.glucose.codec import GlucoseReading
from zhenbao.drivers.glucose.onetouch.driver import OneTouchUltra2
from zhenbao.drivers.links.serial import open_serial
from zhenbao.firmware_sim.serial_meters import onetouch as sim
from zhenbao.firmware_sim.serial_meters.onetouch import OneTouchFaults, Stored
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

MORNING = datetime(2026, 11, 22, 7, 5, 9)
RECORDS = [
    Stored(MORNING, 107, meal="B"),
    Stored(MORNING + timedelta(hours=2), 300, meal="A", comment=7),
    Stored(MORNING + timedelta(hours=3), 601),
    Stored(MORNING + timedelta(hours=4), 19),
    Stored(MORNING + timedelta(hours=5), 110, control=True),
    Stored(MORNING + timedelta(hours=6), 120, damaged=True),
]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneTouchUltra2, "PATIENCE_S", 0.3)


async def read(meter: sim.OneTouchUltra2) -> tuple[list[GlucoseReading], str | None, OneTouchUltra2]:
    readings: list[GlucoseReading] = []
    driver = OneTouchUltra2()
    async with open_serial(meter.port, driver.baud) as link:
        try:
            async for reading in driver.read(link):
                readings.append(reading)
        except (DeviceError, FrameError) as error:
            return readings, error.code, driver
    return readings, None, driver


@pytest.mark.parametrize("mmol_display", [False, True])
async def test_the_whole_memory_in_mg_dl_whatever_the_display_shows(mmol_display: bool) -> None:
    with sim.OneTouchUltra2(RECORDS, mmol_display=mmol_display) as meter:
        readings, error, driver = await read(meter)
    assert error is None
    assert [(r.concentration, r.reason) for r in readings] == [
        (Quantity(120, "mg/dL"), "record-damaged"),
        (Quantity(110, "mg/dL"), "control-solution"),
        (Quantity(20, "mg/dL", "<"), None),
        (Quantity(600, "mg/dL", ">"), None),
        (Quantity(300, "mg/dL"), None),
        (Quantity(107, "mg/dL"), None),
    ]
    assert [r.context.meal if r.context else None for r in readings[-2:]] == ["after-meal", "before-meal"]
    assert readings[-1].device_time == "2026-11-22T07:05:09"
    assert {r.display_unit for r in readings} == {"mmol/L" if mmol_display else "mg/dL"}
    assert driver.device == Device("glucose-onetouch", "LifeScan", "OneTouch Ultra2", "ZBS000SIY", "P02.00.00 30/08/06")
    assert {r.device for r in readings} == {driver.device}
    assert meter.requests == ["DM@", "DM?", "DMF", "DMP"]  # nothing is set, nothing erased


async def test_a_result_keeps_its_name_while_the_memory_moves() -> None:
    with sim.OneTouchUltra2(RECORDS) as meter:
        before, _, _ = await read(meter)
        meter.records = [*RECORDS[1:], Stored(MORNING + timedelta(days=1), 95)]
        after, _, _ = await read(meter)
    assert len({r.device_key for r in before}) == 6
    assert len({r.device_key for r in before} & {r.device_key for r in after}) == 5


async def test_equal_records_are_two_results() -> None:
    with sim.OneTouchUltra2([Stored(MORNING, 100), Stored(MORNING, 100)]) as meter:
        readings, _, _ = await read(meter)
        again, _, _ = await read(meter)
    assert len({r.device_key for r in readings}) == 2
    assert [r.device_key for r in readings] == [r.device_key for r in again]


@pytest.mark.parametrize("offset_s", [0.0, -86400.0, 5400.0])
async def test_its_clock_is_measured_not_set(offset_s: float) -> None:
    with sim.OneTouchUltra2(RECORDS, clock_offset_s=offset_s) as meter:
        _, _, driver = await read(meter)
    assert driver.device_offset_s == pytest.approx(offset_s, abs=2)


async def test_an_empty_memory_is_no_error() -> None:
    with sim.OneTouchUltra2() as meter:
        assert (await read(meter))[:2] == ([], None)


@pytest.mark.parametrize(
    "faults",
    [OneTouchFaults(wrong_sum_once=True), OneTouchFaults(drops_line_once=True), OneTouchFaults(deaf_once=True)],
)
async def test_what_fails_once_costs_nothing(faults: OneTouchFaults) -> None:
    with sim.OneTouchUltra2(RECORDS, faults=faults) as meter:
        readings, error, _ = await read(meter)
    assert (len(readings), len({r.device_key for r in readings}), error) == (6, 6, None)


async def test_what_stays_damaged_takes_no_other_away() -> None:
    with sim.OneTouchUltra2(RECORDS, faults=OneTouchFaults(wrong_sum_always=True)) as meter:
        readings, error, _ = await read(meter)
    assert (len(readings), error) == (5, "frame")
    assert meter.requests.count("DMP") == OneTouchUltra2.TRIES


async def test_dates_in_another_order_reach_no_chart() -> None:
    with sim.OneTouchUltra2(RECORDS, faults=OneTouchFaults(day_first=True)) as meter:
        readings, error, _ = await read(meter)
    assert error is None
    assert len(readings) == 6
    assert {r.device_time for r in readings} == {None}
    assert {r.verdict for r in readings} == {"quarantine"}


async def test_a_dead_meter_is_told() -> None:
    with sim.OneTouchUltra2(RECORDS, faults=OneTouchFaults(dead=True)) as meter:
        assert (await read(meter))[:2] == ([], "meter-silent")


async def test_another_meter_is_told() -> None:
    with sim.OneTouchUltra2(RECORDS, serial="ZBS000SIX") as meter:
        assert (await read(meter))[:2] == ([], "frame")


@pytest.mark.slow
async def test_a_pulled_cable_leaves_what_came() -> None:
    with sim.OneTouchUltra2(RECORDS) as whole:
        good, _, _ = await read(whole)
        total = len(whole.sent)
    for cut in range(0, total, 29):
        with sim.OneTouchUltra2(RECORDS, faults=OneTouchFaults(cut_after_bytes=cut)) as meter:
            readings, error, _ = await read(meter)
        assert error == "serial-lost"
        assert [r.device_key for r in readings] == [r.device_key for r in good][: len(readings)]
        assert len(readings) < 6


async def test_a_technician_sets_its_clock() -> None:
    with sim.OneTouchUltra2(RECORDS, clock_offset_s=7200) as meter:
        driver = OneTouchUltra2()
        async with open_serial(meter.port, driver.baud) as link:
            assert await driver.set_clock(link) == pytest.approx(7200, abs=2)
        assert abs(meter.clock_offset_s) < 3
        assert len(meter.records) == 6

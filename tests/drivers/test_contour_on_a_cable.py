"""A Contour meter on a pseudo-terminal: the whole dialogue, and a line that fails at every place."""

from datetime import datetime, timedelta

import pytest

from zhenbao.drivers.glucose.codec import GlucoseReading
from zhenbao.drivers.glucose.contour.driver import ContourMeter
from zhenbao.drivers.links.serial import open_serial
from zhenbao.firmware_sim.serial_meters import contour as sim
from zhenbao.firmware_sim.serial_meters.contour import ContourFaults, Stored
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

MORNING = datetime(2026, 11, 22, 7, 5)
RECORDS = [
    Stored(MORNING, "107", "B"),
    Stored(MORNING + timedelta(hours=2), "300", "A/M0/T1"),
    Stored(MORNING + timedelta(hours=3), "601", ">"),
    Stored(MORNING + timedelta(hours=4), "9", "<"),
    Stored(MORNING + timedelta(hours=5), "110", "C"),
    Stored(MORNING + timedelta(hours=6), "120"),
    Stored(MORNING + timedelta(hours=6), "120"),
]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContourMeter, "OFFER_S", 0.05)
    monkeypatch.setattr(ContourMeter, "PATIENCE_S", 0.5)


async def read(meter: sim.ContourMeter) -> tuple[list[GlucoseReading], str | None, ContourMeter]:
    readings: list[GlucoseReading] = []
    driver = ContourMeter()
    async with open_serial(meter.port, driver.baud) as link:
        try:
            async for reading in driver.read(link):
                readings.append(reading)
        except (DeviceError, FrameError) as error:
            return readings, error.code, driver
    return readings, None, driver


async def test_the_whole_memory() -> None:
    with sim.ContourMeter(RECORDS) as meter:
        readings, error, driver = await read(meter)
    assert error is None
    assert [(r.concentration, r.reason) for r in readings] == [
        (Quantity(107, "mg/dL"), None),
        (Quantity(300, "mg/dL"), None),
        (Quantity(600, "mg/dL", ">"), None),
        (Quantity(10, "mg/dL", "<"), None),
        (Quantity(110, "mg/dL"), "control-solution"),
        (Quantity(120, "mg/dL"), None),
        (Quantity(120, "mg/dL"), None),
    ]
    assert [r.context.meal if r.context else None for r in readings[:3]] == ["before-meal", "after-meal", None]
    assert driver.device == Device("glucose-contour", "Ascensia", "Contour7150", "7150-SIM0001", "01.10/02.20/03.30")
    assert len({r.device_key for r in readings}) == 7  # two equal results in one minute are two
    assert set(meter.heard) == {0x04, 0x06}  # nudged and acknowledged, nothing else


async def test_a_meter_in_mmol_l_is_read_in_mmol_l() -> None:
    with sim.ContourMeter([Stored(MORNING, "16.7"), Stored(MORNING, "33.4", ">")], mmol=True) as meter:
        readings, error, _ = await read(meter)
    assert error is None
    assert [r.concentration for r in readings] == [Quantity(16.7, "mmol/L"), Quantity(33.3, "mmol/L", ">")]


async def test_five_hundred_records() -> None:
    records = [Stored(MORNING + timedelta(hours=n), str(60 + n % 300)) for n in range(500)]
    with sim.ContourMeter(records) as meter:
        readings, error, _ = await read(meter)
    assert error is None
    assert [r.concentration for r in readings] == [Quantity(60 + n % 300, "mg/dL") for n in range(500)]
    assert len({r.device_key for r in readings}) == 500


async def test_a_result_keeps_its_name_while_the_memory_moves() -> None:
    with sim.ContourMeter(RECORDS) as meter:
        before, _, _ = await read(meter)
        meter.records = [*RECORDS[1:], Stored(MORNING + timedelta(days=1), "95")]
        after, _, _ = await read(meter)
    assert len({r.device_key for r in before} & {r.device_key for r in after}) == 6


@pytest.mark.parametrize("offset_s", [0.0, -86400.0, 5400.0])
async def test_its_clock_is_measured_to_half_a_minute(offset_s: float) -> None:
    with sim.ContourMeter(RECORDS, clock_offset_s=offset_s) as meter:
        _, _, driver = await read(meter)
    assert driver.device_offset_s == pytest.approx(offset_s, abs=32)


@pytest.mark.parametrize(
    "faults",
    [
        *(
            pytest.param(ContourFaults(wrong_sum_once=n), id=f"wrong sum of frame {n}, once")
            for n in (1, 2, 3, 8, 9, 10)
        ),
        pytest.param(ContourFaults(busy_first=3), id="busy at first"),
        pytest.param(ContourFaults(deaf_to_ack=1), id="header's acknowledgement lost"),
        pytest.param(ContourFaults(deaf_to_ack=4), id="a result's acknowledgement lost"),
        pytest.param(ContourFaults(deaf_to_ack=10), id="the end's acknowledgement lost"),
        pytest.param(ContourFaults(begins_anew_after=5), id="begins anew"),
        pytest.param(ContourFaults(header_first=True), id="header before the offer"),
    ],
)
async def test_what_fails_once_costs_nothing_and_doubles_nothing(faults: ContourFaults) -> None:
    with sim.ContourMeter(RECORDS, faults=faults) as meter:
        readings, error, _ = await read(meter)
    assert (len(readings), len({r.device_key for r in readings}), error) == (7, 7, None)


@pytest.mark.parametrize(
    ("faults", "readings", "code"),
    [
        pytest.param(ContourFaults(dead=True), 0, "meter-silent", id="dead"),
        pytest.param(ContourFaults(always_busy=True), 0, "meter-busy", id="busy for ever"),
        pytest.param(ContourFaults(wrong_sum_always=1), 0, "frame", id="header never right"),
        pytest.param(ContourFaults(wrong_sum_always=5), 2, "frame", id="a result never right"),
        pytest.param(ContourFaults(stops_after=5), 3, "meter-lost", id="ends too early"),
    ],
)
async def test_what_fails_for_good_is_told_and_leaves_what_came(
    faults: ContourFaults, readings: int, code: str
) -> None:
    with sim.ContourMeter(RECORDS, faults=faults) as meter:
        came, error, _ = await read(meter)
    assert (len(came), error) == (readings, code)


@pytest.mark.slow
async def test_a_cable_pulled_at_any_byte_leaves_whole_results_only() -> None:
    few = RECORDS[:2]
    with sim.ContourMeter(few) as whole:
        good, _, _ = await read(whole)
        total = len(whole.sent)
    for cut in range(0, total, 7):
        with sim.ContourMeter(few, faults=ContourFaults(cut_after_bytes=cut)) as meter:
            readings, error, _ = await read(meter)
        assert error in ("serial-lost", "meter-lost")
        assert [r.device_key for r in readings] == [r.device_key for r in good][: len(readings)]


async def test_a_technician_asks_who_it_is() -> None:
    with sim.ContourMeter(RECORDS) as meter:
        driver = ContourMeter()
        async with open_serial(meter.port, driver.baud) as link:
            assert (await driver.identify(link)).serial == "7150-SIM0001"
        readings, error, _ = await read(meter)  # left in mid-transfer, it can be read again
    assert (len(readings), error) == (7, None)

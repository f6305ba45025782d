"""A Beurer BM65: its records against the layout that another project noted, and the cuff on a pty with its faults."""

import contextlib
import tomllib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.bp.codec import BloodPressure
from zhenbao.drivers.bp_beurer.codec import decode, description
from zhenbao.drivers.bp_beurer.driver import BAUD, BeurerCuff
from zhenbao.drivers.links.serial import open_serial
from zhenbao.firmware_sim.serial_cuff import DESCRIPTION, SerialCuff, SerialCuffFaults, StoredReading
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "bp_beurer.toml").read_text(encoding="utf-8"))
GOOD = bytes.fromhex(VECTORS["vector"][0]["hex"])
MEMORY = (
    StoredReading(128, 80, 72, datetime(2026, 11, 22, 10, 30)),
    StoredReading(151, 95, 66, datetime(2026, 11, 21, 7, 5)),
    StoredReading(118, 70, 80, datetime(2026, 11, 20, 21, 59)),
)
EXPECTED = [(128, 80), (151, 95), (118, 70)]


@pytest.mark.parametrize("vector", VECTORS["vector"], ids=lambda v: v["hex"])
def test_agrees_with_the_layout_that_another_project_noted(vector: dict[str, object]) -> None:
    decoded = decode(bytes.fromhex(str(vector["hex"])))
    assert decoded.systolic == Quantity(float(str(vector["systolic"])), "mm[Hg]")
    assert decoded.diastolic == Quantity(float(str(vector["diastolic"])), "mm[Hg]")
    assert decoded.pulse == Quantity(float(str(vector["pulse"])), "/min")
    assert decoded.device_time == vector["time"]
    assert (decoded.mean, decoded.user, decoded.status) == (None, None, frozenset())


@pytest.mark.parametrize(
    ("offset", "value", "expected"),
    [
        pytest.param(1, 0x37, "below the systolic", id="systolic = diastolic"),
        pytest.param(3, 0, "pulse", id="no pulse"),
        pytest.param(4, 13, "exists", id="month 13"),
        pytest.param(5, 31, "exists", id="31 November"),
        pytest.param(6, 24, "exists", id="hour 24"),
        pytest.param(7, 60, "exists", id="minute 60"),
    ],
)
def test_what_cannot_be_is_refused(offset: int, value: int, expected: str) -> None:
    with pytest.raises(FrameError, match=expected):
        decode(GOOD[:offset] + bytes([value]) + GOOD[offset + 1 :])


@pytest.mark.parametrize("frame", [*(GOOD[:n] for n in range(9)), GOOD + b"\0"])
def test_only_nine_bytes_are_a_record(frame: bytes) -> None:
    with pytest.raises(FrameError):
        decode(frame)


@given(st.binary(max_size=12))
def test_any_bytes_decode_or_raise_frame_error(frame: bytes) -> None:
    with contextlib.suppress(FrameError):
        reading = decode(frame)
        assert reading.systolic and reading.diastolic and reading.systolic.value > reading.diastolic.value


@given(st.binary(max_size=32))
def test_a_description_is_printable(answer: bytes) -> None:
    assert description(answer).isprintable()


async def read(cuff: SerialCuff, driver: BeurerCuff) -> AsyncIterator[BloodPressure]:
    driver.ANSWER_S = 0.15  # type: ignore[misc]
    async with open_serial(cuff.port, BAUD) as link:
        async for reading in driver.read(link):
            yield reading


def pressures(readings: list[BloodPressure]) -> list[tuple[float, float]]:
    return [(r.systolic.value, r.diastolic.value) for r in readings if r.systolic and r.diastolic]


async def test_all_records_with_the_device_and_a_key_each() -> None:
    with SerialCuff(MEMORY) as cuff:
        driver = BeurerCuff("cable-7")
        readings = [r async for r in read(cuff, driver)]
    assert pressures(readings) == EXPECTED
    assert driver.device == Device("bp-beurer-serial", "Beurer", DESCRIPTION, "cable-7")
    assert all(r.device == driver.device for r in readings)
    assert [r.device_time for r in readings] == ["2026-11-22T10:30:00", "2026-11-21T07:05:00", "2026-11-20T21:59:00"]
    keys = {r.device_key for r in readings}
    assert len(keys) == 3 and None not in keys
    assert driver.set_aside == []
    assert {c[:1] for c in cuff.asked} == {b"\xaa", b"\xa4", b"\xa2", b"\xa3"}, "nothing else is ever sent"


async def test_reading_twice_gives_the_same_keys_and_deletes_nothing() -> None:
    with SerialCuff(MEMORY) as cuff:
        first = [r.device_key async for r in read(cuff, BeurerCuff("c"))]
        again = [r.device_key async for r in read(cuff, BeurerCuff("c"))]
    assert first == again
    assert len(cuff.memory) == 3


async def test_an_empty_cuff() -> None:
    with SerialCuff([]) as cuff:
        assert [r async for r in read(cuff, BeurerCuff())] == []


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(SerialCuffFaults(flip_every=3), id="every third record has a wrong bit"),
        pytest.param(SerialCuffFaults(deaf_hellos=2), id="wakes up slowly"),
    ],
)
async def test_faults_that_cost_nothing(faults: SerialCuffFaults) -> None:
    with SerialCuff(MEMORY, faults) as cuff:
        driver = BeurerCuff()
        assert pressures([r async for r in read(cuff, driver)]) == EXPECTED
    assert driver.set_aside == []


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        pytest.param(SerialCuffFaults(always_flipped=2), "unstable", id="never the same twice"),
        pytest.param(SerialCuffFaults(short_record=2), "short", id="too short"),
    ],
)
async def test_a_doubtful_record_is_set_aside_with_the_reason_and_the_others_come(
    faults: SerialCuffFaults, reason: str
) -> None:
    with SerialCuff(MEMORY, faults) as cuff:
        driver = BeurerCuff()
        assert pressures([r async for r in read(cuff, driver)]) == [EXPECTED[0], EXPECTED[2]]
    (aside,) = driver.set_aside
    assert (aside.number, aside.reason) == (2, reason)
    assert len(aside.raw) == driver.TRIES


async def test_a_line_that_is_wrong_every_second_time_gives_nothing_at_all() -> None:
    """The wrong answers agree with each other as well as the right ones do."""
    with SerialCuff(MEMORY, SerialCuffFaults(flip_every=2)) as cuff:
        driver = BeurerCuff()
        assert [r async for r in read(cuff, driver)] == []
    assert [(a.number, a.reason) for a in driver.set_aside] == [(1, "unstable"), (2, "unstable"), (3, "unstable")]


async def test_a_record_that_is_no_measurement_is_set_aside() -> None:
    impossible = bytes.fromhex("ac6737480d160a1e1a")
    with SerialCuff([MEMORY[0], impossible]) as cuff:
        driver = BeurerCuff()
        assert pressures([r async for r in read(cuff, driver)]) == EXPECTED[:1]
    assert [(a.number, a.reason, a.raw) for a in driver.set_aside] == [(2, "impossible", (impossible,))]


async def test_noise_on_the_line_never_becomes_a_reading() -> None:
    with SerialCuff(MEMORY, SerialCuffFaults(noise_before=1)) as cuff:
        driver = BeurerCuff()
        assert [r async for r in read(cuff, driver)] == []
    assert [a.reason for a in driver.set_aside] == ["misplaced"] * 3


@pytest.mark.parametrize(
    ("faults", "code", "before"),
    [
        pytest.param(SerialCuffFaults(silent=True), "cuff-cable-silent", 0, id="off"),
        pytest.param(SerialCuffFaults(greeting=0x06), "cuff-cable-other", 0, id="another device on such a cable"),
        pytest.param(SerialCuffFaults(silent_from=2), "cuff-cable-broke-off", 1, id="falls silent"),
        pytest.param(SerialCuffFaults(count=5), "cuff-cable-broke-off", 3, id="claims more than it has"),
        pytest.param(SerialCuffFaults(pulled_at=3), "serial-lost", 2, id="cable pulled"),
    ],
)
async def test_what_came_before_the_fault_is_kept(faults: SerialCuffFaults, code: str, before: int) -> None:
    with SerialCuff(MEMORY, faults) as cuff:
        readings = read(cuff, BeurerCuff())
        received = [await anext(readings) for _ in range(before)]
        with pytest.raises(DeviceError) as error:
            await anext(readings)
    assert error.value.code == code
    assert pressures(received) == EXPECTED[:before]


def test_the_simulator_writes_the_same_bytes_as_the_notes() -> None:
    assert bytes(MEMORY[0]) == GOOD

"""Contec spirometers (unverified): frames laid out by hand from the one known source, and a simulated device on a pty.

No bytes of a real device are known. These tests hold the code to the written layout; they do not show that the layout
is right.
"""

import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.contec import codec, frame
from zhenbao.drivers.contec.driver import ContecSpirometer, FetchedTest
from zhenbao.drivers.links.serial import open_serial
from zhenbao.firmware_sim import contec as sim
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "contec_sp10.toml").read_text(encoding="utf-8"))
VECTOR, POINT = VECTORS["record"][0], VECTORS["curve"][0]
RECORD, WAVE = (bytes.fromhex(v["hex"]) for v in (VECTOR, POINT))
RECORD += bytes([sum(RECORD) % 128])
WAVE += bytes([sum(WAVE) % 128])


def test_a_record_by_the_written_layout() -> None:
    test = codec.decode_record(RECORD)
    assert (test.number, test.kind, test.device_time) == (VECTOR["number"], VECTOR["kind"], VECTOR["time"])
    assert (test.sex_code, test.age_years, test.height_cm) == (0, VECTOR["age"], VECTOR["height_cm"])
    assert test.numbers == VECTOR["numbers"]
    summary = test.summary(Device("contec-sp10"))
    assert (summary.sex, summary.stage, summary.age_years, summary.height_cm) == (None, None, 60.0, 168.0)
    assert summary.values["FEV1"].measured == 1.72
    assert summary.values["FEV1"].unit == "L"


def test_a_point_of_a_curve_by_the_written_layout() -> None:
    part = codec.decode_wave(WAVE)
    assert (part.time_s, part.flow_l_s, part.volume_l) == (
        (POINT["time_s"],),
        (POINT["flow_l_s"],),
        (POINT["volume_l"],),
    )


def test_the_count_has_fourteen_bits() -> None:
    assert codec.decode_count(frame.summed(0xE0, 5, 1, *([0] * 6))) == 133


@pytest.mark.parametrize("at", range(1, 44))
def test_a_bent_record_is_refused(at: int) -> None:
    bent = RECORD[:at] + bytes([RECORD[at] ^ 1]) + RECORD[at + 1 :]
    with pytest.raises(FrameError):
        codec.decode_record(bent)


def test_a_flow_that_nobody_breathes_is_refused() -> None:
    wild = frame.summed(*WAVE[:7], 0x7F, 0x7F, *WAVE[9:11])
    with pytest.raises(FrameError, match="breathe"):
        codec.decode_wave(wild)


def test_a_date_that_cannot_be_is_no_date() -> None:
    wrong = frame.summed(*RECORD[:6], 13, *RECORD[7:43])
    assert codec.decode_record(wrong).device_time is None


@given(data=st.binary(max_size=60))
def test_any_bytes_decode_or_raise_frame_error(data: bytes, decoded_or_refused: "Decoded") -> None:
    for decode in (codec.decode_count, codec.decode_record, codec.decode_wave):
        decoded_or_refused(decode, data)
    list(frame.Decoder().feed(data))


@given(st.lists(st.integers(1, 30), max_size=20))
def test_chunking_never_matters(cuts: list[int]) -> None:
    stream = bytes.fromhex("f070 f373") + RECORD + b"\xf2" + WAVE
    decoder, got, at = frame.Decoder(), [], 0
    for cut in [*cuts, len(stream)]:
        got += decoder.feed(stream[at : at + cut])
        at += cut
    assert got == [bytes.fromhex("f070"), b"\xf3", RECORD, b"\xf2", WAVE]


def test_a_frame_inside_a_torn_one_is_found() -> None:
    decoder = frame.Decoder()
    assert list(decoder.feed(RECORD[:20] + WAVE)) == [WAVE]
    assert decoder.bad_sums == 1


CURVE = [(round(0.01 * k, 3), round(6 * math.exp(-k / 60), 3), round(0.01 * k, 3)) for k in range(1, 251)]
NUMBERS = {"fvc": 310, "fev1": 172, "ratio": 555, "pef": 388}


def stored(number: int) -> sim.SimulatedTest:
    return sim.SimulatedTest(number, (26, 11, 27, 9, 30, number), NUMBERS, CURVE)


async def fetch(device: sim.ContecSpirometer, driver: ContecSpirometer) -> list[FetchedTest]:
    driver.ANSWER_S = 0.5  # type: ignore[misc]
    got: list[FetchedTest] = []
    with device:
        async with open_serial(device.port) as link:
            async for test in driver.read(link):
                got.append(test)
    return got


@pytest.mark.parametrize("no_empty_part", [False, True], ids=["an empty part ends a curve", "nothing ends a curve"])
async def test_stored_tests_come_with_their_curves_and_stay_on_the_device(no_empty_part: bool) -> None:
    device = sim.ContecSpirometer(
        [stored(1), stored(2), stored(3)], faults=sim.ContecFaults(no_empty_part=no_empty_part), chunk_bytes=9
    )
    got = await fetch(device, ContecSpirometer())
    assert [t.test.number for t in got] == [1, 2, 3]
    for test in got:
        assert test.test.numbers == {"FVC": 3.1, "FEV1": 1.72, "FEV1FVC": 55.5, "PEF": 3.88}
        assert test.curve is not None
        assert list(zip(test.curve.time_s, test.curve.flow_l_s, test.curve.volume_l, strict=True)) == CURVE
    assert len(device.tests) == 3
    assert all(order[:2] != bytes.fromhex("917f") for order in device.heard.orders)
    assert device.heard.orders[0] == bytes.fromhex("8000")
    assert device.heard.orders[-1] == frame.summed(0x91, 0x7E, 0x01)


async def test_a_bent_test_is_told_and_the_others_come() -> None:
    device = sim.ContecSpirometer([stored(1), stored(2)], faults=sim.ContecFaults(wild_curve=1))
    first, second = await fetch(device, ContecSpirometer())
    assert first.curve is None
    assert "breathe" in first.curve_refused
    assert second.curve is not None


async def test_an_empty_device_has_nothing() -> None:
    assert await fetch(sim.ContecSpirometer([]), ContecSpirometer()) == []


async def test_a_silent_device_says_so() -> None:
    with pytest.raises(DeviceError) as ended:
        await fetch(sim.ContecSpirometer([stored(1)], faults=sim.ContecFaults(silent=True)), ContecSpirometer())
    assert ended.value.code == "spirometer-silent"

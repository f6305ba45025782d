"""HealthyPi boards: frames laid out by hand from the documented layout, and a simulated board on a pty."""

import time
import tomllib
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.ecg.strip import StripEnd, StripEvent, StripHead, StripSamples, assemble_strip
from zhenbao.drivers.healthypi.driver import HealthyPi5
from zhenbao.drivers.healthypi.frame import Damage, Decoder, EcgCounts, decode_payload
from zhenbao.drivers.links.serial import open_serial
from zhenbao.firmware_sim.healthypi import HealthyPi, HealthyPiFaults
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.recording import NO_VALUE, Recording

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "healthypi5.toml").read_text(encoding="utf-8"))[
    "vector"
]
SAMPLE, BLOCK, OXIMETER, V4 = (bytes.fromhex(vector["hex"]) for vector in VECTORS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["what"][:24])
def test_frames_by_the_documented_layout(vector: dict[str, Any]) -> None:
    told = [EcgCounts(tuple(vector["ecg"]))] if vector["ecg"] else []
    if "variant" in vector:
        told = [EcgCounts(tuple(vector["ecg"]), vector["electrode_status"], vector["variant"])]
    assert list(Decoder().feed(bytes.fromhex(vector["hex"]))) == told


@given(st.lists(st.integers(1, 30), max_size=40))
def test_chunking_never_matters(cuts: list[int]) -> None:
    stream = SAMPLE + BLOCK + OXIMETER + SAMPLE
    decoder, got, at = Decoder(), [], 0
    for cut in [*cuts, len(stream)]:
        got += decoder.feed(stream[at : at + cut])
        at += cut
    assert got == [EcgCounts((12345,)), EcgCounts(tuple(range(-4, 4))), EcgCounts((12345,))]


@given(st.binary(max_size=200))
def test_any_bytes_give_samples_or_damage_and_the_next_frames_count(noise: bytes) -> None:
    decoder = Decoder()
    list(decoder.feed(noise))
    # A half header in the noise may cost the frames that stand in its length, no more.
    events = list(decoder.feed(SAMPLE * 4))
    assert [e for e in events if isinstance(e, EcgCounts)][-1:] == [EcgCounts((12345,))]


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_payload_decodes_or_raises_frame_error(type_: int, payload: bytes) -> None:
    try:
        decode_payload(type_, payload)
    except FrameError:
        return
    assert (type_, len(payload)) in {(2, 20), (2, 22), (3, 50), (4, 19)}


def test_what_was_lost_between_frames_is_told() -> None:
    events = list(Decoder().feed(b"\x0b" + SAMPLE + SAMPLE[:10] + SAMPLE))
    assert events == [EcgCounts((12345,)), Damage(10), EcgCounts((12345,))]


def test_a_bent_footer_costs_its_own_frame() -> None:
    bent = SAMPLE[:-1] + b"\x7f"
    assert list(Decoder().feed(SAMPLE + bent + SAMPLE)) == [
        EcgCounts((12345,)),
        Damage(len(SAMPLE)),
        EcgCounts((12345,)),
    ]


SPEED = 20.0
COUNTS = (1000 * np.sin(np.arange(2000) / 20)).round().astype(int).tolist()


async def record(board: HealthyPi, driver: HealthyPi5, seconds: float = 8.0) -> list[StripEvent]:
    events: list[StripEvent] = []
    with board:
        async with open_serial(board.port) as link:
            async for event in driver.read(link, duration_s=seconds):
                events.append(event)
    return events


def driver_of(rate_hz: int = 125) -> HealthyPi5:
    return HealthyPi5(rate_hz, 2000, monotonic_s=lambda: time.monotonic() * SPEED)


def together(events: list[StripEvent]) -> Recording:
    (head,) = [e for e in events if isinstance(e, StripHead)]
    return assemble_strip(
        head,
        [e for e in events if isinstance(e, StripSamples)],
        next((e for e in events if isinstance(e, StripEnd)), None),
        id=UUID(int=1),
        observation_id=UUID(int=2),
        started_ms=0,
    )


def misplaced(values: np.ndarray) -> float:
    """Share of the samples that do not stand where the truth (its phase taken from the first one) has them."""
    best = 1.0
    truth = np.array(COUNTS * 2) * 2 / 1000
    for phase in range(2000):
        there = ~np.isnan(values)
        best = min(best, float((np.abs(values - truth[phase : phase + len(values)])[there] > 1e-6).mean()))
        if best == 0:
            break
    return best


@pytest.mark.parametrize("kind", ["sample", "block", "v4"])
async def test_a_strip_arrives_whole_and_in_millivolts(kind: str) -> None:
    driver = driver_of()
    recording = together(await record(HealthyPi(COUNTS, kind=kind, speed=SPEED, chunk_bytes=7), driver))  # type: ignore[arg-type]
    assert (recording.fs_hz, recording.channels, recording.complete) == (125.0, ("single-channel",), True)
    assert recording.n_samples == 1000
    assert misplaced(recording.values()[0]) == 0
    assert driver.device.model == ("HealthyPi 4" if kind == "v4" else "HealthyPi 5")


async def test_the_rate_is_checked_against_the_clock() -> None:
    driver = driver_of(125)
    await record(HealthyPi(COUNTS, rate_hz=140, speed=SPEED), driver, 16)
    assert driver.measured_rate_hz == pytest.approx(140, rel=0.05)


@pytest.mark.parametrize(
    "faults", [HealthyPiFaults(footer_every=40), HealthyPiFaults(drop_every=31)], ids=["bent footers", "half frames"]
)
async def test_damage_is_a_gap_and_the_rest_stands_in_its_place(faults: HealthyPiFaults) -> None:
    driver = driver_of()
    recording = together(await record(HealthyPi(COUNTS, speed=SPEED, faults=faults), driver))
    assert not recording.complete
    assert 20 <= driver.damaged <= 35
    assert misplaced(recording.values()[0]) == 0


async def test_an_electrode_that_is_off_leaves_no_value() -> None:
    driver = driver_of()
    board = HealthyPi(COUNTS, kind="v4", speed=SPEED, faults=HealthyPiFaults(lead_off=(0, 10**9)))
    samples = np.frombuffer(together(await record(board, driver, 2)).samples, "<i2")
    assert (samples == NO_VALUE).all()
    assert driver.lead_off >= 250


async def test_a_silent_board_says_so() -> None:
    driver = driver_of()
    driver.SILENCE_S = 0.4  # type: ignore[misc]
    with pytest.raises(DeviceError) as ended:
        await record(HealthyPi(COUNTS, speed=SPEED, faults=HealthyPiFaults(silent_after=50)), driver)
    assert ended.value.code == "healthypi-silent"

"""Journaled pieces to one recording."""

import random
import struct
from uuid import UUID

import numpy as np
import pytest

from zhenbao.drivers.frontend.assemble import assemble
from zhenbao.drivers.frontend.messages import EcgSamples, End, EndReason, FlowSamples, Stream, StreamHead
from zhenbao.drivers.frontend.tracker import lost_stretches
from zhenbao.model.ecg import LEADS
from zhenbao.model.recording import NO_VALUE, Recording

HEAD = StreamHead(Stream.ECG, 500, 12, 0.0025, 0.05, 150.0)
FLOW = StreamHead(Stream.FLOW, 100, 1, 0.001, 0.0, None, False, 23.5, 101325, 40.5)
FINISHED = End(Stream.ECG, EndReason.FINISHED, 100)


def ecg(first: int, n: int = 25, **marks: frozenset[str]) -> EcgSamples:
    """Lead k of sample i carries i * 12 + k."""
    return EcgSamples(first, struct.pack(f"<{12 * n}h", *range(first * 12, (first + n) * 12)), **marks)


def build(
    chunks: list[EcgSamples] | list[FlowSamples], end: End | None, head: StreamHead = HEAD, **more: object
) -> Recording:
    return assemble(head, chunks, end, id=UUID(int=1), observation_id=UUID(int=2), started_ms=1_000, **more)  # type: ignore[arg-type]


def raw(recording: Recording) -> np.ndarray:
    return np.frombuffer(recording.samples, "<i2").reshape(-1, len(recording.channels))


def test_every_sample_in_its_place_whatever_the_order() -> None:
    chunks = [ecg(first) for first in range(0, 100, 25)]
    random.Random(7).shuffle(chunks)
    recording = build(chunks, FINISHED, notch_hz=50.0)
    assert recording.complete
    assert np.array_equal(raw(recording), np.arange(1200).reshape(100, 12))
    assert (recording.kind, recording.fs_hz, recording.channels, recording.unit, recording.lsb) == (
        "ecg",
        500.0,
        LEADS,
        "mV",
        0.0025,
    )
    assert (recording.highpass_hz, recording.lowpass_hz, recording.notch_hz) == (0.05, 150.0, 50.0)
    assert (recording.id, recording.observation_id, recording.started_ms) == (UUID(int=1), UUID(int=2), 1000)


@pytest.mark.parametrize(
    ("chunks", "end", "n", "missing"),
    [
        pytest.param([ecg(0), ecg(50), ecg(75)], FINISHED, 100, range(25, 50), id="a gap"),
        pytest.param([ecg(0), ecg(25)], FINISHED, 100, range(50, 100), id="the tail"),
        pytest.param([ecg(0), ecg(25)], None, 50, range(0), id="no end"),
        pytest.param([ecg(0)], End(Stream.ECG, EndReason.STOPPED, 25), 25, range(0), id="stopped"),
        pytest.param(
            [ecg(0), ecg(25)], End(Stream.ECG, EndReason.FINISHED, 25), 50, range(0), id="an end before its samples"
        ),
        pytest.param([], End(Stream.ECG, EndReason.FINISHED, 0), 0, range(0), id="nothing at all"),
    ],
)
def test_what_is_missing_is_no_value_and_incomplete(
    chunks: list[EcgSamples], end: End | None, n: int, missing: range
) -> None:
    recording = build(chunks, end)
    assert not recording.complete
    assert recording.n_samples == n
    assert [i for i in range(n) if (raw(recording)[i] == NO_VALUE).all()] == list(missing)


@pytest.mark.parametrize(
    ("electrode", "silent"),
    [
        ("RA", {"I", "II", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"}),
        ("LA", {"I", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"}),
        ("LL", {"II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"}),
        ("RL", set(LEADS)),
        ("V3", {"V3"}),
    ],
)
def test_a_lead_without_its_electrode_has_no_value(electrode: str, silent: set[str]) -> None:
    recording = build([ecg(0), ecg(25, electrode_off=frozenset({electrode})), ecg(50), ecg(75)], FINISHED)
    assert recording.complete  # the samples are all here; an electrode that is off is another matter
    assert {lead for i, lead in enumerate(LEADS) if (raw(recording)[25:50, i] == NO_VALUE).all()} == silent
    assert not (raw(recording)[:25] == NO_VALUE).any()
    assert recording.absent == ()


def test_absent_leads() -> None:
    only = frozenset(LEADS) - {"II", "V5"}
    recording = build([ecg(first, absent=only) for first in range(0, 100, 25)], FINISHED)
    assert set(recording.absent) == only
    assert np.isnan(recording.values()[0]).all()
    assert recording.values()[1][3] == (3 * 12 + 1) * 0.0025


def test_a_rhythm_strip_keeps_three_leads() -> None:
    recording = build([ecg(f) for f in range(0, 100, 25)], FINISHED, kind="ecg-rhythm", channels=("II", "V1", "V5"))
    assert (recording.kind, recording.channels) == ("ecg-rhythm", ("II", "V1", "V5"))
    assert raw(recording)[1].tolist() == [13, 18, 22]


def test_flow() -> None:
    end = End(Stream.FLOW, EndReason.FINISHED, 3)
    recording = build([FlowSamples(0, struct.pack("<3h", -500, 0, 8000))], end, FLOW)
    assert recording.values().tolist() == [[-0.5, 0.0, 8.0]]
    assert (recording.kind, recording.unit, recording.channels, recording.complete) == ("flow", "L/s", ("flow",), True)


@pytest.mark.parametrize(
    ("held", "end_n", "lost"),
    [
        pytest.param([0, 25, 50, 75], 100, (), id="nothing"),
        pytest.param([75, 0, 50], 100, ((25, 50),), id="a gap, in any order"),
        pytest.param([50, 50, 75], 100, ((0, 50),), id="the beginning"),
        pytest.param([0], 100, ((25, 100),), id="the tail, by the device's own count"),
        pytest.param([0, 50], 0, ((25, 50),), id="no end"),
        pytest.param([], 100, ((0, 100),), id="everything"),
        pytest.param([], 0, (), id="nothing was sent"),
    ],
)
def test_what_the_cable_lost(held: list[int], end_n: int, lost: tuple[tuple[int, int], ...]) -> None:
    assert lost_stretches([ecg(first) for first in held], end_n) == lost


def test_an_electrode_that_is_off_is_not_lost() -> None:
    assert lost_stretches([ecg(0, electrode_off=frozenset({"RL"})), ecg(25)], 50) == ()

"""A stream gives the same beats however it is cut, in time, and without growing."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zhenbao.signal.ecg import QrsStream, detect_qrs
from zhenbao.signal.ecg.tuning import Tuning

Signal = NDArray[np.float64]
RNG = np.random.default_rng(7)


def whole(signal: Signal, fs_hz: float, cuts: list[int]) -> list[int]:
    stream = QrsStream(fs_hz, leads=1 if signal.ndim == 1 else len(signal))
    beats: list[int] = []
    for chunk in np.split(signal, sorted(cuts), axis=-1):
        beats += stream.push(chunk)
    return beats + stream.flush()


@pytest.fixture(scope="module")
def troubled(make_ecg: Callable[..., Signal]) -> Signal:
    """12 s with noise, a gap, a step and early beats, so that hard decisions are part of it."""
    truth = np.cumsum(np.tile([0.8, 0.8, 0.5, 1.1], 4))
    signal = make_ecg(truth[truth < 12], 250, 12) + 0.08 * RNG.standard_normal(3000)
    signal[1100:1300] = np.nan
    signal[2000:] += 2
    return signal


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 3000), max_size=60))
def test_any_chunking_gives_the_same_beats(troubled: Signal, cuts: list[int]) -> None:
    assert whole(troubled, 250, cuts) == whole(troubled, 250, [])


def test_sample_by_sample(troubled: Signal) -> None:
    assert whole(troubled, 250, list(range(1, 3000))) == whole(troubled, 250, [])


@pytest.mark.parametrize("fs_hz", [100, 250, 360, 500, 1000])
def test_clean_beats_are_those_of_the_whole_recording(make_ecg: Callable[..., Signal], fs_hz: float) -> None:
    truth = np.arange(0.2, 24.9, 0.77)
    signal = make_ecg(truth, fs_hz, 25)
    beats = whole(signal, fs_hz, [])
    assert beats == detect_qrs(signal, fs_hz).tolist()
    assert np.abs(np.array(beats) / fs_hz - truth).max() < 0.02


def test_many_leads(make_ecg: Callable[..., Signal]) -> None:
    one = make_ecg(np.arange(0.3, 9.8, 0.9), 500, 10)
    leads = np.array([one * gain for gain in (0.4, 1, 0.6, -0.7, 0.1, 0.8, -0.3, 0.5, 0.9, 1.2, 1.1, 0.8)])
    assert whole(leads, 500, [17, 1234]) == detect_qrs(leads, 500).tolist()


def test_beats_come_within_the_latency(make_ecg: Callable[..., Signal]) -> None:
    fs_hz, chunk = 500, 10
    signal = make_ecg(np.arange(0.5, 20, 0.8), fs_hz, 20)
    stream = QrsStream(fs_hz)
    late = []
    for end in range(chunk, len(signal) + 1, chunk):
        late += [(end - beat) / fs_hz for beat in stream.push(signal[end - chunk : end]) if beat > 3.5 * fs_hz]
    assert len(late) > 15
    assert max(late) <= stream.latency_s + chunk / fs_hz


@pytest.mark.parametrize("fs_hz", [100, 128, 130, 200, 250, 257, 360, 500, 1000])
@pytest.mark.parametrize("leads", [1, 12])
def test_a_clear_beat_is_told_within_four_tenths_of_a_second(fs_hz: float, leads: int) -> None:
    assert QrsStream(fs_hz, leads).latency_s <= 0.4


def test_short_and_empty_streams(make_ecg: Callable[..., Signal]) -> None:
    assert QrsStream(500).flush() == []
    stream = QrsStream(500)
    assert stream.push([]) == []
    assert stream.push(make_ecg([0.5, 1.3], 500, 2)) == []
    assert [round(beat / 500, 1) for beat in stream.flush()] == [0.5, 1.3]


def held_by(thing: object) -> int:
    """Bytes of all that an object holds, its arrays with those they are views of."""
    seen: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | FunctionType | ModuleType | Tuning):
            continue
        seen[id(one)] = one
        waiting += gc.get_referents(one)
        if isinstance(one, np.ndarray) and one.base is not None:
            waiting.append(one.base)
    return sum(map(sys.getsizeof, seen.values()))


@pytest.mark.slow
def test_memory_stays_constant(make_ecg: Callable[..., Signal]) -> None:
    piece = make_ecg(np.arange(0.4, 20, 0.75), 100, 20)
    stream = QrsStream(100)
    held = []
    for _ in range(24):
        stream.push(piece)
        held.append(held_by(stream))
    # Bins of the last minute are kept; the samples of one piece alone are 16 000 bytes, and 20 have come since.
    assert held[0] > 4_000
    assert max(held[4:]) < held[3] + 8_000


@pytest.mark.parametrize(("fs_hz", "leads"), [(0, 1), (float("nan"), 1), (500, 0)])
def test_impossible_streams_are_refused(fs_hz: float, leads: int) -> None:
    with pytest.raises(ValueError, match=r"rate|leads"):
        QrsStream(fs_hz, leads)


def test_another_number_of_leads_is_refused() -> None:
    with pytest.raises(ValueError, match="2 leads in a stream of 3"):
        QrsStream(500, 3).push(np.zeros((2, 50)))

"""Beats are found where they were put, whatever happens to the signal around them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from zhenbao.signal.ecg import detect_qrs

Signal = NDArray[np.float64]


def missed_and_false(found: Signal, truth_s: Signal, fs_hz: float, tolerance_s: float = 0.03) -> tuple[int, int]:
    """Truth without a beat beside it, and beats without truth beside them."""
    at = found / fs_hz
    distance = np.abs(at[:, None] - truth_s[None, :])
    if not distance.size:
        return len(truth_s), len(at)
    return int((distance.min(axis=0) > tolerance_s).sum()), int((distance.min(axis=1) > tolerance_s).sum())


@pytest.mark.parametrize("fs_hz", [100, 125, 128, 200, 250, 257.3, 360, 500, 1000])
@pytest.mark.parametrize("bpm", [30, 60, 110, 180, 240])
def test_every_beat_at_every_rate(make_ecg: Callable[..., Signal], fs_hz: float, bpm: float) -> None:
    short = 0.6 if bpm > 150 else 1.0  # fast hearts repolarise fast
    waves = [
        (o * short, h, w * (short if abs(o) > 0.1 else 1))
        for o, h, w in (
            (-0.17, 0.1, 0.022),
            (-0.026, -0.12, 0.009),
            (0, 1.1, 0.01),
            (0.026, -0.22, 0.01),
            (0.27, 0.25, 0.05),
        )
    ]
    truth = np.arange(0.4, 20 - 0.2, 60 / bpm)
    found = detect_qrs(make_ecg(truth, fs_hz, 20, waves), fs_hz)
    assert missed_and_false(found, truth, fs_hz) == (0, 0)
    assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize("duration_s", [2, 3, 5, 28])
def test_first_and_last_beat_of_short_recordings(make_ecg: Callable[..., Signal], duration_s: float) -> None:
    truth = np.arange(0.1, duration_s - 0.05, 0.8)
    assert missed_and_false(detect_qrs(make_ecg(truth, 500, duration_s), 500), truth, 500) == (0, 0)


@pytest.mark.slow
def test_a_day(make_ecg: Callable[..., Signal]) -> None:
    hour = make_ecg(np.arange(0.5, 3600, 0.9), 125, 3600)
    found = detect_qrs(np.tile(hour, 24), 125)
    assert len(found) == 24 * len(np.arange(0.5, 3600, 0.9))


def put(signal: Signal, where: slice, value: float) -> Signal:
    changed = signal.copy()
    changed[where] = value
    return changed


def shift(signal: Signal, start: int, by: float) -> Signal:
    changed = signal.copy()
    changed[start:] += by
    return changed


RNG = np.random.default_rng(20261122)
NOISE = RNG.standard_normal(15000)
T = np.arange(15000) / 500


def spiked(signal: Signal, before_s: float) -> Signal:
    """Pacing spikes of 2 ms and 4 mV at a set time before each beat of the test below."""
    changed = signal.copy()
    for beat_s in np.arange(0.3, 29.9, 0.83):
        changed[round((beat_s - before_s) * 500)] += 4.0
    return changed


DAMAGE = [
    pytest.param(lambda x: -x, None, id="inverted"),
    pytest.param(lambda x: 1000 * x, None, id="microvolts"),
    pytest.param(lambda x: np.round(x * 200) + 1024, None, id="converter units with offset"),
    pytest.param(lambda x: 1e-6 * x + 3, None, id="volts on a large offset"),
    pytest.param(lambda x: x + 0.05 * NOISE, None, id="white noise"),
    pytest.param(lambda x: x + 0.8 * np.sin(2 * np.pi * 0.3 * T), None, id="breathing"),
    pytest.param(lambda x: x + 0.3 * np.sin(2 * np.pi * 50 * T), None, id="mains 50 Hz"),
    pytest.param(lambda x: x + 0.3 * np.sin(2 * np.pi * 60 * T), None, id="mains 60 Hz"),
    pytest.param(lambda x: put(x, slice(4000, 4001), np.nan), None, id="one NaN"),
    pytest.param(lambda x: put(x, slice(4000, 6500), np.nan), (4000, 6500), id="five seconds lost"),
    pytest.param(lambda x: put(x, slice(0, 3000), np.nan), (0, 3000), id="lost at the start"),
    pytest.param(lambda x: put(x, slice(12000, 15000), np.nan), (12000, 15000), id="lost at the end"),
    pytest.param(lambda x: put(x, slice(4000, 6500), np.inf), (4000, 6500), id="infinite"),
    pytest.param(lambda x: put(x, slice(4000, 6500), 0.0), (4000, 6500), id="flat for five seconds"),
    pytest.param(lambda x: put(x, slice(4000, 6500), 5.0), (4000, 6500), id="at the rail for five seconds"),
    pytest.param(lambda x: shift(x, 7000, 3.0), (6900, 7100), id="step"),
    pytest.param(lambda x: np.clip(x, -0.4, 0.4), None, id="clipped"),
    pytest.param(lambda x: x + put(np.zeros(15000), slice(2000, 3000), 1) * 4 * NOISE, (1900, 3100), id="burst"),
    pytest.param(lambda x: x + put(np.zeros(15000), slice(0, 1500), 1) * 4 * NOISE, (0, 1600), id="noisy start"),
    pytest.param(lambda x: x * np.where(T < 15, 1.0, 0.35), None, id="amplitude falls to a third"),
    pytest.param(lambda x: spiked(x, 0.16), None, id="pacing spikes before P"),
    pytest.param(lambda x: spiked(x, 0.035), None, id="pacing spikes before QRS"),
]


@pytest.mark.parametrize(("damage", "spoiled"), DAMAGE)
def test_damage_harms_only_its_own_time(
    make_ecg: Callable[..., Signal], damage: Callable[[Signal], Signal], spoiled: tuple[int, int] | None
) -> None:
    truth = np.arange(0.3, 29.9, 0.83)
    found = detect_qrs(damage(make_ecg(truth, 500, 30)), 500)
    if spoiled:
        start, stop = spoiled[0] - 100, spoiled[1] + 100
        truth = truth[(truth * 500 < start) | (truth * 500 > stop)]
        found = found[(found < start) | (found > stop)]
    assert missed_and_false(found, truth, 500) == (0, 0)


def test_ventricular_beats_and_tall_t_waves(make_ecg: Callable[..., Signal]) -> None:
    wide = ((0.0, 1.6, 0.035), (0.07, -0.7, 0.04), (0.3, -0.45, 0.07))
    normal = ((-0.16, 0.1, 0.02), (0.0, 0.9, 0.01), (0.025, -0.2, 0.01), (0.28, 0.75, 0.05))
    regular = np.array([b for b in np.arange(0.5, 29, 0.8) if round((b - 0.5) / 0.8) % 4 != 3])
    early = np.array([b - 0.25 for b in np.arange(0.5, 29, 0.8) if round((b - 0.5) / 0.8) % 4 == 3])
    signal = make_ecg(regular, 360, 30, normal) + make_ecg(early, 360, 30, wide)
    truth = np.sort(np.concatenate([regular, early]))
    assert missed_and_false(detect_qrs(signal, 360), truth, 360, 0.06) == (0, 0)


def test_p_waves_of_a_standstill_are_no_beats(make_ecg: Callable[..., Signal]) -> None:
    truth = np.array([0.6, 1.4, 2.2, 3.0, 11.0, 11.8, 12.6, 13.4, 14.2])
    blocked = [(at, (0.0, 0.12, 0.022)) for at in np.arange(3.8, 10.5, 0.8)]
    found = detect_qrs(make_ecg(truth, 500, 15, extra=blocked) + 0.004 * NOISE[:7500], 500)
    assert missed_and_false(found, truth, 500) == (0, 0)


def test_leads_together_outvote_a_broken_one(make_ecg: Callable[..., Signal]) -> None:
    truth = np.arange(0.4, 9.9, 0.75)
    beat = make_ecg(truth, 500, 10)
    leads = np.array([beat, 0.6 * beat, -0.8 * beat, 6 * NOISE[:5000], np.full(5000, np.nan), 0.3 * beat])
    assert missed_and_false(detect_qrs(leads, 500), truth, 500) == (0, 0)
    dead = np.concatenate([leads[:3], np.zeros((9, 5000))])
    assert missed_and_false(detect_qrs(dead, 500), truth, 500) == (0, 0)


@pytest.mark.parametrize(
    "signal",
    [np.empty(0), np.zeros(1), np.zeros(5000), np.full(5000, 2.5), np.full(5000, np.nan), np.empty((12, 0)),
     np.arange(5000.0), np.empty((0, 5000)), 3 * np.sin(2 * np.pi * 0.5 * np.arange(5000) / 500)],
    ids=["empty", "one", "flat", "offset", "nan", "12 empty", "ramp", "no leads", "slow wave"],
)  # fmt: skip
def test_nothing_in_nothing_out(signal: Signal) -> None:
    found = detect_qrs(signal, 500)
    assert found.dtype == np.int64
    assert found.tolist() == []


@pytest.mark.parametrize("kind", ["white", "brown"])
def test_plain_noise_is_mostly_no_heart(kind: str) -> None:
    beats = 0
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal(5000)
        beats += len(detect_qrs(np.cumsum(noise) if kind == "brown" else noise, 500))
    assert beats < 0.2 * 20 * 10  # in 200 s; a heart would give more than 100


@pytest.mark.parametrize("fs_hz", [0, -1, 5, float("nan"), float("inf")])
def test_a_rate_that_is_none(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        detect_qrs(np.zeros(100), fs_hz)


def test_three_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        detect_qrs(np.zeros((2, 2, 2)), 500)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=600)),
    st.floats(20, 2000),
)
@pytest.mark.filterwarnings("error")
def test_any_floats_give_ascending_indices_inside(signal: Signal, fs_hz: float) -> None:
    before = signal.copy()
    found = detect_qrs(signal, fs_hz)
    assert np.array_equal(before, signal, equal_nan=True)
    assert np.all(np.diff(found) > 0)
    assert found.size == 0 or (found[0] >= 0 and found[-1] < signal.shape[-1])

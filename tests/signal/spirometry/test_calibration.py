"""Syringe strokes of known volume through sensors that read right or wrong; nothing bad passes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zhenbao.signal.spirometry.calibration import verify
from zhenbao.signal.spirometry.tables import settings as table

Floats = NDArray[np.float64]


def strokes(
    *seconds: float,
    rate_hz: float = 100,
    litres: float = 3.0,
    gain: float = 1.0,
    back: bool = True,
    shape: str = "sine",
    rest_s: float = 1.0,
) -> tuple[Floats, Floats]:
    """Half sines (or plateaus with short ramps) whose area is the syringe's; by integration on paper."""
    signs = (1, -1) if back else (1,)
    total = rest_s + sum(len(signs) * (s + rest_s) for s in seconds)
    t = np.arange(0, total, 1 / rate_hz)
    flow = np.zeros_like(t)
    start = rest_s
    for duration in seconds:
        for sign in signs:
            x = (t - start) / duration
            inside = (x >= 0) & (x <= 1)
            if shape == "sine":
                form = np.pi / 2 * np.sin(np.pi * np.clip(x, 0, 1))
            else:
                form = np.clip(np.minimum(x, 1 - x) / 0.1, 0, 1) / 0.9
            flow = np.where(inside, sign * gain * litres / duration * form, flow)
            start += duration + rest_s
    return t, flow


GOOD = (4.0, 1.0, 0.45)


@pytest.mark.parametrize("rate_hz", [50, 100, 200])
@pytest.mark.parametrize("shape", ["sine", "plateau"])
def test_a_right_sensor_passes_at_three_flows_both_ways(rate_hz: float, shape: str) -> None:
    check = verify(*strokes(*GOOD, rate_hz=rate_hz, shape=shape))
    assert check.verdict == "passed" and check.notes == ()
    assert [s.range for s in check.strokes] == ["low", "low", "medium", "medium", "high", "high"]
    assert [s.direction for s in check.strokes] == ["out", "in"] * 3
    assert all(s.volume_l == pytest.approx(3.0, abs=0.02) for s in check.strokes)
    assert check.linearity_percent == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize(
    ("gain", "verdict"), [(1.029, "passed"), (0.971, "passed"), (1.032, "failed"), (0.968, "failed"), (1.2, "failed")]
)
def test_the_limit_is_three_per_cent(gain: float, verdict: str) -> None:
    check = verify(*strokes(*GOOD, rate_hz=200, gain=gain))
    assert check.verdict == verdict
    assert check.largest_error_percent == pytest.approx(100 * (gain - 1), abs=0.1)


def test_one_bad_range_fails_however_good_the_others_are() -> None:
    slow, fast = strokes(4.0, 1.0, back=False), strokes(0.45, back=False, gain=0.95)
    time = np.concatenate([slow[0], fast[0] + slow[0][-1] + 0.01])
    check = verify(time, np.concatenate([slow[1], fast[1]]))
    assert check.verdict == "failed" and "not-linear" in check.notes
    assert check.linearity_percent == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize(
    ("seconds", "missing"), [((4.0, 1.0), "no-high"), ((4.0, 0.45), "no-medium"), ((1.0, 0.45), "no-low")]
)
def test_two_flows_are_not_enough(seconds: tuple[float, ...], missing: str) -> None:
    check = verify(*strokes(*seconds))
    assert check.verdict == "incomplete" and missing in check.notes


def test_pushing_alone_passes_and_says_that_drawing_was_not_verified() -> None:
    check = verify(*strokes(*GOOD, back=False))
    assert check.verdict == "passed" and check.notes == ("in-not-verified",)


def test_a_device_that_converts_to_btps_is_compared_without_its_factor() -> None:
    time, flow = strokes(*GOOD)
    assert verify(time, 1.09 * flow).verdict == "failed"
    assert verify(time, 1.09 * flow, btps_factor=1.09).verdict == "passed"


def test_a_zero_offset_is_taken_off_and_told_and_a_large_one_is_refused() -> None:
    time, flow = strokes(*GOOD)
    check = verify(time, flow + 0.04)
    assert check.verdict == "passed" and check.zero_l_s == pytest.approx(0.04, abs=0.003)
    off = verify(time, flow + 0.4)
    assert (off.verdict, off.notes) == ("incomplete", ("no-rest",))


def test_a_piston_that_stopped_half_way_says_nothing_of_the_sensor() -> None:
    whole, half = strokes(*GOOD, back=False), strokes(1.0, litres=1.8, back=False)
    time = np.concatenate([whole[0], half[0] + whole[0][-1] + 0.01])
    check = verify(time, np.concatenate([whole[1], half[1]]))
    assert check.verdict == "passed" and "stroke-partial" in check.notes
    assert [s.left_out for s in check.strokes] == ["", "", "", "partial"]


def test_a_sensor_that_reads_far_too_low_each_time_fails() -> None:
    assert verify(*strokes(*GOOD, gain=0.6)).verdict == "failed"


def test_a_short_stop_of_the_hand_does_not_end_a_stroke() -> None:
    time, flow = strokes(4.0, 1.0, 0.45, back=False)
    pause = np.searchsorted(time, 3.0)
    halted = np.concatenate([flow[:pause], np.zeros(20), flow[pause:]])
    check = verify(np.arange(len(halted)) / 100, halted)
    assert check.verdict == "passed" and len(check.strokes) == 3


def test_lost_samples_in_a_stroke_leave_it_out() -> None:
    time, flow = strokes(*GOOD, back=False)
    fast = int(np.argmax(flow))
    flow[fast : fast + 5] = np.nan
    check = verify(time, flow)
    assert check.verdict == "incomplete" and {"no-high", "stroke-gap"} <= set(check.notes)
    assert check.strokes[-1].left_out == "gap"


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_coarse_steps_stay_within_half_a_per_cent(seed: int) -> None:
    time, flow = strokes(*GOOD, rate_hz=100)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    check = verify(time, np.round((flow + noise + 0.02) / 0.01) * 0.01)
    assert check.verdict == "passed"
    assert check.largest_error_percent == pytest.approx(0, abs=0.8)


@pytest.mark.parametrize(
    "flow", [[], [0.0], [math.nan] * 200, [0.0] * 200, [100.0] * 200, [0.3, -0.3] * 200], ids=lambda f: str(f[:2])
)
def test_nothing_to_verify_is_never_a_pass(flow: list[float]) -> None:
    check = verify([i / 100 for i in range(len(flow))], flow)
    assert check.verdict == "incomplete" and check.notes


@given(
    st.lists(st.floats(-20, 20) | st.just(math.nan), max_size=300),
    st.floats(0.5, 7),
)
@settings(max_examples=60, deadline=None)
def test_any_flow_gives_a_check_and_a_pass_needs_three_ranges(flow: list[float], litres: float) -> None:
    check = verify([i / 100 for i in range(len(flow))], flow, syringe_l=litres)
    if check.verdict == "passed":
        assert {s.range for s in check.strokes if s.direction == "out"} >= {"low", "medium", "high"}


def test_no_syringe_and_no_factor() -> None:
    with pytest.raises(ValueError, match="above zero"):
        verify([0, 1], [0, 1], syringe_l=0)
    with pytest.raises(ValueError, match="above zero"):
        verify([0, 1], [0, 1], btps_factor=0)


def test_the_ranges_join_without_holes_and_every_number_has_a_source() -> None:
    ranges = table("calibration")["range"]
    assert [r["name"] for r in ranges] == ["low", "medium", "high"]
    assert all(a["below"] == b["at_least"] for a, b in pairwise(ranges))
    rows = [v for v in table("calibration").values() if isinstance(v, dict)] + ranges
    assert all(row["source"] for row in rows)

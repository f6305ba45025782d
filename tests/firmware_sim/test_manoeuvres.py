"""Manoeuvres drawn at random: what is said of them is what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.manoeuvres import WRONGS, Manoeuvre, random_manoeuvre

pytestmark = pytest.mark.slow
"""Each is drawn at 10 kHz: 20 s in all."""


def drawn(wrong: str, seed: int = 5, count: int = 12) -> list[Manoeuvre]:
    random = np.random.default_rng(seed)
    return [random_manoeuvre(random, wrong) for _ in range(count)]


def exhaled(one: Manoeuvre) -> np.ndarray:
    """Volume by the sensor's samples."""
    if one.volume_l is not None:
        return np.asarray(one.volume_l[np.isfinite(one.volume_l)])
    assert one.flow_l_s is not None
    known = np.isfinite(one.flow_l_s)
    steps = np.diff(one.time_s[known]) * (one.flow_l_s[known][1:] + one.flow_l_s[known][:-1]) / 2
    return np.concatenate([[0.0], np.cumsum(steps)])


def test_the_same_seed_draws_the_same() -> None:
    for one, other in zip(drawn("", 3), drawn("", 3), strict=True):
        np.testing.assert_array_equal(one.time_s, other.time_s)
        assert one.fvc_l == other.fvc_l


@pytest.mark.parametrize("wrong", ["", "cough-later", "early-end", "fivc-larger", "slow-start"])
def test_the_largest_rise_of_a_good_sensors_volume_is_the_fvc(wrong: str) -> None:
    for one in drawn(wrong, count=40):
        sensor = one.sensor
        if sensor.eight_bit or sensor.zero_l_s or sensor.noise_l_s > 0.003 or sensor.rate_hz < 100:
            continue
        volume = exhaled(one)
        rise = float((volume - np.minimum.accumulate(volume)).max())
        assert rise == pytest.approx(one.fvc_l, abs=0.03)
        assert 0 < one.bev_l < one.fev1_l <= one.fvc_l + 1e-9


def test_a_slow_start_is_beyond_the_limit_and_others_are_within() -> None:
    assert all(one.bev_l > max(0.1, 0.05 * one.fvc_l) for one in drawn("slow-start"))
    for wrong in ("", "cough-first-second", "early-end", "leak"):
        assert all(one.bev_l < max(0.1, 0.05 * one.fvc_l) for one in drawn(wrong))


def test_more_is_breathed_in_than_out_where_it_says_so() -> None:
    for one in drawn("fivc-larger"):
        volume = exhaled(one)
        top = int(np.argmax(volume))
        assert volume[top] - volume[top:].min() > one.fvc_l + 0.1


@pytest.mark.parametrize("wrong", WRONGS)
def test_each_wrong_can_be_drawn_and_keeps_what_the_standard_lets_it_keep(wrong: str) -> None:
    for one in drawn(wrong, count=3):
        assert one.wrong == wrong
        assert (one.flow_l_s is None) != (one.volume_l is None)
        assert not (one.fev1_acceptable and one.fvc_acceptable) or wrong == "cough-later"

"""Coaching while the blow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zhenbao.signal.spirometry.coach import BlowCoach, Coaching

if TYPE_CHECKING:
    from tests.signal.spirometry.conftest import Bench, TrueBlow

Floats = np.ndarray


def coached(blow: TrueBlow, bench: Bench, wrong: str = "") -> list[Coaching]:
    """The calls of every quarter of a second."""
    time, flow = blow.recorded(bench.sensor(noise=0.005), np.random.default_rng(3))
    since = time - blow.starts_at()
    if wrong == "cough":
        flow = np.where((since > 0.4) & (since < 0.5) | (since > 0.62) & (since < 0.7), 0.1 * flow, flow)
    coach = BlowCoach(age_years=50)
    edges = np.arange(0, len(time), 25)
    return [coach.push(time[i : i + 25], flow[i : i + 25]) for i in edges]


def calls(told: list[Coaching]) -> list[str]:
    """Each call once while it lasts."""
    return [one.call for i, one in enumerate(told) if i == 0 or one.call != told[i - 1].call]


def test_a_good_blow_is_led_through_and_stopped_at_its_end(bench: Bench) -> None:
    told = coached(bench.blow(inspired_before=2.0, end_s=6.0, after_s=1.5), bench)
    assert calls(told) == ["ready", "inhale", "ready", "blast", "keep-going", "stop"]
    assert told[-1].defect is None
    stopped = next(one for one in told if one.call == "stop")
    assert stopped.last_second_l is not None and stopped.last_second_l <= 0.025


def test_a_blow_without_vigour_is_called_so_within_its_first_second(bench: Bench) -> None:
    told = coached(bench.blow(rise_s=0.5, hesitation=(1.0, 0.4)), bench)
    assert "harder" in calls(told)
    assert told[-1].call == "again"
    assert told[-1].defect == "slow-start"


def test_a_cough_means_again_at_once(bench: Bench) -> None:
    told = coached(bench.blow(), bench, "cough")
    first = next(one for one in told if one.call == "again")
    assert first.seconds < 1.5
    assert first.defect == "cough-first-second"


def test_nothing_and_lost_samples_raise_nothing() -> None:
    coach = BlowCoach()
    assert coach.push([], []).call == "ready"
    assert coach.push([0.0, 0.01], [np.nan, np.nan]).call == "ready"
    assert coach.push([0.02, 0.03], [0.0, np.nan]).call == "ready"

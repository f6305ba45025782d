"""ST levels and intervals against exact truth, of two kinds of synthetic beats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.ecg import LEADS
from zhenbao.firmware_sim.waveforms.twelve_lead import QUIET, REALISTIC, TwelveLeadModel
from zhenbao.model.ecg_twelve import TwelveLead
from zhenbao.signal.ecg.twelve import measure_twelve

ST = {"I": 0.8, "II": 2.1, "V1": -0.7, "V2": 1.6, "V3": 2.4, "V4": -1.2, "V5": 0.3, "V6": -0.5}
RATES = (45, 70, 100, 130)


def measured(mv: Any, fs_hz: float, beats: Any, **more: Any) -> TwelveLead:
    given = {"highpass_hz": 0.05, "sex": "male", "age_years": 60, **more}
    return measure_twelve(mv, fs_hz, LEADS, beats, ("?",) * len(beats), **given)


def errors_mm(found: TwelveLead, truth: dict[str, float]) -> list[float]:
    assert found.st_mm is not None
    assert set(found.st_mm) == set(LEADS)
    return [abs(found.st_mm[name] - truth[name]) for name in LEADS]


@pytest.mark.slow
@pytest.mark.parametrize("fs_hz", [250, 500, 1000])
@pytest.mark.parametrize(("noise", "limit_mm"), [(0.0, 0.1), (1.0, 0.25)])
def test_st_of_gaussians(gaussian: Callable[..., Any], fs_hz: int, noise: float, limit_mm: float) -> None:
    errors = []
    for rate in (45, 70, 100, 140):
        for slope_mm in (-0.4, 0.0, 0.8):
            made = gaussian(ST, rate_bpm=rate, fs_hz=fs_hz, slope_mm=slope_mm, noise=noise, seed=rate)
            errors += errors_mm(measured(made.mv, fs_hz, made.beats), made.st_mm)
    assert np.mean(errors) < limit_mm
    assert max(errors) < 3 * limit_mm


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "lbbb", "rbbb", "paced", "preexcited"])
@pytest.mark.parametrize(("noise", "limit_mm"), [(QUIET, 0.1), (REALISTIC, 0.25)])
def test_st_of_pieces(shape: Any, noise: Any, limit_mm: float) -> None:
    errors, errors60 = [], []
    for rate in (50, 75, 100):
        for fs_hz in (250, 500):
            made = TwelveLeadModel(
                shape=shape, rate_bpm=rate, st_mm=ST, st60_mm=ST | {"V2": 2.4}, noise=noise, seed=rate
            ).render(10.0, fs_hz)
            found = measured(made.mv, fs_hz, made.truth.beats)
            errors += errors_mm(found, made.truth.st_mm)
            assert found.st60_mm is not None
            errors60 += [abs(found.st60_mm[name] - made.truth.st60_mm[name]) for name in LEADS]
    assert np.mean(errors) < limit_mm
    assert np.mean(errors60) < limit_mm


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_intervals_of_gaussians(gaussian: Callable[..., Any], rate: int, noise: float) -> None:
    made = gaussian({}, rate_bpm=rate, noise=noise, seed=rate)
    found = measured(made.mv, 500, made.beats).intervals
    assert found["qrs"] == pytest.approx(made.qrs_ms, abs=15)
    assert found["qt"] == pytest.approx(made.qt_ms, abs=15)
    if rate < 130:  # there P lies on the T wave before
        assert found["pr"] == pytest.approx(made.pr_ms, abs=15)
    assert found["rr"] == pytest.approx(60000 / rate, abs=12)
    assert found["qtcf"] == pytest.approx(found["qt"] / (found["rr"] / 1000) ** (1 / 3), abs=0.2)
    assert found["qtcb"] == pytest.approx(found["qt"] / (found["rr"] / 1000) ** (1 / 2), abs=0.2)


@pytest.mark.parametrize("noise", [QUIET, REALISTIC])
@pytest.mark.parametrize(
    ("shape", "pr_ms", "qrs_ms"),
    [
        ("normal", 120, 80),
        ("normal", 240, 100),
        ("normal", 160, 112),
        ("lbbb", 170, 128),
        ("rbbb", 200, 130),
        ("lbbb", 170, 170),
    ],
)
def test_intervals_of_pieces(shape: Any, pr_ms: float, qrs_ms: float, noise: Any) -> None:
    made = TwelveLeadModel(shape=shape, pr_ms=pr_ms, qrs_ms=qrs_ms, noise=noise).render()
    found = measured(made.mv, 500, made.truth.beats)
    assert found.intervals["pr"] == pytest.approx(pr_ms, abs=12)
    assert found.intervals["qrs"] == pytest.approx(qrs_ms, abs=10)
    assert found.intervals["qt"] == pytest.approx(made.truth.qt_ms, abs=18)  # tangents end before raised cosines do
    assert found.quantities["ecg_qrs_duration"].value == found.intervals["qrs"]
    assert (found.quantities["ecg_qrs_duration"].value >= 120) == (qrs_ms >= 120)
    assert found.quantities["ecg_pr_interval"].unit == "ms"
    assert found.quantities["ecg_qtc_fridericia"].value == found.intervals["qtcf"]


def test_a_delta_wave_belongs_to_qrs() -> None:
    made = TwelveLeadModel(shape="preexcited", noise=REALISTIC).render()
    found = measured(made.mv, 500, made.truth.beats)
    assert found.intervals["pr"] == pytest.approx(100, abs=12)
    assert found.intervals["qrs"] == pytest.approx(136, abs=12)
    assert found.conduction == "preexcited"


def test_no_p_wave_no_pr() -> None:
    made = TwelveLeadModel(p_present=False, noise=REALISTIC).render()
    found = measured(made.mv, 500, made.truth.beats)
    assert "pr" not in found.intervals
    assert "ecg_pr_interval" not in found.quantities
    assert "no-p" in found.limits


@pytest.mark.parametrize("turn", [-120, -80, -30, 0, 50, 90, 140])
def test_axis(turn: float) -> None:
    made = TwelveLeadModel(axis_turn_deg=turn, noise=REALISTIC).render()
    found = measured(made.mv, 500, made.truth.beats)
    if found.axis_deg is None:
        assert any("limb_reversal" in fact.name for fact in found.facts)
    else:
        assert abs((found.axis_deg - made.truth.axis_deg + 180) % 360 - 180) < 6


def test_gaps_bend_nothing(gaussian: Callable[..., Any]) -> None:
    made = gaussian(ST, noise=0.5, seed=4)
    mv = made.mv.copy()
    mv[:, 1200:1350] = np.nan
    mv[8, 2000:3400] = np.nan
    mv[1, 300:320] = np.inf
    found = measured(mv, 500, made.beats)
    assert np.mean(errors_mm(found, made.st_mm)) < 0.15
    assert found.intervals["qrs"] == pytest.approx(made.qrs_ms, abs=15)


def test_other_beats_are_left_out(gaussian: Callable[..., Any]) -> None:
    made = gaussian(ST, noise=0.3, seed=5)
    mv = made.mv.copy()
    t = np.arange(mv.shape[1]) / 500
    strange = made.beats[[3, 6, 8]]
    for beat in strange:
        away = (t > beat / 500 - 0.3) & (t < beat / 500 + 0.45)
        mv[:, away] = 0
        mv += np.linspace(-1, 1.5, 12)[:, np.newaxis] * np.exp(-0.5 * ((t - beat / 500) / 0.035) ** 2)
    unknown = measured(mv, 500, made.beats)
    assert not set(strange.tolist()) & set(unknown.beats)
    assert np.mean(errors_mm(unknown, made.st_mm)) < 0.15
    classes = ["V" if beat in strange else "N" for beat in made.beats]
    known = measure_twelve(mv, 500, LEADS, made.beats, classes, highpass_hz=0.05)
    assert known.beats == unknown.beats


def test_hum_of_a_drifting_grid_is_taken_out(gaussian: Callable[..., Any]) -> None:
    made = gaussian(ST)
    t = np.arange(made.mv.shape[1]) / 500
    hum = 0.15 * np.sin(2 * np.pi * 49.85 * t) + 0.04 * np.sin(2 * np.pi * 99.7 * t)
    found = measured(made.mv + hum * np.linspace(0.2, 1, 12)[:, np.newaxis], 500, made.beats)
    assert np.mean(errors_mm(found, made.st_mm)) < 0.1


def test_the_standard_error_knows_the_noise(gaussian: Callable[..., Any]) -> None:
    quiet, loud = (gaussian(ST, noise=noise, seed=6) for noise in (0.3, 2.0))
    errors = [np.mean(list(measured(made.mv, 500, made.beats).noise_mm.values())) for made in (quiet, loud)]
    assert errors[1] > 3 * errors[0]

"""Twelve exact leads: levels, landmarks and laws, read off the samples."""

from __future__ import annotations

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.ecg import LEADS
from zhenbao.firmware_sim.waveforms.twelve_lead import REALISTIC, TwelveLeadModel, infarction

SHAPES = ("normal", "lbbb", "rbbb", "paced", "preexcited")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fs_hz", [250.0, 1000.0])
def test_levels_lie_where_the_truth_says(shape: str, fs_hz: float) -> None:
    model = TwelveLeadModel(
        shape=shape,  # type: ignore[arg-type]
        rate_bpm=60,
        rr_sd=0,
        qrs_ms=140,
        st_mm={"I": 1.0, "II": 2.0, "V2": -3.0},
        st60_mm={"I": 0.5, "II": 2.5, "V2": -3.5},
    )
    source = model.render(6.0, fs_hz)
    truth = source.truth
    for onset in truth.qrs_onsets_s[1:-1]:
        for name, row in zip(LEADS, source.mv, strict=True):
            times = np.arange(len(row)) / fs_hz
            at = [onset - 0.010, onset + 0.140, onset + 0.200]
            base, j, j60 = np.interp(at, times, row)
            assert 10 * base == pytest.approx(0, abs=0.02)
            assert 10 * (j - base) == pytest.approx(truth.st_mm[name], abs=0.1)
            assert 10 * (j60 - base) == pytest.approx(truth.st60_mm[name], abs=0.1)


def test_nothing_lies_between_the_waves() -> None:
    source = TwelveLeadModel(rate_bpm=50, rr_sd=0).render(6.0, 1000.0)
    onset = source.truth.qrs_onsets_s[2]
    times = np.arange(source.mv.shape[1]) / 1000
    before_p = (times > onset - 0.25) & (times < onset - 0.160)
    segment = (times > onset - 0.064) & (times < onset)
    after_t = (times > onset + source.truth.qt_ms / 1000) & (times < onset + 0.6)
    for where in (before_p, segment, after_t):
        assert where.sum() > 30
        np.testing.assert_allclose(source.mv[:, where], 0, atol=1e-9)


@pytest.mark.parametrize("placement", ["right", "arms-swapped", "mirrored"])
def test_the_laws_of_the_leads_hold(placement: str) -> None:
    source = TwelveLeadModel(placement=placement, noise=REALISTIC).render(5.0)  # type: ignore[arg-type]
    one, two, three, right, left, foot = source.mv[:6]
    np.testing.assert_allclose(three, two - one, atol=1e-12)
    np.testing.assert_allclose(right, -(one + two) / 2, atol=1e-12)
    np.testing.assert_allclose(left, one - two / 2, atol=1e-12)
    np.testing.assert_allclose(foot, two - one / 2, atol=1e-12)


def test_swapped_arms_turn_lead_one_over() -> None:
    right = TwelveLeadModel().render(4.0)
    wrong = TwelveLeadModel(placement="arms-swapped").render(4.0)
    np.testing.assert_allclose(wrong.mv[0], -right.mv[0], atol=1e-12)
    np.testing.assert_allclose(wrong.mv[1], right.mv[2], atol=1e-12)
    np.testing.assert_allclose(wrong.mv[6:], right.mv[6:], atol=1e-12)


def test_the_axis_turns_as_asked() -> None:
    straight = TwelveLeadModel().render(4.0).truth.axis_deg
    turned = TwelveLeadModel(axis_turn_deg=-80).render(4.0).truth.axis_deg
    assert 20 < straight < 70
    assert turned < -20


def test_a_high_pass_bends_st_as_recorders_do() -> None:
    """0.5 Hz takes a good part of an elevation away: why ST is not judged through it."""
    flat = infarction("anterior").render(10.0)
    bent = TwelveLeadModel(st_mm=infarction("anterior").st_mm, highpass_hz=0.5).render(10.0)
    kept = TwelveLeadModel(st_mm=infarction("anterior").st_mm, highpass_hz=0.05).render(10.0)
    v3 = LEADS.index("V3")
    on, off = (round((flat.truth.qrs_onsets_s[5] + s) * 500) for s in (0, 0.152))
    level = [10 * (some.mv[v3, off] - some.mv[v3, on]) for some in (flat, kept, bent)]
    assert level[0] == pytest.approx(4.0, abs=0.05)
    assert level[1] == pytest.approx(level[0], abs=0.2)
    assert level[2] < level[0] - 0.6


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="follows from I and II"):
        TwelveLeadModel(st_mm={"aVF": 1.0})
    with pytest.raises(ValueError, match="do not fit"):
        TwelveLeadModel(rate_bpm=180, pr_ms=320)

"""What is said of a recording, and what is withheld."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from zhenbao.firmware_sim.waveforms.twelve_lead import infarction
from zhenbao.model.ecg import LEADS, EcgAnalysis
from zhenbao.model.finding import Urgency
from zhenbao.signal.ecg import analyse_ecg
from zhenbao.words import Words

Signal = NDArray[np.float64]
GAINS = (0.6, 1.0, 0.4, -0.8, 0.2, 0.7, -0.5, 0.6, 0.9, 1.3, 1.2, 0.9)


def twelve(one: Signal) -> Signal:
    noise = np.random.default_rng(11).standard_normal((12, len(one)))
    return np.array([gain * one for gain in GAINS]) + 0.005 * noise


def rules_of(analysis: EcgAnalysis) -> set[str]:
    return {finding.rule_id for finding in analysis.findings}


@pytest.mark.parametrize(
    ("bpm", "rule"), [(30, "EC19"), (38, "EC20"), (45, "EC21"), (72, "EC38"), (120, "EC33"), (190, "EC32")]
)
def test_heart_rate_and_its_rule(make_ecg: Callable[..., Signal], bpm: float, rule: str) -> None:
    waves = ((0.0, 1.1, 0.01), (0.026, -0.22, 0.01), (0.18, 0.2, 0.035))
    one = make_ecg(np.arange(0.3, 9.9, 60 / bpm), 500, 10, waves)
    analysis = analyse_ecg(twelve(one), 500, LEADS, highpass_hz=0.05, sex="female", age_years=60)
    assert analysis.heart_rate_bpm == pytest.approx(bpm, rel=0.01)
    assert analysis.intervals["rr"] == pytest.approx(60000 / bpm, rel=0.01)
    assert rule in rules_of(analysis)
    assert set(analysis.classes) <= {"N", "?"}
    assert analysis.st_mm is not None and max(abs(v) for v in analysis.st_mm.values()) < 0.6  # no ST in these waves
    assert analysis.quality.acceptable


def test_regular_and_irregular(make_ecg: Callable[..., Signal]) -> None:
    steady = make_ecg(np.arange(0.3, 9.9, 0.8), 500, 10)
    wild = make_ecg(np.cumsum([0.4, 0.7, 0.95, 0.6, 1.1, 0.75, 0.55, 1.2, 0.8, 0.65, 1.0]), 500, 10)
    assert analyse_ecg(twelve(steady), 500, LEADS).rhythm == "sinus"
    assert analyse_ecg(twelve(wild), 500, LEADS).rhythm == "sinus-irregular"
    assert analyse_ecg(twelve(steady)[:, :2000], 500, LEADS).rhythm == "not-judged"


def test_a_true_pause_is_red(make_ecg: Callable[..., Signal]) -> None:
    one = make_ecg([0.5, 1.3, 2.1, 2.9, 6.3, 7.1, 7.9, 8.7, 9.5], 500, 10)
    analysis = analyse_ecg(twelve(one), 500, LEADS)
    assert analysis.intervals["rr_max"] == pytest.approx(3400, abs=10)
    (pause,) = [f for f in analysis.findings if f.rule_id == "EC16"]
    assert pause.urgency is Urgency.RED


def test_a_beat_too_odd_to_be_found_is_no_pause(make_ecg: Callable[..., Signal]) -> None:
    """Beats too small for the detector (but with a slope) stand in the gap: no pause may be called."""
    small = [(at, (0.0, 0.5 * 0.9, 0.012)) for at in (3.7, 4.5, 5.3)]
    one = make_ecg([0.5, 1.3, 2.1, 2.9, 6.3, 7.1, 7.9, 8.7, 9.5], 500, 10, extra=small)
    analysis = analyse_ecg(twelve(one), 500, LEADS)
    assert "EC16" not in rules_of(analysis)


def test_a_pause_in_lost_signal_is_no_pause(make_ecg: Callable[..., Signal]) -> None:
    leads = twelve(make_ecg(np.arange(0.3, 29.9, 0.8), 500, 30))
    leads[:, 7000:9200] = np.nan
    analysis = analyse_ecg(leads, 500, LEADS)
    assert "EC16" not in rules_of(analysis)
    assert analysis.heart_rate_bpm is None


def test_silence_at_the_end_counts_as_a_pause_of_at_least_that(make_ecg: Callable[..., Signal]) -> None:
    one = make_ecg(
        [0.5, 1.3, 2.1, 2.9, 3.7, 4.5], 500, 10, extra=[(a, (0, 0.1, 0.025)) for a in (5.2, 6.0, 6.8, 7.6, 8.4, 9.2)]
    )
    analysis = analyse_ecg(twelve(one), 500, LEADS)
    (pause,) = [f for f in analysis.findings if f.rule_id == "EC16"]
    (evidence,) = pause.evidence
    assert evidence.quantity.comparator == ">"
    assert evidence.quantity.value == pytest.approx(5.5, abs=0.02)


def test_no_lead_good_for_long_enough_means_no_rate_and_a_reason(make_ecg: Callable[..., Signal]) -> None:
    leads = twelve(make_ecg(np.arange(0.3, 9.9, 0.3), 500, 10))
    leads[:, 3000:] = 0
    analysis = analyse_ecg(leads, 500, LEADS)
    assert analysis.heart_rate_bpm is None
    assert analysis.rhythm == "not-judged"
    assert rules_of(analysis) == {"EC40"}
    assert set(analysis.quality.reasons) == {f"electrode-off:{lead}" for lead in LEADS}
    assert "quality" in analysis.limits


def test_few_beats_give_no_rate(make_ecg: Callable[..., Signal]) -> None:
    analysis = analyse_ecg(twelve(make_ecg([2.0, 8.5], 500, 10)), 500, LEADS)
    assert analysis.heart_rate_bpm is None
    assert "few-beats" in analysis.limits
    assert "EC16" in rules_of(analysis)


@pytest.mark.parametrize(
    ("names", "highpass", "zero_phase", "expected", "absent"),
    [
        (LEADS, 0.05, False, set(), {"fewer-leads", "highpass-high", "highpass-unknown"}),
        (LEADS, 0.67, False, {"highpass-high"}, {"highpass-unknown"}),
        (LEADS, 0.67, True, set(), {"highpass-high"}),
        (LEADS, None, False, {"highpass-unknown"}, {"highpass-high"}),
        (("II",), 0.05, False, {"fewer-leads"}, {"highpass-high"}),
    ],
)
def test_limits_say_what_is_not_said(
    make_ecg: Callable[..., Signal],
    names: tuple[str, ...],
    highpass: float | None,
    zero_phase: bool,
    expected: set[str],
    absent: set[str],
) -> None:
    leads = twelve(make_ecg(np.arange(0.3, 9.9, 0.8), 500, 10))[: len(names)]
    analysis = analyse_ecg(leads, 500, names, highpass_hz=highpass, zero_phase=zero_phase)
    limits = set(analysis.limits)
    assert expected | {"excludes-nothing", "rhythm-by-physician"} <= limits
    assert ("st-not-judged" in limits) == (analysis.st_mm is None) == bool(expected)
    assert analysis.limits[-1] == "excludes-nothing"
    assert not absent & limits


def test_an_infarction_carries_rule_leads_beats_and_confidence() -> None:
    ecg_mv = infarction("inferior").render().mv
    analysis = analyse_ecg(ecg_mv, 500, LEADS, sex="male", age_years=60, highpass_hz=0.05)
    (found,) = [f for f in analysis.findings if f.rule_id == "EC03"]
    assert found.urgency is Urgency.ORANGE
    assert {"II", "III", "aVF"} <= set(found.leads)
    assert found.confidence in ("likely", "possible")
    assert len(found.beats) >= 5 and set(found.beats) <= set(analysis.beats)
    spoiled = analyse_ecg(ecg_mv, 500, LEADS, sex="male", age_years=60, highpass_hz=0.5)
    assert spoiled.st_mm is None
    assert not {"EC01", "EC02", "EC03", "EC04", "EC05"} & rules_of(spoiled)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_everything_said_has_words(make_ecg: Callable[..., Signal], language: str) -> None:
    words = Words(language)
    one = make_ecg(np.arange(0.3, 9.9, 0.8), 500, 10)
    spoiled = twelve(one)
    spoiled[3:] = np.nan
    for leads in (
        twelve(one),
        spoiled,
        np.zeros((12, 5000)),
        np.zeros((12, 9)),
        twelve(0 * one) + 0.02 * np.sin(np.arange(5000) / 40),
    ):
        analysis = analyse_ecg(leads, 500, LEADS)
        assert f"rhythm.{analysis.rhythm}" in words
        assert all(f"ecg_limit.{limit}" in words for limit in analysis.limits)
        assert all(f"ecg_quality.{reason.split(':')[0]}" in words for reason in analysis.quality.reasons)


def test_never_excludes_an_infarction() -> None:
    for language in ("zh_CN", "en"):
        text = Words(language)("ecg_limit.excludes-nothing")
        assert "排除" not in text
        assert "rule out" not in text


def test_no_scipy_is_loaded() -> None:
    code = "import sys, zhenbao.signal.ecg; sys.exit(any(m == 'scipy' or m.startswith('scipy.') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_one_loose_electrode_does_not_silence_a_critical_rate() -> None:
    """V1 is off for the whole recording: the rate comes from the other leads, and the doctor is told to repeat."""
    fs_hz = 500.0
    one = np.zeros(int(fs_hz * 2))
    one[400:425] = np.hanning(25)  # a beat every 2 s: 30 per minute
    noise = np.random.default_rng(5).normal(0, 0.005, (12, one.size * 6))
    leads = np.tile(one, 6) * np.linspace(0.6, 1.2, 12)[:, None] + noise
    leads[6] = np.nan
    analysis = analyse_ecg(leads, fs_hz, LEADS, highpass_hz=0.05)
    assert not analysis.quality.acceptable
    assert "electrode-off:V1" in analysis.quality.reasons
    assert analysis.heart_rate_bpm == pytest.approx(30, abs=1)
    assert "EC19" in {f.rule_id for f in analysis.findings}
    assert "some-leads" in analysis.limits


def test_where_t_covers_p_no_pr_is_told(make_ecg: Callable[..., Signal]) -> None:
    waves = ((-0.014, -0.1, 0.006), (0.0, 1.1, 0.009), (0.016, -0.2, 0.007), (0.19, 0.25, 0.03))
    analysis = analyse_ecg(twelve(make_ecg(np.arange(0.3, 9.9, 60 / 165), 500, 10, waves)), 500, LEADS)
    assert analysis.heart_rate_bpm == pytest.approx(165, abs=2)
    assert "pr" not in analysis.intervals
    assert "EC36" not in rules_of(analysis)


@pytest.mark.parametrize("leads", [1, 12])
def test_a_recording_without_a_beat_is_a_pause_and_red(leads: int) -> None:
    rng, t = np.random.default_rng(2), np.arange(5000) / 500
    drift = np.array([0.1 * np.sin(2 * np.pi * 0.25 * t + lead) for lead in range(leads)])
    analysis = analyse_ecg(drift + 0.01 * rng.standard_normal((leads, 5000)), 500, LEADS[:leads])
    assert analysis.rhythm == "asystole"
    assert {f.rule_id: f.urgency for f in analysis.findings} == {"EC16": Urgency.RED}
    assert analysis.heart_rate_bpm is None


def test_electrodes_that_are_off_are_no_standstill() -> None:
    analysis = analyse_ecg(np.zeros((12, 5000)), 500, LEADS)
    assert rules_of(analysis) == {"EC40"}
    assert "asystole" not in {hint.name for hint in analysis.hints}


def test_no_rate_is_called_normal_beside_a_standstill(make_ecg: Callable[..., Signal]) -> None:
    analysis = analyse_ecg(twelve(make_ecg(np.arange(0.5, 8, 0.8), 500, 20)), 500, LEADS)
    assert "EC16" in rules_of(analysis)
    assert "EC38" not in rules_of(analysis)


@pytest.mark.parametrize(("t_at", "expected"), [(0.42, True), (0.24, False)])
def test_a_ventricular_beat_on_a_late_t_wave(make_ecg: Callable[..., Signal], t_at: float, expected: bool) -> None:
    own = ((-0.16, 0.12, 0.018), (0.0, 1.1, 0.010), (0.026, -0.22, 0.010), (t_at, 0.3, 0.035))
    early = ((-0.02, -0.5, 0.022), (0.03, 1.4, 0.026), (0.08, -0.6, 0.022), (0.3, -0.35, 0.035))
    normal = [b for b in np.arange(0.5, 29.5, 1.0).tolist() if b not in (9.5, 19.5)]
    one = make_ecg(normal, 500, 30, own) + make_ecg([8.5 + 0.37, 18.5 + 0.37], 500, 30, early)
    analysis = analyse_ecg(twelve(one), 500, LEADS, sex="male", age_years=50, highpass_hz=0.05)
    assert "r-on-t" in {hint.name for hint in analysis.hints}
    assert (analysis.intervals["qtcf"] > 450) is expected
    found = {f.rule_id: f for f in analysis.findings}
    assert ("EC27" in found) is expected
    if expected:
        assert found["EC27"].urgency is Urgency.RED
        assert len(found["EC27"].beats) == 2

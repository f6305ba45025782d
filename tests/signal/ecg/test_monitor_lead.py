"""A chest strap or a board: one lead that is none of the twelve, at 130 per second (rule EC42)."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from zhenbao.figures import ecg_paper
from zhenbao.firmware_sim.waveforms.ecg import LEADS, EcgModel, EcgNoise, inferior_elevation, third_degree_block
from zhenbao.model.ecg import MONITOR_LEADS, EcgAnalysis
from zhenbao.model.recording import Recording
from zhenbao.signal.ecg import analyse_ecg
from zhenbao.words import LANGUAGES, Words

NOISE = EcgNoise(baseline_wander_mv=0.05, muscle_mv=0.01, white_mv=0.003)
OF_A_BEAT = {"pr", "qrs", "qt", "qtcf", "qtcb", "p"}


def strip(model: EcgModel, lead: str, name: str) -> EcgAnalysis:
    row = replace(model, noise=NOISE).render(30, 130).mv[LEADS.index(lead)]
    return analyse_ecg(row[None], 130.0, (name,), sex="male", age_years=60, highpass_hz=0.05)


@pytest.mark.parametrize("name", MONITOR_LEADS)
@pytest.mark.parametrize("lead", ["II", "V2", "V4"])
@pytest.mark.parametrize("make", [EcgModel, inferior_elevation], ids=["sinus", "infarction"])
def test_it_says_nothing_of_st_axis_or_infarction(name: str, lead: str, make: type[EcgModel]) -> None:
    analysis = strip(make(), lead, name)
    assert analysis.heart_rate_bpm is not None
    assert (analysis.st_mm, analysis.st60_mm, analysis.axis_deg, analysis.conduction) == (None, None, None, None)
    assert not OF_A_BEAT & set(analysis.intervals)
    assert {"monitor-lead", "fewer-leads", "st-not-judged", "excludes-nothing"} <= set(analysis.limits)
    assert not any(f.rule_id < "EC13" for f in analysis.findings)  # EC01 to EC12: ST and infarction


def test_the_same_samples_as_lead_ii_do_give_intervals() -> None:
    """What is withheld hangs on the lead's name, not on the signal."""
    analysis = strip(EcgModel(), "II", "II")
    assert OF_A_BEAT & set(analysis.intervals)
    assert "monitor-lead" not in analysis.limits


@pytest.mark.parametrize("lead", ["II", "V2", "V4"])
@pytest.mark.parametrize(
    ("model", "rhythm", "rule"),
    [
        (EcgModel(rate_bpm=72), "sinus", "EC38"),
        (EcgModel(rate_bpm=110, rhythm="atrial-fibrillation"), "atrial-fibrillation", "EC13"),
        (third_degree_block(), None, "EC19"),
        (EcgModel(rate_bpm=170), None, "EC32"),
    ],
    ids=["sinus", "fibrillation", "block", "fast"],
)
def test_rate_and_rhythm_are_judged_at_130_hz(lead: str, model: EcgModel, rhythm: str | None, rule: str) -> None:
    analysis = strip(model, lead, "chest-strap")
    truth = replace(model, noise=NOISE).render(30, 130).truth
    assert truth is not None
    assert analysis.heart_rate_bpm == pytest.approx(truth.rate_bpm, abs=1)
    assert rhythm in (None, analysis.rhythm)
    assert rule in {f.rule_id for f in analysis.findings}
    assert len(analysis.beats) == len(truth.beats)
    # In V2 the deepest point is S, a few samples after R: at worst 40 ms from the truth.
    assert np.abs(np.array(analysis.beats) - truth.beats).max() <= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_paper_names_the_lead_in_words(language: str) -> None:
    samples = np.zeros(1300, "<i2").tobytes()
    recording = Recording(
        UUID(int=1), UUID(int=2), "ecg-rhythm", 130.0, ("chest-strap",), "mV", 0.001, 0, samples, complete=False
    )
    words = Words(language)
    drawn = ecg_paper(recording, words=words, layout="strip")
    assert f">{words.lead('chest-strap')}<" in drawn
    assert ">chest-strap<" not in drawn

"""Whatever is recorded, there is a result; real recordings give plausible ones."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zhenbao.firmware_sim.waveforms.ecg import LEADS
from zhenbao.firmware_sim.waveforms.twelve_lead import TwelveLeadModel
from zhenbao.model.ecg_twelve import Conduction
from zhenbao.model.finding import Confidence
from zhenbao.signal.ecg.twelve import measure_twelve
from zhenbao.words import Words

RANDOM = np.random.default_rng(3)
SIGNALS = {
    "flat": np.zeros((12, 5000)),
    "missing": np.full((12, 5000), np.nan),
    "infinite": np.full((12, 5000), np.inf),
    "absurd": np.full((12, 5000), 1e200),
    "noise": RANDOM.normal(0, 0.3, (12, 5000)),
    "one step": np.repeat([[0.0, 5.0]], 2500, axis=1) * np.ones((12, 1)),
    "half missing": np.where(RANDOM.random((12, 5000)) < 0.5, np.nan, RANDOM.normal(0, 1, (12, 5000))),
    "short": RANDOM.normal(0, 1, (12, 30)),
    "one sample": np.ones((12, 1)),
    "empty": np.ones((12, 0)),
}


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS.keys())
@pytest.mark.parametrize("beats", [[], [10], [500, 900, 1300, 1700, 2100, 2500], [0, 1, 2, 3, 4999], [-5, 10**6]])
@pytest.mark.filterwarnings("error")
def test_any_signal_has_a_result(signal: NDArray[np.float64], beats: list[int]) -> None:
    found = measure_twelve(signal, 500, LEADS, beats, "?" * len(beats), highpass_hz=0.05)
    assert found.limits[-1] == "excludes-nothing"
    if len(beats) < 3:
        assert found.intervals == {}
        assert found.st_mm is None


def test_no_leads_at_all() -> None:
    assert "no-beats" in measure_twelve(np.ones((0, 500)), 500, (), [100, 200, 300], "???").limits


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@settings(max_examples=25, deadline=None)
@given(
    fs_hz=st.sampled_from([100.0, 250.0, 360.0, 500.0, 1000.0]),
    leads=st.integers(1, 12),
    gap=st.tuples(st.floats(0, 4), st.floats(0, 2)),
    moved=st.integers(-60, 60),
    rate=st.floats(35, 180),
)
def test_any_beats_of_any_recording(
    fs_hz: float, leads: int, gap: tuple[float, float], moved: int, rate: float
) -> None:
    made = TwelveLeadModel(rate_bpm=rate, pr_ms=110).render(4.0, fs_hz)
    mv = made.mv[:leads].copy()
    mv[:, round(gap[0] * fs_hz) : round(sum(gap) * fs_hz)] = np.nan
    beats = made.truth.beats + moved
    found = measure_twelve(mv, fs_hz, LEADS[:leads], beats, "N" * len(beats), highpass_hz=0.05)
    numbers = [*found.intervals.values(), *(found.st_mm or {}).values(), *found.noise_mm.values()]
    assert np.isfinite(numbers).all()
    assert all(value > 0 for value in found.intervals.values())


def test_a_flat_lead_and_a_lead_of_noise_do_not_spoil_the_rest() -> None:
    made = TwelveLeadModel().render()
    mv = made.mv.copy()
    mv[0] = 0
    mv[3] = np.nan
    found = measure_twelve(mv, 500, LEADS, made.truth.beats, "?" * len(made.truth.beats), highpass_hz=0.05)
    assert found.intervals["qrs"] == pytest.approx(made.truth.qrs_ms, abs=12)
    assert found.axis_deg is None


def test_names_and_classes_must_match() -> None:
    with pytest.raises(ValueError, match="names"):
        measure_twelve(np.zeros((2, 100)), 500, ("I",), [], ())
    with pytest.raises(ValueError, match="classes"):
        measure_twelve(np.zeros((1, 100)), 500, ("I",), [1, 2], ("N",))
    with pytest.raises(ValueError, match="rate"):
        measure_twelve(np.zeros((1, 100)), 0, ("I",), [], ())


def test_no_scipy() -> None:
    code = "import zhenbao.signal.ecg.twelve, sys; print('scipy' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def test_every_key_has_words() -> None:
    words = Words("zh_CN")
    found: dict[str, set[str]] = {"ecg_limit": set(), "ecg_hint": set(), "ecg_conduction": set()}
    own = files("zhenbao.signal.ecg.twelve")
    source = "".join(own.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in ("measure", "infarction"))
    found["ecg_limit"] |= set(re.findall(r'limits\.append\("([a-z-]+)"\)', source))
    found["ecg_limit"] |= {"no-beats", "few-beats", "fewer-leads", "highpass-unknown", "highpass-high", "st-noise"}
    found["ecg_hint"] |= set(re.findall(r'(?:hints|found)\.append\(EcgFact\("([a-z-]+)"', source))
    found["ecg_conduction"] |= set(get_args(Conduction))
    assert len(found["ecg_limit"]) > 12 and len(found["ecg_hint"]) == 6
    assert [f"{room}.{key}" for room, keys in found.items() for key in keys if f"{room}.{key}" not in words] == []
    assert all(f"ecg_confidence.{key}" in words for key in get_args(Confidence))

"""Whatever is recorded, the analysis ends with a result that can be sent."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from zhenbao.firmware_sim.waveforms.twelve_lead import infarction
from zhenbao.model.ecg import LEADS, EcgAnalysis
from zhenbao.signal.ecg import analyse_ecg

Signal = NDArray[np.float64]
RATES = st.sampled_from([100.0, 125.0, 250.0, 257.3, 360.0, 500.0, 1000.0])


def assert_sound(analysis: EcgAnalysis, n: int) -> None:
    """Beats lie inside, ascending, each with a class, and nothing that JSON cannot hold."""
    assert len(analysis.beats) == len(analysis.classes)
    assert list(analysis.beats) == sorted(set(analysis.beats))
    assert all(0 <= beat < n for beat in analysis.beats)
    assert set(analysis.classes) <= set("NSVF/?")
    for finding in analysis.findings:
        assert finding.confidence in ("likely", "possible", "uncertain")
        assert set(finding.beats) <= set(analysis.beats) and set(finding.leads) <= set(analysis.lead_names)
    told = msgspec.json.decode(msgspec.json.encode(analysis))
    assert None not in told["intervals"].values()


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(0, 1500)), elements=st.floats(width=32)), RATES
)
@settings(max_examples=40, deadline=None)
def test_any_numbers(samples: Signal, fs_hz: float) -> None:
    names = LEADS[: len(samples)]
    assert_sound(analyse_ecg(samples, fs_hz, names, sex="female", age_years=44, highpass_hz=0.05), samples.shape[1])


SPOILED: list[tuple[str, Callable[[Signal], Signal]]] = [
    ("microvolts", lambda x: 1000 * x),
    ("tiny", lambda x: 1e-6 * x),
    ("inverted", lambda x: -x),
    ("saturated", lambda x: np.clip(x, -0.2, 0.2)),
    ("steps", lambda x: x + 5 * (np.arange(x.shape[1]) // 900 % 2)),
    ("hum", lambda x: x + np.sin(2 * np.pi * 50 * np.arange(x.shape[1]) / 500)),
    ("half lost", lambda x: np.where(np.arange(x.shape[1]) < 2500, x, np.nan)),
    ("every other sample lost", lambda x: np.where(np.arange(x.shape[1]) % 2 == 0, x, np.nan)),
    ("one lead only", lambda x: np.where(np.arange(12)[:, None] == 1, x, 0.0)),
    ("all leads the same", lambda x: np.repeat(x[1:2], 12, axis=0)),
    ("constant", lambda x: np.full_like(x, 2.5)),
    ("alternating", lambda x: np.where(np.arange(x.shape[1]) % 2 == 0, 1.0, -1.0) * np.ones_like(x)),
    ("two seconds", lambda x: x[:, :1000]),
    ("noise", lambda x: np.random.default_rng(2).standard_normal(x.shape)),
    ("spikes", lambda x: np.where(np.arange(x.shape[1]) % 400 == 7, 30.0, x)),
]


@pytest.mark.parametrize(("name", "spoil"), SPOILED, ids=[name for name, _ in SPOILED])
@pytest.mark.parametrize("leads", [12, 2, 1])
def test_spoiled_recordings(name: str, spoil: Callable[[Signal], Signal], leads: int) -> None:
    samples = spoil(infarction("anterior").render(10, 500).mv)[:leads]
    for sex, age in (("male", 35), (None, None), ("female", 6)):
        assert_sound(
            analyse_ecg(samples, 500, LEADS[:leads], sex=sex, age_years=age, highpass_hz=0.05), samples.shape[1]
        )


@pytest.mark.slow
def test_six_hours_of_two_leads() -> None:
    """Repeats ten minutes; the memory it takes grows with the recording, its result does not depend on its length."""
    ten_minutes = infarction("inferior").render(600, 125).mv[:2]
    long = np.tile(ten_minutes, 36)
    analysis = analyse_ecg(long, 125, ("I", "II"))
    assert_sound(analysis, long.shape[1])
    assert analysis.heart_rate_bpm == pytest.approx(70, abs=2)

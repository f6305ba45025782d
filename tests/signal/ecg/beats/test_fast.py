"""Tachycardias that fill the recording, and noise that looks like a run: each beside what it must not be taken for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from zhenbao.model.ecg_rhythm import Rhythm
from zhenbao.signal.ecg import assess_quality, detect_qrs
from zhenbao.signal.ecg.beats import judge_rhythm

Signal = NDArray[np.float64]
MakeEcg = Callable[..., Signal]
FS_HZ = 250
P = (-0.13, 0.12, 0.018)
QRS = ((-0.026, -0.12, 0.009), (0.0, 1.1, 0.010), (0.026, -0.22, 0.010))
T = (0.19, 0.2, 0.035)
WIDE = ((-0.02, -0.3, 0.020), (0.02, 1.2, 0.022), (0.06, -0.5, 0.020), (0.22, -0.35, 0.030))


def rendered(make_ecg: MakeEcg, parts: Sequence[tuple[Sequence[float], object]], seconds: float) -> Rhythm:
    noise = 0.01 * np.random.default_rng(1).standard_normal(round(seconds * FS_HZ))
    one = np.asarray(sum((make_ecg(at, FS_HZ, seconds, waves) for at, waves in parts), noise))
    return judge_rhythm(one, FS_HZ, ["II"], detect_qrs(one, FS_HZ))


def steady_at(bpm: float, seconds: float, start_s: float = 0.4) -> list[float]:
    return np.arange(start_s, seconds - 0.2, 60 / bpm).tolist()


def facts(rhythm: Rhythm) -> dict[str, str]:
    return {fact.name: fact.confidence for fact in rhythm.facts}


def hints(rhythm: Rhythm) -> set[str]:
    return {hint.name for hint in rhythm.hints}


@pytest.mark.parametrize(("seconds", "confidence"), [(10, "uncertain"), (60, "possible")])
def test_a_wide_tachycardia_that_fills_the_recording_is_never_called_sinus(
    make_ecg: MakeEcg, seconds: float, confidence: str
) -> None:
    rhythm = rendered(make_ecg, [(steady_at(165, seconds), WIDE)], seconds)
    assert rhythm.rhythm == "ventricular-tachycardia"
    assert facts(rhythm) == {"ecg.vt_sustained": confidence}
    assert "wide-tachycardia" in hints(rhythm)
    (fact,) = rhythm.facts
    assert len(fact.beats) > 0.9 * seconds * 165 / 60
    assert fact.leads == ("II",)


def test_a_slower_wide_tachycardia_has_no_name_but_a_warning(make_ecg: MakeEcg) -> None:
    rhythm = rendered(make_ecg, [(steady_at(132, 30), WIDE)], 30)
    assert rhythm.rhythm == "not-judged"
    assert "wide-tachycardia" in hints(rhythm)
    assert not facts(rhythm)


def test_wide_beats_at_an_ordinary_rate_give_no_warning(make_ecg: MakeEcg) -> None:
    rhythm = rendered(make_ecg, [(steady_at(80, 30), ((-0.20, 0.14, 0.022), *WIDE))], 30)
    assert "wide-tachycardia" not in hints(rhythm)
    assert rhythm.rhythm == "sinus"
    assert not facts(rhythm)


@pytest.mark.parametrize(
    ("bpm", "with_p", "expected", "said"),
    [
        (190, False, "supraventricular-tachycardia", {"ecg.svt": "possible"}),
        (160, False, "not-judged", {}),
        (112, True, "sinus-tachycardia", {}),
    ],
)
def test_narrow_tachycardias(make_ecg: MakeEcg, bpm: float, with_p: bool, expected: str, said: dict[str, str]) -> None:
    waves = (P, *QRS, T) if with_p else (*QRS, T)
    rhythm = rendered(make_ecg, [(steady_at(bpm, 10), waves)], 10)
    assert rhythm.rhythm == expected
    assert facts(rhythm) == said
    assert "wide-tachycardia" not in hints(rhythm)


def test_above_120_sinus_is_at_most_possible(make_ecg: MakeEcg) -> None:
    rhythm = rendered(make_ecg, [(steady_at(138, 30), (P, *QRS, T))], 30)
    assert {s.confidence for s in rhythm.stretches if s.rhythm == "sinus-tachycardia"} == {"possible"}


@pytest.mark.parametrize(("seconds", "allowed"), [(10, {"possible"}), (20, {"possible"}), (60, {"likely"})])
def test_fast_fibrillation_is_likely_only_from_thirty_seconds(
    make_ecg: MakeEcg, seconds: float, allowed: set[str]
) -> None:
    rng = np.random.default_rng(7)
    beats = [0.4]
    while beats[-1] < seconds - 0.8:
        beats.append(beats[-1] + float(rng.uniform(0.3, 0.6)))
    rhythm = rendered(make_ecg, [(beats, (*QRS, T))], seconds)
    assert {f.confidence for f in rhythm.facts if f.name == "ecg.atrial_fibrillation"} == allowed


def test_a_tachycardia_after_sinus_rhythm_is_ventricular(make_ecg: MakeEcg) -> None:
    sinus = steady_at(72, 15)
    run = np.arange(sinus[-1] + 0.55, 19.5, 0.42).tolist()
    rhythm = rendered(make_ecg, [(sinus, (P, *QRS, (0.27, 0.28, 0.05))), (run, WIDE)], 20)
    assert "ecg.vt_nonsustained" in facts(rhythm)
    assert "ecg.svt" not in facts(rhythm)
    assert "doubtful-run" not in hints(rhythm)


def test_a_narrow_run_after_sinus_rhythm_is_not(make_ecg: MakeEcg) -> None:
    sinus = steady_at(72, 15)
    run = np.arange(sinus[-1] + 0.5, 19.5, 0.36).tolist()
    rhythm = rendered(make_ecg, [(sinus, (P, *QRS, (0.27, 0.28, 0.05))), (run, (*QRS, T))], 20)
    assert not {"ecg.vt_nonsustained", "ecg.vt_sustained", "ecg.ventricular_fibrillation"} & set(facts(rhythm))


def said_of(folder: Path, record: str, seconds: float = 30) -> list[set[str]]:
    """Facts of every piece of a recording, as a kit would record it."""
    wfdb = pytest.importorskip("wfdb", reason="reading the recordings needs the extra 'formats'")
    if not (folder / f"{record}.hea").is_file():
        pytest.skip(f"no recording {folder / record}")
    read = wfdb.rdrecord(str(folder / record))
    samples, fs_hz, names = np.ascontiguousarray(read.p_signal.T), float(read.fs), tuple(read.sig_name)
    found, step = [], round(seconds * fs_hz)
    for start in range(0, samples.shape[1] - step + 1, step):
        piece = samples[:, start : start + step]
        usable = np.zeros(piece.shape, bool)
        for row, stretches in zip(usable, assess_quality(piece, fs_hz, names).usable.values(), strict=True):
            for first, last in stretches:
                row[first:last] = True
        rhythm = judge_rhythm(piece, fs_hz, names, detect_qrs(piece, fs_hz), usable)
        found.append({fact.name for fact in rhythm.facts})
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("record", "at_most"), [("em", 1), ("ma", 0), ("bw", 0)])
def test_half_an_hour_of_noise_without_a_heart(shared_data: Path, record: str, at_most: int) -> None:
    found = said_of(shared_data / "ecg" / "data" / "nstdb", record)
    assert not any("ecg.ventricular_fibrillation" in facts for facts in found)
    alarms = sum(bool({"ecg.vt_nonsustained", "ecg.vt_sustained", "ecg.atrial_fibrillation"} & f) for f in found)
    assert alarms <= at_most


@pytest.mark.slow
@pytest.mark.parametrize("record", ["101", "112", "115", "122"])
def test_half_an_hour_without_arrhythmia_raises_nothing(shared_data: Path, record: str) -> None:
    assert set().union(*said_of(shared_data / "ecg" / "data" / "mitdb", record)) == set()


@pytest.mark.slow
def test_ventricular_flutter_is_told(shared_data: Path) -> None:
    found = said_of(shared_data / "ecg" / "data" / "mitdb", "207")
    assert sum("ecg.ventricular_fibrillation" in facts for facts in found) >= 5

"""Classes of beats and kinds of rhythm, each beside what looks like it; beats placed by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from zhenbao.firmware_sim.waveforms.twelve_lead import TwelveLeadModel
from zhenbao.model.ecg import LEADS
from zhenbao.model.ecg_rhythm import Rhythm
from zhenbao.signal.ecg import analyse_ecg, detect_qrs
from zhenbao.signal.ecg.beats import classify_beats, judge_rhythm

Signal = NDArray[np.float64]
MakeEcg = Callable[..., Signal]
FS_HZ = 250
P = (-0.17, 0.12, 0.022)
QRS = ((-0.026, -0.12, 0.009), (0.0, 1.1, 0.010), (0.026, -0.22, 0.010))
T = (0.27, 0.28, 0.055)
NARROW = (P, *QRS, T)
WITHOUT_P = (*QRS, T)
WIDE = ((-0.03, 0.7, 0.028), (0.03, 1.2, 0.030), (0.30, -0.5, 0.06))


def rendered(make_ecg: MakeEcg, parts: Sequence[tuple[Sequence[float], object]], duration_s: float) -> Signal:
    """Beats of several shapes on one lead, with a little noise."""
    noise = 0.01 * np.random.default_rng(5).standard_normal(round(duration_s * FS_HZ))
    return np.asarray(sum((make_ecg(at, FS_HZ, duration_s, waves) for at, waves in parts), noise))


def judged(one: Signal, beats_s: Sequence[float]) -> Rhythm:
    return judge_rhythm(one, FS_HZ, ["II"], np.round(np.asarray(beats_s) * FS_HZ).astype(np.int64))


def facts(rhythm: Rhythm) -> set[str]:
    return {fact.name for fact in rhythm.facts}


def hints(rhythm: Rhythm) -> set[str]:
    return {hint.name for hint in rhythm.hints}


@pytest.mark.parametrize(
    ("bpm", "expected"),
    [(72, "sinus"), (45, "sinus-bradycardia"), (120, "sinus-tachycardia"), (30, "sinus-bradycardia")],
)
def test_sinus(make_ecg: MakeEcg, bpm: float, expected: str) -> None:
    beats = np.arange(0.5, 29.5, 60 / bpm)
    waves = (P, *QRS, (0.20, 0.2, 0.04))
    rhythm = judged(rendered(make_ecg, [(beats.tolist(), waves)], 30), beats.tolist())
    assert rhythm.rhythm == expected
    assert rhythm.rate_bpm == pytest.approx(bpm, rel=0.01)
    assert set(rhythm.beats.classes) == {"N"}
    assert not facts(rhythm)


def wild(seconds: float) -> list[float]:
    rng = np.random.default_rng(3)
    beats = [0.5]
    while beats[-1] < seconds - 1.2:
        beats.append(beats[-1] + float(rng.uniform(0.42, 1.05)))
    return beats


def fibrillating(make_ecg: MakeEcg, seconds: float) -> tuple[Signal, list[float]]:
    beats = wild(seconds)
    t = np.arange(round(seconds * FS_HZ)) / FS_HZ
    waves = 0.04 * np.sin(2 * np.pi * (6.3 * t + 0.7 * np.sin(2 * np.pi * 0.31 * t)))
    return rendered(make_ecg, [(beats, WITHOUT_P)], seconds) + waves, beats


def test_irregular_without_p_is_suspected_fibrillation(make_ecg: MakeEcg) -> None:
    rhythm = judged(*fibrillating(make_ecg, 60))
    assert rhythm.rhythm == "atrial-fibrillation"
    (fact,) = [f for f in rhythm.facts if f.name == "ecg.atrial_fibrillation"]
    assert fact.leads == ("II",) and len(fact.beats) > 40
    assert fact.confidence == "likely"


def test_a_few_seconds_of_it_are_never_more_than_possible(make_ecg: MakeEcg) -> None:
    one, beats = fibrillating(make_ecg, 10)
    assert all(f.confidence != "likely" for f in judged(one, beats).facts)


def test_premature_atrial_beats_are_not_fibrillation(make_ecg: MakeEcg) -> None:
    beats, early, at = [], [], 0.5
    for i in range(70):
        beats.append(at)
        if i % 5 == 4:
            at += 0.5
            early.append(at)
            beats.append(at)
            at += 0.95
        else:
            at += 0.8
    normal = [b for b in beats if b not in early]
    one = rendered(make_ecg, [(normal, NARROW), (early, ((-0.15, 0.15, 0.02), *QRS, T))], at + 1)
    rhythm = judged(one, beats)
    assert "ecg.atrial_fibrillation" not in facts(rhythm)
    classes = dict(zip(rhythm.beats.beats, rhythm.beats.classes, strict=True))
    called = [classes[round(b * FS_HZ)] for b in early]
    assert called.count("S") >= 0.9 * len(early)
    assert "V" not in rhythm.beats.classes


def test_sinus_arrhythmia_is_not_fibrillation(make_ecg: MakeEcg) -> None:
    beats = [0.5]
    while beats[-1] < 58:
        beats.append(beats[-1] + 0.85 + 0.16 * np.sin(2 * np.pi * 0.22 * beats[-1]))
    rhythm = judged(rendered(make_ecg, [(beats, NARROW)], 60), beats)
    assert "ecg.atrial_fibrillation" not in facts(rhythm)
    assert rhythm.rhythm == "sinus"


def ectopics(every: int, run: int, count: int = 60) -> tuple[list[float], list[float]]:
    """Normal beats, and after each ``every`` of them ``run`` wide ones at 150 per minute."""
    normal, wide, at = [], [], 0.5
    for i in range(count):
        normal.append(at)
        if i % every == every - 1:
            at += 0.5
            for _ in range(run):
                wide.append(at)
                at += 0.4
            at += 0.6
        else:
            at += 0.8
    return normal, wide


@pytest.mark.parametrize(
    ("every", "run", "fact", "hint"),
    [
        (1, 1, "ecg.pvc_frequent", "bigeminy"),
        (2, 1, "ecg.pvc_frequent", "trigeminy"),
        (6, 2, "ecg.pvc_frequent", "couplet"),
        (10, 5, "ecg.vt_nonsustained", None),
    ],
)
def test_ventricular_beats(make_ecg: MakeEcg, every: int, run: int, fact: str, hint: str | None) -> None:
    normal, wide = ectopics(every, run)
    beats = sorted(normal + wide)
    rhythm = judged(rendered(make_ecg, [(normal, NARROW), (wide, WIDE)], beats[-1] + 1), beats)
    classes = dict(zip(rhythm.beats.beats, rhythm.beats.classes, strict=True))
    assert all(classes[round(b * FS_HZ)] == "V" for b in wide)
    assert all(classes[round(b * FS_HZ)] == "N" for b in normal)
    assert fact in facts(rhythm)
    assert hint is None or hint in hints(rhythm)
    assert ("ecg.vt_nonsustained" in facts(rhythm)) == (run >= 3)
    for found in rhythm.facts:
        assert set(found.beats) <= set(rhythm.beats.beats)


def test_a_wide_qrs_in_every_beat_is_not_a_tachycardia_of_the_ventricles(make_ecg: MakeEcg) -> None:
    beats = np.arange(0.5, 29.5, 0.55).tolist()
    rhythm = judged(rendered(make_ecg, [(beats, ((-0.19, 0.14, 0.022), *WIDE))], 30), beats)
    assert not {"ecg.vt_sustained", "ecg.vt_nonsustained"} & facts(rhythm)


def test_flutter_of_the_ventricles_is_an_alarm_and_noise_is_not(make_ecg: MakeEcg) -> None:
    t = np.arange(20 * FS_HZ) / FS_HZ
    flutter = 0.9 * np.sin(2 * np.pi * (4.6 * t + 0.3 * np.sin(2 * np.pi * 0.4 * t))) * (1 + 0.2 * np.sin(2 * t))
    found = judge_rhythm(flutter, FS_HZ, ["II"], detect_qrs(flutter, FS_HZ))
    assert "ecg.ventricular_fibrillation" in facts(found)
    assert found.rhythm == "ventricular-fibrillation"
    rng = np.random.default_rng(8)
    for noise in (rng.standard_normal(len(t)), np.cumsum(rng.standard_normal(len(t))) * 0.05):
        assert "ecg.ventricular_fibrillation" not in facts(judge_rhythm(noise, FS_HZ, ["II"], detect_qrs(noise, FS_HZ)))


def test_standstill_and_a_lost_electrode_differ(make_ecg: MakeEcg) -> None:
    beats = [0.5, 1.3, 2.1, 2.9, 3.7, 12.0, 12.8, 13.6]
    one = rendered(make_ecg, [(beats, NARROW)], 15)
    assert "asystole" in hints(judged(one, beats))
    one[round(4.2 * FS_HZ) : round(11.5 * FS_HZ)] = np.nan
    assert "asystole" not in hints(judged(one, beats))


def test_dropped_beats_raise_suspicion_of_block(make_ecg: MakeEcg) -> None:
    p_s = np.arange(0.4, 59, 0.8)
    conducted = [float(p) + 0.18 for i, p in enumerate(p_s) if i % 4 != 3]
    one = rendered(make_ecg, [(conducted, WITHOUT_P), (p_s.tolist(), ((0.0, 0.15, 0.022),))], 60)
    rhythm = judged(one, conducted)
    assert "ecg.avb2_high_grade" in facts(rhythm) or "avb2" in hints(rhythm)
    steady = [float(p) + 0.18 for p in p_s]
    one = rendered(make_ecg, [(steady, WITHOUT_P), (p_s.tolist(), ((0.0, 0.15, 0.022),))], 60)
    assert not {"ecg.avb2_high_grade", "ecg.avb3"} & facts(judged(one, steady))


@pytest.mark.parametrize("length", [0, 1, 50, 400])
@pytest.mark.parametrize("leads", [1, 3])
def test_short_and_empty_recordings_are_not_judged(length: int, leads: int) -> None:
    samples = np.full((leads, length), np.nan)
    rhythm = judge_rhythm(samples, FS_HZ, [str(i) for i in range(leads)], [i for i in (3, 30) if i < length])
    assert rhythm.rhythm == "not-judged"
    assert set(rhythm.beats.classes) <= {"?"}


def test_classes_do_not_depend_on_unit_rate_or_polarity(make_ecg: MakeEcg) -> None:
    normal, wide = ectopics(5, 1)
    beats = np.round(np.array(sorted(normal + wide)) * FS_HZ).astype(np.int64)
    one = rendered(make_ecg, [(normal, NARROW), (wide, WIDE)], max(normal + wide) + 1)
    expected = classify_beats(one, FS_HZ, beats).classes
    assert classify_beats(-one, FS_HZ, beats).classes == expected
    assert classify_beats(np.repeat(one, 2), 2 * FS_HZ, 2 * beats).classes == expected


def test_a_wide_tachycardia_that_fills_the_recording_is_an_alarm(make_ecg: MakeEcg) -> None:
    """There is no slower beat to compare it with; a smooth one looks like flutter of the ventricles. Both are RED."""
    beats = np.arange(0.4, 29.6, 60 / 170).tolist()
    rhythm = judged(rendered(make_ecg, [(beats, WIDE)], 30), beats)
    assert {"ecg.vt_sustained", "ecg.ventricular_fibrillation"} & facts(rhythm)


def test_a_narrow_tachycardia_that_fills_the_recording_is_not_called_sinus(make_ecg: MakeEcg) -> None:
    beats = np.arange(0.4, 29.6, 0.3).tolist()
    waves = ((-0.012, -0.1, 0.006), (0.0, 1.1, 0.008), (0.014, -0.2, 0.006), (0.13, 0.2, 0.03))
    rhythm = judged(rendered(make_ecg, [(beats, waves)], 30), beats)
    assert "ecg.svt" in facts(rhythm)
    assert not rhythm.rhythm.startswith("sinus")
    assert all(found.confidence != "likely" for found in rhythm.facts)


def test_waves_that_pay_qrs_no_heed_raise_suspicion_of_third_degree_block(make_ecg: MakeEcg) -> None:
    p_s = np.arange(0.2, 29.8, 60 / 83).tolist()
    beats = np.arange(0.6, 29.5, 60 / 34).tolist()
    one = rendered(make_ecg, [(beats, WITHOUT_P), (p_s, ((0.0, 0.15, 0.022),))], 30)
    found = judged(one, beats)
    (fact,) = [f for f in found.facts if f.name == "ecg.avb3"]
    assert fact.confidence == "possible"
    steady = rendered(make_ecg, [(beats, NARROW)], 30)
    assert "ecg.avb3" not in facts(judged(steady, beats))


def test_spikes_before_every_beat_are_pacing(make_ecg: MakeEcg) -> None:
    fs_hz = 500
    beats = np.arange(0.5, 19.5, 0.86)
    one = make_ecg(beats.tolist(), fs_hz, 20, WIDE) + 0.005 * np.random.default_rng(5).standard_normal(20 * fs_hz)
    peaks = np.round(beats * fs_hz).astype(np.int64)
    plain = judge_rhythm(one, fs_hz, ["II"], peaks)
    assert "paced" not in hints(plain) and "/" not in plain.beats.classes
    one[np.round((beats - 0.12) * fs_hz).astype(np.int64)] += 3.0
    paced = judge_rhythm(one, fs_hz, ["II"], peaks)
    assert "paced" in hints(paced) and paced.rhythm == "paced"
    assert paced.beats.classes.count("/") >= 0.9 * len(beats)


@pytest.mark.slow
@pytest.mark.parametrize(("record", "suspected"), [("230", True), ("101", False), ("220", False)])
def test_preexcitation_as_people_marked_it(shared_data: Path, record: str, suspected: bool) -> None:
    wfdb = pytest.importorskip("wfdb", reason="reading the recordings needs the extra 'formats'")
    file = shared_data / "ecg" / "data" / "mitdb" / record
    if not file.with_suffix(".hea").is_file():
        pytest.skip(f"no recording {file}")
    read = wfdb.rdrecord(str(file))
    samples = np.ascontiguousarray(read.p_signal.T)
    rhythm = judge_rhythm(samples, 360, read.sig_name, detect_qrs(samples, 360))
    assert ("preexcitation" in hints(rhythm)) == suspected


def test_twelve_leads_show_preexcitation_in_the_averaged_beat() -> None:
    analysis = analyse_ecg(TwelveLeadModel(shape="preexcited").render().mv, 500, LEADS, highpass_hz=0.05)
    assert analysis.conduction == "preexcited"
    assert "st-preexcited" in analysis.limits


def test_flutter_waves_between_irregular_beats_are_told(make_ecg: MakeEcg) -> None:
    t = np.arange(30 * FS_HZ) / FS_HZ
    saw = 0.12 * (2 * (5.0 * t % 1) - 1)
    period = 0.2
    beats = np.cumsum([0.6, *np.random.default_rng(2).choice([2, 3, 4], 40) * period])
    beats = beats[beats < 29].tolist()
    one = rendered(make_ecg, [(beats, WITHOUT_P)], 30) + saw
    rhythm = judged(one, beats)
    assert "ecg.atrial_fibrillation" in facts(rhythm)  # the rules take flutter and fibrillation together

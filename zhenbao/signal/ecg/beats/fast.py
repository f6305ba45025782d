"""Fast rhythms: which runs of wide beats are believed, and what may be said of one that fills the recording.

A tachycardia without a slower beat beside it is the patient's own shape, so no beat of it is ectopic by comparison; and
the T wave of the beat before fills the time in which P would be looked for. Only rate, regularity and width are left.
A regular tachycardia with wide QRS is ventricular until shown otherwise (2017 AHA/ACC/HRS guideline on ventricular
arrhythmias, doi:10.1161/CIR.0000000000000549).
"""

from __future__ import annotations

import numpy as np

from zhenbao.model.finding import Confidence
from zhenbao.signal.ecg.beats.arrest import runs_of
from zhenbao.signal.ecg.beats.classes import Judged
from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.features import rolling
from zhenbao.signal.ecg.beats.runs import Run, runs
from zhenbao.signal.ecg.beats.windows import Flags

_AROUND = 8
_FEWEST = 3


def alike(judged: Judged, run: Run) -> float:
    """Of the beats of a run to their neighbours, 1 for the same shape."""
    return float(np.median(judged.measured.neighbour_like[run.first : run.last]))


def ventricular_runs(judged: Judged, fs_hz: float) -> list[Run]:
    """Fast runs of ventricular beats, and of early beats so much wider than the patient's own that they may be."""
    rule = criteria()
    own = judged.are("N")
    usual_ms = float(np.median(judged.measured.width_ms[own])) if own.any() else np.inf
    least_ms = max(rule["wide_ms"], rule["wide_by_own"] * usual_ms)

    def fast(ectopic: str) -> list[Run]:
        return [run for run in runs(judged.beats, fs_hz, judged.are(ectopic)) if run.rate_bpm > rule["run_rate"]]

    # Fusion beats among ventricular ones are often called early: three or four such beats say too little.
    longer = [r for r in fast("SV") if r.last - r.first >= rule["run_short"]]
    widened = [r for r in longer if float(np.median(judged.measured.width_ms[r.first : r.last])) >= least_ms]
    apart = [r for r in fast("V") if not any(w.first <= r.first and r.last <= w.last for w in widened)]
    return sorted(widened + apart, key=lambda r: r.first)


def believed(judged: Judged, run: Run) -> bool:
    """Whether ventricular beats in a row stand out from something: noise departs from a beat that is never the same.

    Beside a steady own beat a run must resemble itself; without one, only a long run of one shape is believed.
    Artefacts of one shape (chest compressions, brushing teeth) pass for a tachycardia here as they do for the eye.
    """
    rule = criteria()
    likeness, length = alike(judged, run), run.last - run.first
    measured = judged.measured
    own_share = float((measured.shape[measured.known] == measured.own).mean()) if measured.known.any() else 0.0
    # All beats outside the run, the ventricular ones too: those called normal are alike by that very call.
    rest = measured.known.copy()
    rest[run.first : run.last] = False
    needed = rule["run_steady_fast" if run.rate_bpm >= rule["p_hidden_rate"] else "run_steady"]
    steady = rest.sum() >= _FEWEST and float(np.median(measured.correlation[rest])) >= needed
    if steady and own_share >= rule["run_own_share"]:
        return likeness >= rule["run_alike"]
    return length >= rule["run_short"] and likeness >= rule["run_alone_alike"]


def wide(judged: Judged) -> bool:
    """Whether the patient's own beats are wide, as far as single beats show it."""
    own = judged.are("N")
    return bool(own.any()) and float(np.median(judged.measured.width_ms[own])) >= criteria()["wide_ms"]


def fast_regular(judged: Judged, fs_hz: float, excluded: Flags) -> list[Run]:
    """Stretches of the patient's own beats that are regular, long and faster than ``p_unsure_rate``."""
    rule = criteria()
    beats = judged.beats
    if len(beats) < _FEWEST:
        return []
    rr = np.diff(beats) / fs_hz
    usual, _ = rolling(rr, _AROUND)
    own = judged.are("N") & ~excluded
    steady = (np.abs(rr / usual - 1) <= rule["fast_regular"]) & own[1:] & own[:-1]
    found = []
    for first, last in runs_of(steady & (usual < 60 / rule["p_unsure_rate"])):
        seconds = float(beats[last] - beats[first]) / fs_hz
        if seconds >= rule["fast_s"]:
            found.append(Run(first, last + 1, 60 * (last - first) / seconds, seconds))
    return found


def name_of(run: Run, wide: bool) -> str | None:
    """The rhythm that such a stretch is suspected to be; None where rate and width do not tell."""
    rule = criteria()
    if wide:
        return "ventricular-tachycardia" if run.rate_bpm >= rule["p_hidden_rate"] else None
    return "supraventricular-tachycardia" if run.rate_bpm >= rule["svt_sure_rate"] else None


def suspected(regular: list[Run], wide: bool, seen_s: float) -> list[tuple[str, list[Run], Confidence]]:
    """Facts and hints of such stretches, with those that each rests on."""
    rule = criteria()
    named = [run for run in regular if name_of(run, wide)]
    if not wide:
        return [("ecg.svt", named, "possible")] if named else []
    found: list[tuple[str, list[Run], Confidence]] = [("wide-tachycardia", regular, "possible")] if regular else []
    seconds = sum(run.seconds for run in named)
    if seconds >= rule["sustained_s"]:
        found.append(("ecg.vt_sustained", named, "possible"))
    elif named and seconds >= rule["fast_filled"] * seen_s:
        # It fills all that was recorded: that it would have ended by itself is not known.
        found.append(("ecg.vt_sustained", named, "uncertain"))
    elif named:
        found.append(("ecg.vt_nonsustained", named, "possible"))
    return found

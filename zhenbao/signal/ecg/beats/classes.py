"""A class for every beat, by its intervals and its shape against the patient's own.

Training and test split, and the classes that are scored, follow de Chazal 2004 (doi:10.1109/TBME.2004.827359).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.model.ecg_rhythm import BeatClasses
from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.features import NAMES, Measured, measure_beats
from zhenbao.signal.ecg.beats.fibrillation import fibrillation_log_odds
from zhenbao.signal.ecg.beats.pacing import paced_beats
from zhenbao.signal.ecg.beats.windows import Flags, Ints, Prepared, prepare
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.logistic import Score, scores
from zhenbao.signal.ecg.qrs import as_leads, check_rate


@dataclass(frozen=True, slots=True)
class Judged:
    """The beats of a recording with all that was found of each."""

    beats: Ints
    classes: tuple[str, ...]
    measured: Measured
    ventricular: Floats
    """Log odds."""
    supraventricular: Floats
    """Log odds against normal."""
    fibrillation: Floats
    """Log odds that the atria fibrillate around the beat; NaN: cannot say."""

    def are(self, names: str) -> Flags:
        """Which beats have one of the classes."""
        return np.array([c in names for c in self.classes], bool)


def classify_beats(ecg_mv: ArrayLike, fs_hz: float, beats: ArrayLike, usable: ArrayLike | None = None) -> BeatClasses:
    """Classify the beats of a recording.

    Args:
        ecg_mv: ``[leads, n]`` or ``[n]`` in millivolts, NaN where there is no value; any number of leads.
        fs_hz: sampling rate, made for 100 to 1000 Hz.
        beats: R peaks, sample indices.
        usable: ``[leads, n]``: the sample may be looked at; None: all of them.

    Returns:
        A class for each beat; ``?`` where no lead shows it.

    Raises:
        ValueError: no such rate, or more than two dimensions.
    """
    prepared, found = prepared_from(ecg_mv, fs_hz, beats, usable)
    return as_model(
        decide(prepared, found, measure_beats(prepared, found), paced=paced_beats(as_leads(ecg_mv), fs_hz, found))
    )


def prepared_from(ecg_mv: ArrayLike, fs_hz: float, beats: ArrayLike, usable: ArrayLike | None) -> tuple[Prepared, Ints]:
    """Samples ready to be measured, and the beats that lie within them, ascending.

    Raises:
        ValueError: no such rate, or more than two dimensions.
    """
    samples = as_leads(ecg_mv)
    check_rate(fs_hz)
    seen = np.ones(samples.shape, bool) if usable is None else np.asarray(usable, bool).reshape(samples.shape)
    found = np.unique(np.asarray(beats, np.int64).ravel())
    return prepare(samples, fs_hz, seen), found[(found >= 0) & (found < samples.shape[1])]


def decide(
    prepared: Prepared,
    beats: Ints,
    measured: Measured,
    fitted: Mapping[str, Score] | None = None,
    paced: Flags | None = None,
) -> Judged:
    """Classes from what was measured; ``fitted`` scores stand in for the table."""
    table = fitted or scores(__package__, {"ventricular": NAMES, "supraventricular": NAMES})
    ventricular = table["ventricular"].log_odds(measured.values)
    share = criteria()["group_share"]
    for shape in np.unique(measured.shape[measured.shape >= 0]).tolist():
        which = measured.shape == shape
        ventricular[which] = (1 - share) * ventricular[which] + share * float(np.median(ventricular[which]))
    supraventricular = table["supraventricular"].log_odds(measured.values)
    wide = ventricular > 0
    fibrillation = fibrillation_log_odds(prepared, beats, wide | ~measured.known)
    irregular = np.nan_to_num(fibrillation, nan=-1.0) > 0
    wide &= ~irregular | (ventricular > criteria()["af_ventricular"])
    # A beat that comes when it is due is no premature one, whatever else speaks for it.
    intervals = measured.values[:, [NAMES.index(name) for name in ("pre_local", "pre_all")]]
    early = intervals.min(axis=1, initial=0.0) <= criteria()["early_log_ratio"]
    classes = np.where(wide, "V", np.where((supraventricular > 0) & early & ~irregular, "S", "N"))
    if paced is not None:
        classes = np.where(paced, "/", classes)
    classes = np.where(measured.known, classes, "?")
    return Judged(beats, tuple(classes.tolist()), measured, ventricular, supraventricular, fibrillation)


def as_model(judged: Judged) -> BeatClasses:
    """What travels."""
    measured = judged.measured

    def ratios(row: Floats) -> tuple[float | None, ...]:
        return tuple(None if np.isnan(x) else round(x, 3) for x in row.tolist())

    return BeatClasses(
        tuple(judged.beats.tolist()),
        judged.classes,
        tuple(round(x, 1) for x in measured.width_ms.tolist()),
        tuple(round(x, 3) for x in measured.correlation.tolist()),
        ratios(measured.rr_before),
        ratios(measured.rr_after),
    )

"""Whether the atria fibrillate: how irregular intervals between supraventricular beats are, and whether P is there.

Irregular intervals alone call ectopy fibrillation (Zhou 2015, doi:10.1371/journal.pone.0136544, reports a positive
predictive value of 48 % on recordings rich in it). So ventricular beats are left out, a pattern that repeats does not
count as irregular, and a steady wave before QRS speaks against.
"""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.windows import STEP_S, Flags, Ints, Prepared, cut
from zhenbao.signal.ecg.envelope import Floats

_P_S: Floats = np.arange(-48, -11, dtype=np.float64) * STEP_S
_TINY = 1e-12
_DEEPEST = 4
_BEATS = 32
_HOP = 4
_LONGEST_RR_S = 2.5
_FEWEST = 8


def irregularity(rr_s: Floats, kept: Flags) -> tuple[float, float, int]:
    """Of intervals in a row, of which only the kept ones count.

    Returns:
        The least over lags 1 to 4 of the median difference between an interval and the one so many before, by the
        median interval: large only where no pattern repeats, so bigeminy and trigeminy are not irregular;
        the largest share of intervals within 8 % of each other, large where a basic rhythm carries ectopic beats;
        how many intervals counted.
    """
    some = rr_s[kept]
    if len(some) < _FEWEST:
        return 0.0, 1.0, len(some)
    middle = float(np.median(some))
    steps = []
    for lag in range(1, _DEEPEST + 1):
        both = kept[lag:] & kept[:-lag]
        if both.sum() >= 4:
            steps.append(float(np.median(np.abs(rr_s[lag:] - rr_s[:-lag])[both])) / middle)
    ordered = np.sort(some)
    within = np.searchsorted(ordered, ordered + 0.08 * middle, side="right") - np.arange(len(ordered))
    return min(steps, default=0.0), float(within.max()) / len(ordered), len(some)


def before_qrs(prepared: Prepared, times_s: Floats) -> tuple[Floats, Flags]:
    """Windows before QRS, freed of a straight line, as unit vectors ``[beats, leads, grid]``, and which are known."""
    windows, known = cut(prepared, times_s, _P_S)
    line = np.linspace(-1, 1, len(_P_S))
    windows = windows - windows.mean(axis=2, keepdims=True)
    windows = windows - (windows @ line / (line @ line))[:, :, None] * line
    norm = np.sqrt(np.square(windows).sum(axis=2, keepdims=True))
    return windows / (norm + _TINY), known


def coherence(windows: Floats, known: Flags) -> float | None:
    """How much the windows before QRS agree, in the best lead: 1 the same wave, 0 chance, None unknown."""
    found = []
    for lead in range(windows.shape[1]):
        some = windows[known[:, lead], lead]
        if len(some) >= 6:
            mean = some.mean(axis=0)
            found.append((len(some) * float(mean @ mean) - 1) / (len(some) - 1))
    return max(found, default=None)


def fibrillation_log_odds(prepared: Prepared, beats: Ints, ectopic: Flags) -> Floats:
    """For every beat, the log odds that the atria fibrillate around it; NaN where too few intervals count.

    Args:
        prepared: the samples.
        beats: ascending.
        ectopic: ventricular or unreadable; no interval to or from one of them, nor the one after, counts.
    """
    count = len(beats)
    odds = np.full(count, np.nan)
    if count < _FEWEST + 1:
        return odds
    rule = criteria()
    rr = np.diff(beats) / prepared.fs_hz
    kept = ~ectopic[1:] & ~ectopic[:-1] & (rr < _LONGEST_RR_S)
    kept[1:] &= ~ectopic[:-2]
    windows, known = before_qrs(prepared, beats / prepared.fs_hz)
    width = min(_BEATS, len(rr))
    centres, values = [], []
    for start in range(0, len(rr) - width + 1, _HOP):
        low, high = start, start + width
        # Where ectopy leaves few, look further.
        while kept[low:high].sum() < 0.6 * width and high - low < 2 * width and (low > 0 or high < len(rr)):
            low, high = max(0, low - 4), min(len(rr), high + 4)
        step, within, number = irregularity(rr[low:high], kept[low:high])
        if number < _FEWEST:
            continue
        own = ~ectopic[low : high + 1]
        agree = coherence(windows[low : high + 1][own], known[low : high + 1][own])
        agree = rule["af_coherence_middle"] if agree is None else agree
        centres.append(start + width / 2)
        values.append(
            rule["af_step_weight"] * np.log((min(step, rule["af_step_most"]) + 0.01) / (rule["af_step"] + 0.01))
            - rule["af_within_weight"] * (within - rule["af_within"])
            - rule["af_coherence_weight"] * (agree - rule["af_coherence_middle"])
        )
    if centres:
        odds = np.interp(np.arange(count), centres, values)
    return odds

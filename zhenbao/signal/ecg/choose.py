"""Which candidates are beats: guess the levels, find the best row, learn the levels from it, and again."""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.candidates import Bins, Candidates, Ints
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.levels import Ground, Levels
from zhenbao.signal.ecg.path import best_row
from zhenbao.signal.ecg.tuning import TUNING, Tuning


def choose_beats(
    found: Candidates,
    bins: Bins,
    rate_hz: float,
    bin_length: int,
    *,
    settled: Ints | None = None,
    tuning: Tuning = TUNING,
) -> Ints:
    """Positions (inner index) of the candidates that are beats.

    Args:
        found: candidates of the stretch looked at.
        bins: the envelope of that stretch, summed up.
        rate_hz: the inner rate.
        bin_length: samples of a bin.
        settled: positions among ``found`` that were told already, ascending: the answer starts after the last of them.
    """
    ground = Ground.of(bins, bin_length / rate_hz, tuning)
    if not len(found) or not len(ground.near):
        return np.empty(0, np.int64)
    t = found.at / rate_hz
    levels = ground.levels(t, tuning.first_intervals_s[0], tuning)
    keep = (levels.beat > 0) & (found.height > tuning.faintest * levels.beat)
    if settled is not None and len(settled):
        keep |= np.isin(found.at, settled)
    found, t = found.pick(keep), t[keep]
    levels = _first_levels(found, t, ground, tuning)
    beats = np.empty(0, np.int64)
    for turn in range(tuning.passes):
        before, beats = beats, np.asarray(best_row(found, t, levels, tuning).beats, np.int64)
        if turn == tuning.passes - 1 or len(beats) < 3 or np.array_equal(before, beats):
            break
        levels = ground.refined(found, t, beats, levels, tuning)
    if settled is None or not len(settled):
        return found.at[ground.believable(found, t, beats, tuning)]
    # What was told stays: the levels of the free row, but a row that starts at the last beat told.
    start = int(np.searchsorted(found.at, settled[-1]))
    after = slice(start, None)
    row = best_row(found.pick(after), t[after], levels.of(after), tuning, anchored=True)
    believed = ground.believable(found, t, np.asarray(row.beats, np.int64) + start, tuning)
    return found.at[believed[believed > start]]


def _first_levels(found: Candidates, t: Floats, ground: Ground, tuning: Tuning) -> Levels:
    """Levels before any beat is known: with the usual interval, unless another clearly explains more, locally."""
    tried = [ground.levels(t, interval_s, tuning) for interval_s in tuning.first_intervals_s]
    evidence = []
    for levels in tried:
        row = best_row(found, t, levels, tuning)
        beats = t[np.asarray(row.beats, np.int64)]
        worth = np.concatenate([[0.0], np.cumsum(row.worth)])
        start, stop = np.searchsorted(beats, t - tuning.evidence_s), np.searchsorted(beats, t + tuning.evidence_s)
        evidence.append(worth[stop] - worth[start])
    usual = np.maximum(evidence[0], 0.0)
    excess = [some - factor * usual for some, factor in zip(evidence, tuning.evidence_factors, strict=True)]
    excess[0] = np.full(len(t), tuning.evidence_margin)
    best = np.argmax(excess, axis=0)
    return Levels(tried[0].beat, tried[0].noise, np.asarray(tuning.first_intervals_s)[best])

"""Which candidates are beats: guess the levels, find the best row, learn the levels from it, and again."""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.candidates import Bins, Candidates, Ints
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.levels import Ground, Levels, running_quantile
from zhenbao.signal.ecg.path import best_row, worth_of
from zhenbao.signal.ecg.tuning import TUNING, Tuning


def choose_beats(found: Candidates, bins: Bins, rate_hz: float, bin_length: int, *, tuning: Tuning = TUNING) -> Ints:
    """Positions (inner index) of the candidates that are beats.

    Args:
        found: candidates of the recording.
        bins: its envelope, summed up.
        rate_hz: the inner rate.
        bin_length: samples of a bin.
        tuning: the numbers.
    """
    ground = Ground.of(bins, bin_length / rate_hz, tuning)
    if not len(found) or not len(ground.near):
        return np.empty(0, np.int64)
    t = found.at / rate_hz
    levels = ground.levels(t, tuning.first_intervals_s[0], tuning)
    keep = (levels.beat > 0) & (found.height > tuning.faintest * levels.beat)
    found, t, levels = found.pick(keep), t[keep], levels.pick(keep)
    levels = _first_levels(found, t, levels, tuning)
    beats = np.empty(0, np.int64)
    for turn in range(tuning.passes):
        before, beats = beats, best_row(found, t, levels, tuning)
        if turn == tuning.passes - 1 or len(beats) < 3 or np.array_equal(before, beats):
            break
        levels = ground.refined(found, t, beats, levels, tuning)
    return found.at[ground.believable(found, t, beats, tuning)]


def _first_levels(found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> Levels:
    """Levels before any beat is known: the interval that strong candidates agree on, or where they do not, the usual
    one, unless another clearly explains more, locally.
    """
    interval_s, agreed = _agreed_interval(found, t, levels, tuning)
    if agreed.any():
        sure = t[agreed]
        place = np.searchsorted(sure, t)
        before, after = sure[np.maximum(place - 1, 0)], sure[np.minimum(place, len(sure) - 1)]
        interval_s = np.interp(t, sure, interval_s[agreed])
        agreed = np.minimum(np.abs(t - before), np.abs(after - t)) <= tuning.agreed_reach_s
    if not agreed.all():
        doubtful = np.flatnonzero(~agreed)
        parts = np.split(doubtful, np.flatnonzero(np.diff(t[doubtful]) > 2 * tuning.evidence_s) + 1)
        for start, stop in ((int(part[0]), int(part[-1]) + 1) for part in parts):
            around = slice(
                *np.searchsorted(t, [t[start] - tuning.evidence_s, t[stop - 1] + tuning.evidence_s]).tolist()
            )
            tried = _try_intervals(found.pick(around), t[around], levels.pick(around), tuning)
            interval_s[start:stop] = tried[start - around.start : stop - around.start]
    return Levels(levels.beat, levels.noise, interval_s)


def _agreed_interval(
    found: Candidates, t: Floats, levels: Levels, tuning: Tuning
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The running median interval of strong, sharp candidates, and where most of those intervals are near it."""
    nowhere = np.zeros(len(t), bool)
    strong = np.flatnonzero(found.height > tuning.strong * levels.beat)
    if len(strong) > 1:
        dull = found.sharp[strong[1:]] < tuning.t_wave_ratio * found.sharp[strong[:-1]]
        soon = np.diff(t[strong]) < tuning.t_wave_s
        strong = strong[np.concatenate([[True], ~(dull & soon)])]
    if len(strong) < 3:
        return levels.interval_s.copy(), nowhere
    ts = t[strong]
    interval = np.diff(ts)
    usual = running_quantile(interval, tuning.rhythm_beats)
    rivals = np.concatenate([[0], np.cumsum(found.height > tuning.rival * levels.beat)])
    alone = rivals[strong[1:]] - rivals[strong[:-1]] == 1
    half = tuning.rhythm_beats // 2
    near = np.clip(np.arange(len(interval))[:, None] + np.arange(-half, half + 1), 0, len(interval) - 1)
    fraction = interval[near] / usual[:, None]
    fits = alone[near] & (fraction >= tuning.early_below) & (fraction <= tuning.late_above)
    share = fits.mean(axis=1)
    shortest, longest = tuning.agreed_range_s
    sure = (share >= tuning.agreed_share) & (usual >= shortest) & (usual <= longest)
    gap = np.clip(np.searchsorted(ts, t, "right") - 1, 0, len(interval) - 1)
    beyond = (t < ts[0] - longest) | (t > ts[-1] + longest)
    return usual[gap], sure[gap] & ~beyond


def _try_intervals(found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> Floats:
    evidence = []
    for interval_s in tuning.first_intervals_s:
        guess = Levels(levels.beat, levels.noise, np.full(len(t), interval_s))
        row = best_row(found, t, guess, tuning)
        worth = np.concatenate([[0.0], np.cumsum(worth_of(row, found, t, guess, tuning))])
        beats = t[row]
        start, stop = np.searchsorted(beats, t - tuning.evidence_s), np.searchsorted(beats, t + tuning.evidence_s)
        evidence.append(worth[stop] - worth[start])
    usual = np.maximum(evidence[0], 0.0)
    excess = [some - factor * usual for some, factor in zip(evidence, tuning.evidence_factors, strict=True)]
    excess[0] = np.full(len(t), tuning.evidence_margin)
    chosen: Floats = np.asarray(tuning.first_intervals_s)[np.argmax(excess, axis=0)]
    return chosen

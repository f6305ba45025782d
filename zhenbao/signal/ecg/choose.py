"""Which candidates are beats: guess the levels, find the best row, learn the levels from it, and again."""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.candidates import Bins, Candidates, Ints
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.levels import Ground, Levels, running_quantile
from zhenbao.signal.ecg.path import Flags, best_row, gains_of, worth_of
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
        around = _near(t, t[~agreed], tuning.evidence_s)
        tried = _try_intervals(found.pick(around), t[around], levels.pick(around), tuning)
        interval_s[~agreed] = tried[~agreed[around]]
    return Levels(levels.beat, levels.noise, interval_s)


def _agreed_interval(found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> tuple[Floats, Flags]:
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


def _near(t: Floats, some: Floats, reach_s: float) -> Flags:
    """Which times are within reach of one of ``some``, ascending and at least one."""
    after = np.searchsorted(some, t)
    distance = np.minimum(
        np.abs(t - some[np.maximum(after - 1, 0)]), np.abs(some[np.minimum(after, len(some) - 1)] - t)
    )
    near: Flags = distance <= reach_s
    return near


def _try_intervals(found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> Floats:
    """For each candidate the interval whose best row explains most of what is around it."""
    usual_s, *others_s = tuning.first_intervals_s
    usual = np.maximum(_evidence(found, t, levels, usual_s, tuning), 0.0)
    most = _around(t, t, np.maximum(gains_of(found, levels, tuning), 0.0), tuning)
    chosen, excess = np.full(len(t), usual_s), np.full(len(t), tuning.evidence_margin)
    for interval_s, factor in zip(others_s, tuning.evidence_factors, strict=True):
        # No row is worth more than all that could be beats: most of a recording need not be tried.
        possible = most - factor * usual > excess
        if not possible.any():
            continue
        part = _near(t, t[possible], tuning.evidence_s)
        more = np.full(len(t), -np.inf)
        more[part] = _evidence(found.pick(part), t[part], levels.pick(part), interval_s, tuning)
        more -= factor * usual
        better = possible & (more > excess)
        chosen[better], excess[better] = interval_s, more[better]
    return chosen


def _evidence(found: Candidates, t: Floats, levels: Levels, interval_s: float, tuning: Tuning) -> Floats:
    """What the best row is worth around each candidate if this were the interval to expect."""
    guess = Levels(levels.beat, levels.noise, np.full(len(t), interval_s))
    row = best_row(found, t, guess, tuning)
    return _around(t, t[row], worth_of(row, found, t, guess, tuning), tuning)


def _around(t: Floats, at: Floats, worth: Floats, tuning: Tuning) -> Floats:
    """Sum of what is worth something within ``evidence_s`` of each time."""
    total = np.concatenate([[0.0], np.cumsum(worth)])
    start, stop = np.searchsorted(at, t - tuning.evidence_s), np.searchsorted(at, t + tuning.evidence_s)
    summed: Floats = total[stop] - total[start]
    return summed

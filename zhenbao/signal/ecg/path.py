"""The most plausible row of beats through the candidates.

Each candidate has a gain (how much it looks like a beat here), each interval a cost (how little it fits the rhythm).
The best row as a whole is found by dynamic programming, so a weak beat in a long silence, or a tall T wave right after
a beat, is judged with what comes before and after, and no separate search-back or blanking rule is needed.

Most of a recording needs no search: where clear beats follow each other at intervals that cost nothing and no rival
lies between, they are the best row. Only the stretches between such beats are searched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.candidates import Candidates, Ints
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.levels import Levels
from zhenbao.signal.ecg.tuning import Tuning

Flags = NDArray[np.bool_]


def best_row(found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> Ints:
    """Indices of the candidates that are beats, ascending: the row with the largest sum of gains less costs.

    Args:
        found: the candidates.
        t: their times in seconds.
        levels: what is normal at each.
        tuning: the numbers.
    """
    if not len(found):
        return np.empty(0, np.int64)
    gains = gains_of(found, levels, tuning)
    hopeful = _hopeful(t, levels, gains, tuning)
    row = _row(found.pick(hopeful), t[hopeful], levels.pick(hopeful), gains[hopeful], tuning)
    return np.flatnonzero(hopeful)[row]


def _hopeful(t: Floats, levels: Levels, gains: Floats, tuning: Tuning) -> Flags:
    """Not those less likely than not that stand beside a clear one: no row gains by them."""
    clear = t[gains >= tuning.clear_gain]
    if not len(clear):
        return np.ones(len(t), bool)
    after = np.searchsorted(clear, t)
    distance = np.minimum(
        np.abs(t - clear[np.minimum(after, len(clear) - 1)]), np.abs(t - clear[np.maximum(after - 1, 0)])
    )
    hopeful: Flags = (gains > 0) | (distance > tuning.beside * levels.interval_s)
    return hopeful


def _row(found: Candidates, t: Floats, levels: Levels, gains: Floats, tuning: Tuning) -> Ints:
    clear = np.flatnonzero(gains >= tuning.clear_gain)
    if len(clear) < 4:
        return np.array(Search(found, t, levels, gains, tuning).best(0, len(found) - 1), np.int64)
    settled = _settled(found, t, levels, gains, clear, tuning)
    search = Search(found, t, levels, gains, tuning)
    row: list[int] = []
    certain = clear.tolist()
    edges = np.flatnonzero(np.diff(settled.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    before = -1
    for start, stop in edges.tolist():
        first, last = certain[start], certain[stop]
        between = search.best(max(before, 0), first, from_beat=before >= 0, to_beat=True)
        row += between[1 if before >= 0 else 0 : -1]
        row += certain[start : stop + 1]
        before = last
    rest = search.best(max(before, 0), len(found) - 1, from_beat=before >= 0)
    row += rest[1 if before >= 0 else 0 :]
    return np.array(row, np.int64)


def gains_of(found: Candidates, levels: Levels, tuning: Tuning) -> Floats:
    """How much each candidate looks like a beat, in nats."""
    relative = found.height / levels.beat
    noise = np.clip(levels.noise / levels.beat, tuning.noise_least, tuning.noise_most)
    even = noise + tuning.threshold * (1 - noise)
    gains = tuning.steepness * np.log(np.maximum(relative, 1e-9) / even)
    clipped: Floats = np.clip(gains, tuning.gain_least, tuning.gain_most)
    return clipped


def worth_of(beats: Ints, found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> Floats:
    """What each beat of a row adds to it: its gain less the cost of the interval before it."""
    worth = gains_of(found, levels, tuning)[beats]
    worth[1:] -= _costs(beats, found, t, levels, tuning)
    return worth


def _costs(beats: Ints, found: Candidates, t: Floats, levels: Levels, tuning: Tuning) -> Floats:
    """How little each interval of a row fits."""
    interval = np.diff(t[beats])
    fraction = interval / levels.interval_s[beats[1:]]
    cost = np.where(
        fraction < tuning.early_below,
        tuning.early_cost * (tuning.early_below - fraction),
        np.clip(tuning.late_cost * (fraction - tuning.late_above), 0.0, tuning.late_most),
    )
    dull = found.sharp[beats[1:]] < tuning.t_wave_ratio * found.sharp[beats[:-1]]
    costs: Floats = cost + tuning.t_wave_cost * (dull & (interval < tuning.t_wave_s))
    return costs


def _settled(found: Candidates, t: Floats, levels: Levels, gains: Floats, clear: Ints, tuning: Tuning) -> Flags:
    """For each pair of neighbours among the clear ones: both are beats, and none is between.

    That is so where nothing could be put between, or nothing likely and the interval costs nothing, and where each of
    the two gains more than its intervals cost.
    """
    cost = _costs(clear, found, t, levels, tuning)
    cost[np.diff(t[clear]) < tuning.shortest_s] = np.inf
    rivals = np.concatenate([[0], np.cumsum(gains > 0)])
    alone = rivals[clear[1:]] - rivals[clear[:-1]] == 1
    around = np.concatenate([[0.0], cost]) + np.concatenate([cost, [0.0]])
    pays = gains[clear] - around >= tuning.clear_gain
    good = ((np.diff(clear) == 1) | (alone & (cost == 0))) & pays[1:] & pays[:-1]
    settled: Flags = good.copy()
    settled[1:] &= good[:-1]
    settled[:-1] &= good[1:]
    return settled


class Search:
    """Dynamic programming over a stretch of the candidates."""

    def __init__(self, found: Candidates, t: Floats, levels: Levels, gains: Floats, tuning: Tuning) -> None:
        self._times: list[float] = t.tolist()
        self._sharp: list[float] = found.sharp.tolist()
        self._expected: list[float] = levels.interval_s.tolist()
        self._gains: list[float] = gains.tolist()
        self._tuning = tuning

    def best(self, first: int, last: int, *, from_beat: bool = False, to_beat: bool = False) -> list[int]:
        """The best row among candidates ``first`` to ``last``; these are beats themselves where it says so."""
        if from_beat and to_beat and last <= first + 1:
            return [first, last] if last > first else [first]
        tuning = self._tuning
        times, sharp, expected, gains = self._times, self._sharp, self._expected, self._gains
        early_below, early_cost = tuning.early_below, tuning.early_cost
        late_above, late_cost, late_most = tuning.late_above, tuning.late_cost, tuning.late_most
        shortest, t_wave_s = tuning.shortest_s, tuning.t_wave_s
        t_ratio, t_cost = tuning.t_wave_ratio, tuning.t_wave_cost
        longest = late_above + late_most / late_cost
        impossible = float("-inf")
        best: list[float] = []
        came_from: list[int] = []
        # The best so far and where it ends: no interval is a gain, so an earlier row that is worse need not be tried.
        so_far: list[float] = []
        so_far_at: list[int] = []
        highest, highest_at = impossible, -1
        for i in range(first, last + 1):
            now, interval, dull = times[i], expected[i], sharp[i]
            limit = now - shortest
            reach = longest * interval
            horizon = now - (reach if reach > 1.2 else 1.2)
            if from_beat:
                value, previous = (0.0, -1) if i == first else (impossible, first)
            elif times[first] < horizon:
                value, previous = impossible, first
            else:
                late = late_cost * (now / interval - late_above)
                value, previous = -(late_most if late > late_most else late if late > 0.0 else 0.0), -1
            for j in range(i - 1, first - 1, -1):
                then = times[j]
                if then > limit:
                    continue
                if so_far[j - first] < value:
                    break
                if then < horizon:
                    if so_far[j - first] - late_most > value:
                        value, previous = so_far[j - first] - late_most, so_far_at[j - first]
                    break
                fraction = (now - then) / interval
                through = best[j - first]
                if fraction < early_below:
                    through -= early_cost * (early_below - fraction)
                elif fraction > late_above:
                    late = late_cost * (fraction - late_above)
                    through -= late if late < late_most else late_most
                if now - then < t_wave_s and dull < t_ratio * sharp[j]:
                    through -= t_cost
                if through >= value:
                    value, previous = through, j
            value += gains[i]
            best.append(value)
            came_from.append(previous)
            if value > highest:
                highest, highest_at = value, i
            so_far.append(highest)
            so_far_at.append(highest_at)
        at = last
        if not to_beat:
            end, most = times[-1], impossible
            for i in range(last, first - 1, -1):
                late = late_cost * ((end - times[i]) / expected[i] - late_above)
                value = best[i - first] - (late_most if late > late_most else late if late > 0.0 else 0.0)
                if value > most:
                    most, at = value, i
        row = []
        while at >= 0:
            row.append(at)
            at = came_from[at - first]
        row.reverse()
        return row

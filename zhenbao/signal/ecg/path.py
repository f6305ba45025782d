"""The most plausible row of beats through the candidates.

Each candidate has a gain (how much it looks like a beat here), each interval a cost (how little it fits the rhythm).
The best row as a whole is found by dynamic programming, so a weak beat in a long silence, or a tall T wave right after
a beat, is judged with what comes before and after, and no separate search-back or blanking rule is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhenbao.signal.ecg.candidates import Candidates
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.levels import Levels
from zhenbao.signal.ecg.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Row:
    """A row of beats and how well it explains the candidates."""

    beats: list[int]
    """Indices of the candidates that are beats, ascending."""
    worth: list[float]
    """What each adds to the row: its gain less the cost of the interval before it."""


def best_row(found: Candidates, t: Floats, levels: Levels, tuning: Tuning, *, anchored: bool = False) -> Row:
    """The row with the largest sum of worth.

    Args:
        found: the candidates.
        t: their times in seconds.
        levels: what is normal at each.
        tuning: the numbers.
        anchored: the first candidate is a beat already; the row starts with it.
    """
    count = len(found)
    if not count:
        return Row([], [])
    gains = _gains(found, levels, tuning)
    times, sharp, expected = t.tolist(), found.sharp.tolist(), levels.interval_s.tolist()
    early_below, early_cost = tuning.early_below, tuning.early_cost
    late_above, late_cost, late_most = tuning.late_above, tuning.late_cost, tuning.late_most
    shortest, t_wave_s, t_ratio, t_cost = tuning.shortest_s, tuning.t_wave_s, tuning.t_wave_ratio, tuning.t_wave_cost

    best = [0.0] * count
    came_from = [-1] * count
    best_far, best_far_at, oldest_near = float("-inf"), -1, 0
    for i in range(count):
        now, interval = times[i], expected[i]
        horizon = max(1.2, (late_above + late_most / late_cost) * interval)
        while oldest_near < i and now - times[oldest_near] > horizon:
            if best[oldest_near] > best_far:
                best_far, best_far_at = best[oldest_near], oldest_near
            oldest_near += 1
        if best_far_at >= 0:
            value, previous = best_far - late_most, best_far_at
        elif anchored and i:
            value, previous = float("-inf"), 0
        else:
            value, previous = -min(late_most, late_cost * max(0.0, now / interval - late_above)), -1
        for j in range(oldest_near, i):
            interval_s = now - times[j]
            if interval_s < shortest:
                break
            fraction = interval_s / interval
            through = best[j]
            if fraction < early_below:
                through -= early_cost * (early_below - fraction)
            elif fraction > late_above:
                through -= min(late_most, late_cost * (fraction - late_above))
            if interval_s < t_wave_s and sharp[i] < t_ratio * sharp[j]:
                through -= t_cost
            if through > value:
                value, previous = through, j
        best[i], came_from[i] = value + gains[i], previous

    end = times[-1]
    last = max(
        range(count),
        key=lambda i: best[i] - min(late_most, late_cost * max(0.0, (end - times[i]) / expected[i] - late_above)),
    )
    row = []
    while last >= 0:
        row.append(last)
        last = came_from[last]
    row.reverse()
    sums = [best[i] for i in row]
    return Row(row, [b - a for a, b in zip([0.0, *sums], sums, strict=False)])


def _gains(found: Candidates, levels: Levels, tuning: Tuning) -> list[float]:
    relative = found.height / levels.beat
    noise = np.clip(levels.noise / levels.beat, tuning.noise_least, tuning.noise_most)
    even = noise + tuning.threshold * (1 - noise)
    gains = tuning.steepness * np.log(np.maximum(relative, 1e-9) / even)
    listed: list[float] = np.clip(gains, tuning.gain_least, tuning.gain_most).tolist()
    return listed

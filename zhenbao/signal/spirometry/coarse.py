"""What a sensor of few steps saw: where it changed from one step to the next, the true value stood half way between.

An 8-bit flow sensor of +-14 L/s has steps of 0.11 L/s: as it stands, the last tenth of a litre per second of every blow
would be lost, and a slow fall would look like a stair.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_LEVELS = 1024
_SETTLED = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_FLICKERS = 0.2
"""Share of steps that the next one takes back."""
_LONG = 3.0
"""A level held this many times longer than the one before is rest, not the next step of a fall."""


def step_of(values: NDArray[np.float64], least: float) -> float | None:
    """The sensor's step where it is at least ``least`` and every value lies on it; None for a finer sensor."""
    levels = np.unique(values)
    if len(levels) < 3:
        return None
    apart = np.diff(levels)
    step = float(apart.min())
    if step < least or (levels[-1] - levels[0]) / step > _MOST_LEVELS:
        return None
    return step if np.abs(apart / step - np.round(apart / step)).max() < 0.02 else None


def flickers(values: NDArray[np.float64]) -> bool:
    """Noise moves the sensor to and fro between its steps: their mean is then nearer the truth than any line."""
    moves = np.sign(np.diff(values))
    moves = moves[moves != 0]
    return len(moves) > 1 and float((moves[1:] != moves[:-1]).mean()) > _FLICKERS


def between_steps(time: NDArray[np.float64], values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The values as a line through the instants at which the sensor changed its step.

    Args:
        time: [n] ascending, seconds.
        values: [n] on levels ``step`` apart.
        step: in the unit of the values.
    """
    changes = np.flatnonzero(np.diff(values) != 0)
    if len(changes) < 2:
        return values
    at = (time[changes] + time[changes + 1]) / 2
    half_way = (values[changes] + values[changes + 1]) / 2
    up = np.sign(values[changes + 1] - values[changes])
    small = np.abs(values[changes + 1] - values[changes]) <= 1.5 * step
    lasted = np.diff(at)
    usual = float(np.median(np.diff(time)))
    points: list[tuple[float, float]] = [(float(time[0]), float(values[0]))]
    points += _held(points[0][0], float(at[0]), float(values[0]), usual)
    for i, (begin, stop) in enumerate(pairwise([*at.tolist(), float(time[-1])])):
        level = float(values[changes[i] + 1])
        points.append((begin, float(half_way[i])))
        last = i == len(at) - 1
        before = float(lasted[i - 1]) if i and up[i - 1] == up[i] and small[i - 1] else None
        if small[i] and before is not None and (last or stop - begin > _LONG * before):
            # The fall went on below the step: as quickly as it passed the step before, a third of the height each time.
            constant = max(before, usual) / np.log(3)
            left = float(half_way[i]) - level
            points += [
                (begin + k * constant, level + left * float(np.exp(-k)))
                for k in _SETTLED
                if begin + k * constant < stop - usual
            ]
            points.append((max(begin, stop - usual), level))
        elif last or not small[i] or not small[i + 1] or up[i] != up[i + 1]:
            points += _held(begin, stop, level, usual)
    points.append((float(time[-1]), float(values[-1])))
    x, y = np.array(sorted(points)).T
    return np.asarray(np.interp(time, x, y))


def _held(begin: float, stop: float, level: float, usual: float) -> list[tuple[float, float]]:
    """A level between two changes that is a peak, a trough or rest."""
    margin = min(stop - begin, usual) / 2
    return [(begin + margin, level), (stop - margin, level)]

"""From one envelope a lead to one for all: each as a multiple of its own beats, the clear and steady ones count most.

Envelopes of several leads are added after division by the height that beats have there, so a lead of low voltage has
a voice too; its weight is how far beats rise above what lies between them (contrast) and how little their heights vary.
A wild lead is neither clear nor steady, and no lead may say more than ``outlier`` times what is high for it. The sum is
then scaled by how high beats are now compared with those of the minute around: a standstill stays low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.levels import running_quantile
from zhenbao.signal.ecg.tuning import TUNING, Tuning


def fuse(heights: Floats, sharps: Floats, bin_length: int, tuning: Tuning = TUNING) -> tuple[Floats, Floats]:
    """One envelope and one sharp band ``[n]`` from those of the leads ``[leads, n]``; NaN where no lead is known.

    Args:
        heights: NaN where a lead is unknown, negative zero or less nowhere; 0 where it is still.
        sharps: the same for the sharp band.
        bin_length: values that are summed up.
        tuning: the numbers.
    """
    leads, n = heights.shape
    if leads == 1 or not n:
        return heights[0], sharps[0]
    whole = max(1, n // bin_length)
    length = min(bin_length, n)
    habits = np.empty((4, leads, whole))
    for lead in range(leads):
        rows = heights[lead, : whole * length].reshape(whole, length)
        habits[:, lead] = _by_neighbours(*_sum_up(rows), tuning)
    bins = np.minimum(np.arange(n) // length, whole - 1)
    return _add_up(heights, sharps, habits[:, :, bins], tuning)


class CausalFusion:
    """The same while the recording runs: level and weight of each lead from the bins before."""

    def __init__(self, leads: int, bin_length: int, tuning: Tuning = TUNING) -> None:
        self._length, self._tuning = bin_length, tuning
        self._open = np.empty((leads, 0))
        self._held: list[tuple[Floats, Floats]] = []
        self._highest = np.empty((leads, 0))
        self._middle = np.empty((leads, 0))
        self._habits: Floats | None = None

    def push(self, heights: Floats, sharps: Floats) -> tuple[Floats, Floats]:
        """The next values; none before the first bin is full."""
        if len(heights) == 1 or not heights.shape[1]:
            return heights[0], sharps[0]
        self._open = np.concatenate([self._open, heights], axis=1)
        while self._open.shape[1] >= self._length:
            self._learn(self._open[:, : self._length])
            self._open = self._open[:, self._length :]
        self._held.append((heights, sharps))
        return self._release() if self._habits is not None else (np.empty(0), np.empty(0))

    def flush(self) -> tuple[Floats, Floats]:
        """What waited for the first bin, in a very short recording."""
        if not self._held:
            return np.empty(0), np.empty(0)
        self._learn(self._open)
        return self._release()

    def _learn(self, values: Floats) -> None:
        keep = self._tuning.bins_far
        sums = [_sum_up(row[None, :]) for row in values]
        self._highest = np.concatenate([self._highest, [s[0] for s in sums]], axis=1)[:, -keep:]
        self._middle = np.concatenate([self._middle, [s[1] for s in sums]], axis=1)[:, -keep:]
        known = [_by_past(h, m, self._tuning) for h, m in zip(self._highest, self._middle, strict=True)]
        self._habits = np.array(known).T[:, :, None]

    def _release(self) -> tuple[Floats, Floats]:
        assert self._habits is not None
        heights = np.concatenate([h for h, _ in self._held], axis=1)
        sharps = np.concatenate([s for _, s in self._held], axis=1)
        self._held.clear()
        return _add_up(heights, sharps, self._habits, self._tuning)


def _sum_up(rows: Floats) -> tuple[Floats, Floats]:
    """Highest and middle of each row; NaN where more than half is unknown or still."""
    silent = ~(rows > 0)
    ordered = np.sort(np.where(silent, -1.0, rows), axis=1)
    lost = silent.mean(axis=1) > 0.5
    middle = ordered[:, -1 - (rows.shape[1] - silent.sum(axis=1).max(initial=0)) // 2]
    return np.where(lost, np.nan, ordered[:, -1]), np.where(lost, np.nan, np.maximum(middle, 0.0))


def _by_neighbours(highest: Floats, middle: Floats, tuning: Tuning) -> Floats:
    """``[4, bins]``: usual height, weight, what is high, and the usual height of the minute around."""
    pairs = np.fmax(highest, np.append(highest[1:], np.nan))
    low, level, high = (running_quantile(pairs, tuning.fusion_bins, q) for q in (0.1, 0.5, 0.9))
    between = running_quantile(middle, tuning.fusion_bins)
    slow = running_quantile(pairs, tuning.bins_far, tuning.far_quantile, every=5)
    return np.array([level, _trust(low, level, high, between), high, slow])


def _by_past(highest: Floats, middle: Floats, tuning: Tuning) -> tuple[float, float, float, float]:
    """The same four for now, from the bins before."""
    pairs = np.fmax(highest[:-1], highest[1:]) if len(highest) > 1 else highest
    known = pairs[~np.isnan(pairs)]
    if not len(known):
        return float("nan"), 0.0, float("nan"), float("nan")
    recent = pairs[-tuning.fusion_bins :]
    recent = recent[~np.isnan(recent)]
    low, level, high = np.quantile(recent if len(recent) else known, [0.1, 0.5, 0.9])
    quiet = middle[-tuning.fusion_bins :]
    between = float(np.nanmedian(quiet)) if not np.isnan(quiet).all() else 0.0
    slow = float(np.quantile(known, tuning.far_quantile))
    return float(level), float(_trust(low, level, high, between)), float(high), slow


def _trust(low: Floats, level: Floats, high: Floats, between: Floats | float) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        contrast = level / np.maximum(between, 1e-3 * level)
        steady = np.clip(low / high, 0.05, 1.0)
        trust: Floats = np.nan_to_num(contrast * steady, nan=0.0, posinf=0.0)
    return trust


def _add_up(heights: Floats, sharps: Floats, habits: Floats, tuning: Tuning) -> tuple[Floats, Floats]:
    level, weight, high, slow = habits
    known: NDArray[np.bool_] = ~np.isnan(heights)
    says = known & (heights > 0) & (level > 0) & (slow > 0)
    share = np.where(says, weight, 0.0)
    total = share.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total > 0, share / total, 0.0)
        # Divided by the usual height, summed, and multiplied by how that compares with the minute around.
        now = (share * np.where(says, level / slow, 0.0)).sum(axis=0)
        ceiling = tuning.outlier * high
        one = (share * np.where(says, np.minimum(heights, ceiling) / level, 0.0)).sum(axis=0) * now
        other = (share * np.where(says, np.minimum(sharps, ceiling) / level, 0.0)).sum(axis=0) * now
    one[~known.any(axis=0)] = np.nan
    return one, other

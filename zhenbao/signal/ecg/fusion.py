"""From one envelope a lead to one for all: each as a multiple of its own beats, the clear and steady ones count most.

Envelopes of several leads are added after division by the height that beats have there, so a lead of low voltage has
a voice too; its weight is how far beats rise above what lies between them (contrast) and how little their heights vary.
A wild lead is neither clear nor steady, and no lead may say more than ``outlier`` times what is high for it. The sum is
then scaled by how high beats are now compared with those of the minute around: a standstill stays low.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        self._steady: _Steady | None = None

    def push(self, heights: Floats, sharps: Floats) -> tuple[Floats, Floats]:
        """The next values; none before the first bin is full."""
        if len(heights) == 1 or not heights.shape[1]:
            return heights[0], sharps[0]
        self._open = np.concatenate([self._open, heights], axis=1)
        while self._open.shape[1] >= self._length:
            self._learn(self._open[:, : self._length])
            self._open = self._open[:, self._length :]
        if self._steady is not None and not self._held and (sums := self._steady.add_up(heights, sharps)) is not None:
            return sums
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
        highest, middle = _sum_up(values)
        self._highest = np.concatenate([self._highest, highest[:, None]], axis=1)[:, -keep:]
        self._middle = np.concatenate([self._middle, middle[:, None]], axis=1)[:, -keep:]
        self._habits = _by_past(self._highest, self._middle, self._tuning)[:, :, None]
        self._steady = _Steady.of(self._habits, self._tuning)

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


def _by_past(highest: Floats, middle: Floats, tuning: Tuning) -> Floats:
    """The same four ``[4, leads]`` for now, from the bins before ``[leads, bins]``."""
    pairs = np.fmax(highest[:, :-1], highest[:, 1:]) if highest.shape[1] > 1 else highest
    slow, middle_of_all = _quantiles(pairs, tuning.far_quantile, 0.5)
    low, level, high = _quantiles(pairs[:, -tuning.fusion_bins :], 0.1, 0.5, 0.9)
    (between,) = _quantiles(middle[:, -tuning.fusion_bins :], 0.5)
    # A lead that has been off for so long is taken as it was before.
    lost = np.isnan(level)
    low, level, high = (np.where(lost, middle_of_all, q) for q in (low, level, high))
    return np.array([level, _trust(low, level, high, np.nan_to_num(between)), high, slow])


def _quantiles(rows: Floats, *fractions: float) -> list[Floats]:
    """Of each row ``[rows, n]``, interpolated, NaN left out; NaN where all are."""
    ordered = np.sort(rows, axis=1)
    last = np.maximum(np.count_nonzero(ordered == ordered, axis=1) - 1, 0)
    each = np.arange(len(rows))
    found = []
    for fraction in fractions:
        place = fraction * last
        low = place.astype(np.int64)
        below = ordered[each, low]
        found.append(below + (place - low) * (ordered[each, np.minimum(low + 1, last)] - below))
    return found


def _trust(low: Floats, level: Floats, high: Floats, between: Floats | float) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        contrast = level / np.maximum(between, 1e-3 * level)
        steady = np.clip(low / high, 0.05, 1.0)
        trust: Floats = np.nan_to_num(contrast * steady, nan=0.0, posinf=0.0)
    return trust


@dataclass(frozen=True, slots=True)
class _Steady:
    """The same sum while habits stay and every lead says something: what each lead's value is multiplied by."""

    factor: Floats
    """``[leads]``"""
    ceiling: Floats
    """``[leads, 1]``"""

    @classmethod
    def of(cls, habits: Floats, tuning: Tuning) -> _Steady | None:
        level, weight, high, slow = habits[:, :, 0]
        total = weight.sum()
        if not (total > 0 and (level > 0).all() and (slow > 0).all()):
            return None
        share = weight / total
        return cls(share / level * (share * level / slow).sum(), tuning.outlier * high[:, None])

    def add_up(self, heights: Floats, sharps: Floats) -> tuple[Floats, Floats] | None:
        if not heights.min() > 0:
            return None
        return self.factor @ np.minimum(heights, self.ceiling), self.factor @ np.minimum(sharps, self.ceiling)


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

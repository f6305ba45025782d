"""From a beat's place in the envelope to its R peak at the recording's own rate."""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.candidates import Ints
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.tuning import TUNING, Tuning

_AT_ONCE = 4096
_ABSURD = 1e12


class Locator:
    """Finds the largest deflection beside each beat.

    A deflection is the difference of two running means, one over the width of an R wave and one over that of a QRS,
    so that neither ST elevation nor a sloping baseline pulls the peak aside. An upward one is favoured a little,
    as people do who annotate. With several leads: where the median of their deflections is largest.
    """

    def __init__(self, fs_hz: float, tuning: Tuning = TUNING) -> None:
        self._narrow = round(tuning.peak_narrow_s * fs_hz / 2)
        self._wide = max(self._narrow + 1, round(tuning.peak_wide_s * fs_hz / 2))
        self._reach = max(1, round(tuning.peak_reach_s * fs_hz))
        self._offsets = np.arange(-self._reach, self._reach + 1)
        self._weight = np.exp(-0.5 * (self._offsets / (tuning.peak_spread_s * fs_hz)) ** 2)
        self._upward = tuning.peak_upward

    @property
    def around(self) -> int:
        """Samples that are looked at to each side."""
        return self._reach + self._wide

    def locate(self, samples: Floats, centres: Ints) -> Ints:
        """R peaks (indices into ``samples`` ``[leads, n]``) beside ``centres``."""
        if not len(centres):
            return np.empty(0, np.int64)
        leads = [self._sums(lead) for lead in samples]
        parts = [self._some(leads, centres[i : i + _AT_ONCE]) for i in range(0, len(centres), _AT_ONCE)]
        return np.concatenate(parts)

    def _sums(self, lead: Floats) -> Floats:
        with np.errstate(invalid="ignore", over="ignore"):
            sums = np.empty(len(lead) + 1)
            sums[0] = 0.0
            np.cumsum(lead, out=sums[1:])
            if not abs(sums[-1]) < _ABSURD:
                bad = ~(np.abs(lead) < _ABSURD)
                usual = float(np.median(lead[~bad])) if not bad.all() else 0.0
                np.cumsum(np.where(bad, 0.0, lead - usual), out=sums[1:])
        return sums

    def _some(self, leads: list[Floats], centres: Ints) -> Ints:
        n = len(leads[0]) - 1
        index = np.clip(centres[:, None] + self._offsets, 0, n - 1)
        deflections = [(_mean(s, index, self._narrow) - _mean(s, index, self._wide)) * self._weight for s in leads]
        rows = np.arange(len(centres))
        if len(deflections) == 1:
            size = deflections[0]
            up, down = size.argmax(axis=1), size.argmin(axis=1)
            offset = np.where(self._upward * size[rows, up] >= -size[rows, down], up, down)
        else:
            offset = np.argmax(_together(np.abs(np.array(deflections))), axis=1)
        peaks: Ints = index[rows, offset]
        return peaks


def _mean(sums: Floats, index: Ints, half: int) -> Floats:
    low = np.maximum(index - half, 0)
    high = np.minimum(index + half + 1, len(sums) - 1)
    mean: Floats = (sums[high] - sums[low]) / (high - low)
    return mean


def _together(size: Floats) -> Floats:
    """Median over the leads that move, each as a fraction of its own largest size: a wild lead has one voice as any."""
    tallest = size.max(axis=2, keepdims=True)
    moves = tallest > 0
    count = np.maximum(moves.sum(axis=0), 1)
    ordered = np.sort(np.where(moves, size / np.where(moves, tallest, 1.0), np.inf), axis=0)
    low, high = (count - 1) // 2, count // 2
    middle: Floats = (
        np.take_along_axis(ordered, low[None], axis=0)[0] + np.take_along_axis(ordered, high[None], axis=0)[0]
    )
    return middle

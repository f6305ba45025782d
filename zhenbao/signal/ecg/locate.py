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
        parts = [self._some(samples, centres[i : i + _AT_ONCE]) for i in range(0, len(centres), _AT_ONCE)]
        return np.concatenate(parts)

    def _deflections(self, lead: Floats, centres: Ints) -> Floats:
        """``[beats, offsets]``."""
        around, narrow, wide = self.around, self._narrow, self._wide
        windows = self._windows(lead, centres)
        with np.errstate(invalid="ignore", over="ignore"):
            sums = np.empty((len(centres), 2 * around + 2))
            sums[:, 0] = 0.0
            np.cumsum(windows, axis=1, out=sums[:, 1:])
            if not (np.abs(sums[:, -1]) < _ABSURD).all():
                bad = ~(np.abs(windows) < _ABSURD)
                usual = np.array(
                    [np.median(row[~lost]) if not lost.all() else 0.0 for row, lost in zip(windows, bad, strict=True)]
                )
                np.cumsum(np.where(bad, 0.0, windows - usual[:, None]), axis=1, out=sums[:, 1:])
        n = len(self._offsets)
        first, second = (
            sums[:, wide + half + 1 : wide + half + 1 + n] - sums[:, wide - half : wide - half + n]
            for half in (narrow, wide)
        )
        first *= self._weight / (2 * narrow + 1)
        second *= self._weight / (2 * wide + 1)
        first -= second
        return first

    def _windows(self, lead: Floats, centres: Ints) -> Floats:
        """``[beats, 2 around + 1]``, what lies beyond an end is like the end."""
        around, length = self.around, 2 * self.around + 1
        steps = np.arange(-around, around + 1)
        if len(lead) < length:
            padded: Floats = lead[np.clip(centres[:, None] + steps, 0, len(lead) - 1)]
            return padded
        starts = centres - around
        inside = np.clip(starts, 0, len(lead) - length)
        windows: Floats = np.lib.stride_tricks.sliding_window_view(lead, length)[inside]
        (edge,) = np.nonzero(starts != inside)
        windows[edge] = lead[np.clip(centres[edge, None] + steps, 0, len(lead) - 1)]
        return windows

    def _some(self, samples: Floats, centres: Ints) -> Ints:
        n = samples.shape[1]
        deflections = [self._deflections(lead, centres) for lead in samples]
        rows = np.arange(len(centres))
        if len(deflections) == 1:
            size = deflections[0]
            up, down = size.argmax(axis=1), size.argmin(axis=1)
            offset = np.where(self._upward * size[rows, up] >= -size[rows, down], up, down)
        else:
            offset = np.argmax(_together(np.abs(np.array(deflections))), axis=1)
        peaks: Ints = np.clip(centres + self._offsets[offset], 0, n - 1)
        return peaks


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

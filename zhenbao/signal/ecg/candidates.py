"""From the envelope to the few instants that may be beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.tuning import TUNING, Tuning

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Local maxima of the envelope, oldest first. Arrays of one length."""

    at: Ints
    """Index at the inner rate."""
    height: Floats
    sharp: Floats
    """Height of the sharp band beside it."""

    def __len__(self) -> int:
        return len(self.at)

    def pick(self, which: NDArray[np.bool_] | Ints | slice) -> Candidates:
        return Candidates(self.at[which], self.height[which], self.sharp[which])

    def join(self, more: Candidates) -> Candidates:
        return Candidates(
            np.concatenate([self.at, more.at]),
            np.concatenate([self.height, more.height]),
            np.concatenate([self.sharp, more.sharp]),
        )


@dataclass(frozen=True, slots=True)
class Bins:
    """The envelope in stretches of equal length; NaN where more than half of one is unknown."""

    highest: Floats
    middle: Floats
    """Median: what lies between beats."""
    first: int = 0
    """Number of the first bin since the start of the recording."""

    def join(self, more: Bins) -> Bins:
        return Bins(
            np.concatenate([self.highest, more.highest]), np.concatenate([self.middle, more.middle]), self.first
        )

    def newest(self, count: int) -> Bins:
        drop = max(0, len(self.highest) - count)
        return Bins(self.highest[drop:], self.middle[drop:], self.first + drop)


NONE = Candidates(np.empty(0, np.int64), np.empty(0), np.empty(0))
NO_BINS = Bins(np.empty(0), np.empty(0))


class CandidateFinder:
    """Finds the local maxima of an envelope that comes in pieces, and sums up every bin.

    A maximum is given as soon as ``apart_s`` (and ``sharp_reach_s``) of what follows is known.
    """

    def __init__(self, rate_hz: float, tuning: Tuning = TUNING) -> None:
        self._apart = max(1, round(tuning.apart_s * rate_hz))
        self._beside = max(1, round(tuning.sharp_reach_s * rate_hz))
        self._around = max(self._apart, self._beside)
        self.bin_length = max(1, round(tuning.bin_s * rate_hz))
        self._height = np.zeros(self._around)
        self._sharp = np.zeros(self._around)
        self._next = 0
        self._open_bin = np.empty(0)

    @property
    def reach(self) -> int:
        """Values that must follow a maximum before it is given."""
        return self._around

    @property
    def done(self) -> int:
        """Inner index before which every maximum has been given."""
        return self._next

    def push(self, height: Floats, sharp: Floats) -> tuple[Candidates, Bins]:
        """Add values; return the maxima that are now certain, and the bins completed."""
        bins = self._fill_bins(height)
        unknown = np.isnan(height)
        self._height = np.concatenate([self._height, np.where(unknown, 0.0, height) if unknown.any() else height])
        self._sharp = np.concatenate([self._sharp, sharp])
        return self._search(), bins

    def flush(self) -> tuple[Candidates, Bins]:
        """The rest, with the last bin as far as it goes."""
        self._height = np.concatenate([self._height, np.zeros(self._around)])
        self._sharp = np.concatenate([self._sharp, np.zeros(self._around)])
        rest, self._open_bin = self._open_bin, np.empty(0)
        bins = _sum_up(rest[None, :]) if len(rest) else NO_BINS
        return self._search(), bins

    def _fill_bins(self, height: Floats) -> Bins:
        values = np.concatenate([self._open_bin, height])
        full = len(values) // self.bin_length
        self._open_bin = values[full * self.bin_length :]
        return _sum_up(values[: full * self.bin_length].reshape(full, self.bin_length))

    def _search(self) -> Candidates:
        around = self._around
        e = self._height
        new = len(e) - 2 * around
        if new <= 0:
            return NONE
        middle = e[around : around + new]
        high = _highest_within(e, self._apart)[around - self._apart :][:new]
        peaks = np.flatnonzero(
            (middle >= high)
            & (middle > e[around - 1 : around - 1 + new])
            & (middle >= e[around + 1 : around + 1 + new])
        )
        beside = np.lib.stride_tricks.sliding_window_view(self._sharp, 2 * self._beside + 1)
        sharp = beside[peaks + around - self._beside].max(axis=1, initial=0.0)
        found = Candidates(peaks + self._next, middle[peaks], sharp)
        self._height, self._sharp = e[new:].copy(), self._sharp[new:].copy()
        self._next += new
        return found


def _highest_within(values: Floats, reach: int) -> Floats:
    """The highest of ``2 reach + 1`` neighbours, ``2 reach`` shorter than ``values``."""
    length, span = 2 * reach + 1, 1
    highest = values
    while 2 * span <= length:
        highest = np.maximum(highest[:-span], highest[span:])
        span *= 2
    rest = length - span
    return np.maximum(highest[: len(highest) - rest], highest[rest:])


def _sum_up(rows: Floats) -> Bins:
    if not len(rows):
        return NO_BINS
    unknown = np.isnan(rows)
    if not unknown.any():
        half = (rows.shape[1] - 1) // 2
        return Bins(rows.max(axis=1), np.partition(rows, half, axis=1)[:, half])
    lost = unknown.mean(axis=1) > 0.5
    ordered = np.sort(rows, axis=1)
    known = np.maximum(1, rows.shape[1] - unknown.sum(axis=1))
    every = np.arange(len(rows))
    highest, middle = ordered[every, known - 1], ordered[every, (known - 1) // 2]
    return Bins(np.where(lost, np.nan, highest), np.where(lost, np.nan, middle))

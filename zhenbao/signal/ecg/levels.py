"""What is normal here and now: the height of a beat, the height of what is none, and the interval to expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.candidates import Bins, Candidates, Ints
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Levels:
    """Per candidate: height of a beat, height of noise, and expected interval in seconds."""

    beat: Floats
    noise: Floats
    interval_s: Floats

    def pick(self, part: slice | NDArray[np.bool_]) -> Levels:
        return Levels(self.beat[part], self.noise[part], self.interval_s[part])


_SHORT = 15
_SLOW = 5
"""What is taken over so many values changes little from one to the next."""


def running_quantile(values: Floats, length: int, q: float = 0.5, every: int = 1) -> Floats:
    """Quantile over ``length`` neighbours (fewer at the ends), NaN left out; NaN where all are.

    Computed for one of ``every`` values and repeated for the others.
    """
    if not len(values):
        return values
    half = length // 2
    if every == 1 and length <= _SHORT and len(values) > 2 * length and not np.isnan(values).any():
        ends = np.concatenate([values[: 2 * half], np.full(half, np.nan), values[-2 * half :]])
        outer = _by_sorting(ends, half, q, 1)
        return np.concatenate([outer[:half], _by_comparing(values, 2 * half + 1, q), outer[len(outer) - half :]])
    return np.repeat(_by_sorting(values, half, q, every), every)[: len(values)]


def _by_comparing(values: Floats, length: int, q: float) -> Floats:
    """Of all whole stretches at once, each of which is sorted no further than needed: quick while they are short."""
    if length == 9 and q == 0.5:
        return _middle_of_nine(values)
    count = len(values) - length + 1
    rows = [values[i : i + count] for i in range(length)]
    place = q * (length - 1)
    low = int(place)
    for top in range(length - 1, low - 1, -1):
        for i in range(top):
            rows[i], rows[i + 1] = np.minimum(rows[i], rows[i + 1]), np.maximum(rows[i], rows[i + 1])
    return rows[low] + (place - low) * (rows[min(low + 1, length - 1)] - rows[low])


def _middle_of_nine(values: Floats) -> Floats:
    """Median of the highest low, the middle middle and the lowest high of three ordered triples (Paeth 1990)."""
    low, high = np.minimum(values[:-1], values[1:]), np.maximum(values[:-1], values[1:])
    third = values[2:]
    low, high, middle = (
        np.minimum(low[:-1], third),
        np.maximum(high[:-1], third),
        np.maximum(low[:-1], np.minimum(high[:-1], third)),
    )
    return _middle_of_three(
        np.maximum(np.maximum(low[:-6], low[3:-3]), low[6:]),
        _middle_of_three(middle[:-6], middle[3:-3], middle[6:]),
        np.minimum(np.minimum(high[:-6], high[3:-3]), high[6:]),
    )


def _middle_of_three(one: Floats, two: Floats, three: Floats) -> Floats:
    middle: Floats = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    return middle


def _by_sorting(values: Floats, half: int, q: float, every: int) -> Floats:
    edge = np.full(half, np.nan)
    padded = np.concatenate([edge, values, edge])
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)[::every], axis=1)
    known = (ordered == ordered).sum(axis=1)
    place = q * np.maximum(known - 1, 0)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    rows = np.arange(len(ordered))
    below, above = ordered[rows, low], ordered[rows, high]
    quantile: Floats = below + (place - low) * (above - below)
    return quantile


@dataclass(frozen=True, slots=True)
class Ground:
    """The beat's height by time, from the highest points of bins alone: needs no beat to start from."""

    middle_s: Floats
    near: Floats
    floor: Floats
    between: Floats
    """What the envelope mostly is: the level between beats."""

    @classmethod
    def of(cls, bins: Bins, bin_length_s: float, tuning: Tuning) -> Ground:
        """From the bins of the stretch looked at."""
        several = len(bins.highest) > 1
        pairs = np.fmax(bins.highest[:-1], bins.highest[1:]) if several else bins.highest
        quiet = np.fmin(bins.middle[:-1], bins.middle[1:]) if several else bins.middle
        far = running_quantile(pairs, tuning.bins_far, tuning.far_quantile, every=_SLOW)
        floor: Floats = tuning.far_floor * far
        near: Floats = np.fmax(running_quantile(pairs, tuning.bins_near, tuning.bin_quantile), floor)
        between = running_quantile(quiet, tuning.bins_quiet)
        middle = (bins.first + np.arange(len(pairs)) + (1.0 if several else 0.5)) * bin_length_s
        known = ~np.isnan(near + between)
        return cls(np.asarray(middle[known]), near[known], floor[known], between[known])

    def levels(self, t: Floats, interval_s: float, tuning: Tuning) -> Levels:
        """Levels at times ``t`` before any beat is known."""
        beat = np.interp(t, self.middle_s, self.near)
        return Levels(beat, tuning.noise_least * beat, np.full(len(t), interval_s))

    def refined(self, found: Candidates, t: Floats, beats: Ints, levels: Levels, tuning: Tuning) -> Levels:
        """Levels as the chosen ``beats`` (indices into ``found``, at least 3) tell them."""
        tb = t[beats]
        capped = np.minimum(found.height[beats], tuning.outlier * levels.beat[beats])
        beat = np.interp(t, tb, running_quantile(capped, tuning.near_beats))
        beat = np.minimum(beat, tuning.near_ceiling * np.interp(t, self.middle_s, self.near))
        beat = np.maximum(beat, np.interp(t, self.middle_s, self.floor))
        expected = np.clip(running_quantile(np.diff(tb), tuning.rhythm_beats), *tuning.interval_range_s)
        return Levels(beat, self._noise(found, t, beats, tuning), np.interp(t, tb[1:], expected))

    def believable(self, found: Candidates, t: Floats, beats: Ints, tuning: Tuning) -> Ints:
        """``beats`` without those of noise or fibrillation: neither well above what lies between them nor regular."""
        if not len(beats):
            return beats
        tb = t[beats]
        height = found.height[beats]
        between = np.maximum(np.interp(tb, self.middle_s, self.between), 1e-6 * height)
        contrast = running_quantile(height / between, tuning.rhythm_beats)
        clear = contrast >= tuning.contrast_least
        rises = contrast >= tuning.contrast_regular
        if len(beats) > 3:
            interval = np.diff(tb)
            usual = running_quantile(interval, tuning.rhythm_beats)
            unsteady = running_quantile(np.abs(interval - usual), tuning.rhythm_beats) / usual
            clear |= rises & (np.concatenate([unsteady[:1], unsteady]) <= tuning.unsteady_most)
        return beats[clear]

    def _noise(self, found: Candidates, t: Floats, beats: Ints, tuning: Tuning) -> Floats:
        """Running median of the highest candidate that is no beat, of each gap between beats."""
        tb = t[beats]
        gap = np.searchsorted(tb, t)
        after = np.abs(t - tb[np.clip(gap - 1, 0, None)])
        before = np.abs(t - tb[np.clip(gap, None, len(tb) - 1)])
        other = np.minimum(after, before) > tuning.quiet_s
        highest = np.zeros(len(tb) + 1)
        np.maximum.at(highest, gap[other], found.height[other])
        noise: Floats = np.interp(t, tb[:-1], running_quantile(highest[1:-1], tuning.rhythm_beats))
        return noise

"""From a beat's place in the envelope to its R peak at the recording's own rate."""

from __future__ import annotations

import math

import numpy as np

from zhenbao.signal.ecg.candidates import Ints
from zhenbao.signal.ecg.envelope import Floats

_REACH_S = 0.075
_BASE_S = 0.15
_AT_ONCE = 1024
_MEMORY = 0.8
_HABIT = 0.35


class Locator:
    """Finds the largest deflection beside each beat.

    One lead: the peak of the polarity that this recording's beats usually have, unless the other one clearly rules;
    more leads: where the median of their distances from the baseline is largest. Remembers the usual polarity from call
    to call.
    """

    def __init__(self, fs_hz: float) -> None:
        self._reach = max(1, round(_REACH_S * fs_hz))
        self._base = max(2, round(_BASE_S * fs_hz))
        self._habit = 0.0

    @property
    def around(self) -> int:
        """Samples that are looked at to each side."""
        return self._base

    def locate(self, samples: Floats, centres: Ints) -> Ints:
        """R peaks (indices into ``samples`` ``[leads, n]``) beside ``centres``."""
        parts = [self._some(samples, centres[i : i + _AT_ONCE]) for i in range(0, len(centres), _AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _some(self, samples: Floats, centres: Ints) -> Ints:
        n = samples.shape[1]
        index = np.clip(centres[:, None] + np.arange(-self._base, self._base + 1), 0, n - 1)
        window = samples[:, index]
        with np.errstate(invalid="ignore", over="ignore"):
            unknown = ~np.isfinite(window) | (np.abs(window) > 1e12)
            window = np.where(unknown, np.nan, window)
            ordered = np.sort(window, axis=2)
            known = np.sum(~unknown, axis=2)
            middle = np.take_along_axis(ordered, np.maximum(known - 1, 0)[:, :, None] // 2, axis=2)
            inner = slice(self._base - self._reach, self._base + self._reach + 1)
            deflection = np.nan_to_num((window - middle)[:, :, inner], nan=0.0)
        one = len(samples) == 1
        offset = self._single(deflection[0]) if one else np.argmax(_together(np.abs(deflection)), axis=1)
        peaks: Ints = index[np.arange(len(centres)), offset + inner.start]
        return peaks

    def _single(self, deflection: Floats) -> Ints:
        up, down = deflection.argmax(axis=1), deflection.argmin(axis=1)
        rows = np.arange(len(deflection))
        high, low = deflection[rows, up], -deflection[rows, down]
        chosen = np.empty(len(rows), np.int64)
        for i, (h, d) in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
            leaning = math.log((h + 1e-300) / (d + 1e-300)) if h > 0 or d > 0 else 0.0
            leaning = max(-2.0, min(2.0, leaning))
            chosen[i] = up[i] if leaning + _HABIT * self._habit >= 0 else down[i]
            self._habit = _MEMORY * self._habit + (1 - _MEMORY) * (1.0 if leaning >= 0 else -1.0) * min(
                1.0, abs(leaning) * 3
            )
        return chosen


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

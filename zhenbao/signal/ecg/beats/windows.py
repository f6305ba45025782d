"""Beats cut out on one grid of time, whatever the sampling rate; wander, hum and gaps taken away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.envelope import Floats

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

STEP_S = 0.005
"""The grid."""
_ABSURD_MV = 100.0
_WANDER_S = 0.4
_SMOOTH_S = (0.020, 0.010)
"""The first of the two has its zero at 50 Hz."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Samples without gaps, wander and hum."""

    mv: Floats
    """[leads, n]; zero where the sample is not known."""
    known: Flags
    """[leads, n]"""
    fs_hz: float


def prepare(samples: Floats, fs_hz: float, usable: Flags) -> Prepared:
    """Bridge gaps, then keep about 1 to 20 Hz.

    Args:
        samples: ``[leads, n]`` in mV.
        fs_hz: sampling rate.
        usable: ``[leads, n]``: the sample may be looked at.
    """
    known = usable & np.isfinite(samples) & (np.abs(np.nan_to_num(samples)) < _ABSURD_MV)
    out = np.zeros(samples.shape)
    for row, lead, good in zip(out, samples, known, strict=True):
        where = np.flatnonzero(good)
        if len(where) < 2:
            continue
        filled = np.interp(np.arange(len(lead)), where, lead[where]) if len(where) < len(lead) else lead
        wander = moving_mean(moving_mean(filled, _WANDER_S * fs_hz), _WANDER_S * fs_hz)
        fast = filled - wander
        for width_s in _SMOOTH_S:
            fast = moving_mean(fast, width_s * fs_hz)
        row[:] = np.where(good, fast, 0.0)
    return Prepared(out, known, fs_hz)


def moving_mean(row: Floats, width: float) -> Floats:
    """Centred mean over about ``width`` samples, shorter at the ends."""
    half = max(0, round((width - 1) / 2))
    if half == 0 or not len(row):
        return row
    total = np.concatenate([[0.0], np.cumsum(row)])
    at = np.arange(len(row))
    start, stop = np.maximum(0, at - half), np.minimum(len(row), at + half + 1)
    mean: Floats = (total[stop] - total[start]) / (stop - start)
    return mean


def cut(prepared: Prepared, times_s: Floats, grid_s: Floats) -> tuple[Floats, Flags]:
    """Windows ``[beats, leads, grid]`` around ``times_s``, and which of ``[beats, leads]`` are known throughout."""
    leads, n = prepared.mv.shape
    at = (times_s[:, None] + grid_s[None, :]) * prepared.fs_hz
    low = np.clip(np.floor(at).astype(np.int64), 0, max(0, n - 2))
    part = np.clip(at - low, 0.0, 1.0)
    windows = np.zeros((len(times_s), leads, len(grid_s)))
    known = np.zeros((len(times_s), leads), bool)
    if n < 2:
        return windows, known
    first, last = low.min(axis=1, initial=n), low.max(axis=1, initial=0) + 1
    for lead in range(leads):
        row = prepared.mv[lead]
        windows[:, lead] = row[low] * (1 - part) + row[low + 1] * part
        lost = np.concatenate([[0], np.cumsum(~prepared.known[lead])])
        known[:, lead] = (lost[np.minimum(n, last + 1)] - lost[first]) <= 0.05 * (last + 1 - first)
    return windows, known

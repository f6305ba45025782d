"""Pacing spikes: deflections far narrower than any QRS, at one distance before it."""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.beats.windows import Flags, Ints
from zhenbao.signal.ecg.envelope import Floats

_NARROW_S = 0.004
_LOWEST_RATE_HZ = 240.0
_FROM_S = 0.200
_UNTIL_S = 0.012
_ABOVE = 8.0
"""A spike's curvature by the usual curvature of its surroundings."""
_HIGH_MV = 0.15
_SPREAD_S = 0.016
"""Spikes of one pacemaker come at one distance from the peak, within this."""
_SHARE = 0.1


def paced_beats(samples: Floats, fs_hz: float, beats: Ints) -> Flags:
    """Which beats follow a spike. Below 240 Hz, or through a filter of 100 Hz or less, spikes are lost."""
    count = len(beats)
    paced = np.zeros(count, bool)
    n = samples.shape[1]
    reach, end = round(_FROM_S * fs_hz), round(_UNTIL_S * fs_hz)
    step = max(1, round(_NARROW_S * fs_hz))
    inside = (beats > reach + 2 * step) & (beats < n - reach)
    if fs_hz < _LOWEST_RATE_HZ or inside.sum() < 3:
        return paced
    some = np.flatnonzero(inside)
    at = beats[some, None] + np.arange(-reach, -end)[None, :]
    best = np.zeros(len(some))
    place = np.zeros(len(some), np.int64)
    for lead in samples:
        values = np.nan_to_num(lead, posinf=0.0, neginf=0.0)
        sharp = values[at] - (values[at - step] + values[at + step]) / 2
        slow = values[at] - (values[at - 3 * step] + values[at + 3 * step]) / 2
        # A spike stands as high over its far surroundings as over its near ones; a QRS far higher over the far ones.
        curve = np.where(np.abs(slow) < 1.6 * np.abs(sharp), np.abs(sharp), 0.0)
        around = np.quantile(np.abs(sharp), 0.6, axis=1) + 0.004
        strength = np.where(curve > _HIGH_MV, curve, 0.0) / around[:, None]
        top = strength.argmax(axis=1)
        height = strength[np.arange(len(some)), top]
        better = height > best
        best[better], place[better] = height[better], top[better]
    spiked = best > _ABOVE
    if spiked.sum() < max(3, _SHARE * count):
        return paced
    offset = place / fs_hz
    middle = float(np.median(offset[spiked]))
    paced[some] = spiked & (np.abs(offset - middle) <= _SPREAD_S)
    if paced.sum() < max(3, _SHARE * count, 0.6 * spiked.sum()):
        paced[:] = False
    return paced

"""Heartbeats in a recording."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhenbao.signal.ecg.candidates import NO_BINS, NONE, CandidateFinder
from zhenbao.signal.ecg.choose import choose_beats
from zhenbao.signal.ecg.envelope import Envelope, Floats
from zhenbao.signal.ecg.fusion import fuse
from zhenbao.signal.ecg.locate import Locator

_BLOCK_S = 240.0
_LOWEST_RATE_HZ = 20.0


def detect_qrs(ecg_mv: ArrayLike, fs_hz: float) -> NDArray[np.int64]:
    """Find the R peaks of a recording.

    Args:
        ecg_mv: ``[n]`` or ``[leads, n]``; any unit, since only relations of heights count. NaN and infinities are gaps.
        fs_hz: sampling rate, at least 20 Hz; made for 100 to 1000 Hz.

    Returns:
        Sample indices, ascending; empty where there is no beat.

    Raises:
        ValueError: ``fs_hz`` is no such rate, or ``ecg_mv`` has more than two dimensions.

    The steps: energy of the QRS band (Gabor filter, 14 Hz), its local maxima as candidates, and the best row of
    candidates as a whole by height above the local noise, sharpness against T waves, and rhythm. How well it does:
    ``docs/clinical/ecg.md``.
    """
    samples = as_leads(ecg_mv)
    check_rate(fs_hz)
    if not samples.size:
        return np.empty(0, np.int64)
    envelope = Envelope(fs_hz, len(samples))
    finder = CandidateFinder(envelope.rate_hz)
    found, bins = NONE, NO_BINS
    block = max(1, round(_BLOCK_S * envelope.rate_hz)) * envelope.step
    pieces = []
    if len(samples) == 1:
        for start in range(0, samples.shape[1], block):
            height, sharp = envelope.push(samples[:, start : start + block])
            pieces.append(finder.push(height[0], sharp[0]))
        height, sharp = envelope.flush()
        pieces.append(finder.push(height[0], sharp[0]))
    else:
        parts = [envelope.push(samples[:, start : start + block]) for start in range(0, samples.shape[1], block)]
        heights, sharps = zip(*parts, envelope.flush(), strict=True)
        both = fuse(np.concatenate(heights, axis=1), np.concatenate(sharps, axis=1), finder.bin_length)
        pieces.append(finder.push(*both))
    pieces.append(finder.flush())
    for some, summed in pieces:
        found, bins = found.join(some), bins.join(summed)
    chosen = choose_beats(found, bins, envelope.rate_hz, finder.bin_length)
    centres = chosen * envelope.step + envelope.step // 2
    peaks = np.sort(Locator(fs_hz).locate(samples, centres))
    return peaks[np.diff(peaks, prepend=-1) > 0]


def as_leads(ecg_mv: ArrayLike) -> Floats:
    """The samples as ``[leads, n]`` floats.

    Raises:
        ValueError: more than two dimensions.
    """
    samples: NDArray[Any] = np.asarray(ecg_mv, np.float64)
    if samples.ndim == 2:
        return samples
    if samples.ndim > 2:
        raise ValueError(f"ecg_mv has {samples.ndim} dimensions, at most 2 make sense")
    return samples.reshape(1, -1)


def check_rate(fs_hz: float) -> None:
    """Raise ValueError unless ``fs_hz`` can carry a QRS."""
    if not (math.isfinite(fs_hz) and fs_hz >= _LOWEST_RATE_HZ):
        raise ValueError(f"fs_hz {fs_hz} is no rate for an ECG")

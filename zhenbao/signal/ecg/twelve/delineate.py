"""Where the waves of an averaged beat begin and end, over all leads together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.twelve.average import AT, Flags, smooth
from zhenbao.signal.ecg.twelve.criteria import criteria

_AHEAD_MS = 40
NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
MIDMEAN_VARIANCE = 1.2
"""Variance of the mean of the middle half over that of the mean, for normal noise (Tukey's midmean)."""


@dataclass(frozen=True, slots=True)
class Waves:
    """Indices into the averaged beat (ms, see `AT`); None where a wave was not found."""

    qrs_onset: int
    j: int
    p_onset: int | None = None
    p_offset: int | None = None
    t_end: int | None = None


def slope_mv_s(beat: Floats, half_ms: int) -> Floats:
    """Slope of the straight line fitted around each sample, mV/s; same shape as ``beat`` ``[leads, ms]``."""
    offsets = np.arange(-half_ms, half_ms + 1)
    padded = np.pad(beat, ((0, 0), (half_ms, half_ms)), mode="edge")
    total = np.zeros_like(beat)
    for offset in offsets.tolist():
        total += offset * padded[:, half_ms + offset : half_ms + offset + beat.shape[1]]
    slopes: Floats = total * 1000 / float((offsets**2).sum())
    return slopes


def slope_noise(residuals: Floats, half_ms: int) -> float:
    """Root mean square slope, mV/s, that averaging these beats' differences from their mean leaves; robust.

    Args:
        residuals: ``[beats, leads, ms]`` in mV, NaN in gaps.
        half_ms: as in `slope_mv_s`.
    """
    beats, leads, length = residuals.shape
    slopes = slope_mv_s(residuals.reshape(-1, length), half_ms).reshape(beats, leads, length)[:, :, ::5]
    slopes = slopes[:, :, np.isfinite(slopes).any(axis=(0, 1))]
    if beats < 3 or not slopes.size:
        return 0.0
    each = NORMAL_MAD * np.nanmedian(np.abs(slopes), axis=(0, 2))
    return float(np.sqrt(np.nanmean(each**2) * MIDMEAN_VARIANCE / (beats - 1)))


def qrs_limits(beat: Floats, residuals: Floats | None = None) -> tuple[int, int] | None:
    """QRS onset and J point.

    A complex reaches as far as its leads together move fast, and at a pace other than that of what follows: a sloping
    ST segment is fast but steady, the tail of an S wave is not.

    Args:
        beat: ``[leads, ms]`` in mV, no NaN.
        residuals: ``[beats, leads, ms]``, the beats' differences from it, NaN in gaps; None is no noise.

    Returns:
        None where there is no complex.
    """
    table = criteria()
    half = round(table["slope_half_ms"])
    noise_mv_s = 0.0 if residuals is None else slope_noise(residuals, half)
    if residuals is not None and noise_mv_s > table["slope_noise_mv_s"]:
        half = round(table["slope_half_noisy_ms"])
        noise_mv_s = slope_noise(residuals, half)
    slopes = slope_mv_s(beat, half)
    speed = _quieted(slopes, noise_mv_s)
    core = slice(AT - 100, AT + 120)
    top = float(speed[core].max())
    if not top > 0:
        return None
    threshold = max(table["qrs_edge_share"] * top, table["qrs_edge_noise"] * noise_mv_s)
    ahead = slope_mv_s(beat, _AHEAD_MS // 2)
    gap = _AHEAD_MS // 2 + half + 2
    after = _quieted(slopes - np.roll(ahead, -gap, axis=1), noise_mv_s)
    before = _quieted(slopes - np.roll(ahead, gap, axis=1), noise_mv_s)
    fast = np.flatnonzero(speed[core] > 0.3 * top) + core.start
    still = round(table["qrs_still_ms"])
    onset = _last_still(np.minimum(speed, before)[: int(fast[0]) + 1] < threshold, still, AT - 220)
    j = _first_still(np.minimum(speed, after) < threshold, still, int(fast[-1]), AT + 280)
    if onset is None:
        first = max(1, int(fast[0]) - 80)
        onset = first + int(np.argmin(speed[first : int(fast[0]) + 1]))
    if j is None:
        j = int(fast[-1]) + int(np.argmin(after[int(fast[-1]) : int(fast[-1]) + 100]))
    return onset, j


def _quieted(slopes: Floats, noise_mv_s: float) -> Floats:
    """Root mean square over leads with the noise's share taken out."""
    power: Floats = np.sqrt(np.maximum((slopes**2).mean(axis=0) - noise_mv_s**2, 0))
    return power


def _first_still(still: Flags, ms: int, start: int, stop: int) -> int | None:
    """The first index from ``start`` on at which ``ms`` still samples begin."""
    for index in range(start, min(stop, len(still) - ms)):
        if still[index : index + ms].all():
            return index
    return None


def _last_still(still: Flags, ms: int, stop: int) -> int | None:
    """The index after the last run of ``ms`` still samples, not before ``stop``."""
    for index in range(len(still), max(stop, ms), -1):
        if still[index - ms : index].all():
            return index
    return None


def p_wave(beat: Floats, noise_mv: float, qrs_onset: int, last_t: int) -> tuple[int, int] | None:
    """P onset and offset before the QRS.

    The P wave is sought as the sharpest bow of a P wave's width, over all leads; the leads are then added with the
    weights of that bow, and its flanks' tangents meet the level beside them.

    Args:
        beat: ``[leads, ms]`` in mV, no NaN, 0 at QRS onset.
        noise_mv: root mean square over leads of what noise is left, after smoothing over 19 ms.
        qrs_onset: index.
        last_t: index where the T wave of the beat before ends; P is not sought earlier.
    """
    table = criteria()
    reach = 60
    smoothed = smooth(beat, 19)
    first = max(reach + 40, qrs_onset - round(table["p_search_ms"]), last_t)
    candidates = np.arange(first, qrs_onset - 35)
    if not len(candidates):
        return None
    arms = np.minimum(reach, qrs_onset - 2 - candidates)
    bows = smoothed[:, candidates] - (smoothed[:, candidates - arms] + smoothed[:, candidates + arms]) / 2
    size = np.sqrt((bows**2).mean(axis=0))
    peaks = np.flatnonzero((size[1:-1] >= size[:-2]) & (size[1:-1] > size[2:])) + 1
    least = max(table["p_height_mv"], table["p_over_noise"] * noise_mv)
    for peak in sorted(peaks.tolist(), key=lambda i: -float(size[i]))[:4]:
        if size[peak] < least:
            break
        weights = bows[:, peak] / np.linalg.norm(bows[:, peak])
        found = _p_limits(weights @ smoothed, int(candidates[peak]), qrs_onset, float(np.linalg.norm(bows[:, peak])))
        if found is not None and found[0] >= last_t - table["p_t_overlap_ms"]:
            return found
    return None


def _p_limits(wave: Floats, near: int, qrs_onset: int, height: float) -> tuple[int, int] | None:
    """Onset and offset of a hump of about ``height``; None where it does not fall on both sides, as the foot of T."""
    stop = min(near + 21, qrs_onset - 10)
    top = near - 20 + int(np.argmax(wave[near - 20 : stop]))
    falls = wave[top] - wave[top - 90 : top].min(), wave[top] - wave[top : min(top + 91, qrs_onset)].min()
    if min(falls) < 0.5 * height:
        return None
    onset = _foot(wave[::-1], len(wave) - 1 - top, min(110, top))
    offset = _foot(wave, top, min(110, qrs_onset - top))
    if onset is None or offset is None:
        return None
    extra = criteria()["p_extra_ms"]
    start, stop = round(len(wave) - 1 - onset - extra), round(min(offset + extra, qrs_onset))
    return (start, stop) if 30 <= stop - start <= 220 else None


def _foot(wave: Floats, top: int, reach: int) -> float | None:
    """Where the tangent at the steepest fall after ``top`` meets the valley that follows within ``reach``."""
    flank = wave[top : top + reach + 1]
    if len(flank) < 12:
        return None
    low = int(np.argmin(flank))
    fall = flank[0] - flank[low]
    if fall <= 0:
        return None
    # The valley begins where nine tenths are gone: a slow drift after the wave is not part of it.
    near = int(np.argmax(flank <= flank[0] - 0.9 * fall))
    slopes = np.gradient(flank)
    steep = int(np.argmin(slopes[: near + 1]))
    slope = float(slopes[steep])
    if slope >= 0:
        return None
    base = float(np.median(flank[near : near + 40][flank[near : near + 40] <= flank[0] - 0.85 * fall]))
    return top + steep + float(base - flank[steep]) / slope


def t_end(beat: Floats, noise_mv: float, qrs_onset: int, j: int, rr_ms: float) -> int | None:
    """End of T: the tangent at the last steep fall of all leads' size together meets the level that follows.

    Args:
        beat: ``[leads, ms]`` in mV, no NaN, 0 at QRS onset.
        noise_mv: root mean square over leads of what noise is left, after smoothing over 25 ms.
        qrs_onset: index.
        j: index of the J point.
        rr_ms: the interval that follows, which bounds the search.
    """
    table = criteria()
    size = np.sqrt(np.maximum((smooth(beat, 25) ** 2).mean(axis=0) - noise_mv**2, 0))
    first = j + 50
    latest = min(table["t_top_share"] * rr_ms, table["t_top_ms"] * (rr_ms / 1000) ** (1 / 3))
    last = min(beat.shape[1] - 60, qrs_onset + round(latest))
    if last - first < 40:
        return None
    part = size[first:last]
    inner = np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:])) + 1
    tops = [*([0] if part[0] > part[1] else []), *inner.tolist()]
    highest = max((float(part[top]) for top in tops), default=0.0)
    if highest < max(table["t_height_mv"], table["t_over_noise"] * noise_mv):
        return None
    top = tops[int(np.argmax(part[tops]))]
    for later in [other for other in tops if other > top and part[other] >= table["t_last_share"] * highest]:
        if part[later] - part[top:later].min() >= table["t_last_rise"] * highest:
            top = later
    reach = min(round(0.45 * rr_ms), 260, beat.shape[1] - 1 - first - top)
    falls = float(size[first + top : first + top + reach + 1].min())
    end = _foot(size, first + top, reach)
    if end is None or falls > table["t_valley_share"] * part[top] or end - qrs_onset > table["qt_share"] * rr_ms:
        return None
    return round(end + table["t_extra_ms"])

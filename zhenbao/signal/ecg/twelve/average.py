"""One beat for many: the dominant shape of a recording, aligned, freed of wander and mains, and averaged."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.twelve.criteria import criteria

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

PRE_MS = 450
"""Window before the reference."""
POST_MS = 800
"""Window after it."""
AT = PRE_MS
"""Index of the reference in an averaged beat; one sample is one millisecond."""
_CORE = slice(AT - 120, AT + 160)
_SLOPE_MS = 8
_LAG_MS = 40
_MOST_BEATS = 80
_ABSURD_MV = 100.0


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples without gaps, and where the gaps were."""

    mv: Floats
    """[leads, n], gaps bridged by straight lines."""
    known: Flags
    """[leads, n]"""
    fs_hz: float


@dataclass(frozen=True, slots=True)
class Windows:
    """The dominant beats, cut out on a grid of 1 ms."""

    mv: Floats
    """[beats, leads, PRE_MS + POST_MS]; NaN in gaps and outside the recording."""
    times_s: Floats
    """[beats] of the reference, within the recording."""
    which: Ints
    """[beats] index into the beats that were given."""


def prepare(samples: Floats, fs_hz: float, beats: Ints) -> Recording:
    """Bridge gaps and take away mains hum.

    Args:
        samples: ``[leads, n]`` in mV; NaN, infinite and absurd values are gaps.
        fs_hz: sampling rate.
        beats: ``[k]`` sample indices; hum is fitted between them.
    """
    known: Flags = np.isfinite(samples)
    known &= np.abs(np.where(known, samples, 0.0)) < _ABSURD_MV
    filled = np.zeros(samples.shape)
    index = np.arange(samples.shape[1])
    for row, (values, there) in enumerate(zip(samples, known, strict=True)):
        if there.any():
            filled[row] = np.interp(index, index[there], values[there])
    return Recording(_without_hum(filled, fs_hz, beats), known, fs_hz)


def _without_hum(mv: Floats, fs_hz: float, beats: Ints) -> Floats:
    """Subtract a 50 or 60 Hz sinusoid and its harmonics where one stands out, block by block of about 10 s.

    The fit leaves out the QRS complexes, so they neither disturb it nor are bent by it, as a notch filter would.
    """
    result = mv.copy()
    length = max(1, round(10 * fs_hz))
    blocks = max(1, round(mv.shape[1] / length))
    edges = np.linspace(0, mv.shape[1], blocks + 1).astype(int)
    for start, stop in itertools.pairwise(edges.tolist()):
        if stop - start < fs_hz:
            continue
        block = mv[:, start:stop]
        quiet = np.ones(stop - start, bool)
        for beat in beats[(beats >= start) & (beats < stop)] - start:
            quiet[max(0, beat - round(0.1 * fs_hz)) : beat + round(0.12 * fs_hz)] = False
        if np.count_nonzero(quiet) < fs_hz / 2:
            continue
        for mains in (50.0, 60.0):
            if mains < 0.45 * fs_hz and (found := _hum_frequency(block, quiet, fs_hz, mains)) is not None:
                t = np.arange(stop - start) / fs_hz
                orders = [k for k in (1, 2, 3) if k * found < 0.45 * fs_hz]
                waves = np.array([f(2 * np.pi * k * found * t) for k in orders for f in (np.sin, np.cos)])
                fast = _fast_part(block, fs_hz, found)
                weights, *_ = np.linalg.lstsq(waves[:, quiet].T, fast[:, quiet].T, rcond=None)
                result[:, start:stop] -= weights.T @ waves
    return result


def _fast_part(mv: Floats, fs_hz: float, mains_hz: float) -> Floats:
    """What a mean over about one mains period does not hold."""
    width = max(3, round(fs_hz / mains_hz) | 1)
    return mv - smooth(mv, width)


def _hum_frequency(mv: Floats, quiet: Flags, fs_hz: float, mains_hz: float) -> float | None:
    fast = _fast_part(mv, fs_hz, mains_hz) * (quiet * np.hanning(mv.shape[1]))
    size = 4 * mv.shape[1]
    power = (np.abs(np.fft.rfft(fast, size, axis=1)) ** 2).sum(axis=0)
    frequency = np.fft.rfftfreq(size, 1 / fs_hz)
    near = np.flatnonzero(np.abs(frequency - mains_hz) <= 0.6)
    around = (np.abs(frequency - mains_hz) <= 8) & (np.abs(frequency - mains_hz) > 1.5)
    if not len(near) or not around.any():
        return None
    best = near[int(np.argmax(power[near]))]
    if power[best] < criteria()["hum_prominence"] * power[around].mean():
        return None
    return float(frequency[best])


def smooth(mv: Floats, width: int) -> Floats:
    """Running mean over an odd number of samples along the last axis, edges held."""
    half = width // 2
    padded = np.concatenate(
        [np.repeat(mv[..., :1], half + 1, axis=-1), mv, np.repeat(mv[..., -1:], half, axis=-1)], axis=-1
    )
    total = np.cumsum(padded, axis=-1)
    mean: Floats = (total[..., width:] - total[..., :-width]) / width
    return mean


def steady(recording: Recording, beats: Ints) -> Flags:
    """Leads ``[leads]`` that show the same at every beat: those on which beats are aligned and waves are sought.

    Where none does, all are taken.

    Args:
        recording: from `prepare`.
        beats: ``[k]`` sample indices.
    """
    leads = len(recording.mv)
    if not len(beats):
        return np.ones(leads, bool)
    some = beats[np.linspace(0, len(beats) - 1, min(len(beats), 30)).astype(int)]
    slopes = _slopes(cut(recording, some / recording.fs_hz))
    shapes = midmean(slopes)
    alike = [
        float(np.median([_best_lag(one[np.newaxis], shape[np.newaxis], 4)[0] for one in slopes[:, lead]]))
        for lead, shape in enumerate(shapes)
    ]
    flags: Flags = np.array(alike) >= criteria()["steady_match"]
    return flags if flags.any() else np.ones(leads, bool)


def dominant(recording: Recording, beats: Ints, classes: Sequence[str]) -> Windows | None:
    """Cut out the beats of the commonest class, and of those the commonest shape, aligned to one another.

    Args:
        recording: from `prepare`.
        beats: ``[k]`` sample indices, ascending.
        classes: one for each beat; all alike (``?``) where they are not known.

    Returns:
        None where no beat lies within the recording.
    """
    n = recording.mv.shape[1]
    fs = recording.fs_hz
    core_s = ((AT - _CORE.start) / 1000, (_CORE.stop - AT) / 1000)
    whole = (beats >= core_s[0] * fs) & (beats <= n - 1 - core_s[1] * fs)
    which = np.flatnonzero(whole)
    if len(classes) == len(beats) and len(which):
        common = Counter(classes[i] for i in which.tolist()).most_common()
        best = [name for name, count in common if count == common[0][1]]
        chosen = "N" if "N" in best else best[0]
        which = np.array([i for i in which.tolist() if classes[i] == chosen], np.int64)
    if not len(which):
        return None
    if len(which) > _MOST_BEATS:
        which = which[np.linspace(0, len(which) - 1, _MOST_BEATS).astype(int)]
    times = beats[which] / fs
    which, times = _commonest_shape(recording, beats, which, times)
    for pass_ in range(3):
        reach = _LAG_MS if pass_ == 0 else _LAG_MS // 4
        mv = cut(recording, times)
        shape = _slopes(midmean(mv, 1.0))
        shifts = np.array([_best_lag(_slopes(one), shape, reach=reach)[1] for one in mv])
        shifts -= np.median(shifts)
        times = times + shifts / 1000
        if np.abs(shifts).max() < 0.3:
            break
    return Windows(cut(recording, times), times, which)


def _commonest_shape(recording: Recording, beats: Ints, which: Ints, times: Floats) -> tuple[Ints, Floats]:
    """Group by correlation with the mean of each group so far; keep the largest, and of two alike the less early."""
    slopes = _slopes(cut(recording, times))
    groups: list[list[int]] = []
    shifts = np.zeros(len(which))
    means: list[Floats] = []
    for beat, slope in enumerate(slopes):
        scores = [_best_lag(slope, mean, 4) for mean in means]
        best = max(range(len(scores)), key=lambda i: scores[i][0], default=-1)
        if best >= 0 and scores[best][0] >= criteria()["same_shape"]:
            groups[best].append(beat)
            shifts[beat] = scores[best][1]
            moved = np.roll(slope, -round(shifts[beat]), axis=-1)
            means[best] = means[best] + (moved - means[best]) / len(groups[best])
        elif len(groups) < 8:
            groups.append([beat])
            means.append(slope)
    before = np.diff(beats, prepend=beats[0] if len(beats) else 0)
    kept = max(groups, key=lambda group: (len(group), float(np.median(before[which[group]]))))
    return which[kept], times[kept] + shifts[kept] / 1000


def cut(recording: Recording, times_s: Floats) -> Floats:
    """Windows ``[beats, leads, ms]`` around times, by cubic interpolation; NaN in gaps and outside."""
    grid = np.arange(-PRE_MS, POST_MS) / 1000
    at = (times_s[:, np.newaxis] + grid) * recording.fs_hz
    n = recording.mv.shape[1]
    base = np.clip(np.floor(at).astype(np.int64), 1, max(n - 3, 1))
    share = at - base
    outside = (at < 0) | (at > n - 1)
    result = np.zeros((recording.mv.shape[0], *at.shape))
    for offset in (-1, 0, 1, 2):
        weight = np.ones_like(share)
        for other in (-1, 0, 1, 2):
            if other != offset:
                weight *= (share - other) / (offset - other)
        result += weight * recording.mv[:, np.clip(base + offset, 0, n - 1)]
    near = np.clip(np.round(at).astype(np.int64), 0, n - 1)
    result[~recording.known[:, near]] = np.nan
    result[:, outside] = np.nan
    windows: Floats = np.moveaxis(result, 0, 1)
    return windows


def _slopes(mv: Floats) -> Floats:
    """Differences over 8 ms around the QRS, with room for the lags; gaps count as no slope."""
    around = mv[..., _CORE.start - _LAG_MS : _CORE.stop + _LAG_MS + _SLOPE_MS]
    slopes: Floats = np.nan_to_num(around[..., _SLOPE_MS:] - around[..., :-_SLOPE_MS])
    return slopes


def _best_lag(slope: Floats, shape: Floats, step: int = 1, reach: int = _LAG_MS) -> tuple[float, float]:
    """Highest correlation over all leads together, and the lag in ms at which ``slope`` comes after ``shape``."""
    length = shape.shape[-1] - 2 * _LAG_MS
    middle = shape[:, _LAG_MS : _LAG_MS + length]
    lags = np.arange(-reach, reach + 1, step)
    scores = np.array([_correlation(slope[:, _LAG_MS + lag : _LAG_MS + lag + length], middle) for lag in lags.tolist()])
    best = int(np.argmax(scores))
    lag = float(lags[best])
    if 0 < best < len(scores) - 1:
        left, top, right = scores[best - 1 : best + 2].tolist()
        if (bend := left - 2 * top + right) < 0:
            lag += 0.5 * step * (left - right) / bend
    return float(scores[best]), lag


def _correlation(one: Floats, other: Floats) -> float:
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0


def spike(beat: Floats) -> int | None:
    """Where a pacemaker's spike stands in an averaged beat: narrow, in many leads, and far sharper than any QRS.

    Args:
        beat: ``[leads, ms]`` in mV, no NaN.

    Returns:
        Index of its top, or None.
    """
    table = criteria()
    first, last = AT - 200, AT + 40
    middle = beat[:, first:last]
    bow = middle - (beat[:, first - 5 : last - 5] + beat[:, first + 5 : last + 5]) / 2
    size = np.sqrt((bow**2).mean(axis=0))
    top = int(np.argmax(size))
    others = np.delete(size, slice(max(0, top - 12), top + 13))
    if size[top] < max(table["spike_mv"], table["spike_over_qrs"] * float(others.max(initial=0.0))):
        return None
    power = (np.diff(beat, axis=1) ** 2).sum(axis=0)
    before, after = power[first + top - 50 : first + top - 10].sum(), power[first + top + 10 : AT + 200].sum()
    if before > table["spike_before_share"] * after:  # a sharp wave within a QRS
        return None
    return first + top


def without_spike(windows: Windows, at: int) -> Windows:
    """The windows with a straight line in place of the spike at index ``at``."""
    mv = windows.mv.copy()
    start, stop = at - 9, at + 9
    share = np.linspace(0, 1, stop - start + 1)
    before, after = mv[:, :, start, np.newaxis], mv[:, :, stop, np.newaxis]
    mv[:, :, start : stop + 1] = before + (after - before) * share
    return Windows(mv, windows.times_s, windows.which)


def midmean(mv: Floats, share: float = 0.5) -> Floats:
    """Mean of the middle ``share`` of values over the first axis, NaN left out: steadier than a median."""
    ordered = np.sort(mv, axis=0)  # NaN last
    count = np.count_nonzero(np.isfinite(mv), axis=0)
    drop = np.floor(count * (1 - share) / 2).astype(np.int64)
    total = np.concatenate([np.zeros((1, *mv.shape[1:])), np.cumsum(np.nan_to_num(ordered), axis=0)])
    upper = np.take_along_axis(total, (count - drop)[np.newaxis], axis=0)[0]
    lower = np.take_along_axis(total, drop[np.newaxis], axis=0)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.where(count > 0, (upper - lower) / (count - 2 * drop), np.nan)
    return mean


def levelled(recording: Recording, windows: Windows, qrs_onset: int) -> Floats:
    """The windows with each beat's baseline at 0: a smooth curve through the levels before every QRS is taken away.

    Args:
        recording: from `prepare`.
        windows: from `dominant`.
        qrs_onset: index of the QRS onset in a window.

    Returns:
        ``[beats, leads, ms]`` in mV.
    """
    span = round(criteria()["baseline_ms"])
    segment = windows.mv[:, :, max(0, qrs_onset - span - 2) : max(1, qrs_onset - 2)]
    counted = np.isfinite(segment).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        levels = np.where(counted > span // 2, np.nansum(segment, axis=2) / counted, np.nan)
    knots = windows.times_s + (qrs_onset - span / 2 - 2 - AT) / 1000
    at = windows.times_s[:, np.newaxis] + np.arange(-PRE_MS, POST_MS) / 1000
    result = windows.mv.copy()
    for lead in range(result.shape[1]):
        good = np.isfinite(levels[:, lead])
        result[:, lead] -= _curve(knots[good], levels[good, lead], at) if good.any() else np.nan
    return result


def _curve(x: Floats, y: Floats, at: Floats) -> Floats:
    """Cubic Hermite curve through points, slopes of the neighbours' chords; beyond the ends a line for 0.4 s."""
    if len(x) == 1:
        return np.full(at.shape, y[0])
    chord = np.diff(y) / np.diff(x)
    width = np.diff(x)
    inner = (chord[:-1] * width[1:] + chord[1:] * width[:-1]) / (width[:-1] + width[1:])
    slope = np.concatenate([chord[:1], inner, chord[-1:]])
    index = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    h = width[index]
    u = np.clip((at - x[index]) / h, 0, 1)
    value = (
        (1 + 2 * u) * (1 - u) ** 2 * y[index]
        + u * (1 - u) ** 2 * h * slope[index]
        + u**2 * (3 - 2 * u) * y[index + 1]
        + u**2 * (u - 1) * h * slope[index + 1]
    )
    value += np.clip(at - x[-1], 0, 0.4) * slope[-1] + np.clip(at - x[0], -0.4, 0) * slope[0]
    curve: Floats = value
    return curve

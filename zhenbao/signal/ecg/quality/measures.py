"""What is measured of a signal before its quality is judged, at about 125 values a second whatever its rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.envelope import Floats

Flags = NDArray[np.bool_]
_RATE_HZ = 125.0
_ABSURD = 1e12
_FAST_S = 0.004
"""Second differences over this tell what is faster than a heart."""
_MAINS_HZ = (50.0, 60.0)


@dataclass(frozen=True, slots=True)
class Inner:
    """Samples averaged down. Arrays ``[leads, n]``."""

    mv: Floats
    known: Flags
    fast: Floats
    """Size of second differences of the samples, averaged alike."""
    step: int
    """Samples in one value."""
    rate_hz: float

    def rows(self, length: int) -> tuple[Floats, Floats, Flags]:
        """``[leads, rows, length]`` of all three."""
        rows = self.mv.shape[1] // length
        take = (len(self.mv), rows, length)
        whole = slice(0, rows * length)
        return self.mv[:, whole].reshape(take), self.fast[:, whole].reshape(take), self.known[:, whole].reshape(take)

    def touched(self, stretches: Sequence[tuple[int, int]]) -> Flags:
        """``[n]``: the values in which any sample of these stretches [start, stop) lies."""
        inside = np.zeros(self.mv.shape[1], bool)
        for start, stop in stretches:
            inside[start // self.step : -(-stop // self.step)] = True
        return inside


def averaged(samples: Floats, fs_hz: float) -> Inner:
    """Averages of samples ``[leads, n]``; where one is missing the lead's last known value stands in."""
    step = max(1, round(fs_hz / _RATE_HZ))
    count = samples.shape[1] // step
    whole = samples[:, : count * step]
    sound = np.abs(whole) < _ABSURD
    if not sound.all():
        whole = _held(whole, sound)
        known: Flags = np.asarray(sound.reshape(len(samples), count, step).all(axis=2), bool)
    else:
        known = np.ones((len(samples), count), bool)
    lag = max(1, round(_FAST_S * fs_hz))
    # Two of each group are enough to tell how fast it moves.
    fast = np.zeros((len(samples), count))
    for start in range(0, step, max(1, step // 2)):
        at = whole[:, start::step]
        before, after = whole[:, max(0, start - lag) :: step], whole[:, start + lag :: step]
        m = min(at.shape[1], before.shape[1], after.shape[1])
        fast[:, :m] += np.abs(after[:, :m] - 2 * at[:, :m] + before[:, :m])
    fast /= len(range(0, step, max(1, step // 2)))
    return Inner(_means(whole, step), known, fast, step, fs_hz / step)


def _means(rows: Floats, step: int) -> Floats:
    total = rows[:, ::step].copy()
    for i in range(1, step):
        total += rows[:, i::step]
    return total / step


def _held(samples: Floats, sound: Flags) -> Floats:
    at = np.where(sound, np.arange(samples.shape[1]), -1)
    np.maximum.accumulate(at, axis=1, out=at)
    first = np.argmax(sound, axis=1)
    at = np.where(at < 0, first[:, None], at)
    held = np.take_along_axis(samples, at, axis=1)
    held[~sound.any(axis=1)] = 0.0
    return held


def mains(rows: Floats, rate_hz: float) -> Floats:
    """Median size that a tone at the mains frequency alone would have, in each row ``[leads, rows, length]``."""
    t = np.arange(rows.shape[2]) / rate_hz
    tallest: Floats = np.zeros(rows.shape[:2])
    centred = rows - rows.mean(axis=2, keepdims=True)
    for mains_hz in _MAINS_HZ:
        if mains_hz < 0.49 * rate_hz:
            turning = np.exp(-2j * np.pi * mains_hz * t) * (2 / len(t))
            tallest = np.maximum(tallest, np.abs(centred @ turning))
    return np.asarray(tallest * np.sqrt(0.5), np.float64)


QUARTER_VALUES = (
    "range", "range_far", "slope", "fast", "steepest", "steepest_far", "baseline", "still", "away",
    "range_more", "steeper", "slope_more", "contrast", "range_usual", "slope_usual", "contrast_usual", "less_steep",
)  # fmt: skip


def quarters(inner: Inner, length: int) -> Floats:
    """Of each quarter of a second, with what is around it: ``[leads, quarters, values]`` as in ``QUARTER_VALUES``.

    Ranges, slopes and fast parts are logarithms: they compare by ratio; "more" is against the lead's own median.
    """
    rows, fast, _ = inner.rows(length)
    slope = np.abs(np.diff(inner.mv, axis=1, append=inner.mv[:, -1:])) * inner.rate_hz
    slopes = slope[:, : rows.shape[1] * length].reshape(rows.shape)
    low, high, mean = rows.min(axis=2), rows.max(axis=2), rows.mean(axis=2)
    usual_slope, usual_fast = middle_of(slopes, 2), middle_of(fast, 2)
    still = (slopes < 0.05).mean(axis=2)
    extent = np.log(_around(high, 2).max(axis=2) - _around(low, 2).min(axis=2) + 0.02)
    extent_far = np.log(_around(high, 6).max(axis=2) - _around(low, 6).min(axis=2) + 0.02)
    calm = np.log(_middle(_around(usual_slope, 2)) + 0.1)
    calm_far = np.log(_middle(_around(usual_slope, 6)) + 0.1)
    quick = np.log(_middle(_around(usual_fast, 2)) + 0.003)
    steepest = slopes.max(axis=2)
    steep = np.log(_around(steepest, 2).max(axis=2) + 0.5)
    steep_far = np.log(_around(steepest, 6).max(axis=2) + 0.5)
    near = _around(mean, 4)
    baseline = np.log(np.abs(near[:, :, :4].mean(axis=2) - near[:, :, 5:].mean(axis=2)) + 0.02)
    away = np.log(np.abs(mean - np.median(mean, axis=1, keepdims=True)) + 0.05)
    contrast = steep_far - calm_far
    steeper = steep - np.median(steep_far, axis=1, keepdims=True)
    usual = [np.broadcast_to(np.median(x, axis=1, keepdims=True), extent.shape) for x in (extent, calm, contrast)]
    return np.stack(
        [
            extent,
            extent_far,
            calm,
            quick,
            steep,
            steep_far,
            baseline,
            _around(still, 2).mean(axis=2),
            away,
            extent - usual[0],
            np.maximum(steeper, 0),
            calm - usual[1],
            contrast,
            *usual,
            np.maximum(-steeper, 0),
        ],
        axis=2,
    )


def middle_of(rows: Floats, every: int) -> Floats:
    """Median of each row ``[leads, rows, length]``, by one of ``every`` values."""
    some = rows[:, :, ::every]
    place = some.shape[2] // 2
    return np.partition(some, place, axis=2)[:, :, place]


def _around(values: Floats, half: int) -> Floats:
    """``[leads, n, 2 half + 1]``: each value with its neighbours, the ends repeated."""
    first = np.repeat(values[:, :1], half, axis=1)
    last = np.repeat(values[:, -1:], half, axis=1)
    padded = np.concatenate([first, values, last], axis=1)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=1)


def _middle(windows: Floats) -> Floats:
    half = windows.shape[2] // 2
    return np.partition(windows, half, axis=2)[:, :, half]


TWELVE_VALUES = (
    "agree_0", "agree_1", "agree_3", "agree_6", "off_leads", "off_most", "wander_1", "wander_4", "slope_2", "slope_4",
    "range_4", "range_mid", "steep_1", "bad_1", "bad_4", "bad_mean", "range_least", "contrast_1", "contrast_4",
    "follows_0", "follows_3",
)  # fmt: skip


def twelve(inner: Inner, off: Flags, bad: Floats, independent: Sequence[int]) -> Floats:
    """Of a 12-lead recording, as in ``TWELVE_VALUES``: how well leads agree where they move, and the worst of them.

    Args:
        inner: the recording.
        off: ``[leads, seconds]``: the electrode is off.
        bad: ``[leads]``: share of the time that cannot be used.
        independent: the rows of I, II and V1 to V6, which do not follow from each other by wiring.
    """
    length = max(2, round(inner.rate_hz))
    rows = inner.rows(length)[0]
    extents = rows.max(axis=2) - rows.min(axis=2)
    middles = middle_of(rows, 4)
    wander = np.abs(np.diff(middles, axis=1)).mean(axis=1) if rows.shape[1] > 1 else np.zeros(len(rows))
    slope = np.abs(np.diff(inner.mv, axis=1))
    usual, steep = _quantiles(slope[:, ::2], 0.5, 0.98)
    # Smoothed over 80 ms, so that one in four says all.
    energy = _moving_mean(slope, max(1, round(0.08 * inner.rate_hz)))[:, ::4]
    energy = energy / (_quantiles(energy, 0.98)[0][:, None] + 0.004)
    common = np.median(energy, axis=0)
    a = energy - energy.mean(axis=1, keepdims=True)
    b = common - common.mean()
    agree = np.sort((a @ b) / np.sqrt((a * a).sum(axis=1) * (b @ b) + 1e-9))
    agreement = -np.log(1.05 - np.clip(agree, -1, 1))
    range_usual = np.sort(np.log(np.median(extents, axis=1) + 0.02))
    wanders = np.sort(np.log(wander + 0.02))
    slopes = np.sort(np.log(usual + 0.02))
    contrast = np.sort(np.log((steep + 0.005) / (usual + 0.002)))
    worst = np.sort(bad)
    shares = off.mean(axis=1)
    return np.array(
        [
            *agreement[[0, 1, 3, 6]],
            np.sqrt(float((shares > 0.5).sum())),
            np.sqrt(float(shares.max())),
            wanders[-1],
            wanders[-4],
            slopes[-2],
            slopes[-4],
            range_usual[-4],
            range_usual[5:7].mean(),
            np.log(steep.max() + 0.02),
            worst[-1],
            worst[-4],
            worst.mean(),
            range_usual[0],
            contrast[0],
            contrast[3],
            *_follows(inner, independent)[[0, 3]],
        ]
    )


def _follows(inner: Inner, independent: Sequence[int]) -> Floats:
    """How well each lead follows from the others, ascending: one heart moves all of them, noise moves one."""
    half = max(1, round(0.25 * inner.rate_hz))
    leads = inner.mv[list(independent)]
    edges = np.repeat(leads[:, :1], half, axis=1), np.repeat(leads[:, -1:], half, axis=1)
    fast = leads - _moving_mean(np.concatenate([edges[0], leads, edges[1]], axis=1), 2 * half + 1)
    common = np.cov(fast)
    spread = np.sqrt(np.diag(common)) + 0.02
    inverse = np.linalg.inv(common / np.outer(spread, spread) + 0.01 * np.eye(len(leads)))
    explained: Floats = np.sort(1 - 1 / np.diag(inverse))
    return np.asarray(-np.log(1.05 - np.clip(explained, -1, 1)), np.float64)


def _quantiles(rows: Floats, *fractions: float) -> list[Floats]:
    places = [int(f * (rows.shape[1] - 1)) for f in fractions]
    ordered = np.partition(rows, places, axis=1)
    return [ordered[:, place] for place in places]


def _moving_mean(rows: Floats, width: int) -> Floats:
    total = np.cumsum(np.concatenate([np.zeros((len(rows), 1)), rows], axis=1), axis=1)
    mean: Floats = (total[:, width:] - total[:, :-width]) / width
    return mean

"""What is measured of a beat before it gets a class: intervals around it, and its shape against the patient's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhenbao.signal.ecg.beats.shapes import LAGS, QRS_S, Shapes, find_shapes
from zhenbao.signal.ecg.beats.windows import STEP_S, Flags, Ints, Prepared, cut
from zhenbao.signal.ecg.envelope import Floats

_LONGEST_RR_S = 2.5
_USUAL_S = (0.3, 1.2)
"""Rates at which scores were fitted; beyond, they would only be guessed from."""
_P_S: Floats = np.arange(-52, -15, dtype=np.float64) * STEP_S
_T_S: Floats = np.arange(26, 81, dtype=np.float64) * STEP_S
_WIDE_SHARE = 0.35
_TINY = 1e-9
NAMES = (
    "pre_local",
    "post_local",
    "pre_all",
    "post_all",
    "pre_mean",
    "pre_before",
    "pre_post",
    "pre_quartile",
    "pre_s",
    "local_s",
    "irregular",
    "like",
    "angle",
    "height",
    "slope",
    "width",
    "width_ratio",
    "spread_ratio",
    "t_like",
    "p_like",
    "p_energy",
    "group_share",
    "group_like",
    "group_width",
    "group_early",
    "group_late",
    "group_fast",
    "neighbour_like",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Of every beat."""

    values: Floats
    """[beats, NAMES]"""
    width_ms: Floats
    correlation: Floats
    """To the patient's own template, -1 to 1."""
    rr_before: Floats
    """The interval before by the usual one around; NaN where there is none."""
    rr_after: Floats
    shape: Ints
    own: int
    """The shape that is the patient's own."""
    neighbour_like: Floats
    """Best likeness to one of the two beats before and after."""
    known: Flags
    """[beats]: at least one lead shows it whole."""


def measure_beats(prepared: Prepared, beats: Ints) -> Measured:
    """Measure all beats of a recording; ``beats`` ascending."""
    fs_hz = prepared.fs_hz
    times = beats / fs_hz
    shapes, windows, known = find_shapes(prepared, times)
    count = len(beats)
    seen: Flags = np.asarray(known.any(axis=1), bool)
    early, late, columns = _intervals(times)
    if not len(shapes.templates):
        nothing = np.zeros(count)
        return Measured(
            np.zeros((count, len(NAMES))),
            nothing,
            nothing,
            early,
            late,
            shapes.of_beat,
            0,
            nothing,
            np.zeros(count, bool),
        )
    beat_width, beat_spread = widths(windows[:, :, LAGS:-LAGS])
    shape_width, shape_spread = widths(shapes.templates)
    own = _own(shapes, shape_width, np.nan_to_num(early, nan=1.0))
    like, lag = shapes.similarity[:, own], shapes.lag[:, own]
    grid = len(QRS_S)
    take = np.arange(grid)[None, :] + LAGS + lag[:, None]
    aligned = np.take_along_axis(windows, take[:, None, :], axis=2)
    template = shapes.templates[own]
    masked = template[None] * known[:, :, None]
    angle = _cosine(aligned, masked)
    height = np.log((_height(aligned) + _TINY) / (_height(masked) + _TINY))
    slope = np.log((_steepest(aligned) + _TINY) / (_steepest(masked) + _TINY))
    shift = lag * STEP_S
    members = shapes.of_beat == own
    t_like, _ = _part(prepared, times + shift, _T_S, members)
    p_like, p_energy = _part(prepared, times + shift, _P_S, members)
    quiet = np.nan_to_num(np.log(early), nan=0.0)
    group = _groups(shapes, own, shape_width, quiet, np.nan_to_num(np.log(late), nan=0.0))
    neighbour = _neighbour_like(aligned, known)
    log_width = np.log((beat_width + 0.02) / (shape_width[own] + 0.02))
    log_spread = np.log((beat_spread + 0.005) / (shape_spread[own] + 0.005))
    values = np.column_stack(
        [
            *columns,
            like,
            angle,
            np.clip(height, -2, 2),
            np.clip(slope, -2, 2),
            beat_width * 10,
            log_width,
            log_spread,
            t_like,
            p_like,
            p_energy,
            *group,
            neighbour,
        ]
    )
    values = np.clip(np.nan_to_num(values), -6, 6)
    return Measured(values, beat_width * 1000, angle, early, late, shapes.of_beat, own, neighbour, seen)


def _intervals(times: Floats) -> tuple[Floats, Floats, list[Floats]]:
    count = len(times)
    if count < 2:
        empty = np.full(count, np.nan)
        return empty, empty, [np.zeros(count)] * 11
    rr = np.minimum(np.diff(times), _LONGEST_RR_S)
    pre, post = np.r_[np.nan, rr], np.r_[rr, np.nan]
    usual, quartile = rolling(rr, 8)
    irregular, _ = rolling(np.abs(np.diff(rr, append=rr[-1])) / usual, 15, mean=True)
    usual, quartile, irregular = (np.r_[x[0], x] for x in (usual, quartile, irregular))
    ratio = pre / usual
    middle, mean = float(np.median(rr)), float(rr.mean())
    columns = [
        np.log(ratio),
        np.log(post / usual),
        np.log(pre / middle),
        np.log(post / middle),
        np.log(pre / mean),
        np.log(pre / np.r_[np.nan, pre[:-1]]),
        np.log(pre / post),
        np.log(pre / quartile),
        np.clip(pre, *_USUAL_S),
        np.clip(usual, *_USUAL_S),
        irregular,
    ]
    return ratio, post / usual, [np.nan_to_num(c) for c in columns]


def rolling(row: Floats, half: int, *, mean: bool = False) -> tuple[Floats, Floats]:
    """Median (or mean) and upper quartile over ``half`` values on both sides."""
    width = min(2 * half + 1, len(row))
    view = np.lib.stride_tricks.sliding_window_view(row, width)
    at = np.clip(np.arange(len(row)) - width // 2, 0, len(view) - 1)
    middle = view.mean(axis=1) if mean else np.median(view, axis=1)
    return middle[at], np.quantile(view, 0.75, axis=1)[at]


def widths(windows: Floats) -> tuple[Floats, Floats]:
    """Duration of the QRS in seconds, and the spread of its slope energy, of ``[beats, leads, grid]``.

    The duration is the time around the steepest place within which the slope over all leads together does not stay
    below a share of its highest for longer than 25 ms.
    """
    slope = np.sqrt(np.square(windows[:, :, 2:] - windows[:, :, :-2]).sum(axis=1))
    t = QRS_S[1:-1]
    weight = np.square(slope)
    total = weight.sum(axis=1) + _TINY
    centre = (weight * t).sum(axis=1) / total
    spread = np.sqrt((weight * np.square(t - centre[:, None])).sum(axis=1) / total)
    peak = slope.max(axis=1)
    loud = slope > _WIDE_SHARE * 0.5 * peak[:, None]
    top = slope.argmax(axis=1)
    duration = np.zeros(len(windows))
    for direction in (-1, 1):
        place, silent, last = top.copy(), np.zeros(len(top), np.int64), top.copy()
        for _ in range(len(t)):
            place = place + direction
            inside = (place >= 0) & (place < len(t)) & (silent < 5)
            here = loud[np.arange(len(top)), np.clip(place, 0, len(t) - 1)] & inside
            last = np.where(here, place, last)
            silent = np.where(here, 0, silent + 1)
        duration += np.abs(last - top) * STEP_S
    return duration, spread


def _own(shapes: Shapes, width: Floats, early: Floats) -> int:
    """The most frequent shape; a frequent one that is clearly narrower and not early goes before it."""
    number = len(shapes.templates)
    sizes = np.array([(shapes.of_beat == i).sum() for i in range(number)], float)
    own = int(np.argmax(sizes))
    for i in np.argsort(-sizes).tolist():
        on_time = float(np.median(early[shapes.of_beat == i])) if sizes[i] else 0.0
        if sizes[i] >= 0.25 * sizes[own] and sizes[i] >= 3 and width[i] < 0.75 * width[own] and on_time > 0.93:
            own = i
    return own


def _groups(shapes: Shapes, own: int, width: Floats, early: Floats, late: Floats) -> list[Floats]:
    """Of the shape that a beat belongs to: how frequent, like the own one, wide, early; lone beats: 0 share."""
    count = len(early)
    share, like, wide = np.zeros(count), np.array(shapes.similarity[:, own]), np.zeros(count)
    premature, delayed, fast = early.copy(), late.copy(), np.minimum(early, 0.0)
    for i in range(len(shapes.templates)):
        which = shapes.of_beat == i
        if not which.any():
            continue
        share[which] = which.mean()
        like[which] = float(np.median(shapes.similarity[which, own]))
        wide[which] = np.log((width[i] + 0.02) / (width[own] + 0.02))
        premature[which] = float(np.median(early[which]))
        delayed[which] = float(np.median(late[which]))
        fast[which] = float((early[which] < np.log(0.88)).mean())
    return [np.log10(share + 1e-3), like, wide, premature, delayed, fast]


def _neighbour_like(aligned: Floats, known: Flags) -> Floats:
    """Best cosine to one of the two beats before and after."""
    best = np.zeros(len(aligned))
    for step in (1, 2):
        if len(aligned) > step:
            cosine = _cosine(aligned[step:] * known[:-step, :, None], aligned[:-step] * known[step:, :, None])
            best[step:] = np.maximum(best[step:], cosine)
            best[:-step] = np.maximum(best[:-step], cosine)
    return best


def _part(prepared: Prepared, times: Floats, grid_s: Floats, members: Flags) -> tuple[Floats, Floats]:
    """Cosine of another part of the beat to the mean of the own beats', and the log of the energy of the two."""
    windows, known = cut(prepared, times, grid_s)
    windows = (windows - windows.mean(axis=2, keepdims=True)) * known[:, :, None]
    some = np.flatnonzero(members)
    some = some[np.unique(np.linspace(0, len(some) - 1, min(300, len(some))).round().astype(np.int64))]
    if not len(some):
        return np.zeros(len(times)), np.zeros(len(times))
    template = np.median(windows[some], axis=0)
    masked = template[None] * known[:, :, None]
    own = np.square(masked).sum(axis=(1, 2))
    energy = np.square(windows).sum(axis=(1, 2))
    level = float(np.median(energy[some])) + _TINY
    ratio = np.log10((energy + 0.1 * level) / (own + 0.1 * level + _TINY))
    return _cosine(windows, masked), np.clip(ratio, -2, 2)


def _cosine(one: Floats, other: Floats) -> Floats:
    product = np.einsum("blg,blg->b", one, other)
    energy = np.einsum("blg,blg->b", one, one) * np.einsum("blg,blg->b", other, other)
    cosine: Floats = product / (np.sqrt(energy) + _TINY)
    return cosine


def _height(windows: Floats) -> Floats:
    height: Floats = np.sqrt(np.square(np.ptp(windows, axis=2)).sum(axis=1))
    return height


def _steepest(windows: Floats) -> Floats:
    steep: Floats = np.sqrt(np.square(np.diff(windows, axis=2)).sum(axis=1)).max(axis=1)
    return steep

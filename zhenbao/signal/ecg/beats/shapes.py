"""Shapes of QRS in a recording: which beats look alike, and which shape is the patient's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhenbao.signal.ecg.beats.windows import STEP_S, Flags, Ints, Prepared, cut
from zhenbao.signal.ecg.envelope import Floats

QRS_S: Floats = np.arange(-24, 29, dtype=np.float64) * STEP_S
"""Grid of the QRS around the detected peak: -120 to 140 ms."""
LAGS = 8
_ALIKE = 0.85
"""Beats at least so similar have one shape."""
_SAMPLE = 240
_MOST_SHAPES = 14
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Shapes:
    """Every beat's shape number, and the shapes."""

    of_beat: Ints
    """[beats]; -1: like no other."""
    templates: Floats
    """[shapes, leads, grid], the most frequent first."""
    similarity: Floats
    """[beats, shapes], 1 for the same curve in the same height."""
    lag: Ints
    """[beats, shapes] steps by which the beat comes later than the template."""


def similarities(windows: Floats, known: Flags, template: Floats) -> tuple[Floats, Ints]:
    """Likeness of ``[beats, leads, grid + 2 lags]`` to one ``[leads, grid]`` at the best lag, over the known leads.

    Twice the product by the sum of both energies: one only where form and height agree.
    """
    grid = template.shape[1]
    energy = np.square(template).sum(axis=1) @ known.T
    best = np.full(len(windows), -1.0)
    lag = np.zeros(len(windows), np.int64)
    for shift in range(-LAGS, LAGS + 1):
        part = windows[:, :, LAGS + shift : LAGS + shift + grid]
        product = np.einsum("blg,lg->b", part, template)
        own = np.einsum("blg,blg->b", part, part)
        like = 2 * product / (own + energy + _TINY)
        better = like > best
        best[better], lag[better] = like[better], shift
    return best, lag


def wide_grid() -> Floats:
    """The grid of the QRS and the lags on both sides."""
    grid: Floats = np.arange(-24 - LAGS, 29 + LAGS, dtype=np.float64) * STEP_S
    return grid


def find_shapes(prepared: Prepared, times_s: Floats) -> tuple[Shapes, Floats, Flags]:
    """Shapes one after the other: each time the beat that most of the unassigned ones resemble starts the next.

    Returns:
        The shapes, the windows ``[beats, leads, wide grid]`` and which ``[beats, leads]`` of them are known.
    """
    windows, known = cut(prepared, times_s, wide_grid())
    windows = (windows - windows.mean(axis=2, keepdims=True)) * known[:, :, None]
    count, leads = known.shape
    of_beat = np.full(count, -1, np.int64)
    templates: list[Floats] = []
    likes: list[Floats] = []
    lags: list[Ints] = []
    free = np.flatnonzero(known.any(axis=1))
    while len(free) and len(templates) < _MOST_SHAPES:
        some = free[np.unique(np.linspace(0, len(free) - 1, min(_SAMPLE, len(free))).round().astype(np.int64))]
        seed = windows[_most_alike(windows[some], known[some], some), :, LAGS:-LAGS]
        template = seed
        for _ in range(2):
            like, lag = similarities(windows[free], known[free], template)
            alike = like >= _ALIKE
            if alike.sum() < 2:
                break
            template = _mean(windows[free[alike]], known[free[alike]], lag[alike])
        like, lag = similarities(windows, known, template)
        members = free[like[free] >= _ALIKE]
        if len(members) < 2 and templates:
            break
        of_beat[members] = len(templates)
        templates.append(template)
        likes.append(like)
        lags.append(lag)
        if not len(members):
            break
        free = free[like[free] < _ALIKE]
    if not templates:
        none = np.zeros((0, leads, len(QRS_S)))
        return Shapes(of_beat, none, np.zeros((count, 0)), np.zeros((count, 0), np.int64)), windows, known
    return Shapes(of_beat, np.stack(templates), np.stack(likes, 1), np.stack(lags, 1)), windows, known


def _most_alike(windows: Floats, known: Flags, names: Ints) -> int:
    """The beat that most others resemble, by peak-aligned similarity."""
    flat = windows[:, :, LAGS:-LAGS].reshape(len(windows), -1)
    energy = np.square(flat).sum(axis=1)
    like = 2 * (flat @ flat.T) / (energy[:, None] + energy[None, :] + _TINY)
    friends = (like >= _ALIKE).sum(axis=1) + 0.1 * like.mean(axis=1) + 0.01 * known.mean(axis=1)
    return int(names[int(np.argmax(friends))])


def _mean(windows: Floats, known: Flags, lag: Ints) -> Floats:
    grid = windows.shape[2] - 2 * LAGS
    take = np.arange(grid)[None, :] + LAGS + lag[:, None]
    aligned = np.take_along_axis(windows, take[:, None, :], axis=2)
    weight = np.maximum(known.sum(axis=0), 1)
    mean: Floats = aligned.sum(axis=0) / weight[:, None]
    return mean

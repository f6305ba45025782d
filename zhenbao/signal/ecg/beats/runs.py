"""Ectopic beats in a row: couplets, runs, bigeminy, trigeminy, and how frequent they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zhenbao.signal.ecg.beats.arrest import runs_of
from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.windows import Flags, Ints
from zhenbao.signal.ecg.envelope import Floats

_LONGEST_RR_S = 2.0
_TIMES = 3
"""So many times a pattern repeats before it has a name."""


@dataclass(frozen=True, slots=True)
class Run:
    """Beats in a row, from index ``first`` to before ``last``."""

    first: int
    last: int
    rate_bpm: float
    seconds: float


def runs(beats: Ints, fs_hz: float, ectopic: Flags, *, least: int = 3) -> list[Run]:
    """Runs of at least ``least`` ectopic beats; a gap of two seconds ends one."""
    found = []
    for first, last in runs_of(ectopic):
        breaks = np.flatnonzero(np.diff(beats[first:last]) > _LONGEST_RR_S * fs_hz) + 1 + first
        edges = [first, *breaks.tolist(), last]
        for low, high in pairwise(edges):
            seconds = float(beats[high - 1] - beats[low]) / fs_hz
            if high - low >= least and seconds > 0:
                found.append(Run(low, high, 60 * (high - low - 1) / seconds, seconds))
    return found


def regular(beats: Ints) -> bool:
    """Whether the intervals of a run are alike."""
    rr = np.diff(beats)
    return bool(np.ptp(rr) <= 2 * criteria()["svt_regular"] * np.median(rr)) if len(rr) else False


def couplets(ectopic: Flags) -> list[tuple[int, int]]:
    """Exactly two in a row, between beats that are not."""
    count = len(ectopic)
    return [(a, b) for a, b in runs_of(ectopic) if b - a == 2 and a > 0 and b < count]


def pattern(ectopic: Flags, period: int) -> list[tuple[int, int]]:
    """Stretches where every ``period``-th beat is ectopic and the others are not, three times at least."""
    places = np.flatnonzero(ectopic)
    found: list[tuple[int, int]] = []
    first = 0
    for i in range(1, len(places) + 1):
        if i < len(places) and places[i] - places[i - 1] == period:
            continue
        if i - first >= _TIMES:
            found.append((int(places[first]), int(places[i - 1]) + 1))
        first = i
    return found


def on_t(beats: Ints, fs_hz: float, ectopic: Flags) -> Ints:
    """Ventricular beats that begin before the T wave of the beat before would end at a QTc of 400 ms (Fridericia)."""
    if len(beats) < 3:
        return np.zeros(0, np.int64)
    rr: Floats = np.diff(beats) / fs_hz
    usual = float(np.median(rr))
    early = np.flatnonzero(ectopic[1:] & ~ectopic[:-1] & (rr - 0.06 < 0.40 * np.cbrt(min(usual, 1.2)) - 0.04)) + 1
    return np.asarray(early, np.int64)


def frequent(ectopic: Flags, seconds: float) -> bool:
    """At least six a minute, in a recording of a minute or more."""
    rule = criteria()
    return seconds >= rule["pvc_shortest_s"] and 60 * float(ectopic.sum()) / seconds >= rule["pvc_per_minute"]

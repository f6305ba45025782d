"""Ventricular fibrillation, flutter and asystole, from the signal itself: where they are, beats mean nothing.

The leakage measure is that of Kuo and Dillman 1978; the share of samples above a threshold that of Arafat 2011
(doi:10.1007/s11760-009-0136-1), in simplified form. Specificity comes first: all signs must agree, on at least half
of the leads that can be used, for several seconds.
"""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.windows import Flags, Ints, Prepared
from zhenbao.signal.ecg.envelope import Floats

Span = tuple[int, int, tuple[int, ...]]
"""First sample, sample after the last, rows of the leads that show it."""
_RATE_HZ = 100.0
_WINDOW = 400
_HOP = 50
_TINY = 1e-12


def fibrillating_ventricles(prepared: Prepared) -> list[Span]:
    """Stretches of at least ``vf_s`` that look like ventricular fibrillation or flutter."""
    leads, n = prepared.mv.shape
    length = int(n / prepared.fs_hz * _RATE_HZ)
    if length < _WINDOW or not leads:
        return []
    at = np.arange(length) * prepared.fs_hz / _RATE_HZ
    low = np.minimum(at.astype(np.int64), n - 1)
    signs, known = [], []
    for lead in range(leads):
        row = np.interp(at, np.arange(n), prepared.mv[lead])
        sign, seen = _signs(row, prepared.known[lead][low])
        signs.append(sign)
        known.append(seen)
    sign_of, known_of = np.array(signs), np.array(known)
    judged = known_of.sum(axis=0)
    rings = (judged > 0) & (2 * (sign_of & known_of).sum(axis=0) >= np.maximum(judged, 1))
    spans: list[Span] = []
    for first, last in runs_of(rings):
        start = round(first * _HOP / _RATE_HZ * prepared.fs_hz)
        stop = min(n, round(((last - 1) * _HOP + _WINDOW) / _RATE_HZ * prepared.fs_hz))
        if (stop - start) / prepared.fs_hz >= criteria()["vf_s"]:
            rows = tuple(np.flatnonzero(sign_of[:, first:last].any(axis=1)).tolist())
            spans.append((start, stop, rows))
    return spans


def _signs(row: Floats, good: Flags) -> tuple[Flags, Flags]:
    """For every window of 4 s: whether it looks so, and whether it is known."""
    rule = criteria()
    view = np.lib.stride_tricks.sliding_window_view(row, _WINDOW)[::_HOP]
    seen = np.lib.stride_tricks.sliding_window_view(good, _WINDOW)[::_HOP].mean(axis=1) > 0.95
    sign = np.zeros(len(view), bool)
    frequency = np.fft.rfftfreq(2 * _WINDOW, 1 / _RATE_HZ)
    inside = (frequency >= 0.7) & (frequency <= 20)
    main = (frequency >= rule["vf_lowest_hz"]) & (frequency <= rule["vf_highest_hz"])
    taper = np.hanning(_WINDOW)
    for i in np.flatnonzero(seen & (view.std(axis=1) > rule["vf_rms_mv"])).tolist():
        part = view[i]
        power = np.square(np.abs(np.fft.rfft(part * taper, 2 * _WINDOW))) * inside
        peak = float(frequency[int(np.argmax(power * main))])
        near = np.abs(frequency - peak) <= 0.8
        if power[near].sum() < rule["vf_concentration"] * (power.sum() + _TINY):
            continue
        half = max(1, round(_RATE_HZ / peak / 2))
        later, earlier = part[half:], part[:-half]
        leak = np.abs(later + earlier).sum() / (np.abs(later).sum() + np.abs(earlier).sum() + _TINY)
        size = np.abs(part)
        filled = float((size > 0.2 * np.quantile(size, 0.99)).mean())
        sign[i] = leak < rule["vf_leakage"] and filled > rule["vf_filled"]
    return sign, seen


def silences(prepared: Prepared, beats: Ints, fibrillating: list[Span]) -> list[Span]:
    """Usable stretches of at least ``asystole_s`` without a beat, in which no lead moves as a beat would."""
    rule = criteria()
    fs_hz = prepared.fs_hz
    n = prepared.mv.shape[1]
    if n < rule["asystole_s"] * fs_hz:
        return []
    spans: list[Span] = []
    seen: Flags = np.asarray(prepared.known.any(axis=0), bool)
    high = np.abs(prepared.mv).max(axis=0, initial=0.0)
    reach = round(0.08 * fs_hz)
    heights = [float(high[max(0, b - reach) : b + reach + 1].max()) for b in beats.tolist()]
    still = rule["asystole_share"] * float(np.median(heights)) if heights else rule["asystole_mv"]
    edges = [0, *beats.tolist(), n]
    for i in range(len(edges) - 1):
        start = edges[i] + (round(0.5 * fs_hz) if i > 0 else 0)
        stop = edges[i + 1] - (round(0.2 * fs_hz) if i + 1 < len(edges) - 1 else 0)
        if (edges[i + 1] - edges[i]) / fs_hz < rule["asystole_s"] or stop <= start:
            continue
        if any(a < stop and b > start for a, b, _ in fibrillating):
            continue
        if seen[start:stop].mean() > 0.95 and float(np.quantile(high[start:stop], 0.995)) < still:
            rows = tuple(np.flatnonzero(prepared.known[:, start:stop].mean(axis=1) > 0.95).tolist())
            spans.append((edges[i], edges[i + 1], rows))
    return spans


def runs_of(flags: Flags) -> list[tuple[int, int]]:
    """First index and index after the last of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

"""Can this recording carry a judgement? Per lead and second: electrode off, muscle, mains, wander, jumps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhenbao.model.ecg import EcgQuality
from zhenbao.signal.ecg.criteria import criteria
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.qrs import as_leads, check_rate

Flags = NDArray[np.bool_]
_SECONDS_APART = 0.02
_MAINS_HZ = (50.0, 60.0)


def assess_quality(ecg_mv: ArrayLike, fs_hz: float, lead_names: Sequence[str]) -> EcgQuality:
    """Judge a recording before anything is read from it.

    Args:
        ecg_mv: ``[leads, n]`` (or ``[n]`` for one) in millivolts; NaN where there is no value. Leads that were never
            fitted must not be among them.
        fs_hz: sampling rate.
        lead_names: one for each row.

    Returns:
        Reasons are ``electrode-off:V2``, ``muscle-noise:``, ``mains-hum:``, ``baseline-wander:`` and ``artefact:`` with
        the lead, ``too-short`` and ``no-signal``. Acceptable means: no reason. ``usable`` is told by whole seconds.

    Raises:
        ValueError: no such rate, or names do not match rows.
    """
    samples = as_leads(ecg_mv)
    check_rate(fs_hz)
    if len(samples) != len(lead_names):
        raise ValueError(f"{len(lead_names)} names for {len(samples)} leads")
    limit = criteria()
    n = samples.shape[1]
    if not len(samples) or n < limit["shortest_s"] * fs_hz:
        return EcgQuality(False, 0.0, ("too-short",), dict.fromkeys(lead_names, ()))
    seconds = max(1, round(n / fs_hz))
    length = n // seconds
    with np.errstate(invalid="ignore", over="ignore"):
        flags = _flags(samples, fs_hz, seconds, length)
    bad = np.logical_or.reduce(list(flags.values()))
    reasons: list[str] = []
    for lead, name in enumerate(lead_names):
        if flags["electrode-off"][lead].any():
            reasons.append(f"electrode-off:{name}")
        elif bad[lead].mean() > limit["bad_fraction"]:
            shares = {key: float(flag[lead].mean()) for key, flag in flags.items()}
            reasons.append(f"{max(shares, key=lambda key: shares[key])}:{name}")
    if flags["electrode-off"].all():
        reasons.insert(0, "no-signal")
    usable = {name: _stretches(~bad[lead], length, n) for lead, name in enumerate(lead_names)}
    return EcgQuality(not reasons, round(float(1 - bad.mean()), 3), tuple(reasons), usable)


def usable_seconds(quality: EcgQuality, fs_hz: float) -> float:
    """How much of the recording can be used, in seconds.

    Of an acceptable one all but the time in which no lead can be used; of one to be repeated, what its worst lead has.
    """
    if not quality.acceptable:
        return min((sum(b - a for a, b in stretches) for stretches in quality.usable.values()), default=0) / fs_hz
    total, end = 0, 0
    for start, stop in sorted(stretch for stretches in quality.usable.values() for stretch in stretches):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total / fs_hz


def _flags(samples: Floats, fs_hz: float, seconds: int, length: int) -> dict[str, Flags]:
    """Per lead and second, what is wrong."""
    limit = criteria()
    known = np.isfinite(samples) & (np.abs(samples) < 1e12)
    every = np.where(known, samples, 0.0)
    if not known.all():
        usual = (
            np.nanmedian(np.where(known, samples, np.nan), axis=1, keepdims=True) if known.any(axis=1).all() else 0.0
        )
        every = np.where(known, samples, usual)
    parts = every[:, : seconds * length].reshape(len(samples), seconds, length)
    lost = ~known[:, : seconds * length].reshape(parts.shape)
    spread = parts.max(axis=2) - parts.min(axis=2)
    base = np.median(parts, axis=2)
    overall = np.median(base, axis=1)[:, None]
    off = (lost.mean(axis=2) > limit["lost_fraction"]) | (spread < limit["flat_mv"])
    for extreme in (every.max(axis=1)[:, None], every.min(axis=1)[:, None]):
        at_limit = (parts == extreme[:, :, None]).mean(axis=2) > limit["rail_fraction"]
        off |= at_limit & (np.abs(extreme - overall) > limit["rail_mv"])
    step = np.abs(np.diff(base, axis=1)) > limit["wander_mv"]
    wander = np.zeros_like(off)
    wander[:, 1:] |= step
    wander[:, :-1] |= step
    noise = _fast(every, fs_hz, seconds, length)
    hum = _mains(parts, fs_hz)
    noisy = noise > limit["noise_mv"]
    humming = noisy & (hum > limit["hum_share"] * noise)
    jumps = spread > limit["artefact_mv"]
    return {
        "electrode-off": off,
        "mains-hum": humming & ~off,
        "muscle-noise": noisy & ~humming & ~off,
        "baseline-wander": wander & ~off & ~jumps,
        "artefact": jumps & ~off,
    }


def _fast(samples: Floats, fs_hz: float, seconds: int, length: int) -> Floats:
    """Median, each second, of the distance from the mean of 20 ms: a QRS is too short a part of a second to count."""
    width = max(2, round(_SECONDS_APART * fs_hz))
    padded = np.concatenate([np.repeat(samples[:, :1], width, axis=1), samples], axis=1)
    sums = np.cumsum(padded - samples[:, :1], axis=1)
    smooth = (sums[:, width:] - sums[:, :-width]) / width + samples[:, :1]
    centred = np.roll(smooth, -(width // 2), axis=1)
    fast = np.abs(samples - centred)[:, : seconds * length].reshape(len(samples), seconds, length)
    return np.asarray(np.median(fast, axis=2), np.float64)


def _mains(parts: Floats, fs_hz: float) -> Floats:
    """Median size that a tone at the mains frequency alone would have, each second."""
    t = np.arange(parts.shape[2]) / fs_hz
    tallest = np.zeros(parts.shape[:2])
    centred = parts - parts.mean(axis=2, keepdims=True)
    for mains_hz in _MAINS_HZ:
        if mains_hz < 0.45 * fs_hz:
            turning = np.exp(-2j * np.pi * mains_hz * t) * (2 / len(t))
            tallest = np.maximum(tallest, np.abs(centred @ turning))
    return np.asarray(tallest * np.sqrt(0.5), np.float64)


def _stretches(good: Flags, length: int, n: int) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return tuple((int(a) * length, n if b == len(good) else int(b) * length) for a, b in edges)

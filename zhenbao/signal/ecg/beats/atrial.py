"""What the atria do, as far as the leads show it: P before QRS, P without QRS, flutter waves, a delta wave.

All of it is suspicion. Where P cannot be seen, nothing is said of conduction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhenbao.signal.ecg.beats.arrest import runs_of
from zhenbao.signal.ecg.beats.classes import Judged
from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.fibrillation import before_qrs
from zhenbao.signal.ecg.beats.windows import STEP_S, Flags, Ints, Prepared, cut
from zhenbao.signal.ecg.envelope import Floats

_TINY = 1e-12
_BEFORE_S: Floats = np.arange(-36, 25, dtype=np.float64) * STEP_S
_AVERAGE_S: Floats = np.arange(-60, 30, dtype=np.float64) * STEP_S
_P_HALF = 10
_MOST_BEATS = 200


@dataclass(frozen=True, slots=True)
class PWave:
    """The P wave of the conducted beats in the lead that shows it best."""

    lead: int
    centre_s: float
    """From the R peak, negative."""
    shape: Floats
    """On the 5 ms grid."""
    height_mv: float
    coherence: float


def coherence_at(prepared: Prepared, beats: Ints, own: Flags, half: int = 12) -> Floats:
    """For every beat, how much the windows before QRS agree over the beats around; NaN: cannot say."""
    windows, known = before_qrs(prepared, beats / prepared.fs_hz)
    use = known & own[:, None]
    weighted = windows * use[:, :, None]
    count = len(beats)
    best = np.full(count, np.nan)
    low, high = np.maximum(0, np.arange(count) - half), np.minimum(count, np.arange(count) + half + 1)
    for lead in range(windows.shape[1]):
        total = np.concatenate([np.zeros((1, windows.shape[2])), np.cumsum(weighted[:, lead], axis=0)])
        number = np.concatenate([[0], np.cumsum(use[:, lead])])
        k = (number[high] - number[low]).astype(float)
        square = np.square(total[high] - total[low]).sum(axis=1)
        agree = np.where(k >= 5, (square / np.maximum(k, 1) - 1) / np.maximum(k - 1, 1), np.nan)
        best = np.fmax(best, agree)
    return best


def p_wave(prepared: Prepared, beats: Ints, own: Flags) -> PWave | None:
    """The average P, or None where the beats show no common one."""
    some = np.flatnonzero(own)
    if len(some) < 5:
        return None
    some = some[np.unique(np.linspace(0, len(some) - 1, min(_MOST_BEATS, len(some))).round().astype(np.int64))]
    units, known = before_qrs(prepared, beats[some] / prepared.fs_hz)
    windows, _ = cut(prepared, beats[some] / prepared.fs_hz, _AVERAGE_S)
    best: PWave | None = None
    for lead in range(units.shape[1]):
        good = known[:, lead]
        if good.sum() < 5:
            continue
        mean = units[good, lead].mean(axis=0)
        agree = (good.sum() * float(mean @ mean) - 1) / (good.sum() - 1)
        if agree < criteria()["p_seen"] or (best is not None and agree <= best.coherence):
            continue
        average = np.median(windows[good, lead], axis=0)
        first, last = 60 - 48, 60 - 14
        region = average[first:last]
        flat = region - np.linspace(region[0], region[-1], len(region))
        top = first + int(np.argmax(np.abs(flat)))
        low, high = max(0, top - _P_HALF), top + _P_HALF + 1
        shape = average[low:high] - average[low:high].mean()
        centre = float(_AVERAGE_S[low] + _P_HALF * STEP_S)
        best = PWave(lead, centre, shape, float(np.ptp(shape)), agree)
    return best


def lone_p_waves(prepared: Prepared, wave: PWave, start: int, stop: int) -> list[int]:
    """Waves like P inside the interval between two beats, T and the next beat's own P left out; sample indices."""
    fs_hz = prepared.fs_hz
    first, last = start / fs_hz + 0.40, stop / fs_hz + wave.centre_s - 0.16
    centres = np.arange(first, last, STEP_S)
    if not len(centres):
        return []
    grid: Floats = (np.arange(len(wave.shape), dtype=np.float64) - _P_HALF) * STEP_S
    single = Prepared(prepared.mv[wave.lead : wave.lead + 1], prepared.known[wave.lead : wave.lead + 1], fs_hz)
    windows, known = cut(single, centres, grid)
    parts = windows[:, 0] - windows[:, 0].mean(axis=1, keepdims=True)
    product = parts @ wave.shape
    own, energy = np.square(parts).sum(axis=1), float(wave.shape @ wave.shape)
    like = np.where(known[:, 0], 2 * product / (own + energy + _TINY), 0.0)
    found: list[int] = []
    for low, high in runs_of(like > criteria()["p_like"]):
        found.append(round(float(centres[low + int(np.argmax(like[low:high]))]) * fs_hz))
    return found


def dropped_beats(prepared: Prepared, judged: Judged, wave: PWave) -> list[tuple[int, int]]:
    """Intervals that hold P waves without QRS: index of the beat before, and how many such P waves."""
    beats = judged.beats
    rr = np.diff(beats) / prepared.fs_hz
    own = judged.are("N")
    if len(rr) < 4:
        return []
    usual = float(np.median(rr))
    found = []
    for i in np.flatnonzero(own[:-1] & own[1:] & (rr > 0.9) & (rr < 6.0)).tolist():
        waves = lone_p_waves(prepared, wave, int(beats[i]), int(beats[i + 1]))
        if not waves:
            continue
        # All atrial intervals must be alike: an early P is an ectopic beat that was not conducted.
        times = [beats[i] / prepared.fs_hz + wave.centre_s, *(w / prepared.fs_hz for w in waves)]
        times.append(beats[i + 1] / prepared.fs_hz + wave.centre_s)
        steps = np.diff(times)
        pause = rr[i] > 1.5 * usual
        clear = waves[0] - beats[i] >= criteria()["block_after_s"] * prepared.fs_hz
        if steps.max() <= 1.2 * steps.min() and steps.min() > 0.3 and (pause or (usual > 1.0 and clear)):
            found.append((i, len(waves)))
    return found


def dissociated(prepared: Prepared, judged: Judged) -> bool:
    """Slow regular beats, and waves of one period between them that keep no distance to QRS: third-degree block."""
    beats, fs_hz = judged.beats, prepared.fs_hz
    own = judged.are("N")
    if own.sum() < 5 or own.mean() < 0.8:
        return False
    rr = np.diff(beats) / fs_hz
    usual = float(np.median(rr))
    if usual < 60 / criteria()["avb3_rate"] or float(np.median(np.abs(rr - usual))) > 0.06 * usual:
        return False
    agree = coherence_at(prepared, beats, own)
    if np.isnan(agree).all() or float(np.nanmedian(agree)) > 0.2:
        return False
    return any(_periodic(prepared, beats, lead, usual) for lead in range(prepared.mv.shape[0]))


def _periodic(prepared: Prepared, beats: Ints, lead: int, rr_s: float) -> bool:
    """Whether a lead, freed of its average beat, repeats with a period shorter than the beats'."""
    fs_hz = prepared.fs_hz
    if prepared.known[lead].mean() < 0.9:
        return False
    grid = np.arange(-0.1, 0.5, STEP_S)
    n = prepared.mv.shape[1]
    time = np.arange(0, n / fs_hz, STEP_S)
    rest = np.interp(time * fs_hz, np.arange(n), prepared.mv[lead])
    windows, _ = cut(
        Prepared(prepared.mv[lead : lead + 1], prepared.known[lead : lead + 1], fs_hz), beats / fs_hz, grid
    )
    average = np.median(windows[:, 0], axis=0)
    weight = np.ones(len(rest))
    for beat in (beats / fs_hz).tolist():
        at = round((beat - 0.1) / STEP_S) + np.arange(len(grid))
        inside = (at >= 0) & (at < len(rest))
        rest[at[inside]] -= average[inside]
        sharp = at[inside & (np.abs(grid) < 0.09)]
        weight[sharp] = 0.0
    rest *= weight
    power = np.fft.irfft(np.square(np.abs(np.fft.rfft(rest, 2 * len(rest)))))[: len(rest)]
    common = np.fft.irfft(np.square(np.abs(np.fft.rfft(weight, 2 * len(rest)))))[: len(rest)]
    scaled = power / np.maximum(common, 1.0)
    lags = np.arange(round(0.4 / STEP_S), round(min(1.3, 0.85 * rr_s) / STEP_S))
    if not len(lags) or lags[-1] + 20 >= len(scaled) or scaled[0] <= 0:
        return False
    strongest = int(lags[int(np.argmax(scaled[lags]))])
    if strongest in (int(lags[0]), int(lags[-1])):
        return False
    return bool(scaled[strongest] > criteria()["avb3_periodic"] * scaled[0])


def flutter_rate_hz(prepared: Prepared, beats: Ints, start: int, stop: int) -> float | None:
    """Rate of flutter waves between QRS within a stretch, or None. Only clear waves count, in one lead at least."""
    rule = criteria()
    fs_hz = prepared.fs_hz
    time = np.arange(start / fs_hz, min(stop / fs_hz, start / fs_hz + 30), 0.01)
    if len(time) < 600:
        return None
    near = beats[(beats >= start) & (beats < stop)] / fs_hz
    blank = np.zeros(len(time), bool)
    for beat in near.tolist():
        blank |= (time > beat - 0.07) & (time < beat + 0.10)
    if blank.mean() > 0.6:
        return None
    n = prepared.mv.shape[1]
    frequency = np.fft.rfftfreq(4 * len(time), 0.01)
    band = (frequency > 1.5) & (frequency < 15)
    flutter = (frequency >= rule["flutter_lowest_hz"]) & (frequency <= rule["flutter_highest_hz"])
    for lead in range(prepared.mv.shape[0]):
        low, high = int(start), int(min(stop, n))
        if prepared.known[lead, low:high].mean() < 0.9:
            continue
        row = np.interp(time * fs_hz, np.arange(low, high), prepared.mv[lead, low:high])
        row = np.interp(time, time[~blank], row[~blank])
        power = np.square(np.abs(np.fft.rfft((row - row.mean()) * np.hanning(len(row)), 4 * len(row)))) * band
        peak = int(np.argmax(power))
        if flutter[peak] and row.std() > rule["flutter_rms_mv"]:
            line = np.abs(frequency - frequency[peak]) <= 0.35
            if power[line].sum() > rule["flutter_concentration"] * power.sum():
                return float(frequency[peak])
    return None


def preexcited(prepared: Prepared, judged: Judged, wave: PWave | None) -> Ints:
    """Beats with a short PR and a slow first part of QRS; empty unless several agree."""
    none = np.zeros(0, np.int64)
    if wave is None or wave.coherence < 0.5:
        return none
    beats = judged.beats
    own = np.flatnonzero(judged.are("N"))
    windows, known = cut(prepared, beats[own] / prepared.fs_hz, _BEFORE_S)
    if not len(own) or not known.any():
        return none
    slope = np.sqrt(np.square(np.diff(np.median(windows, axis=0), axis=1)).sum(axis=0))
    steep = slope.max()
    loud = slope > 0.10 * steep
    fast = slope > 0.45 * steep
    top = int(np.argmax(slope))
    onset = top
    while onset > 0 and (loud[onset - 1] or loud[max(0, onset - 2)]):
        onset -= 1
    first_fast = int(np.argmax(fast[onset:])) + onset
    slurred = (first_fast - onset) * STEP_S
    start_s = (onset - 36) * STEP_S
    rule = criteria()
    p_to_qrs = start_s - wave.centre_s
    if rule["delta_s"] <= slurred and 0 < p_to_qrs <= rule["delta_p_s"]:
        return np.asarray(beats[own], np.int64)
    return none

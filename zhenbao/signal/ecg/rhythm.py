"""Intervals between beats: which of them can be believed, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.criteria import criteria
from zhenbao.signal.ecg.envelope import Floats

Flags = NDArray[np.bool_]
_LONG = 1.4
"""Intervals longer than this many usual ones get a second look."""
_SLOPE_S = 0.012
_AFTER_S = 0.22
_BEFORE_S = 0.12
_STEEP = 0.35
_ENOUGH = 6


@dataclass(frozen=True, slots=True)
class Intervals:
    """RR intervals in seconds, between neighbours both of whose gap is usable signal without a missed beat."""

    rr_s: Floats
    unsure: bool
    """A long interval was left out: something in it moves as fast as a beat, or its signal is poor."""
    silence_s: float
    """The longest usable stretch before the first beat or after the last: a pause that may be still longer."""

    @property
    def longest(self) -> tuple[float, bool] | None:
        """The longest time without a beat in seconds, and whether the true one may be longer; None: no interval."""
        between = float(self.rr_s.max()) if len(self.rr_s) else 0.0
        if self.silence_s > between:
            return self.silence_s, True
        return (between, False) if between else None

    @property
    def rate_bpm(self) -> float | None:
        """Beats by time over all believed intervals; None with fewer than two."""
        return 60.0 / float(self.rr_s.mean()) if len(self.rr_s) >= 2 else None

    @property
    def rhythm(self) -> str:
        """``regular``, ``irregular``, or ``not-judged`` with too few intervals or one in doubt."""
        if len(self.rr_s) < _ENOUGH or self.unsure:
            return "not-judged"
        return "irregular" if float(np.ptp(self.rr_s)) > criteria()["irregular_s"] else "regular"


def believed_intervals(samples: Floats, fs_hz: float, beats: NDArray[np.int64], usable: Flags) -> Intervals:
    """Look again at every interval before it counts.

    Args:
        samples: ``[leads, n]``.
        fs_hz: sampling rate.
        beats: R peaks, ascending.
        usable: ``[n]``: the signal can be judged there.

    The second look knows nothing of the detector's envelope: it compares the fastest movement inside a long interval
    (without the beat's own end and the next one's onset) with that of the beats around.
    """
    rr = np.diff(beats) / fs_hz
    if not len(beats):
        return Intervals(rr, False, 0.0)
    slope = _slope(samples, fs_hz)
    reach = max(1, round(0.06 * fs_hz))
    near = np.clip(beats[:, None] + np.arange(-reach, reach + 1), 0, len(slope) - 1)
    steep = slope[near].max(axis=1)
    usual_rr = float(np.median(rr)) if len(rr) else 0.0
    usual_slope = float(np.median(steep))
    lost = np.concatenate([[0], np.cumsum(~usable)])
    sound = lost[beats[1:]] == lost[beats[:-1]]
    for i in np.flatnonzero(rr > _LONG * usual_rr).tolist():
        least = min(usual_slope, float(steep[i]), float(steep[i + 1]))
        sound[i] &= _quiet(slope, int(beats[i]), int(beats[i + 1]), fs_hz, least)
    if len(rr) and usual_rr > 0 and len(rr) < 3:
        for i in range(len(rr)):
            sound[i] &= _quiet(slope, int(beats[i]), int(beats[i + 1]), fs_hz, float(steep.min()))
    doubtful = bool((~sound & (rr > _LONG * usual_rr)).any()) if len(rr) else False
    silences = [
        (stop - start) / fs_hz
        for start, stop in ((0, int(beats[0])), (int(beats[-1]), len(usable)))
        if lost[stop] == lost[start] and _quiet(slope, start, stop, fs_hz, usual_slope)
    ]
    return Intervals(rr[sound], doubtful, max(silences, default=0.0))


def _slope(samples: Floats, fs_hz: float) -> Floats:
    """Root of the sum over leads of squared differences over about 12 ms; 0 beside missing samples."""
    step = max(1, round(_SLOPE_S * fs_hz))
    slope = np.zeros(samples.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        moved = np.nan_to_num(samples[:, step:] - samples[:, :-step], nan=0.0, posinf=0.0, neginf=0.0)
    slope[step // 2 : step // 2 + moved.shape[1]] = np.sqrt(np.einsum("ln,ln->n", moved, moved))
    return slope


def _quiet(slope: Floats, start: int, stop: int, fs_hz: float, beat_slope: float) -> bool:
    """Nothing between the two moves nearly as fast as a beat."""
    inside = slope[start + round(_AFTER_S * fs_hz) : max(start, stop - round(_BEFORE_S * fs_hz))]
    return not len(inside) or float(inside.max()) < _STEEP * beat_slope

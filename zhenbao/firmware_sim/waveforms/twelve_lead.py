"""Twelve leads made of pieces that end where they end, so that every landmark and level is exact.

The Gaussians of `ecg` have no edges. Here each wave is a raised cosine with a beginning and an end: the P wave is zero
before its onset, the QRS complex before its own and after the J point, T after its end. The ST segment runs from the J
level through the J+60 ms level, both as asked, in every lead; III, aVR, aVL and aVF follow by Einthoven's and
Goldberger's laws. Noise enters at the electrodes. The truth is therefore known without any measurement.

Directions of the waves are those of a textbook heart in Frank's axes (x to the left, y to the feet, z to the back),
seen through Dower's matrix (Dower, Machado and Osborne 1980, Clin Cardiol 3:87).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from zhenbao.firmware_sim.waveforms.ecg import (
    _DOWER,
    INDEPENDENT,
    LEADS,
    MM_PER_MV,
    EcgNoise,
    _electrode_noise,
    _twelve,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = Literal["normal", "lbbb", "rbbb", "paced", "preexcited"]
Placement = Literal["right", "arms-swapped", "mirrored"]
"""``mirrored``: the heart lies to the right; all x components are turned round."""

QUIET = EcgNoise()
REALISTIC = EcgNoise(baseline_wander_mv=0.15, mains_mv=0.02, muscle_mv=0.02, white_mv=0.005)
"""A recording that a nurse would accept: 1.5 mm of wander, a thin comb of mains, some muscle."""

_Bump = tuple[float, float, tuple[float, float, float]]
"""From, to (shares of the QRS duration) and vector (x, y, z) in mV."""
_QRS: dict[Shape, tuple[_Bump, ...]] = {
    "normal": (
        (0.00, 0.40, (-0.18, -0.05, -0.30)),
        (0.15, 0.80, (1.05, 0.85, 0.30)),
        (0.60, 1.00, (-0.10, -0.25, 0.50)),
    ),
    "lbbb": (
        (0.00, 0.45, (0.35, 0.20, 0.35)),
        (0.15, 0.70, (0.75, 0.25, 0.95)),
        (0.45, 1.00, (0.85, -0.10, 0.75)),
    ),
    "rbbb": (
        (0.00, 0.25, (-0.15, -0.05, -0.25)),
        (0.10, 0.55, (0.95, 0.75, 0.30)),
        (0.50, 1.00, (-0.45, 0.05, -0.50)),
    ),
    "paced": (
        (0.00, 0.55, (0.45, -0.55, 0.50)),
        (0.20, 0.85, (0.65, -0.95, 0.85)),
        (0.60, 1.00, (0.30, -0.30, 0.30)),
    ),
    "preexcited": (
        (0.00, 0.70, (0.30, 0.22, -0.05)),
        (0.40, 0.90, (0.95, 0.80, 0.25)),
        (0.70, 1.00, (-0.10, -0.20, 0.35)),
    ),
}
_QRS_MS: dict[Shape, float] = {"normal": 92, "lbbb": 156, "rbbb": 140, "paced": 164, "preexcited": 136}
_PR_MS: dict[Shape, float] = {"normal": 160, "lbbb": 170, "rbbb": 165, "paced": 170, "preexcited": 100}
_T: dict[Shape, tuple[float, float, float]] = {
    "normal": (0.26, 0.20, -0.20),
    "lbbb": (-0.30, 0.05, -0.45),
    "rbbb": (0.26, 0.20, 0.10),
    "paced": (-0.30, 0.40, -0.40),
    "preexcited": (0.15, 0.12, -0.20),
}
_P = (0.17, 0.13, -0.03)
_P_MS = 96.0
_J60_S = 0.060
_SPIKE_MV = (1.2, -2.0, 0.5)
_SPIKE_S = 0.002


@dataclass(frozen=True, slots=True)
class TwelveTruth:
    """What is in the signal, by construction; times of the first sample that belongs, not of a tangent."""

    shape: Shape
    placement: Placement
    qrs_onsets_s: NDArray[np.float64]
    """One for each beat within the recording, seconds from its start."""
    beats: NDArray[np.int64]
    """Sample nearest to the greatest length of the QRS vector, for each of those beats."""
    rr_s: float
    pr_ms: float | None
    qrs_ms: float
    qt_ms: float
    axis_deg: float
    """Of the QRS area in the frontal plane, as the electrodes lie; 0 is lead I, 90 is aVF, within (-180, 180]."""
    st_mm: dict[str, float]
    """Level at the J point of each of the 12 leads, mm at 10 mm/mV, against the level at QRS onset, which is 0."""
    st60_mm: dict[str, float]
    """The same, 60 ms after the J point."""


@dataclass(frozen=True, slots=True)
class TwelveSource:
    """A recording and its truth."""

    mv: NDArray[np.float64]
    """[12, n] in the order of `LEADS`."""
    fs_hz: float
    highpass_hz: float | None
    truth: TwelveTruth


@dataclass(frozen=True, slots=True)
class TwelveLeadModel:
    """Parameters of a synthetic 12-lead ECG.

    Raises:
        ValueError: an ST level is asked of a lead that follows from others, or the waves do not fit the interval.
    """

    shape: Shape = "normal"
    rate_bpm: float = 70.0
    rr_sd: float = 0.02
    """Standard deviation of RR over its mean."""
    pr_ms: float | None = None
    """P onset to QRS onset; None takes the shape's."""
    qrs_ms: float | None = None
    qt_ms: float | None = None
    """None takes 390 ms times the cube root of RR in s, plus what the QRS is wider than 92 ms."""
    p_present: bool = True
    axis_turn_deg: float = 0.0
    """Turns the QRS vector in the frontal plane, clockwise (towards the feet, then the right) if positive."""
    amplitude: float = 1.0
    st_mm: Mapping[str, float] = field(default_factory=dict)
    """J level by `INDEPENDENT` lead, mm; 0 where nothing is said."""
    st60_mm: Mapping[str, float] | None = None
    """J+60 level; None is horizontal."""
    placement: Placement = "right"
    noise: EcgNoise = field(default_factory=EcgNoise)
    highpass_hz: float | None = None
    """A single-pole filter, applied forwards as a recorder does; None is down to zero frequency."""
    seed: int = 1

    def __post_init__(self) -> None:
        if wrong := (set(self.st_mm) | set(self.st60_mm or {})) - set(INDEPENDENT):
            raise ValueError(f"ST of {sorted(wrong)} follows from I and II; give {', '.join(INDEPENDENT)}")
        if self.pr > 0.75 * 60000 / self.rate_bpm or self.qt < self.qrs + 140:
            raise ValueError("The waves do not fit into the interval.")

    @property
    def pr(self) -> float:
        """ms."""
        return _PR_MS[self.shape] if self.pr_ms is None else self.pr_ms

    @property
    def qrs(self) -> float:
        """ms."""
        return _QRS_MS[self.shape] if self.qrs_ms is None else self.qrs_ms

    @property
    def qt(self) -> float:
        """ms."""
        return 390 * (60 / self.rate_bpm) ** (1 / 3) + self.qrs - 92 if self.qt_ms is None else self.qt_ms

    def render(self, duration_s: float = 10.0, fs_hz: float = 500.0) -> TwelveSource:
        """The signal, ``round(duration_s * fs_hz)`` samples, with its truth."""
        random = np.random.default_rng(self.seed)
        n = round(duration_s * fs_hz)
        t = np.arange(n) / fs_hz
        mean = 60 / self.rate_bpm
        onsets = [0.35 * mean - mean]
        while onsets[-1] < duration_s + 2 * mean:
            onsets.append(onsets[-1] + mean * max(0.6, 1 + self.rr_sd * random.standard_normal()))
        dower = _DOWER * ((-1, 1, 1) if self.placement == "mirrored" else (1, 1, 1))
        wanted = self._levels(self.st_mm)
        wanted60 = wanted if self.st60_mm is None else self._levels(self.st60_mm)
        leads = np.zeros((len(INDEPENDENT), n))
        for onset in onsets:
            near = slice(*np.searchsorted(t, [onset - 0.5, onset + 1.2]).tolist())
            after = t[near] - onset
            leads[:, near] += self.amplitude * (dower @ self._vector(after)) + self._st(after, wanted, wanted60)
        leads += _electrode_noise(self.noise, t, random)
        twelve = _twelve(leads)
        st, st60 = _twelve(wanted[:, np.newaxis])[:, 0], _twelve(wanted60[:, np.newaxis])[:, 0]
        fine = np.arange(0, self.qrs / 1000, 1e-4)
        qrs = _twelve(dower @ self._qrs(fine))
        if self.placement == "arms-swapped":
            twelve, st, st60, qrs = (_swap_arms(some) for some in (twelve, st, st60, qrs))
        if self.highpass_hz is not None:
            twelve = _highpass(twelve, fs_hz, self.highpass_hz)
        area = qrs.sum(axis=1)
        peak = fine[int(np.argmax((self._qrs(fine) ** 2).sum(axis=0)))]
        inside = np.array([time for time in onsets if 0 <= time + peak <= (n - 1) / fs_hz])
        truth = TwelveTruth(
            shape=self.shape,
            placement=self.placement,
            qrs_onsets_s=inside,
            beats=np.round((inside + peak) * fs_hz).astype(np.int64),
            rr_s=float(np.diff(inside).mean()) if len(inside) > 1 else mean,
            pr_ms=self.pr if self.p_present else None,
            qrs_ms=self.qrs,
            qt_ms=self.qt,
            axis_deg=math.degrees(math.atan2(area[5] * 2 / math.sqrt(3), area[0])),
            st_mm=dict(zip(LEADS, (MM_PER_MV * st).tolist(), strict=True)),
            st60_mm=dict(zip(LEADS, (MM_PER_MV * st60).tolist(), strict=True)),
        )
        return TwelveSource(twelve, fs_hz, self.highpass_hz, truth)

    def _levels(self, mm: Mapping[str, float]) -> NDArray[np.float64]:
        return np.array([mm.get(lead, 0.0) for lead in INDEPENDENT]) / MM_PER_MV

    def _qrs(self, after_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The QRS vector [3, n] at times after its onset, zero outside."""
        length = self.qrs / 1000
        turn = math.radians(self.axis_turn_deg)
        vector = np.zeros((3, len(after_s)))
        for start, stop, direction in _QRS[self.shape]:
            vector += np.outer(direction, _bump(after_s, start * length, stop * length))
        x, y = vector[0].copy(), vector[1].copy()
        vector[0] = math.cos(turn) * x - math.sin(turn) * y
        vector[1] = math.sin(turn) * x + math.cos(turn) * y
        return vector

    def _vector(self, after_s: NDArray[np.float64]) -> NDArray[np.float64]:
        vector = self._qrs(after_s)
        if self.p_present:
            vector += np.outer(_P, _bump(after_s, -self.pr / 1000, (min(_P_MS, self.pr - 10) - self.pr) / 1000))
        if self.shape == "paced":
            spike = (after_s >= -0.004) & (after_s < -0.004 + _SPIKE_S)
            vector += np.outer(_SPIKE_MV, spike.astype(float))
        start, stop = self._t_wave()
        return vector + np.outer(_T[self.shape], _skewed(after_s, start, stop))

    def _t_wave(self) -> tuple[float, float]:
        """Beginning and end of T, s after QRS onset: T leaves J+60 ms alone."""
        stop = self.qt / 1000
        return max(self.qrs / 1000 + _J60_S, stop - 0.22), stop

    def _st(
        self, after_s: NDArray[np.float64], wanted: NDArray[np.float64], wanted60: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """[8, n] in mV: up to the J level within the last third of QRS, a line through J+60, gone before T's end."""
        j = self.qrs / 1000
        rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((after_s - 2 * j / 3) / (j / 3), 0, 1))
        line = np.clip((after_s - j) / _J60_S, 0, 1)
        stop = self._t_wave()[1] - 0.02
        fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((after_s - j - _J60_S) / max(stop - j - _J60_S, 0.02), 0, 1))
        level = np.outer(wanted, 1 - line) + np.outer(wanted60, line)
        result: NDArray[np.float64] = level * rise * fall
        return result


def _bump(t: NDArray[np.float64], start: float, stop: float) -> NDArray[np.float64]:
    """A raised cosine of height 1 between two times, zero outside."""
    share = np.clip((t - start) / (stop - start), 0, 1)
    shape: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * share)
    return shape


def _skewed(t: NDArray[np.float64], start: float, stop: float) -> NDArray[np.float64]:
    """A T wave: slowly up until three fifths, faster down."""
    top = start + 0.6 * (stop - start)
    share = np.where(t < top, (t - start) / (top - start), (stop - t) / (stop - top))
    shape: NDArray[np.float64] = 0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1))
    return shape


def _swap_arms(twelve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right and left arm electrodes exchanged: I turned over, II and III exchanged, aVR and aVL exchanged."""
    order = [0, 2, 1, 4, 3, 5, *range(6, 12)]
    swapped: NDArray[np.float64] = twelve[order].copy()
    swapped[0] *= -1
    return swapped


def _highpass(mv: NDArray[np.float64], fs_hz: float, cutoff_hz: float) -> NDArray[np.float64]:
    """A resistor and a capacitor, as if they had seen the mean for ever before."""
    keep = math.exp(-2 * math.pi * cutoff_hz / fs_hz)
    out = np.empty_like(mv)
    held = mv.mean(axis=1)
    for index in range(mv.shape[1]):
        held = keep * held + (1 - keep) * mv[:, index]
        out[:, index] = mv[:, index] - held
    return out


def infarction(where: Literal["inferior", "anterior", "lateral", "posterior"], seed: int = 1) -> TwelveLeadModel:
    """ST levels as of an acute infarction, horizontal."""
    levels: dict[str, Mapping[str, float]] = {
        "inferior": {"I": -1.0, "II": 2.0, "V1": -0.3, "V2": -1.0, "V3": -0.5, "V5": 0.5, "V6": 0.5},
        "anterior": {"I": 0.5, "II": -0.3, "V1": 1.5, "V2": 3.5, "V3": 4.0, "V4": 2.5, "V5": 1.0, "V6": 0.3},
        "lateral": {"I": 1.6, "II": 0.2, "V1": -0.5, "V2": -0.4, "V4": 0.6, "V5": 1.6, "V6": 1.8},
        "posterior": {"I": 0.2, "II": 0.2, "V1": -1.0, "V2": -2.0, "V3": -1.8, "V4": -0.6, "V6": 0.3},
    }
    return TwelveLeadModel(st_mm=levels[where], seed=seed)

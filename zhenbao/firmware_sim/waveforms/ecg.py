"""A 12-lead ECG made of Gaussians on a heart vector, with its truth.

Each wave is a Gaussian in time (the model of McSharry, Clifford, Tarassenko and Smith 2003,
doi 10.1109/TBME.2003.808805, unrolled from its limit cycle) along a direction in space; the eight independent leads are
its projections by Dower's matrix (Dower, Machado and Osborne 1980, Clin Cardiol 3:87). III, aVR, aVL and aVF follow by
Einthoven's and Goldberger's laws, and noise enters at the electrodes, so the laws hold to rounding with noise too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
MM_PER_MV = 10.0
_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""Rows as `INDEPENDENT`; columns x (to the left), y (to the feet), z (to the back)."""

Rhythm = Literal["sinus", "complete-av-block", "atrial-fibrillation"]


@dataclass(frozen=True, slots=True)
class Wave:
    """One Gaussian: seconds after the R peak, standard deviation in s, and its vector (x, y, z) in mV."""

    centre_s: float
    sigma_s: float
    vector_mv: tuple[float, float, float]


P = Wave(-0.165, 0.020, (0.07, 0.13, -0.02))
Q = Wave(-0.024, 0.0075, (-0.14, -0.04, -0.23))
R = Wave(0.0, 0.0105, (1.05, 0.95, 0.28))
S = Wave(0.026, 0.0090, (-0.12, -0.28, 0.52))
T = Wave(0.290, 0.045, (0.26, 0.24, -0.16))
"""``T.centre_s`` is for a heart rate of 60/min; it moves with the square root of the preceding RR interval."""
_ECTOPIC = (
    Wave(0.0, 0.030, (-0.9, 1.3, 0.7)),
    Wave(0.060, 0.028, (0.5, -0.8, 0.3)),
    Wave(0.330, 0.055, (0.45, -0.5, -0.35)),
)
J_S = S.centre_s + 3 * S.sigma_s
"""The J point: where S has fallen to 1 % of its peak."""
_ST_UNTIL_S = J_S + 0.08


@dataclass(frozen=True, slots=True)
class EcgNoise:
    """Noise at each electrode, in mV; seeded with the signal."""

    baseline_wander_mv: float = 0.0
    """Peak of two slow sines, 0.15 to 0.35 Hz."""
    mains_mv: float = 0.0
    mains_hz: float = 50.0
    muscle_mv: float = 0.0
    """Standard deviation of 20-150 Hz noise."""
    white_mv: float = 0.0
    motion_mv: float = 0.0
    """Peak of the jerks of a patient who moves: one a second, at an electrode drawn anew, gone after 0.4 s."""
    saturates_mv: float = 0.0
    """The amplifier can show no more than this either way; 0: no limit."""


@dataclass(frozen=True, slots=True)
class EcgTruth:
    """What is in the signal, by construction.

    A wave begins and ends where the tangent at its steepest point meets the baseline: for a Gaussian, exactly two
    standard deviations from its centre. The QRS complex reaches from Q's beginning to S's end.
    """

    fs_hz: float
    beats: NDArray[np.int64]
    """Nearest samples of the R peaks, ascending."""
    beat_times_s: NDArray[np.float64]
    classes: tuple[str, ...]
    """Per beat: ``N``, or ``V`` for a ventricular ectopic."""
    rhythm: Rhythm
    rate_bpm: float
    """60 over the mean RR interval."""
    rr_s: NDArray[np.float64]
    p_times_s: NDArray[np.float64]
    """Centres of the P waves; empty in atrial fibrillation."""
    pr_ms: float | None
    """None where P waves do not lead the beats."""
    qrs_ms: float
    qt_ms: float
    """Mean over the beats."""
    st_mm: dict[str, float]
    """Level at the J point, all 12 leads, mm at 10 mm/mV; exact in the noise-free signal."""


@dataclass(frozen=True, slots=True)
class EcgSource:
    """Something the front-end's amplifier can see."""

    mv: NDArray[np.float64]
    """[12, n] in the order of `LEADS`; NaN rows for absent leads."""
    fs_hz: float
    absent: tuple[str, ...] = ()
    highpass_hz: float | None = 0.05
    """What has been cut below; None is unknown."""
    truth: EcgTruth | None = None
    notes: tuple[str, ...] = ()
    """What the source did with its input, for instance leads it could not use."""


@dataclass(frozen=True, slots=True)
class EcgModel:
    """Parameters of a synthetic ECG.

    Raises:
        ValueError: an ST level is asked of a lead that follows from others; give the eight `INDEPENDENT` ones.
    """

    rate_bpm: float = 72.0
    rhythm: Rhythm = "sinus"
    rr_sd: float = 0.02
    """Standard deviation of RR over its mean, without respiration (0.2 is taken in atrial fibrillation)."""
    respiratory: float = 0.03
    """Amplitude of respiratory sinus arrhythmia over the mean RR, at 0.25 Hz."""
    amplitude: float = 1.0
    st_mm: Mapping[str, float] = field(default_factory=dict)
    pauses: Sequence[tuple[float, float]] = ()
    """(time in s, seconds): the first beat due after that time comes so much later."""
    ectopics: Sequence[int] = ()
    """Indices of beats that are ventricular ectopics: early by 30 %, wide, with a compensatory pause."""
    atrial_bpm: float = 85.0
    """Rate of the dissociated P waves in complete AV block."""
    noise: EcgNoise = field(default_factory=EcgNoise)
    seed: int = 1

    def __post_init__(self) -> None:
        if wrong := set(self.st_mm) - set(INDEPENDENT):
            raise ValueError(f"ST of {sorted(wrong)} follows from I and II; give {', '.join(INDEPENDENT)}")

    def render(self, duration_s: float, fs_hz: float = 500.0) -> EcgSource:
        """The signal, ``round(duration_s * fs_hz)`` samples, with its truth."""
        random = np.random.default_rng(self.seed)
        n = round(duration_s * fs_hz)
        t = np.arange(n) / fs_hz
        beat_times, classes = self._beats(duration_s, random)
        before = np.concatenate(
            [[beat_times[1] - beat_times[0] if len(beat_times) > 1 else 60 / self.rate_bpm], np.diff(beat_times)]
        )
        p_times = self._p_waves(beat_times, classes, duration_s)
        vector = np.zeros((3, n))
        for time_s in p_times:
            _add(vector, t, time_s, P.sigma_s, P.vector_mv)
        for time_s, class_, rr in zip(beat_times, classes, before, strict=True):
            for wave in _ECTOPIC if class_ == "V" else (Q, R, S, T):
                _add(vector, t, time_s + _delay(wave, rr), wave.sigma_s, wave.vector_mv)
        if self.rhythm == "atrial-fibrillation":
            vector += self._fibrillation(t, random)
        leads = self.amplitude * (_DOWER @ vector)
        for time_s, class_, rr in zip(beat_times, classes, before, strict=True):
            if class_ == "N":
                near = _window(t, time_s, time_s + 1.0)
                leads[:, near] += np.outer(self._st_correction(rr), _plateau(t[near] - time_s, _delay(T, rr)))
        leads += _electrode_noise(self.noise, t, random)
        inside = (beat_times >= 0) & (beat_times <= (n - 1) / fs_hz)
        truth = self._truth(beat_times, classes, before, p_times, inside, fs_hz, duration_s)
        twelve, most = _twelve(leads), self.noise.saturates_mv
        return EcgSource(np.clip(twelve, -most, most) if most else twelve, fs_hz, truth=truth)

    def _beats(self, duration_s: float, random: np.random.Generator) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        mean = 60 / self.rate_bpm
        sd = 0.2 if self.rhythm == "atrial-fibrillation" else self.rr_sd
        pauses = sorted(self.pauses)
        times: list[float] = []
        classes: list[str] = []
        now = 0.4 * mean
        while now < duration_s + mean:
            index = len(times)
            if index in self.ectopics and times:
                times.append(now - 0.3 * mean)
                classes.append("V")
            else:
                times.append(now)
                classes.append("N")
            respiration = self.respiratory * math.sin(2 * math.pi * 0.25 * now) if self.rhythm == "sinus" else 0.0
            rr = mean * max(0.4, 1 + respiration + sd * random.standard_normal())
            while pauses and now + rr > pauses[0][0]:
                rr += pauses.pop(0)[1]
            now += rr
        return np.array(times), tuple(classes)

    def _p_waves(
        self, beat_times: NDArray[np.float64], classes: Sequence[str], duration_s: float
    ) -> NDArray[np.float64]:
        if self.rhythm == "atrial-fibrillation":
            return np.zeros(0)
        if self.rhythm == "complete-av-block":
            return np.arange(0.1, duration_s, 60 / self.atrial_bpm)
        return np.array([time for time, class_ in zip(beat_times, classes, strict=True) if class_ == "N"]) + P.centre_s

    def _fibrillation(self, t: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
        frequency = 6.0 + 0.5 * np.sin(2 * np.pi * 0.3 * t + random.uniform(0, 2 * np.pi))
        phase = 2 * np.pi * np.cumsum(frequency) / (1 / (t[1] - t[0]) if len(t) > 1 else 1.0)
        return np.outer([0.01, 0.06, -0.06], np.sin(phase) + 0.3 * np.sin(2 * phase))

    def _st_correction(self, rr_s: float) -> NDArray[np.float64]:
        """What the plateau must add, mV in the independent leads, to bring one beat's J point to the wanted level."""
        at_j = np.zeros((3, 1))
        for wave in (Q, R, S, T):
            _add(at_j, np.array([J_S]), _delay(wave, rr_s), wave.sigma_s, wave.vector_mv)
        natural = self.amplitude * (_DOWER @ at_j)[:, 0]
        wanted = np.array([self.st_mm.get(lead, 0.0) / MM_PER_MV for lead in INDEPENDENT])
        correction: NDArray[np.float64] = wanted - natural
        return correction

    def _truth(
        self,
        beat_times: NDArray[np.float64],
        classes: Sequence[str],
        before: NDArray[np.float64],
        p_times: NDArray[np.float64],
        inside: NDArray[np.bool_],
        fs_hz: float,
        duration_s: float,
    ) -> EcgTruth:
        onset = Q.centre_s - 2 * Q.sigma_s
        beat_times = beat_times[inside]
        rr = np.diff(beat_times)
        wanted = np.array([self.st_mm.get(lead, 0.0) for lead in INDEPENDENT])
        t_ends = np.array([_delay(T, float(interval)) for interval in before[inside]]) + 2 * T.sigma_s
        return EcgTruth(
            fs_hz=fs_hz,
            beats=np.round(beat_times * fs_hz).astype(np.int64),
            beat_times_s=beat_times,
            classes=tuple(class_ for class_, kept in zip(classes, inside, strict=True) if kept),
            rhythm=self.rhythm,
            rate_bpm=60 / float(rr.mean()) if len(rr) else self.rate_bpm,
            rr_s=rr,
            p_times_s=p_times[(p_times >= 0) & (p_times < duration_s)],
            pr_ms=1000 * (onset - (P.centre_s - 2 * P.sigma_s)) if self.rhythm == "sinus" else None,
            qrs_ms=1000 * (S.centre_s + 2 * S.sigma_s - onset),
            qt_ms=1000 * (float(t_ends.mean()) - onset),
            st_mm=dict(zip(LEADS, (_twelve(wanted[:, np.newaxis])[:, 0] + 0.0).tolist(), strict=True)),
        )


def _delay(wave: Wave, rr_s: float) -> float:
    """Seconds from the R peak to the wave's centre after an RR interval."""
    if wave is not T:
        return wave.centre_s
    return T.centre_s * math.sqrt(min(max(rr_s, 0.4), 1.6))


def _add(
    vector: NDArray[np.float64],
    t: NDArray[np.float64],
    centre_s: float,
    sigma_s: float,
    direction: tuple[float, float, float],
) -> None:
    """Add one Gaussian along ``direction`` to a vector [3, n]; beyond 8 standard deviations it is nothing."""
    near = _window(t, centre_s - 8 * sigma_s, centre_s + 8 * sigma_s)
    vector[:, near] += np.outer(direction, np.exp(-0.5 * ((t[near] - centre_s) / sigma_s) ** 2))


def _window(t: NDArray[np.float64], first_s: float, last_s: float) -> slice:
    """Where ``t``, ascending, lies between two times."""
    return slice(*np.searchsorted(t, [first_s, last_s]).tolist())


def _plateau(after_r_s: NDArray[np.float64], t_peak_s: float) -> NDArray[np.float64]:
    """1 from the J point for 80 ms (or to the T wave's peak), risen from the R peak on, gone 100 ms after its end."""
    until = min(_ST_UNTIL_S, t_peak_s)
    rise = np.clip(after_r_s / J_S, 0, 1)
    fall = np.clip((until + 0.1 - after_r_s) / 0.1, 0, 1)
    shape: NDArray[np.float64] = (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))
    return shape


def _twelve(independent: NDArray[np.float64]) -> NDArray[np.float64]:
    """[8, n] as `INDEPENDENT` to [12, n] as `LEADS`."""
    one, two = independent[0], independent[1]
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, independent[2:]])


def _electrode_noise(noise: EcgNoise, t: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Noise of RA, LA, LL and the six chest electrodes, as the eight independent leads see it."""
    n = len(t)
    electrodes = np.zeros((9, n))
    for row in electrodes:
        for frequency in random.uniform(0.15, 0.35, 2):
            row += noise.baseline_wander_mv / 2 * np.sin(2 * np.pi * (frequency * t + random.uniform()))
        row += noise.mains_mv * random.uniform(0.5, 1.0) * np.sin(2 * np.pi * (noise.mains_hz * t + random.uniform()))
        row += noise.white_mv * random.standard_normal(n)
        if noise.muscle_mv and n > 1:
            row += noise.muscle_mv * _band_noise(random.standard_normal(n), 1 / (t[1] - t[0]), 20.0, 150.0)
    if noise.motion_mv:
        for at_s in np.arange(random.uniform(0, 1), t[-1] if n else 0, 1.0):
            near = _window(t, at_s, at_s + 0.4)
            swing = np.sin(np.pi * (t[near] - at_s) / 0.4) * random.uniform(0.5, 1.0) * random.choice((-1, 1))
            electrodes[random.integers(9), near] += noise.motion_mv * swing
    right, left, foot, chest = electrodes[0], electrodes[1], electrodes[2], electrodes[3:]
    return np.vstack([left - right, foot - right, chest - (right + left + foot) / 3])


def _band_noise(white: NDArray[np.float64], fs_hz: float, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """White noise limited to a band, unit standard deviation."""
    spectrum = np.fft.rfft(white)
    frequency = np.fft.rfftfreq(len(white), 1 / fs_hz)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    limited = np.fft.irfft(spectrum, len(white))
    return limited / (limited.std() or 1.0)


def third_degree_block(rate_bpm: float = 32.0, seed: int = 1) -> EcgModel:
    """A slow ventricular rhythm with P waves that pay it no heed."""
    return EcgModel(rate_bpm=rate_bpm, rhythm="complete-av-block", rr_sd=0.005, seed=seed)


def inferior_elevation(rate_bpm: float = 78.0, seed: int = 1) -> EcgModel:
    """ST up in II, III and aVF, down in I and aVL and the early chest leads: what must reach a cardiologist at once."""
    return EcgModel(
        rate_bpm=rate_bpm,
        st_mm={"I": -1.0, "II": 2.0, "V1": -0.5, "V2": -1.0, "V3": -0.5, "V5": 0.5, "V6": 0.5},
        seed=seed,
    )

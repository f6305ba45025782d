"""A recorded curve made fit to be measured: sound samples in order, their holes known, flow and volume side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.signal.spirometry.coarse import between_steps, flickers, step_of
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LEAST_SAMPLES = 8
_LONGEST_TIME_S = 1e7
_MOST_VOLUME_L = 1e3
_COARSE_STEP_L_S = 0.02
"""A sensor step above this counts as noise of its own; below it, it drowns in the rest."""
_COARSE_STEP_L = 0.005


@dataclass(frozen=True, slots=True)
class Curve:
    """Samples that can be trusted, ascending in time; expiration positive."""

    time_s: NDArray[np.float64]
    flow_l_s: NDArray[np.float64]
    volume_l: NDArray[np.float64]
    """Exhaled since the first sample."""
    step_s: float
    """The usual time from sample to sample."""
    noise_l_s: float
    """Standard deviation of a single flow sample."""
    gaps: tuple[tuple[float, float], ...]
    """Holes longer than may be bridged silently: (from, to) in seconds."""
    coarse: bool
    """Read between the steps of a sensor that has few."""
    derived_over: int | None = None
    """The flow is the difference of volumes so many samples to each side; None: the volume is the flow's integral."""

    @property
    def integrated(self) -> bool:
        """The volume was integrated from the flow (else the flow was derived from the volume)."""
        return self.derived_over is None

    def volume_at(self, time_s: float) -> float:
        """Volume between two samples, taking the flow there as a straight line."""
        t, f, v = self.time_s, self.flow_l_s, self.volume_l
        i = min(max(int(np.searchsorted(t, time_s, side="right")) - 1, 0), len(t) - 2)
        step, into = float(t[i + 1] - t[i]), float(time_s - t[i])
        if not self.integrated:
            return float(v[i] + (v[i + 1] - v[i]) * min(max(into / step, 0.0), 1.0))
        into = min(max(into, 0.0), step)
        return float(v[i] + f[i] * into + (f[i + 1] - f[i]) * into * into / (2 * step))

    def smooth_flow(self, width_s: float) -> NDArray[np.float64]:
        """Flow averaged over about ``width_s`` around each sample."""
        half = round(width_s / (2 * self.step_s))
        return _centred_mean(self.flow_l_s, half)

    def smooth_noise(self, width_s: float) -> float:
        """Standard deviation of what :meth:`smooth_flow` leaves of the noise."""
        half = min(round(width_s / (2 * self.step_s)), (len(self.time_s) - 1) // 2)
        if self.derived_over is None or half < self.derived_over:
            return float(self.noise_l_s / np.sqrt(2 * half + 1))
        # The mean of differences that overlap: only the volumes at both ends are left.
        return float(self.noise_l_s * np.sqrt(2 * self.derived_over) / (2 * half + 1))

    def with_zero(self, zero_l_s: NDArray[np.float64]) -> Curve:
        """The same curve with a sensor's zero error [n] taken off."""
        flow = self.flow_l_s - zero_l_s
        volume = integrate(self.time_s, flow) if self.integrated else self.volume_l - integrate(self.time_s, zero_l_s)
        return Curve(self.time_s, flow, volume, self.step_s, self.noise_l_s, self.gaps, self.coarse, self.derived_over)


def clean(time_s: ArrayLike, *, flow_l_s: ArrayLike | None, volume_l: ArrayLike | None) -> Curve | None:
    """Sort and check samples. Where both are given the flow is measured and the volume left aside.

    A sample without a number, or with one that no mouth can blow, counts as lost. Lost samples are bridged by a
    straight line of the flow; holes above 0.1 s are bridged too, and named in ``gaps``. None where nothing is left.

    Raises:
        ValueError: neither or of another length than the time.
    """
    given = flow_l_s if flow_l_s is not None else volume_l
    if given is None:
        raise ValueError("a blow needs flow or volume")
    limits = settings("quality")["curve"]
    time = np.asarray(time_s, dtype=np.float64).ravel()
    values = np.asarray(given, dtype=np.float64).ravel()
    if time.shape != values.shape:
        raise ValueError(f"{len(time)} times for {len(values)} samples")
    most = limits["most_flow_l_s"] if flow_l_s is not None else _MOST_VOLUME_L
    sound = (np.abs(time) <= _LONGEST_TIME_S) & (np.abs(values) <= most)
    time, values = time[sound], values[sound]
    order = np.argsort(time, kind="stable")
    time, values = time[order], values[order]
    apart = np.concatenate([[True], np.diff(time) > 1e-6]) if len(time) else np.zeros(0, dtype=bool)
    time, values = time[apart], values[apart]
    if len(time) < _LEAST_SAMPLES:
        return None
    noise = _noise(values, _COARSE_STEP_L_S if flow_l_s is not None else 1e-4)
    step = step_of(values, _COARSE_STEP_L_S if flow_l_s is not None else _COARSE_STEP_L)
    if step is not None and not (flow_l_s is not None and flickers(values)):
        values = between_steps(time, values, step)
    steps = np.diff(time)
    usual = float(np.median(steps))
    holes = np.flatnonzero(steps > limits["gap_s"] + 1e-9)
    gaps = tuple((float(time[i]), float(time[i + 1])) for i in holes)
    if flow_l_s is not None:
        return Curve(time, values, integrate(time, values), usual, noise, gaps, step is not None)
    flow, half, noise = _derive(time, values, noise)
    return Curve(time, flow, values - values[0], usual, noise, gaps, step is not None, half)


def integrate(time_s: NDArray[np.float64], flow_l_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Volume by the trapezoid rule, 0 at the first sample."""
    volume = np.zeros_like(flow_l_s)
    np.cumsum((flow_l_s[1:] + flow_l_s[:-1]) * np.diff(time_s) / 2, out=volume[1:])
    return volume


def _derive(
    time: NDArray[np.float64], volume: NDArray[np.float64], noise_l: float
) -> tuple[NDArray[np.float64], int, float]:
    """Flow from volume by central differences, wider where the volume is noisy or coarse; how wide, and its noise."""
    step = float(np.median(np.diff(time)))
    half = 1
    rough = float(np.max(np.abs(np.gradient(volume, time))))
    while half * step < 0.03 and half < len(time) // 4 and noise_l * np.sqrt(2) / (2 * half * step) > 0.005 * rough:
        half += 1
    last = len(time) - 1
    ahead = np.minimum(np.arange(len(time)) + half, last)
    behind = np.maximum(np.arange(len(time)) - half, 0)
    flow = (volume[ahead] - volume[behind]) / (time[ahead] - time[behind])
    return flow, half, float(noise_l * np.sqrt(2) / (2 * half * step))


def _noise(values: NDArray[np.float64], coarse: float) -> float:
    """Standard deviation of one sample, from third differences (a smooth curve has none), or of the sensor's step."""
    third = np.abs(np.diff(values, 3))
    # Some devices send an exact zero for small flows: those samples say nothing about the others.
    third = third[third > 1e-9]
    noise = 1.4826 * float(np.median(third)) / np.sqrt(20) if len(third) else 0.0
    levels = np.diff(np.unique(values))
    step = float(levels.min()) if len(levels) else 0.0
    return float(max(noise, step / np.sqrt(12) if step > coarse else 0.0))


def _centred_mean(values: NDArray[np.float64], half: int) -> NDArray[np.float64]:
    """Mean over 2 * half + 1 samples, fewer at the ends."""
    half = min(half, (len(values) - 1) // 2)
    if half < 1:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((total[last] - total[first]) / (last - first))

"""Where in a curve the forced expiration lies: its start by back-extrapolation, its peak, its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zhenbao.signal.spirometry.curve import Curve

_QUIET_S = (0.3, 0.15)
"""So long nobody blows, at least; the second where the recording is too short for the first."""
_QUIET_MOST_L_S = 0.3
_VOLUME_DRIFTS_L_S = 0.02
"""A volume that creeps less than this at rest is left alone: its noise could make it."""
_BREATH_IN_L_S = 0.3
_WHOLE_BREATH = 0.6
"""A breath in between two efforts that takes back less than this part of the first is within one manoeuvre."""
_NARROWEST_PEAK_S = 0.012
_WIDEST_PEAK_S = 0.035


@dataclass(frozen=True, slots=True)
class Effort:
    """Times in seconds and volumes in litres on the curve's own scales; indices into the curve."""

    start: int
    """Sample at which the lungs were fullest, as far as the noise lets one tell."""
    start_volume_l: float
    onset: int
    """Sample at which the flow leaves the noise."""
    peak: int
    pef_l_s: float
    t0_s: float
    end: int
    """Sample of the largest exhaled volume."""
    last: int
    """Last sample before breathing in again, or of the recording: a plateau lasts till here."""
    second: bool
    """Another effort is mixed into this one."""

    @property
    def first_part(self) -> slice:
        """From the fullest lungs to the peak."""
        return slice(self.start, self.peak + 1)


def zero_line(curve: Curve) -> NDArray[np.float64] | None:
    """What the sensor shows at each sample while nobody blows [n], L/s; None where no quiet stretch tells it.

    The zero is read before the blow. Where the recording shows stillness again after the breath in that follows it, the
    zero is taken to have moved steadily from the one to the other; stillness before that breath may be the last of a
    slow expiration and tells nothing. A zero that the noise alone could make is returned as 0.
    """
    if curve.coarse and not curve.integrated:
        # A volume on coarse steps stands still at rest, however its zero creeps.
        return None
    flow = curve.flow_l_s
    peak = int(np.argmax(flow))
    calm = np.flatnonzero(flow[:peak] < max(0.05 * flow[peak], 4 * curve.noise_l_s, _QUIET_MOST_L_S))
    if not len(calm):
        return None
    stop = int(np.searchsorted(curve.time_s, curve.time_s[calm[-1]] - 0.1))
    # The first quiet stretch is the surest: nobody has begun to blow, however gently, when the recording starts.
    before = _quiet(curve, 0, stop, 0.0)
    if before is None or (not curve.integrated and 3 * before.doubt_l_s > _VOLUME_DRIFTS_L_S / 2):
        return None
    begin = _after_breath_in(curve, peak)
    after = _quiet(curve, begin, len(flow), before.mean_l_s) if begin is not None else None
    least = 0.001 if curve.integrated else _VOLUME_DRIFTS_L_S
    doubt = np.hypot(before.doubt_l_s, after.doubt_l_s) if after is not None else 0.0
    if after is None or abs(after.mean_l_s - before.mean_l_s) <= max(3 * doubt, least):
        known = abs(before.mean_l_s) > max(3 * before.doubt_l_s, least)
        return np.full(len(flow), before.mean_l_s if known else 0.0)
    ends = [before.middle_s, after.middle_s], [before.mean_l_s, after.mean_l_s]
    return np.asarray(np.interp(curve.time_s, *ends))


@dataclass(frozen=True, slots=True)
class _Quiet:
    mean_l_s: float
    doubt_l_s: float
    middle_s: float


def _quiet(curve: Curve, begin: int, stop: int, near_l_s: float) -> _Quiet | None:
    """The first stretch of stillness, and those like it, with a flow not far from ``near_l_s``."""
    for seconds in _QUIET_S:
        if (found := _quiet_for(curve, begin, stop, near_l_s, seconds)) is not None:
            return found
    return None


def _quiet_for(curve: Curve, begin: int, stop: int, near_l_s: float, seconds: float) -> _Quiet | None:
    width = round(seconds / curve.step_s)
    if width < 4 or stop - begin < width:
        return None
    flow = curve.flow_l_s[begin:stop]
    noise = max(curve.noise_l_s, 0.004)
    total = np.concatenate([[0.0], np.cumsum(flow)])
    squares = np.concatenate([[0.0], np.cumsum(flow**2)])
    begins = np.arange(0, len(flow) - width + 1, max(1, width // 4))
    means = (total[begins + width] - total[begins]) / width
    spreads = np.sqrt(np.maximum((squares[begins + width] - squares[begins]) / width - means**2, 0.0))
    half = width // 2
    tilts = np.abs((total[begins + width] - total[begins + width - half] - total[begins + half] + total[begins]) / half)
    halves = max(curve.smooth_noise(seconds / 2), 0.004 / np.sqrt(half))
    quiet = (np.abs(means - near_l_s) <= _QUIET_MOST_L_S) & (spreads <= 1.6 * noise) & (tilts <= 4 * halves)
    if not quiet.any():
        return None
    first = means[np.argmax(quiet)]
    whole = max(curve.smooth_noise(seconds), 0.004 / np.sqrt(width))
    alike = begins[quiet & (np.abs(means - first) <= 4 * whole)]
    inside = np.zeros(len(flow), dtype=bool)
    for at in alike:
        inside[at : at + width] = True
    doubt = curve.smooth_noise(seconds) * np.sqrt(width / inside.sum())
    return _Quiet(float(flow[inside].mean()), float(doubt), float(curve.time_s[begin:stop][inside].mean()))


def _after_breath_in(curve: Curve, peak: int) -> int | None:
    """Where a deep breath in after the blow has ended; None where none was recorded."""
    volume = curve.volume_l
    top = peak + int(np.argmax(volume[peak:]))
    bottom = top + int(np.argmin(volume[top:]))
    if volume[top] - volume[bottom] < _WHOLE_BREATH * (volume[top] - volume[:peak].min()):
        return None
    inward = np.flatnonzero(curve.smooth_flow(0.1)[top:] < -_BREATH_IN_L_S)
    return top + int(inward[-1]) + 1 if len(inward) else None


def find_effort(curve: Curve) -> Effort | None:
    """The largest expiration of the curve; None where there is no blow at all."""
    limits = settings("quality")["curve"]
    low, high, second = _largest_expiration(curve.volume_l)
    if curve.volume_l[high] - curve.volume_l[low] < limits["least_blow_l"]:
        return None
    peak, pef = _peak(curve, low, high)
    if pef < limits["least_peak_l_s"] or peak <= low:
        return None
    onset = _onset(curve, low, peak, pef)
    start, start_volume = _fullest(curve, low, onset)
    volume = curve.volume_l
    # The tangent at the peak of the flow touches the volume curve at its steepest point (ATS/ERS 2019).
    t0 = float(curve.time_s[peak]) - float(volume[peak] - start_volume) / pef
    end = high
    allowed = max(0.02, 0.01 * float(volume[end] - start_volume))
    fallen = np.flatnonzero(volume[end:] < volume[end] - allowed)
    last = end + int(fallen[0]) - 1 if len(fallen) else len(volume) - 1
    return Effort(start, start_volume, onset, peak, pef, t0, end, max(last, end), second)


def _largest_expiration(volume: NDArray[np.float64]) -> tuple[int, int, bool]:
    """First and last sample of the largest expiration, and whether a breath in parts it into several efforts.

    FVC is the largest volume, so a short breath in followed by more breath out belongs to the manoeuvre; one that takes
    back most of what was exhaled begins another.
    """
    limits = settings("quality")["curve"]
    rise = volume - np.minimum.accumulate(volume)
    high = int(np.argmax(rise))
    low = int(np.argmin(volume[: high + 1]))
    while high - low > 2:
        part = volume[low : high + 1]
        fall = np.maximum.accumulate(part) - part
        bottom = int(np.argmax(fall))
        if fall[bottom] <= max(limits["second_effort_l"], limits["second_effort_of_volume"] * (part[-1] - part[0])):
            return low, high, False
        top = int(np.argmax(part[: bottom + 1]))
        before, after = part[top] - part[0], part[-1] - part[bottom]
        if fall[bottom] <= _WHOLE_BREATH * before:
            return low, high, True
        if before >= after:
            high = low + top
        else:
            low = low + bottom
    return low, high, False


def _peak(curve: Curve, low: int, high: int) -> tuple[int, float]:
    """Sample and height of the peak flow.

    A parabola through the samples around the highest one: narrow where the flow is clean, since a true peak is sharp,
    and wider the noisier or coarser the sensor.
    """
    step = curve.step_s
    rough = float(curve.flow_l_s[low : high + 1].max())
    wanted = (curve.noise_l_s / max(0.004 * rough, 1e-6)) ** 2 * step / 2
    half_s = min(max(wanted, _NARROWEST_PEAK_S, step), max(_WIDEST_PEAK_S, step))
    smooth = curve.smooth_flow(half_s) if curve.noise_l_s > 0.002 * rough else curve.flow_l_s
    peak = low + int(np.argmax(smooth[low : high + 1]))
    near = np.abs(curve.time_s - curve.time_s[peak]) <= half_s * 1.01
    x, y = curve.time_s[near] - curve.time_s[peak], curve.flow_l_s[near]
    if len(x) < 3:
        return peak, float(smooth[peak])
    design = np.stack([np.ones_like(x), x / half_s, (x / half_s) ** 2], axis=1)
    (height, slope, bend), *_ = np.linalg.lstsq(design, y, rcond=None)
    if bend < 0 and abs(slope) <= -2 * bend:
        height -= slope * slope / (4 * bend)
    return peak, float(min(max(height, smooth[peak]), y.max()))


def _onset(curve: Curve, low: int, peak: int, pef: float) -> int:
    """The last sample before the peak at which the flow is not yet clearly above the noise."""
    still = np.flatnonzero(curve.flow_l_s[low:peak] < max(0.02 * pef, 3 * curve.noise_l_s))
    return low + int(still[-1]) if len(still) else low


def _fullest(curve: Curve, low: int, onset: int) -> tuple[int, float]:
    """Where the lungs were fullest, and the volume there.

    Noise alone walks: its smallest sum over a quiet second lies millilitres below the truth, and would be taken for
    extrapolated volume. So flow that an average over 0.15 s cannot tell from noise is taken as none.
    """
    volume = curve.volume_l
    if not curve.integrated or curve.noise_l_s == 0:
        start = low + int(np.argmin(volume[low : onset + 1]))
        return start, float(volume[start])
    width = 0.15
    smooth = curve.smooth_flow(width)[: onset + 1]
    flow = np.where(np.abs(smooth) < 3 * curve.smooth_noise(width), 0.0, curve.flow_l_s[: onset + 1])
    steps = (flow[1:] + flow[:-1]) * np.diff(curve.time_s[: onset + 1]) / 2
    before = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])
    start = low + int(np.argmax(before[low:]))
    return start, float(volume[onset] - before[start])

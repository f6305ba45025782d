"""One forced expiration, measured by the rules of ATS/ERS 2019 (doi 10.1164/rccm.201908-1590ST)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zhenbao.model.spirometry import NO_BLOW, Blow
from zhenbao.signal.spirometry.curve import clean
from zhenbao.signal.spirometry.defects import Measured, find_defects
from zhenbao.signal.spirometry.effort import find_effort, zero_line
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from zhenbao.signal.spirometry.curve import Curve
    from zhenbao.signal.spirometry.effort import Effort

_FLAGS = ("fev1_acceptable", "fvc_acceptable", "fev1_usable", "fvc_usable")


def analyse_blow(
    time_s: ArrayLike,
    *,
    flow_l_s: ArrayLike | None = None,
    volume_l: ArrayLike | None = None,
    age_years: float | None = None,
    prior_fvc_l: float | None = None,
) -> Blow:
    """Measure and judge one blow.

    Args:
        time_s: [n] seconds; may be irregular.
        flow_l_s: [n] L/s, BTPS, expiration positive; NaN is a lost sample. Measured where both are given.
        volume_l: [n] litres, BTPS, exhaled volume rising; for devices that send volume.
        age_years: up to six years the first 0.75 s take the place of the first second.
        prior_fvc_l: the largest FVC of earlier blows of this session: who repeats it has reached the end.

    Returns:
        The blow; what cannot be measured is None. Curves without a blow have FVC 0 and the defect ``no-blow``: no array
        of two or more numbers or NaN raises.

    Raises:
        ValueError: neither flow nor volume, or not as long as the time.
    """
    curve = clean(time_s, flow_l_s=flow_l_s, volume_l=volume_l)
    if curve is None:
        return _no_blow()
    zero = zero_line(curve)
    if zero is not None and zero.any():
        curve = curve.with_zero(zero)
    effort = find_effort(curve)
    if effort is None:
        return _no_blow()
    ends = (0.0, 0.0) if zero is None else (float(zero[0]), float(zero[-1]))
    return _measure(curve, effort, ends, age_years, prior_fvc_l)


def _measure(
    curve: Curve, effort: Effort, zero_l_s: tuple[float, float], age_years: float | None, prior_fvc_l: float | None
) -> Blow:
    time, exhaled = curve.time_s, curve.volume_l - effort.start_volume_l
    fvc = float(exhaled[effort.end])
    bev = max(0.0, curve.volume_at(effort.t0_s) - effort.start_volume_l)
    # Among a flat end the expiration is over when the volume first comes within a millilitre of the largest.
    over = int(np.argmax(exhaled[effort.peak : effort.end + 1] >= fvc - 0.001)) + effort.peak
    fet = max(0.0, float(time[over]) - effort.t0_s)
    crossed = [_time_at(curve, effort, effort.start_volume_l + part * fvc) for part in (0.25, 0.50, 0.75)]
    wide = 0.05 if curve.noise_l_s > 0.01 else 0.0
    smooth = curve.smooth_flow(wide)
    fef25, fef50, fef75 = (None if at is None else float(np.interp(at, time, smooth)) for at in crossed)
    first, _, third = crossed
    fef2575 = 0.5 * fvc / (third - first) if first is not None and third is not None and third > first else None
    fivc = _inspired_after(curve, effort, fvc)
    rise = _rise_time(curve, effort)
    details = find_defects(
        curve,
        effort,
        Measured(
            fvc_l=fvc,
            bev_l=bev,
            fet_s=fet,
            fivc_l=fivc,
            rise_time_s=rise,
            hesitation_s=_hesitation(curve, effort),
            zero_l_s=zero_l_s,
            age_years=age_years,
            prior_fvc_l=prior_fvc_l,
        ),
    )
    defects = tuple(defect.name for defect in details)
    fev = {seconds: _exhaled_at(curve, effort, seconds) for seconds in (0.5, 0.75, 1.0, 3.0, 6.0)}
    kept = _judge(defects, fev1_measured=fev[1.0] is not None)
    return Blow(
        fvc_l=fvc,
        fev05_l=fev[0.5],
        fev075_l=fev[0.75],
        fev1_l=fev[1.0],
        fev3_l=fev[3.0],
        fev6_l=fev[6.0],
        pef_l_s=effort.pef_l_s,
        fef25_l_s=fef25,
        fef50_l_s=fef50,
        fef75_l_s=fef75,
        fef2575_l_s=fef2575,
        bev_l=bev,
        fet_s=fet,
        t0_s=effort.t0_s,
        fivc_l=fivc,
        rise_time_s=rise,
        defects=defects,
        details=details,
        fev1_acceptable=kept["fev1_acceptable"],
        fvc_acceptable=kept["fvc_acceptable"],
        fev1_usable=kept["fev1_usable"],
        fvc_usable=kept["fvc_usable"],
    )


def _judge(defects: Iterable[str], *, fev1_measured: bool) -> dict[str, bool]:
    """What the defects leave standing, by the table in ``tables/quality.toml``."""
    takes = settings("quality")["acceptability"]["takes"]
    taken = {flag for defect in defects for flag in takes.get(defect, ())}
    kept = {flag: flag not in taken for flag in _FLAGS}
    if not fev1_measured:
        kept["fev1_acceptable"] = kept["fev1_usable"] = False
    return kept


def _exhaled_at(curve: Curve, effort: Effort, seconds: float) -> float | None:
    """FEVt: volume exhaled at t0 + t, never without what was exhaled before t0; None where the expiration was over."""
    at = effort.t0_s + seconds
    if at > curve.time_s[effort.last] + 1e-9:
        return None
    most = float(curve.volume_l[effort.end])
    return min(curve.volume_at(at), most) - effort.start_volume_l


def _time_at(curve: Curve, effort: Effort, volume_l: float) -> float | None:
    """When a volume was first exhaled."""
    part = slice(effort.start, effort.end + 1)
    volume = np.maximum.accumulate(curve.volume_l[part])
    i = int(np.searchsorted(volume, volume_l))
    if not 0 < i < len(volume):
        return None
    time = curve.time_s[part]
    share = (volume_l - volume[i - 1]) / (volume[i] - volume[i - 1])
    return float(time[i - 1] + share * (time[i] - time[i - 1]))


def _rise_time(curve: Curve, effort: Effort) -> float | None:
    """From 10 % to 90 % of the peak flow, in seconds."""
    flow = curve.flow_l_s[effort.first_part]
    time = curve.time_s[effort.first_part]
    times = []
    for part in (0.1, 0.9):
        below = np.flatnonzero(flow < part * effort.pef_l_s)
        if not len(below) or below[-1] + 1 >= len(flow):
            return None
        i = int(below[-1])
        share = (part * effort.pef_l_s - flow[i]) / (flow[i + 1] - flow[i])
        times.append(float(time[i] + share * (time[i + 1] - time[i])))
    return times[1] - times[0]


def _hesitation(curve: Curve, effort: Effort) -> float | None:
    """From the end of the breath in to time zero; None where the recording does not show the breath in."""
    least = max(0.05, 4 * curve.smooth_noise(0.05))
    inward = np.flatnonzero(curve.smooth_flow(0.05)[: effort.onset + 1] < -least)
    return effort.t0_s - float(curve.time_s[inward[-1]]) if len(inward) else None


def _inspired_after(curve: Curve, effort: Effort, fvc_l: float) -> float | None:
    """FIVC: the breath in after the blow; None where none of note was recorded."""
    after = curve.volume_l[effort.end :]
    inspired = float(after[0] - after.min())
    return inspired if inspired > max(0.1, 0.1 * fvc_l) else None


def _no_blow() -> Blow:
    return Blow(
        fvc_l=0.0,
        fev05_l=None,
        fev075_l=None,
        fev1_l=None,
        fev3_l=None,
        fev6_l=None,
        pef_l_s=0.0,
        fef25_l_s=None,
        fef50_l_s=None,
        fef75_l_s=None,
        fef2575_l_s=None,
        bev_l=0.0,
        fet_s=0.0,
        t0_s=0.0,
        fivc_l=None,
        rise_time_s=None,
        defects=(NO_BLOW,),
    )

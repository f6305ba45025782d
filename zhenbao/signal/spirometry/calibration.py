"""A 3-L syringe through a flow sensor: strokes found, each compared with the syringe, and a verdict (ATS/ERS 2019).

The air in a syringe is at room conditions, so volumes are compared without a BTPS factor.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.model.syringe import Stroke, SyringeCheck
from zhenbao.signal.spirometry.curve import clean
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from zhenbao.signal.spirometry.curve import Curve

_ROUNDING = 1e-6
_MOST_STEPS = 2.5
"""One lost sample is bridged; more make a hole."""


def verify(time_s: ArrayLike, flow_l_s: ArrayLike, *, syringe_l: float = 3.0, btps_factor: float = 1.0) -> SyringeCheck:
    """Judge a recording of syringe strokes, slow, medium and fast, in any order and number.

    Args:
        time_s: [n] seconds; may be irregular.
        flow_l_s: [n] L/s as the device sends it, out of the syringe positive; NaN is a lost sample.
        syringe_l: the syringe's volume.
        btps_factor: what the device has multiplied by; it is taken off. 1: the flow is ambient.

    Returns:
        ``passed`` where every stroke that counts lies within the limit and the strokes out cover all three ranges of
        flow; ``failed`` where one lies beyond; else ``incomplete``. ``notes`` say what else is to be known.

    Raises:
        ValueError: times and flows of different length, or a factor or syringe that is not above zero.
    """
    if syringe_l <= 0 or btps_factor <= 0:
        raise ValueError("a syringe and a factor are above zero")
    curve = clean(time_s, flow_l_s=np.asarray(flow_l_s, dtype=np.float64) / btps_factor, volume_l=None)
    if curve is None:
        return SyringeCheck(syringe_l, (), "incomplete", ("no-strokes",))
    zero = _zero(curve)
    if zero is None:
        return SyringeCheck(syringe_l, (), "incomplete", ("no-rest",))
    still = curve.with_zero(np.full(len(curve.time_s), zero))
    strokes = [_stroke(still, first, last, sign, syringe_l) for first, last, sign in _moves(still, syringe_l)]
    return _judged(_far_off(strokes), syringe_l, zero)


def _far_off(strokes: list[Stroke]) -> tuple[Stroke, ...]:
    """The strokes; partial ones that are all alike count after all: no hand stops at one place each time."""
    rule = settings("calibration")["stroke"]
    partial = [s.error_percent for s in strokes if s.left_out == "partial"]
    if len(partial) < max(rule["alike_least"], len(strokes) - len(partial)):
        return tuple(strokes)
    if max(partial) - min(partial) > rule["alike_percent"]:
        return tuple(strokes)
    return tuple(replace(s, left_out="") if s.left_out == "partial" else s for s in strokes)


def _judged(strokes: tuple[Stroke, ...], syringe_l: float, zero_l_s: float) -> SyringeCheck:
    limit = settings("calibration")["limit"]["error_percent"] + _ROUNDING
    counted = [s for s in strokes if not s.left_out]
    outward = [s for s in counted if s.direction == "out"]
    names = [row["name"] for row in settings("calibration")["range"]]
    missing = [f"no-{name}" for name in names if not any(s.range == name for s in outward)]
    notes = [] if strokes else ["no-strokes"]
    if strokes:
        notes += missing
        notes += dict.fromkeys(f"stroke-{s.left_out}" for s in strokes if s.left_out)
    if outward and not all(any(s.range == name and s.direction == "in" for s in counted) for name in names):
        notes.append("in-not-verified")
    linearity = _linearity(outward, names)
    if linearity is not None and linearity > settings("calibration")["linearity"]["apart_percent"] + _ROUNDING:
        notes.append("not-linear")
    beyond = any(abs(s.error_percent) > limit for s in counted)
    errors = [s.error_percent for s in counted]
    return SyringeCheck(
        syringe_l=syringe_l,
        strokes=strokes,
        verdict="failed" if beyond else "incomplete" if missing else "passed",
        notes=tuple(notes),
        mean_error_percent=sum(errors) / len(errors) if errors else None,
        largest_error_percent=max(errors, key=abs, default=None),
        linearity_percent=linearity,
        zero_l_s=zero_l_s,
    )


def _linearity(outward: Sequence[Stroke], names: Sequence[str]) -> float | None:
    """How far the mean errors of the ranges lie apart, in per cent; None where one range is missing."""
    means = [[s.error_percent for s in outward if s.range == name] for name in names]
    if not all(means):
        return None
    averages = [sum(errors) / len(errors) for errors in means]
    return max(averages) - min(averages)


def _zero(curve: Curve) -> float | None:
    """What the sensor shows at rest, in L/s; None where it is never at rest, or too far off to tell."""
    rule = settings("calibration")["stroke"]
    resting = np.abs(curve.smooth_flow(rule["smooth_s"])) <= rule["rest_within_l_s"]
    stretches = [
        (first, last) for first, last in _runs(resting) if curve.time_s[last] - curve.time_s[first] >= rule["rest_s"]
    ]
    if not stretches:
        return None
    # The first and last drops of a stroke flow inside the bounds of rest: the edges are left away.
    edge = round(rule["rest_edge_s"] / curve.step_s)
    return float(np.concatenate([curve.flow_l_s[first + edge : last + 1 - edge] for first, last in stretches]).mean())


def _moves(curve: Curve, syringe_l: float) -> list[tuple[int, int, int]]:
    """First and last sample and sign of every movement that is large enough for a stroke."""
    rule = settings("calibration")["stroke"]
    smooth = curve.smooth_flow(rule["smooth_s"])
    signs = np.where(np.abs(smooth) > rule["moving_l_s"], np.sign(smooth), 0).astype(int)
    parts: list[tuple[int, int, int]] = []
    for sign in (1, -1):
        parts += [(first, last, sign) for first, last in _runs(signs == sign)]
    joined: list[tuple[int, int, int]] = []
    for first, last, sign in sorted(parts):
        before = joined[-1] if joined else None
        if before and before[2] == sign and curve.time_s[first] - curve.time_s[before[1]] <= rule["pause_s"]:
            joined[-1] = (before[0], last, sign)
        else:
            joined.append((first, last, sign))
    least = rule["least_of_syringe"] * syringe_l
    return [
        (first, last, sign)
        for first, last, sign in joined
        if abs(float(curve.volume_l[last] - curve.volume_l[first])) >= least
    ]


def _stroke(curve: Curve, first: int, last: int, sign: int, syringe_l: float) -> Stroke:
    table = settings("calibration")
    # The last drops flow below the threshold: on either side, as long as it flows the same way.
    begin, end = first, last
    while begin > 0 and sign * curve.flow_l_s[begin - 1] > 0 and first - begin < _reach(curve):
        begin -= 1
    while end < len(curve.flow_l_s) - 1 and sign * curve.flow_l_s[end + 1] > 0 and end - last < _reach(curve):
        end += 1
    volume = sign * float(curve.volume_l[end] - curve.volume_l[begin])
    lasted = max(float(curve.time_s[last] - curve.time_s[first]), curve.step_s)
    mean = volume / lasted
    name = next((r["name"] for r in table["range"] if r["at_least"] <= mean < r["below"]), "outside")
    # A breath may lose a tenth of a second; of a stroke of half a second that would be more than the limit.
    torn = float(np.diff(curve.time_s[begin : end + 1]).max(initial=0.0)) > _MOST_STEPS * curve.step_s
    left_out = ""
    if torn:
        left_out = "gap"
    elif volume < table["stroke"]["partial_below"] * syringe_l:
        left_out = "partial"
    elif name == "outside":
        left_out = "outside"
    return Stroke(
        direction="out" if sign > 0 else "in",
        start_s=float(curve.time_s[begin]),
        volume_l=volume,
        error_percent=100 * (volume / syringe_l - 1),
        mean_flow_l_s=mean,
        peak_flow_l_s=float(np.max(sign * curve.flow_l_s[begin : end + 1])),
        range=name,
        left_out=left_out,
    )


def _reach(curve: Curve) -> int:
    """Samples by which a stroke may reach beyond its threshold: as long as a short pause."""
    return int(settings("calibration")["stroke"]["pause_s"] / curve.step_s)


def _runs(inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return [(int(start), int(stop) - 1) for start, stop in list(pairwise(edges))[::2]]

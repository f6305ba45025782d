"""What went wrong in a blow, as far as a curve can tell. Each check answers with a key of the ``blow_defect`` words.

Told here: slow start, cough, glottic closure or a sudden stop, early end, obstruction that comes and goes, a second
effort, holes in the recording, air that flows back after the end, an inspiration larger than the expiration. Not told,
because flow at the mouth does not show it: air that passes beside the mouthpiece, an obstacle that stays all the time,
an effort that was steady but weak, and lungs that were not full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.signal.spirometry.session import is_young, repeatability_limit
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from zhenbao.signal.spirometry.curve import Curve
    from zhenbao.signal.spirometry.effort import Effort

_DIP_WIDTH_S = 0.03
_GRID_S = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """What the checks need of the values already measured."""

    fvc_l: float
    bev_l: float
    fet_s: float
    fivc_l: float | None
    rise_time_s: float | None
    hesitation_s: float | None
    zero_l_s: float
    age_years: float | None
    prior_fvc_l: float | None


def find_defects(curve: Curve, effort: Effort, measured: Measured) -> tuple[str, ...]:
    """Every defect and hint that holds, the gravest first."""
    limits = settings("quality")
    first_part_s = limits["young"]["first_part_s"] if is_young(measured.age_years) else 1.0
    closed = tuple(_closures(curve, effort))
    return tuple(
        dict.fromkeys(
            (
                *_start(measured),
                *_interruptions(curve, effort, effort.t0_s + first_part_s, closed),
                *_end(curve, effort, measured, closed),
                *_holes(curve, effort, effort.t0_s + first_part_s),
                *_hints(measured),
            )
        )
    )


def _start(measured: Measured) -> Iterator[str]:
    limits = settings("quality")
    bev = limits["back_extrapolated_volume"]
    if measured.bev_l > max(bev["limit_l"], bev["limit_of_fvc"] * measured.fvc_l):
        yield "slow-start"
    if abs(measured.zero_l_s) > limits["curve"]["zero_limit_l_s"]:
        yield "zero-flow"


def _interruptions(curve: Curve, effort: Effort, first_part_ends_s: float, closed: tuple[float, ...]) -> Iterator[str]:
    """Coughs, closures and obstacles: flow that stops or falls in a way that breathing out does not."""
    if effort.second:
        yield "double-effort"
    for closed_s in closed:
        yield "glottic-closure-first-second" if closed_s < first_part_ends_s else "glottic-closure-later"
    if _dip_before_peak(curve, effort):
        yield "cough-first-second"
    time = curve.time_s
    limits = settings("quality")["defect"]
    split = min(int(np.searchsorted(time, first_part_ends_s)), effort.end)
    # Averaging mixes the rise into the peak's own neighbours; look when that is over.
    falling = min(int(np.searchsorted(time, time[effort.peak] + _DIP_WIDTH_S)), split)
    lasted = _deepest_dip(curve, falling, effort.end, limits["cough_later_l_s"])
    obstructed = lasted is not None and lasted >= limits["obstructed_s"]
    coughs = []
    for begin, stop, name, least_l_s in (
        (falling, split, "cough-first-second", limits["cough_first_l_s"]),
        (split, effort.end, "cough-later", limits["cough_later_l_s"]),
    ):
        lasted = _deepest_dip(curve, begin, stop, least_l_s)
        if lasted is not None and lasted < limits["obstructed_s"]:
            coughs.append(name)
    # The burst of a cough is followed by a step down: that is no obstacle.
    if obstructed or (not coughs and _throttled(curve, effort, closed)):
        yield "obstructed"
    yield from coughs


def _throttled(curve: Curve, effort: Effort, closed: tuple[float, ...]) -> bool:
    """The flow fell in a step and stayed smaller: something lay in its way.

    Means of 0.1 s before and after each instant, with 0.1 s left out for the step, and no burst for as long as an
    obstacle lasts. The first fall after the peak, steep in obstructive disease, is not looked at.
    """
    limits = settings("quality")["defect"]
    begin, stop = float(curve.time_s[effort.peak]) + limits["throttle_after_s"], float(curve.time_s[effort.end])
    at = np.arange(begin, stop - 0.1 - limits["obstructed_s"], _GRID_S)
    if not len(at):
        return False
    smooth = curve.smooth_flow(0.1)
    earlier, before, after = (np.interp(at + shift, curve.time_s, smooth) for shift in (-0.2, -0.1, 0.1))
    held = round(limits["obstructed_s"] / _GRID_S)
    grid = begin + 0.1 + _GRID_S * np.arange(len(at) + held - 1)
    highest = np.lib.stride_tricks.sliding_window_view(np.interp(grid, curve.time_s, smooth), held).max(axis=1)
    noise = curve.smooth_noise(0.1)
    fall, usual = before - after, np.maximum(earlier - before, 0.0)
    surely = np.maximum(before - 2 * noise, 0.0)
    expected = surely * np.clip(surely / np.maximum(earlier + 2 * noise, 1e-6), 0.0, 1.0) ** 2
    step = (
        (before > limits["throttle_from_l_s"])
        & (fall > max(limits["throttle_fall_l_s"], limits["cough_noises"] * noise))
        & (fall > 2 * limits["throttle_steeper"] * usual)
        & (highest < limits["throttle_to"] * expected)
    )
    # A closed glottis has its own name.
    for closed_s in closed:
        step &= np.abs(at - closed_s) > 0.3
    return bool(step.any())


def _deepest_dip(curve: Curve, begin: int, stop: int, least_l_s: float) -> float | None:
    """How long, in seconds, the deepest dip with a rebound lasted; None where the flow only falls, as it should."""
    if stop - begin < 3:
        return None
    limits = settings("quality")["defect"]
    flow = curve.smooth_flow(_DIP_WIDTH_S)[begin : stop + 1]
    rebound = flow - np.minimum.accumulate(flow)
    enough = np.maximum(limits["cough_of_flow"] * np.abs(flow), least_l_s)
    enough = np.maximum(enough, limits["cough_noises"] * curve.smooth_noise(_DIP_WIDTH_S))
    back = int(np.argmax(rebound - enough))
    if rebound[back] <= enough[back]:
        return None
    bottom = int(np.argmin(flow[: back + 1]))
    middle = flow[bottom] + rebound[back] / 2
    above = np.flatnonzero(flow[:bottom] >= middle)
    returned = bottom + int(np.argmax(flow[bottom : back + 1] >= middle))
    left = int(above[-1]) if len(above) else 0
    return float(curve.time_s[begin + returned] - curve.time_s[begin + left])


def _dip_before_peak(curve: Curve, effort: Effort) -> bool:
    """The flow broke in before it reached its peak: a cough, or a start in two strokes."""
    limits = settings("quality")["defect"]
    rising = curve.smooth_flow(_DIP_WIDTH_S)[effort.onset : effort.peak + 1]
    shoulders = np.minimum(np.maximum.accumulate(rising), np.maximum.accumulate(rising[::-1])[::-1])
    dip = float(np.max(shoulders - rising))
    return bool(
        dip
        > max(
            limits["cough_later_l_s"],
            limits["cough_of_flow"] * effort.pef_l_s,
            limits["cough_noises"] * curve.smooth_noise(_DIP_WIDTH_S),
        )
    )


def _closures(curve: Curve, effort: Effort) -> Iterator[float]:
    """Times at which the flow stopped at once and stayed away, though it had not been falling so steeply."""
    limits = settings("quality")["defect"]
    time = curve.time_s
    width = 0.05
    flow = curve.smooth_flow(width)
    none = max(0.025, 4 * curve.smooth_noise(width))
    still = np.abs(flow[effort.peak : effort.last + 1]) < none
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    for begin, stop in zip(edges[::2] + effort.peak, edges[1::2] + effort.peak - 1, strict=True):
        if time[stop] - time[begin] < limits["closed_s"]:
            continue
        closed = float(time[begin])
        for fall_s in (0.1, 0.2):
            just_before = _mean_flow(curve, closed - fall_s - 0.06, closed - fall_s)
            earlier = _mean_flow(curve, closed - fall_s - 0.16, closed - fall_s - 0.10)
            if just_before is None or just_before < max(
                limits["closed_from_l_s"], 2 * none, 5 * curve.smooth_noise(0.06)
            ):
                continue
            # The heartbeat makes waves of a slow expiration's end: what stops had been flowing for a while.
            steady = _mean_flow(curve, closed - fall_s - 0.4, closed - fall_s - 0.2)
            if steady is not None and steady < limits["closed_from_l_s"]:
                continue
            falling = 0.0 if earlier is None else max(0.0, (earlier - just_before) / 0.10)
            # At ``closed`` the flow has come down to ``none``, not to nothing.
            steep = (just_before - none) / fall_s
            # Where the fall after the peak is itself steep, what would have come next tells more than the slope.
            ratio = 1.0 if earlier is None else min(1.0, just_before / max(earlier, 1e-6))
            expected = just_before * ratio ** (fall_s / 0.10)
            if steep > limits["closed_steeper"] * falling or (
                steep > limits["closed_steeper_if_strong"] * falling
                and expected > max(limits["closed_strong_l_s"], 8 * none)
            ):
                yield closed
                break


def _mean_flow(curve: Curve, from_s: float, to_s: float) -> float | None:
    first, last = np.searchsorted(curve.time_s, (from_s, to_s))
    return float(curve.flow_l_s[first:last].mean()) if last > first else None


def _end(curve: Curve, effort: Effort, measured: Measured, closed: tuple[float, ...]) -> Iterator[str]:
    limits = settings("quality")
    rule = limits["end_of_expiration"]
    end_volume = float(curve.volume_l[effort.end])
    last_s = float(curve.time_s[effort.last])
    if closed and end_volume - curve.volume_at(closed[-1]) <= rule["plateau_l"]:
        # Silence after a sudden stop is no plateau: the expiration ended at the stop.
        last_s = closed[-1]
    second_before = max(last_s - rule["plateau_s"], effort.t0_s)
    plateau = (
        last_s - effort.t0_s >= rule["plateau_s"]
        and end_volume - curve.volume_at(second_before) <= rule["plateau_l"] + 1e-9
    )
    repeats = measured.prior_fvc_l is not None and measured.fvc_l >= measured.prior_fvc_l - repeatability_limit(
        max(measured.fvc_l, measured.prior_fvc_l), measured.age_years
    )
    if not (plateau or last_s - effort.t0_s >= rule["long_enough_s"] or repeats):
        yield "early-end"
    inspired = limits["inspiration_after"]
    if measured.fivc_l is not None and measured.fivc_l - measured.fvc_l > max(
        inspired["limit_l"], inspired["limit_of_fvc"] * measured.fvc_l
    ):
        yield "fivc-larger"
    if _flows_back(curve, effort):
        yield "zero-flow" if curve.integrated else "leak"


def _flows_back(curve: Curve, effort: Effort) -> bool:
    """After the end the volume falls, slowly and for a second or more: no breath does that."""
    limits = settings("quality")["defect"]
    end_s = float(curve.time_s[effort.end])
    if curve.time_s[-1] < end_s + 1.0:
        return False
    fall = float(curve.volume_l[effort.end]) - curve.volume_at(end_s + 1.0)
    half = float(curve.volume_l[effort.end]) - curve.volume_at(end_s + 0.5)
    slowest, fastest = limits["leak_rate_l_s"]
    return bool(fall >= limits["leak_l"] and slowest <= half / 0.5 <= fastest and fall <= fastest)


def _holes(curve: Curve, effort: Effort, first_part_ends_s: float) -> Iterator[str]:
    start_s, end_s = float(curve.time_s[effort.start]), float(curve.time_s[effort.end])
    for begin, stop in curve.gaps:
        if stop > start_s and begin < min(first_part_ends_s, end_s):
            yield "gap-first-second"
        elif stop > start_s and begin < end_s:
            yield "gap"


def _hints(measured: Measured) -> Iterator[str]:
    effort = settings("quality")["effort"]
    if measured.rise_time_s is not None and measured.rise_time_s > effort["rise_time_s"]:
        yield "slow-rise"
    if measured.hesitation_s is not None and measured.hesitation_s > effort["hesitation_s"]:
        yield "hesitation"

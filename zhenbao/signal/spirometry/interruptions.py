"""Flow that stops or falls in a way that breathing out does not: coughs, a closed glottis, an obstacle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from zhenbao.signal.spirometry.curve import Curve
    from zhenbao.signal.spirometry.effort import Effort

_DIP_WIDTH_S = 0.03
_GRID_S = 0.02


@dataclass(frozen=True, slots=True)
class Seen:
    """Something in the flow: when, and how much stronger than need be to be told."""

    at_s: float
    """On the curve's own time."""
    strength: float
    lasted_s: float = 0.0


def interruptions(
    curve: Curve, effort: Effort, first_part_ends_s: float, closed: Sequence[Seen]
) -> Iterator[tuple[str, Seen]]:
    """Coughs, closures and obstacles."""
    for seen in closed:
        yield "glottic-closure-first-second" if seen.at_s < first_part_ends_s else "glottic-closure-later", seen
    if (dip := _dip_before_peak(curve, effort)) is not None:
        yield "cough-first-second", dip
    time = curve.time_s
    limits = settings("quality")["defect"]
    split = min(int(np.searchsorted(time, first_part_ends_s)), effort.end)
    # Averaging mixes the rise into the peak's own neighbours; look when that is over.
    falling = min(int(np.searchsorted(time, time[effort.peak] + _DIP_WIDTH_S)), split)
    dip = _deepest_dip(curve, falling, effort.end, limits["cough_later_l_s"])
    obstacle = dip if dip is not None and dip.lasted_s >= limits["obstructed_s"] else None
    coughs = []
    for begin, stop, name, least_l_s in (
        (falling, split, "cough-first-second", limits["cough_first_l_s"]),
        (split, effort.end, "cough-later", limits["cough_later_l_s"]),
    ):
        dip = _deepest_dip(curve, begin, stop, least_l_s)
        if dip is not None and dip.lasted_s < limits["obstructed_s"]:
            coughs.append((name, dip))
    # The burst of a cough is followed by a step down: that is no obstacle.
    if obstacle is None and not coughs:
        obstacle = _throttled(curve, effort, closed)
    if obstacle is not None:
        yield "obstructed", obstacle
    yield from coughs


def _throttled(curve: Curve, effort: Effort, closed: Sequence[Seen]) -> Seen | None:
    """Where the flow fell in a step and stayed smaller: something lay in its way.

    Means of 0.1 s before and after each instant, with 0.1 s left out for the step, and no burst for as long as an
    obstacle lasts. The first fall after the peak, steep in obstructive disease, is not looked at.
    """
    limits = settings("quality")["defect"]
    begin, stop = float(curve.time_s[effort.peak]) + limits["throttle_after_s"], float(curve.time_s[effort.end])
    at = np.arange(begin, stop - 0.1 - limits["obstructed_s"], _GRID_S)
    if not len(at):
        return None
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
    for seen in closed:
        step &= np.abs(at - seen.at_s) > 0.3
    if not step.any():
        return None
    where = int(np.argmax(np.where(step, fall, 0.0)))
    return Seen(float(at[where]), float(limits["throttle_to"] * expected[where] / max(highest[where], 1e-3)))


def _deepest_dip(curve: Curve, begin: int, stop: int, least_l_s: float) -> Seen | None:
    """The deepest dip with a rebound; None where the flow only falls, as it should."""
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
    began_s = float(curve.time_s[begin + left])
    return Seen(began_s, float(rebound[back] / enough[back]), float(curve.time_s[begin + returned]) - began_s)


def _dip_before_peak(curve: Curve, effort: Effort) -> Seen | None:
    """The flow broke in before it reached its peak: a cough, or a start in two strokes."""
    limits = settings("quality")["defect"]
    rising = curve.smooth_flow(_DIP_WIDTH_S)[effort.onset : effort.peak + 1]
    shoulders = np.minimum(np.maximum.accumulate(rising), np.maximum.accumulate(rising[::-1])[::-1])
    deepest = int(np.argmax(shoulders - rising))
    enough = max(
        limits["cough_later_l_s"],
        limits["cough_of_flow"] * effort.pef_l_s,
        limits["cough_noises"] * curve.smooth_noise(_DIP_WIDTH_S),
    )
    strength = float(shoulders[deepest] - rising[deepest]) / enough
    return Seen(float(curve.time_s[effort.onset + deepest]), strength) if strength > 1 else None


def closures(curve: Curve, effort: Effort) -> Iterator[Seen]:
    """Where the flow stopped at once and stayed away, though it had not been falling so steeply."""
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
                yield Seen(closed, min(just_before / limits["closed_from_l_s"], steep / max(falling, 1e-3)))
                break


def _mean_flow(curve: Curve, from_s: float, to_s: float) -> float | None:
    first, last = np.searchsorted(curve.time_s, (from_s, to_s))
    return float(curve.flow_l_s[first:last].mean()) if last > first else None

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

from zhenbao.model.finding import Confidence
from zhenbao.model.spirometry import BlowDefect
from zhenbao.signal.spirometry.interruptions import Seen, closures, interruptions
from zhenbao.signal.spirometry.session import is_young, repeatability_limit
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from zhenbao.signal.spirometry.curve import Curve
    from zhenbao.signal.spirometry.effort import Effort

_LIKELY = 1.5
"""A sign so many times stronger than need be is likely right;"""
_POSSIBLE = 1.15
"""one stronger by so little may be chance."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the checks need of the values already measured."""

    fvc_l: float
    bev_l: float
    fet_s: float
    fivc_l: float | None
    rise_time_s: float | None
    hesitation_s: float | None
    zero_l_s: tuple[float, float]
    """The sensor's zero at the beginning and at the end."""
    age_years: float | None
    prior_fvc_l: float | None


def find_defects(curve: Curve, effort: Effort, measured: Measured) -> tuple[BlowDefect, ...]:
    """Every defect and hint that holds, once each, the gravest first; times are counted from time zero."""
    limits = settings("quality")
    first_part_s = limits["young"]["first_part_s"] if is_young(measured.age_years) else 1.0
    closed = tuple(closures(curve, effort))
    found: dict[str, Seen] = {}
    for name, seen in (
        *_start(curve, effort, measured),
        *interruptions(curve, effort, effort.t0_s + first_part_s, closed),
        *_end(curve, effort, measured, closed),
        *_holes(curve, effort, effort.t0_s + first_part_s),
        *_hints(effort, measured),
    ):
        found.setdefault(name, seen)
    return tuple(
        BlowDefect(name, round(seen.at_s - effort.t0_s, 3), _confidence(seen.strength)) for name, seen in found.items()
    )


def _confidence(strength: float) -> Confidence:
    return "likely" if strength >= _LIKELY else "possible" if strength >= _POSSIBLE else "uncertain"


def _start(curve: Curve, effort: Effort, measured: Measured) -> Iterator[tuple[str, Seen]]:
    limits = settings("quality")
    bev = limits["back_extrapolated_volume"]
    most = max(bev["limit_l"], bev["limit_of_fvc"] * measured.fvc_l)
    if measured.bev_l > most:
        yield "slow-start", Seen(effort.t0_s, measured.bev_l / most)
    before, after = measured.zero_l_s
    limit = limits["curve"]["zero_limit_l_s"]
    if max(abs(before), abs(after)) > limit:
        yield "zero-flow", Seen(float(curve.time_s[0]), max(abs(before), abs(after)) / limit)
    if abs(after - before) > limits["curve"]["drift_limit_l_s"]:
        yield "drift", Seen(float(curve.time_s[-1]), abs(after - before) / limits["curve"]["drift_limit_l_s"])
    if effort.second:
        yield "double-effort", Seen(float(curve.time_s[effort.end]), _LIKELY)


def _end(curve: Curve, effort: Effort, measured: Measured, closed: tuple[Seen, ...]) -> Iterator[tuple[str, Seen]]:
    limits = settings("quality")
    rule = limits["end_of_expiration"]
    end_volume = float(curve.volume_l[effort.end])
    last_s = float(curve.time_s[effort.last])
    if closed and end_volume - curve.volume_at(closed[-1].at_s) <= rule["plateau_l"]:
        # Silence after a sudden stop is no plateau: the expiration ended at the stop.
        last_s = closed[-1].at_s
    second_before = max(last_s - rule["plateau_s"], effort.t0_s)
    late_l = end_volume - curve.volume_at(second_before)
    plateau = last_s - effort.t0_s >= rule["plateau_s"] and late_l <= rule["plateau_l"] + 1e-9
    repeats = measured.prior_fvc_l is not None and measured.fvc_l >= measured.prior_fvc_l - repeatability_limit(
        max(measured.fvc_l, measured.prior_fvc_l), measured.age_years
    )
    if not (plateau or last_s - effort.t0_s >= rule["long_enough_s"] or repeats):
        yield "early-end", Seen(last_s, late_l / rule["plateau_l"])
    inspired = limits["inspiration_after"]
    most = max(inspired["limit_l"], inspired["limit_of_fvc"] * measured.fvc_l)
    if measured.fivc_l is not None and measured.fivc_l - measured.fvc_l > most:
        yield "fivc-larger", Seen(float(curve.time_s[effort.last]), (measured.fivc_l - measured.fvc_l) / most)
    if (lost_l := _flows_back(curve, effort)) is not None:
        name = "zero-flow" if curve.integrated else "leak"
        yield name, Seen(float(curve.time_s[effort.end]), lost_l / limits["defect"]["leak_l"])


def _flows_back(curve: Curve, effort: Effort) -> float | None:
    """Volume that is lost after the end, slowly and for a second or more, as no breath does; None where none is."""
    limits = settings("quality")["defect"]
    end_s = float(curve.time_s[effort.end])
    if curve.time_s[-1] < end_s + 1.0:
        return None
    fall = float(curve.volume_l[effort.end]) - curve.volume_at(end_s + 1.0)
    half = float(curve.volume_l[effort.end]) - curve.volume_at(end_s + 0.5)
    slowest, fastest = limits["leak_rate_l_s"]
    return fall if fall >= limits["leak_l"] and slowest <= half / 0.5 <= fastest and fall <= fastest else None


def _holes(curve: Curve, effort: Effort, first_part_ends_s: float) -> Iterator[tuple[str, Seen]]:
    start_s, end_s = float(curve.time_s[effort.start]), float(curve.time_s[effort.end])
    for begin, stop in curve.gaps:
        if stop > start_s and begin < min(first_part_ends_s, end_s):
            yield "gap-first-second", Seen(begin, _LIKELY)
        elif stop > start_s and begin < end_s:
            yield "gap", Seen(begin, _LIKELY)


def _hints(effort: Effort, measured: Measured) -> Iterator[tuple[str, Seen]]:
    limits = settings("quality")["effort"]
    for name, value, most in (
        ("slow-rise", measured.rise_time_s, limits["rise_time_s"]),
        ("hesitation", measured.hesitation_s, limits["hesitation_s"]),
    ):
        if value is not None and value > most:
            yield name, Seen(effort.t0_s, value / most)

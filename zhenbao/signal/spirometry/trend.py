"""One person's tests over the years: how fast a value falls, and whether a change is more than chance.

Only what can be compared is compared: grade A to C, one equation and group, one sex, one state of bronchodilator. All
else is left out and named. Whether a change is significant is a hint for a physician's review.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.signal.spirometry.change import DAYS_PER_YEAR, Change, change_between
from zhenbao.signal.spirometry.past_test import Parameter, PastTest, heights_differ, past_test, unfit, unlike
from zhenbao.signal.spirometry.slope import Slope, slope
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = ["Change", "LeftOut", "PastTest", "Slope", "Trend", "fev1q", "past_test", "trend"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A test that was not compared, and the key of the ``spirometry_trend`` words that says why."""

    taken_on: date
    reason: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One parameter's course up to the newest test. Whatever is None could not be said; ``reasons`` say why."""

    parameter: Parameter
    equation: str
    """Key of the equation behind every z-score here; empty where the newest test had none."""
    group: str
    post_bronchodilator: bool | None
    used: tuple[date, ...]
    left_out: tuple[LeftOut, ...]
    ml_per_year: Slope | None
    """Negative: a fall. Adults only."""
    z_per_year: Slope | None
    since_last: Change | None
    """From the comparable test before the newest."""
    since_first: Change | None
    """From the first comparable test; None where that is the one before."""
    fev1q: float | None
    """Of the newest test; adults only."""
    reasons: tuple[str, ...]
    """Keys of the ``spirometry_trend`` words."""


def fev1q(fev1_l: float, *, sex: str, age_years: float) -> float | None:
    """FEV1 in units of 0.5 L (men) or 0.4 L (women); None below 18 years or without a sex (ERS/ATS 2021, Box 3)."""
    unit = settings("trend")["fev1q"].get(sex)
    if unit is None or age_years < settings("trend")["adult"]["from_years"]:
        return None
    return float(fev1_l / unit)


def trend(tests: Sequence[PastTest], parameter: Parameter = "FEV1") -> Trend:
    """The course of one parameter of one person.

    Args:
        tests: in any order; all others are compared with the newest. Of one day's tests the later in the sequence is
            the newer.
        parameter: ``FEV1`` or ``FVC``.

    Raises:
        ValueError: there is no test at all.
    """
    if not tests:
        raise ValueError("a trend needs a test")
    ordered = sorted(tests, key=lambda test: test.taken_on)
    newest = ordered[-1]
    used: list[PastTest] = []
    left_out: list[LeftOut] = []
    for test in ordered:
        reason = unfit(test, parameter)
        if reason is None and unfit(newest, parameter) is None:
            reason = unlike(test, newest, parameter)
        if reason is None:
            used.append(test)
        else:
            left_out.append(LeftOut(test.taken_on, reason))
    reasons: list[str] = []
    if not used or used[-1] is not newest:
        used, reasons = [], ["newest-unfit"]
    elif len(used) == 1:
        reasons = ["nothing-to-compare"]
    ml = z = None
    last = first = None
    if len(used) > 1:
        ml, z, reasons = _slopes(used, parameter)
        last = change_between(used[-2], newest, parameter)
        first = change_between(used[0], newest, parameter) if len(used) > 2 else None
        reasons += [reason for change in (last, first) if change is not None for reason in change.reasons]
    own = newest.references.get(parameter)
    value, age_years = newest.value_l("FEV1"), newest.age_years
    fit = bool(used) and parameter == "FEV1"
    return Trend(
        parameter=parameter,
        equation=own.equation if own else "",
        group=own.group if own else "",
        post_bronchodilator=newest.post_bronchodilator,
        used=tuple(test.taken_on for test in used),
        left_out=tuple(left_out),
        ml_per_year=ml,
        z_per_year=z,
        since_last=last,
        since_first=first,
        fev1q=fev1q(value, sex=newest.sex, age_years=age_years) if fit and value and age_years else None,
        reasons=tuple(dict.fromkeys(reasons)),
    )


def _slopes(used: list[PastTest], parameter: Parameter) -> tuple[Slope | None, Slope | None, list[str]]:
    """Per year in mL and in z, and why one is missing."""
    rule = settings("trend")["slope"]
    if (used[-1].taken_on - used[0].taken_on).days < rule["span_days"]:
        return None, None, ["short-span"]
    years = [(test.taken_on - used[0].taken_on).days / DAYS_PER_YEAR for test in used]
    pairs = [(test.references[parameter], test.value_l(parameter) or 0.0) for test in used]
    reasons = []
    ml = z = None
    if all(test.adult for test in used):
        ml = slope(years, [1000 * value for _, value in pairs], 1000 * rule["person_sd_l"])
    else:
        reasons.append("growing")
    if heights_differ(used):
        reasons.append("heights-differ")
    else:
        # dz/dx of the LMS method: what the scatter in litres is in z at each value; their root mean square.
        steep = [math.pow(value / r.m, r.l - 1) / (r.m * r.s) for r, value in pairs]
        scatter = rule["person_sd_l"] * math.sqrt(math.fsum(s * s for s in steep) / len(steep))
        z = slope(years, [r.z(value) for r, value in pairs], scatter)
    return ml, z, reasons

"""From one test to another: how much changed, and whether published limits call that more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zhenbao.signal.spirometry.past_test import Parameter, PastTest, heights_differ
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from datetime import date

DAYS_PER_YEAR = 365.2425
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """From an earlier test to the newest, with every number that decided."""

    since: date
    years: float
    change_l: float
    percent: float
    """Of the earlier value."""
    percent_after_ageing: float
    """The same after the change that the equation expects of anybody who grows so much older (or taller)."""
    z_change: float
    rule: str
    """Key of the ``spirometry_rule`` words: ``within-day weeks between year`` (adults) or ``change-score`` (young)."""
    decided_by: float | None
    """The per cent, or the score, that was compared with the limit; None where there is none."""
    limit: float | None
    significant: str
    """``yes``, ``no`` or ``cannot-say``."""
    reasons: tuple[str, ...] = ()
    """Keys of the ``spirometry_trend`` words: why it cannot be said."""


def change_score(z_earlier: float, z_newest: float, *, age_years: float, years: float) -> float | None:
    """Conditional change score of FEV1 in young people; None where its formula has no value (ERS/ATS 2021, Box 2).

    Args:
        z_earlier, z_newest: z-scores by one equation.
        age_years: at the earlier test.
        years: between both.
    """
    rule = settings("trend")["change_score"]
    r = rule["base"] + rule["by_year"] * years + rule["by_age"] * age_years
    return (z_newest - r * z_earlier) / math.sqrt(1 - r * r) if 0 <= r < 1 else None


def change_between(earlier: PastTest, newest: PastTest, parameter: Parameter) -> Change:
    """Judge two comparable tests of one person, in order of time."""
    before, now = earlier.value_l(parameter), newest.value_l(parameter)
    age_years = earlier.age_years
    if before is None or now is None or age_years is None:
        raise ValueError("only tests with a value and an age can be compared")
    then, today = earlier.references[parameter], newest.references[parameter]
    days = (newest.taken_on - earlier.taken_on).days
    z_before, z_now = then.z(before), today.z(now)
    expected = before * today.predicted / then.predicted
    percent, after_ageing = 100 * (now - before) / before, 100 * (now - expected) / before
    reasons: tuple[str, ...] = ()
    decided_by: float | None
    limit: float | None
    if not earlier.adult:
        rule, limit, significant = "change-score", settings("trend")["change_score"]["beyond"], "cannot-say"
        decided_by = (
            change_score(z_before, z_now, age_years=age_years, years=days / DAYS_PER_YEAR)
            if parameter == "FEV1"
            else None
        )
        if decided_by is not None:
            significant = "yes" if abs(decided_by) > limit + _ROUNDING else "no"
        else:
            reasons = ("score-fev1-only",) if parameter != "FEV1" else ("score-undefined",)
    else:
        rule, limits = _limits(parameter, days, obstructed=_obstructed(earlier) or _obstructed(newest))
        decided_by, limit = (after_ageing if rule == "year" else percent), limits[-1]
        if abs(decided_by) >= limits[-1] - _ROUNDING:
            significant = "yes"
        elif abs(decided_by) < limits[0] - _ROUNDING:
            significant = "no"
        else:
            significant, reasons = "cannot-say", ("no-limit-for-interval",)
        if rule == "year" and heights_differ([earlier, newest]):
            significant, reasons = "cannot-say", ("heights-differ",)
    return Change(
        since=earlier.taken_on,
        years=days / DAYS_PER_YEAR,
        change_l=now - before,
        percent=percent,
        percent_after_ageing=after_ageing,
        z_change=z_now - z_before,
        rule=rule,
        decided_by=decided_by,
        limit=limit,
        significant=significant,
        reasons=reasons,
    )


def _limits(parameter: Parameter, days: int, *, obstructed: bool) -> tuple[str, tuple[float, ...]]:
    """The rule for an interval and its limit in per cent; two limits, in order, where only both together decide."""
    table: dict[str, Any] = next(row for row in settings("trend")["limit"] if row["parameter"] == parameter)
    intervals = settings("trend")["intervals"]
    suffix = "_obstructed" if obstructed else ""
    weeks, year = float(table[f"weeks{suffix}"]), float(table["year"])
    if days == 0:
        return "within-day", (float(table[f"within_day{suffix}"]),)
    if days <= intervals["weeks_up_to_days"]:
        return "weeks", (weeks,)
    if days >= intervals["year_from_days"]:
        return "year", (year,)
    return "between", (min(weeks, year), max(weeks, year))


def _obstructed(test: PastTest) -> bool:
    """Whether the wider limits of patients with COPD apply; also where the ratio is not known."""
    if test.fev1_l is None or not test.fvc_l:
        return True
    return bool(test.fev1_l / test.fvc_l < settings("interpretation")["fixed_ratio"]["below"] - _ROUNDING)

"""Reference values: what a person of this sex, age and height would blow, and how widely such people spread.

All equations use the LMS method (Cole TJ, Green PJ. Stat Med 1992;11:1305-1319): L skewness, M median, S spread,
each with an age spline from the published look-up tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex
from zhenbao.model.spirometry import EQUATIONS, Reference
from zhenbao.signal.spirometry.tables import rows, settings

if TYPE_CHECKING:
    from collections.abc import Callable

Z_LIMIT = 1.645
"""Limits of normal: the 5th and 95th percentile."""

SEXES = {"M": "M", "F": "F", Sex.MALE: "M", Sex.FEMALE: "F"}
SKEW_ZERO = 1e-12
"""An L this small is none: the distribution is log-normal."""
HEIGHTS_CM = (50.0, 250.0)
GLI_GROUP_TERMS = {"AfrAm": ("a3", "p2"), "NEAsia": ("a4", "p3"), "SEAsia": ("a5", "p4"), "Other": ("a6", "p5")}
_Spline = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Coefficients and age spline of one parameter in one sex; spline rows are (L, M, S), evenly spaced in age."""

    coefficients: dict[str, float]
    first_age: float
    rows_per_year: float
    spline: _Spline

    STEP_ALLOWANCE: ClassVar[float] = 1e-6
    """4.2 - 4.0 is a little less than 0.2 in binary: without it an age would fall into the row before."""

    def interpolated(self, age_years: float) -> tuple[float, float, float]:
        place = (age_years - self.first_age) * self.rows_per_year
        index = min(int(place), len(self.spline) - 2)
        part = place - index
        (l0, m0, s0), (l1, m1, s1) = self.spline[index], self.spline[index + 1]
        return l0 + part * (l1 - l0), m0 + part * (m1 - m0), s0 + part * (s1 - s0)

    def stepped(self, age_years: float) -> tuple[float, float, float]:
        return self.spline[int((age_years - self.first_age) * self.rows_per_year + self.STEP_ALLOWANCE)]


def reference(
    equation: str, *, sex: str, age_years: float, height_cm: float, ethnicity: str | None = None
) -> dict[str, Reference]:
    """Reference distributions of one person.

    Args:
        equation: ``gli2012``, ``gli2022`` (race-neutral) or ``jian2017`` (Chinese, 4 to 80 years).
        sex: ``M`` or ``F``, or ``Sex.MALE`` or ``Sex.FEMALE``.
        age_years: decimal years; GLI interpolates between its rows, Jian's rows hold for 0.2 years.
        height_cm: standing height without shoes, in centimetres.
        ethnicity: only for ``gli2012``: ``Caucasian AfrAm NEAsia SEAsia Other``; None means ``Other``.

    Returns:
        By ``FEV1 FVC FEV1FVC`` and, where the equation has them, ``FEF2575 FEF75`` (gli2012) or ``PEF MMEF``
        (jian2017). Litres and L/s; FEV1FVC is a fraction in GLI and per cent in Jian, as published.

    Raises:
        InputError: ``reference-equation``, ``reference-sex``, ``reference-age``, ``reference-height`` or
            ``reference-ethnicity``.
    """
    facts = equation_facts(equation)
    if sex not in SEXES:
        raise InputError("reference-sex")
    if not facts["age_min"] <= age_years <= facts["age_max"]:
        raise outside_age(facts)
    if not HEIGHTS_CM[0] <= height_cm <= HEIGHTS_CM[1]:
        raise outside_height()
    group = group_of(facts, ethnicity)
    ages = facts.get("age_max_of", {})
    return {
        parameter: _distribution(equation, facts, table, age_years, height_cm, group)
        for parameter, table in tables(equation)[SEXES[sex]].items()
        if age_years <= ages.get(parameter, math.inf)
    }


def equation_facts(equation: str) -> dict[str, Any]:
    """What the table says of an equation.

    Raises:
        InputError: ``reference-equation``.
    """
    if equation not in EQUATIONS:
        raise InputError("reference-equation", equation=equation[:32], known=", ".join(EQUATIONS))
    facts: dict[str, Any] = settings("equations")[equation]
    return facts


def group_of(facts: dict[str, Any], ethnicity: str | None) -> str:
    """The group that is used; empty where the equation has none.

    Raises:
        InputError: ``reference-ethnicity``.
    """
    if "groups" not in facts:
        return ""
    group = facts["group_if_unknown"] if ethnicity is None else ethnicity
    if group not in facts["groups"]:
        raise InputError("reference-ethnicity", known=", ".join(facts["groups"]))
    return str(group)


def outside_age(facts: dict[str, Any]) -> InputError:
    """The error of an age outside an equation's range, whose both ends belong to it."""
    return InputError("reference-age", equation=facts["name"], least=facts["age_min"], most=facts["age_max"])


def outside_height() -> InputError:
    """The error of a height that no person has, or that is not in centimetres."""
    return InputError("reference-height", least=HEIGHTS_CM[0], most=HEIGHTS_CM[1])


def ratio_scale(equation: str) -> float:
    """Factor from a plain FEV1/FVC to the unit of this equation's FEV1FVC: 1, or 100 where that is per cent."""
    return 100.0 if settings("equations")[equation]["ratio_unit"] == "%" else 1.0


def equation_name(equation: str) -> str:
    """The equation's name as it stands on a report."""
    return str(settings("equations")[equation]["name"])


def _distribution(
    equation: str, facts: dict[str, Any], table: Table, age_years: float, height_cm: float, group: str
) -> Reference:
    splines = (table.stepped if facts["splines"] == "stepped" else table.interpolated)(age_years)
    skew, median, spread = lms(
        equation, table.coefficients, math.log(age_years), math.log(height_cm), splines, group, math.exp
    )
    return Reference(
        l=skew,
        m=median,
        s=spread,
        predicted=median,
        lln=_at(-Z_LIMIT, skew, median, spread),
        uln=_at(Z_LIMIT, skew, median, spread),
        equation=equation,
        group=group,
    )


def lms(
    equation: str, c: dict[str, float], ln_age: Any, ln_height: Any, splines: Any, group: str, exp: Callable[[Any], Any]
) -> tuple[Any, Any, Any]:
    """L, M and S from coefficients, logarithms and splines: numbers, or arrays of many people with ``numpy.exp``."""
    l_spline, m_spline, s_spline = splines
    if equation == "jian2017":
        return (
            c["l0"] + c["la"] * ln_age + l_spline,
            exp(c["m0"] + c["mh"] * ln_height + c["ma"] * ln_age + m_spline),
            exp(c["s0"] + c["sh"] * ln_height + c["sa"] * ln_age + s_spline),
        )
    a_group, p_group = GLI_GROUP_TERMS.get(group, ("", ""))
    return (
        c["q0"] + c["q1"] * ln_age + l_spline,
        exp(c["a0"] + c["a1"] * ln_height + c["a2"] * ln_age + c.get(a_group, 0.0) + m_spline),
        exp(c["p0"] + c["p1"] * ln_age + c.get(p_group, 0.0) + s_spline),
    )


def _at(z: float, skew: float, median: float, spread: float) -> float:
    """The value that stands at a z-score; NaN where the equation has none (Jian's ratio of a child of 2.5 m)."""
    if abs(skew) < SKEW_ZERO:
        return median * math.exp(z * spread)
    base = 1 + z * skew * spread
    return float(median * base ** (1 / skew)) if base > 0 else math.nan


@cache
def tables(equation: str) -> dict[str, dict[str, Table]]:
    """By sex (``M`` ``F``) and parameter. Do not change what it returns."""
    splines: dict[tuple[str, str], list[tuple[float, tuple[float, float, float]]]] = {}
    lines = rows(f"{equation}_splines")
    next(lines)
    for sex, parameter, age, *lms in lines:
        splines.setdefault((sex, parameter), []).append((float(age), (float(lms[0]), float(lms[1]), float(lms[2]))))
    lines = rows(f"{equation}_coefficients")
    names = next(lines)[2:]
    tables: dict[str, dict[str, Table]] = {"M": {}, "F": {}}
    for sex, parameter, *numbers in lines:
        spline = splines[sex, parameter]
        first, last = spline[0][0], spline[-1][0]
        tables[sex][parameter] = Table(
            coefficients=dict(zip(names, map(float, numbers), strict=True)),
            first_age=first,
            rows_per_year=(len(spline) - 1) / (last - first),
            spline=tuple(lms for _, lms in spline),
        )
    return tables

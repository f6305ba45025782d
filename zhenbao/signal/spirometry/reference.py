"""Reference values: what a person of this sex, age and height would blow, and how widely such people spread.

All equations use the LMS method (Cole TJ, Green PJ. Stat Med 1992;11:1305-1319): L skewness, M median, S spread,
each with an age spline from the published look-up tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex
from zhenbao.model.spirometry import Reference
from zhenbao.signal.spirometry.tables import rows, settings

EQUATIONS = ("gli2012", "gli2022", "jian2017")
Z_LIMIT = 1.645
"""Limits of normal: the 5th and 95th percentile."""

_SEXES = {"M": "M", "F": "F", Sex.MALE: "M", Sex.FEMALE: "F"}
_HEIGHTS_CM = (50.0, 250.0)
_GLI_GROUPS = {"AfrAm": ("a3", "p2"), "NEAsia": ("a4", "p3"), "SEAsia": ("a5", "p4"), "Other": ("a6", "p5")}
_Spline = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """Coefficients and age spline of one parameter in one sex; spline rows are (L, M, S), evenly spaced in age."""

    coefficients: dict[str, float]
    first_age: float
    rows_per_year: float
    spline: _Spline

    def interpolated(self, age_years: float) -> tuple[float, float, float]:
        place = (age_years - self.first_age) * self.rows_per_year
        index = min(int(place), len(self.spline) - 2)
        part = place - index
        (l0, m0, s0), (l1, m1, s1) = self.spline[index], self.spline[index + 1]
        return l0 + part * (l1 - l0), m0 + part * (m1 - m0), s0 + part * (s1 - s0)

    def stepped(self, age_years: float) -> tuple[float, float, float]:
        # 4.2 - 4.0 is a little less than 0.2 in binary: without the allowance an age would fall into the row before.
        return self.spline[int((age_years - self.first_age) * self.rows_per_year + 1e-6)]


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
    if equation not in EQUATIONS:
        raise InputError("reference-equation", equation=equation[:32], known=", ".join(EQUATIONS))
    facts = settings("equations")[equation]
    if sex not in _SEXES:
        raise InputError("reference-sex")
    if not facts["age_min"] <= age_years <= facts["age_max"]:
        raise InputError("reference-age", equation=facts["name"], least=facts["age_min"], most=facts["age_max"])
    if not _HEIGHTS_CM[0] <= height_cm <= _HEIGHTS_CM[1]:
        raise InputError("reference-height", least=_HEIGHTS_CM[0], most=_HEIGHTS_CM[1])
    group = facts.get("group_if_unknown") if ethnicity is None else ethnicity
    if "groups" in facts and group not in facts["groups"]:
        raise InputError("reference-ethnicity", known=", ".join(facts["groups"]))
    ages = facts.get("age_max_of", {})
    return {
        parameter: _distribution(equation, facts, table, age_years, height_cm, group or "")
        for parameter, table in _tables(equation)[_SEXES[sex]].items()
        if age_years <= ages.get(parameter, math.inf)
    }


def ratio_scale(equation: str) -> float:
    """Factor from a plain FEV1/FVC to the unit of this equation's FEV1FVC: 1, or 100 where that is per cent."""
    return 100.0 if settings("equations")[equation]["ratio_unit"] == "%" else 1.0


def equation_name(equation: str) -> str:
    """The equation's name as it stands on a report."""
    return str(settings("equations")[equation]["name"])


def _distribution(
    equation: str, facts: dict[str, Any], table: _Table, age_years: float, height_cm: float, group: str
) -> Reference:
    c = table.coefficients
    spline = table.stepped if facts["splines"] == "stepped" else table.interpolated
    l_spline, m_spline, s_spline = spline(age_years)
    ln_age, ln_height = math.log(age_years), math.log(height_cm)
    if equation == "jian2017":
        skew = c["l0"] + c["la"] * ln_age + l_spline
        median = math.exp(c["m0"] + c["mh"] * ln_height + c["ma"] * ln_age + m_spline)
        spread = math.exp(c["s0"] + c["sh"] * ln_height + c["sa"] * ln_age + s_spline)
    else:
        a_group, p_group = _GLI_GROUPS.get(group, ("", ""))
        skew = c["q0"] + c["q1"] * ln_age + l_spline
        median = math.exp(c["a0"] + c["a1"] * ln_height + c["a2"] * ln_age + c.get(a_group, 0.0) + m_spline)
        spread = math.exp(c["p0"] + c["p1"] * ln_age + c.get(p_group, 0.0) + s_spline)
    return Reference(
        l=skew,
        m=median,
        s=spread,
        predicted=median,
        lln=_at(-Z_LIMIT, skew, median, spread),
        uln=_at(Z_LIMIT, skew, median, spread),
    )


def _at(z: float, skew: float, median: float, spread: float) -> float:
    """The value that stands at a z-score."""
    if abs(skew) < 1e-12:
        return median * math.exp(z * spread)
    return float(median * (1 + z * skew * spread) ** (1 / skew))


@cache
def _tables(equation: str) -> dict[str, dict[str, _Table]]:
    splines: dict[tuple[str, str], list[tuple[float, tuple[float, float, float]]]] = {}
    lines = rows(f"{equation}_splines")
    next(lines)
    for sex, parameter, age, *lms in lines:
        splines.setdefault((sex, parameter), []).append((float(age), (float(lms[0]), float(lms[1]), float(lms[2]))))
    lines = rows(f"{equation}_coefficients")
    names = next(lines)[2:]
    tables: dict[str, dict[str, _Table]] = {"M": {}, "F": {}}
    for sex, parameter, *numbers in lines:
        spline = splines[sex, parameter]
        first, last = spline[0][0], spline[-1][0]
        tables[sex][parameter] = _Table(
            coefficients=dict(zip(names, map(float, numbers), strict=True)),
            first_age=first,
            rows_per_year=(len(spline) - 1) / (last - first),
            spline=tuple(lms for _, lms in spline),
        )
    return tables

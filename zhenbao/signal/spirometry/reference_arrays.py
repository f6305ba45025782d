"""Reference values of many people at once: the same numbers as :func:`reference`, for registers and studies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zhenbao.model.errors import InputError
from zhenbao.signal.spirometry.reference import (
    HEIGHTS_CM,
    SEXES,
    SKEW_ZERO,
    Z_LIMIT,
    Table,
    equation_facts,
    group_of,
    lms,
    outside_age,
    outside_height,
    tables,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReferenceArrays:
    """One parameter's distributions of n people; every array is [n], NaN where the equation has none for that age."""

    l: Floats  # noqa: E741 - the LMS method's own name
    m: Floats
    s: Floats
    predicted: Floats
    lln: Floats
    uln: Floats
    equation: str
    groups: tuple[str, ...]
    """Of each person, [n]; empty strings where the equation has no groups."""

    def z(self, measured: ArrayLike) -> Floats:
        """z-scores of measured values [n], in the parameter's own unit; above zero (otherwise NaN or -inf)."""
        part = np.asarray(measured, float) / self.m
        flat = np.abs(self.l) < SKEW_ZERO
        skew = np.where(flat, 1.0, self.l)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(flat, np.log(part) / self.s, (part**skew - 1) / (skew * self.s))

    def percent(self, measured: ArrayLike) -> Floats:
        """Per cent of predicted."""
        return 100 * np.asarray(measured, float) / self.predicted


def reference_arrays(
    equation: str,
    *,
    sex: Sequence[str] | NDArray[np.str_],
    age_years: ArrayLike,
    height_cm: ArrayLike,
    ethnicity: str | Sequence[str] | None = None,
) -> dict[str, ReferenceArrays]:
    """Reference distributions of n people.

    Args:
        equation: as for :func:`reference`.
        sex: [n] of ``M`` and ``F`` (or ``Sex.MALE`` and ``Sex.FEMALE``).
        age_years, height_cm: [n], as for :func:`reference`.
        ethnicity: one group for all, or [n] groups; only for ``gli2012``.

    Returns:
        By parameter, as :func:`reference`. Flows beyond the age to which they were modelled are NaN.

    Raises:
        InputError: as :func:`reference`, where any one person is outside; nobody is dropped silently.
        ValueError: the arrays are not of one length.
    """
    facts = equation_facts(equation)
    ages, heights = np.asarray(age_years, float), np.asarray(height_cm, float)
    people = len(ages)
    sexes = np.array([SEXES.get(str(one), "") for one in sex])
    if ages.ndim != 1 or ages.shape != heights.shape or len(sexes) != people:
        raise ValueError("sex, age and height must be arrays of one length")
    if not np.all(sexes != ""):
        raise InputError("reference-sex")
    if not np.all((ages >= facts["age_min"]) & (ages <= facts["age_max"])):
        raise outside_age(facts)
    if not np.all((heights >= HEIGHTS_CM[0]) & (heights <= HEIGHTS_CM[1])):
        raise outside_height()
    if ethnicity is None or isinstance(ethnicity, str):
        groups = np.full(people, group_of(facts, ethnicity))
    else:
        groups = np.array([group_of(facts, one) for one in ethnicity])
        if len(groups) != people:
            raise ValueError("there must be one group for each person")
    found: dict[str, Floats] = {}
    for sex_, by_parameter in tables(equation).items():
        for group in dict.fromkeys(groups.tolist()):
            at = np.flatnonzero((sexes == sex_) & (groups == group))
            for parameter, table in by_parameter.items():
                values = found.setdefault(parameter, np.full((3, people), np.nan))
                oldest = facts.get("age_max_of", {}).get(parameter, math.inf)
                covered = at[ages[at] <= oldest]
                values[:, covered] = _lms(equation, facts, table, ages[covered], heights[covered], group)
    return {
        parameter: ReferenceArrays(
            l=skew,
            m=median,
            s=spread,
            predicted=median,
            lln=_at(-Z_LIMIT, skew, median, spread),
            uln=_at(Z_LIMIT, skew, median, spread),
            equation=equation,
            groups=tuple(groups.tolist()),
        )
        for parameter, (skew, median, spread) in found.items()
    }


def _lms(
    equation: str, facts: dict[str, Any], table: Table, ages: Floats, heights: Floats, group: str
) -> tuple[Floats, Floats, Floats]:
    spline = np.array(table.spline)
    place = (ages - table.first_age) * table.rows_per_year
    if facts["splines"] == "stepped":
        rows = spline[(place + Table.STEP_ALLOWANCE).astype(int)]
    else:
        index = np.minimum(place.astype(int), len(spline) - 2)
        rows = spline[index] + (place - index)[:, None] * (spline[index + 1] - spline[index])
    return lms(equation, table.coefficients, np.log(ages), np.log(heights), rows.T, group, np.exp)


def _at(z: float, skew: Floats, median: Floats, spread: Floats) -> Floats:
    flat = np.abs(skew) < SKEW_ZERO
    safe = np.where(flat, 1.0, skew)
    with np.errstate(invalid="ignore"):
        return np.where(flat, median * np.exp(z * spread), median * (1 + z * safe * spread) ** (1 / safe))

"""A straight line through values over time, and how sure its slope is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NORMAL_975 = 1.959964


@dataclass(frozen=True, slots=True)
class Slope:
    """Change a year by least squares, and its 95 % interval."""

    per_year: float
    low: float
    high: float
    tests: int


def slope(years: Sequence[float], values: Sequence[float], scatter: float) -> Slope:
    """Least squares.

    Args:
        years: [n >= 2] when, in years from any beginning; not all the same.
        values: [n] in any unit.
        scatter: the least standard deviation of one value, in that unit. The interval is that of the residuals
            (Student's t) or of this scatter, whichever is wider: a few points may lie on a line by chance, and two do.

    Raises:
        ValueError: fewer than two values, or all of one moment.
    """
    count = len(values)
    if count < 2 or count != len(years):
        raise ValueError("a slope needs two values and their times")
    mean_year, mean = math.fsum(years) / count, math.fsum(values) / count
    spread = math.fsum((year - mean_year) ** 2 for year in years)
    if not spread > 0:
        raise ValueError("a slope needs values of different times")
    pairs = list(zip(years, values, strict=True))
    per_year = math.fsum((year - mean_year) * (value - mean) for year, value in pairs) / spread
    half = _NORMAL_975 * scatter
    if count > 2:
        residual = math.fsum((value - mean - per_year * (year - mean_year)) ** 2 for year, value in pairs)
        half = max(half, _student_975(count - 2) * math.sqrt(residual / (count - 2)))
    half /= math.sqrt(spread)
    return Slope(per_year, per_year - half, per_year + half, count)


def _student_975(freedom: int) -> float:
    # Here and not at the top: whoever only measures a blow need not load scipy.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))

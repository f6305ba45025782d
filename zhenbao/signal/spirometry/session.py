"""All blows of one test together: grades, what to report, and whether to blow again (ATS/ERS 2019, Table 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.model.spirometry import Blow, Session
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDING_L = 1e-9
"""3.12 - 2.97 is a little more than 0.15 in binary; "within 0.150 L" must not depend on that."""


def is_young(age_years: float | None) -> bool:
    """Up to and including six years the standard has its own limits. Unknown age: the adult's."""
    return age_years is not None and age_years <= settings("quality")["young"]["age_max_years"]


def repeatability_limit(largest_l: float, age_years: float | None) -> float:
    """How far the two largest values may lie apart, in litres."""
    limits = settings("quality")["repeatability"]
    if is_young(age_years):
        return float(max(limits["young_limit_l"], limits["young_limit_of_largest"] * largest_l))
    return float(limits["limit_l"])


def grade(acceptable_l: Sequence[float], usable: int, age_years: float | None) -> str:
    """Grade of FEV1 or FVC: ``A`` to ``F``, or ``U``.

    Args:
        acceptable_l: the value of every acceptable blow, in litres.
        usable: how many blows are usable though not acceptable.
        age_years: decides the limits; None is taken as older than six.
    """
    if not acceptable_l:
        return "U" if usable else "F"
    if len(acceptable_l) == 1:
        return "E"
    largest, second = sorted(acceptable_l, reverse=True)[:2]
    young = is_young(age_years)
    tenth = settings("quality")["repeatability"]["young_limit_of_largest"] * largest if young else 0.0
    for row in settings("quality")["grade"]:
        within = max(row["young_within_l"], tenth) if young else row["within_l"]
        if len(acceptable_l) >= row["at_least"] and largest - second <= within + _ROUNDING_L:
            return str(row["grade"])
    return "E"


def grade_session(blows: Sequence[Blow], age_years: float | None) -> Session:
    """Judge a session.

    The largest FEV1 and the largest FVC are reported, also from different blows; all other indices come from the blow
    with the largest sum of both. Where no blow is acceptable, the largest usable value is reported, under grade U.

    Args:
        blows: in the order they were blown.
        age_years: None is taken as older than six.
    """
    fev1 = [b.fev1_l for b in blows if b.fev1_acceptable and b.fev1_l is not None]
    fvc = [b.fvc_l for b in blows if b.fvc_acceptable]
    fev1_usable = [b.fev1_l for b in blows if b.fev1_usable and not b.fev1_acceptable and b.fev1_l is not None]
    fvc_usable = [b.fvc_l for b in blows if b.fvc_usable and not b.fvc_acceptable]
    fev1_l = max(fev1 or fev1_usable, default=None)
    fvc_l = max(fvc or fvc_usable, default=None)
    fev1_grade, fvc_grade = grade(fev1, len(fev1_usable), age_years), grade(fvc, len(fvc_usable), age_years)
    limits = settings("quality")["session"]
    left = max(0, limits["most_blows"] - len(blows))
    missing = limits["enough_acceptable"] - min(len(fev1), len(fvc))
    return Session(
        fev1_grade=fev1_grade,
        fvc_grade=fvc_grade,
        fev1_l=fev1_l,
        fvc_l=fvc_l,
        fev1_fvc=fev1_l / fvc_l if fev1_l is not None and fvc_l else None,
        fev1_repeatability_l=_two_largest_apart(fev1),
        fvc_repeatability_l=_two_largest_apart(fvc),
        best_blow=_best(blows),
        more_blows=0 if fev1_grade == fvc_grade == "A" else min(left, max(1, missing)),
    )


def largest_fvc(blows: Sequence[Blow]) -> float | None:
    """The largest usable FVC so far, in litres: a next blow that repeats it has reached its end."""
    return max((b.fvc_l for b in blows if b.fvc_usable), default=None)


def _two_largest_apart(values_l: Sequence[float]) -> float | None:
    if len(values_l) < 2:
        return None
    largest, second = sorted(values_l, reverse=True)[:2]
    return largest - second


def _best(blows: Sequence[Blow]) -> int | None:
    """The blow with the largest FEV1 + FVC among the acceptable ones; else among the usable ones."""
    for fit in (
        [i for i, b in enumerate(blows) if b.fev1_acceptable and b.fvc_acceptable],
        [i for i, b in enumerate(blows) if b.fev1_usable and b.fvc_usable],
        [i for i, b in enumerate(blows) if b.fev1_usable],
    ):
        if fit:
            return max(fit, key=lambda i: (blows[i].fev1_l or 0.0) + blows[i].fvc_l)
    return None

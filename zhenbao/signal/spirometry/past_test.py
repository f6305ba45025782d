"""One earlier (or the newest) test of a person, as far as a trend needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from zhenbao.model.spirometry import Reference, SpirometryAnalysis

Parameter = Literal["FEV1", "FVC"]


@dataclass(frozen=True, slots=True)
class PastTest:
    """Reported values, grades and circumstances. Litres, BTPS."""

    taken_on: date
    fev1_l: float | None
    fvc_l: float | None
    fev1_grade: str
    fvc_grade: str
    sex: str
    """``M`` or ``F``; empty where unknown."""
    age_years: float | None
    height_cm: float | None
    post_bronchodilator: bool | None
    """None: nobody recorded it."""
    references: Mapping[str, Reference]
    """Of that day; empty where the person's sex, age or height was not known. They name the equation and its group."""

    def value_l(self, parameter: Parameter) -> float | None:
        """The reported value."""
        return self.fev1_l if parameter == "FEV1" else self.fvc_l

    def grade(self, parameter: Parameter) -> str:
        """The quality grade of the parameter."""
        return self.fev1_grade if parameter == "FEV1" else self.fvc_grade

    @property
    def adult(self) -> bool:
        """Grown up on that day."""
        return self.age_years is not None and self.age_years >= settings("trend")["adult"]["from_years"]


def past_test(analysis: SpirometryAnalysis, taken_on: date) -> PastTest:
    """A kept analysis as a test of a trend."""
    session = analysis.session
    return PastTest(
        taken_on=taken_on,
        fev1_l=session.fev1_l,
        fvc_l=session.fvc_l,
        fev1_grade=session.fev1_grade,
        fvc_grade=session.fvc_grade,
        sex=analysis.sex,
        age_years=analysis.age_years,
        height_cm=analysis.height_cm,
        post_bronchodilator=analysis.post_bronchodilator,
        references=analysis.references,
    )


def unfit(test: PastTest, parameter: Parameter) -> str | None:
    """Why a test's value can be compared with no other, as a key of the ``spirometry_trend`` words; None: it can."""
    value = test.value_l(parameter)
    if value is None or not value > 0:
        return "no-value"
    if test.grade(parameter) not in settings("trend")["comparable"]["grades"]:
        return "grade"
    if parameter not in test.references or test.age_years is None:
        return "no-reference"
    return "bronchodilator-unknown" if test.post_bronchodilator is None else None


def unlike(test: PastTest, newest: PastTest, parameter: Parameter) -> str | None:
    """Why two tests, each fit, cannot be compared with each other; None: they can."""
    if test.sex != newest.sex:
        return "other-sex"
    mine, other = test.references[parameter], newest.references[parameter]
    if not mine.equation or (mine.equation, mine.group) != (other.equation, other.group):
        return "other-equation"
    return None if test.post_bronchodilator is newest.post_bronchodilator else "other-bronchodilator"


def heights_differ(tests: list[PastTest]) -> bool:
    """Whether adults' recorded heights are unknown, or too far apart for the predicted values of one person."""
    heights = [test.height_cm for test in tests if test.adult]
    known = [height for height in heights if height is not None]
    if len(known) < len(heights):
        return True
    most = settings("trend")["comparable"]["height_cm"]
    return bool(known) and max(known) - min(known) > most + 1e-9

"""What stands on the page of a spirometry session: the sessions, the person, and the bounds that were used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zhenbao.figures.aligned import Curve
    from zhenbao.model.spirometry import Blow, SpirometryAnalysis

CARRYING = ("A", "B", "C")
"""Grades that carry a class."""
_GRADES = "ABCDEUF"


@dataclass(frozen=True, slots=True)
class Examined:
    """One session: what was recorded and what was made of it, blow by blow in the same order."""

    analysis: SpirometryAnalysis
    curves: tuple[Curve, ...]
    numbers: tuple[int, ...]
    """How the file numbers its blows."""
    incomplete: tuple[int, ...] = ()
    """Numbers of blows that broke off and were not measured."""

    @property
    def best(self) -> Blow | None:
        """The blow that all indices but FEV1 and FVC come from."""
        index = self.analysis.session.best_blow
        return None if index is None else self.analysis.blows[index]

    @property
    def worse_grade(self) -> str:
        session = self.analysis.session
        return max(session.fev1_grade, session.fvc_grade, key=_GRADES.index)

    @property
    def fev1_percent(self) -> float | None:
        """Of predicted, whatever the grade; None where it cannot be known."""
        reference, fev1_l = self.analysis.references.get("FEV1"), self.analysis.session.fev1_l
        return None if reference is None or fev1_l is None else reference.percent(fev1_l)


@dataclass(frozen=True, slots=True)
class Change:
    """FEV1 or FVC before and after a bronchodilator; None is not judged."""

    before_l: float
    after_l: float
    percent_of_before: float
    percent_of_predicted: float | None = None
    positive_2021: bool | None = None
    positive_2005: bool | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Numbers of the rules' tables that the page draws or obeys."""

    z: tuple[float, ...]
    """The lower limit, then where the bands of severity end; falling."""
    fev1_percent: float
    """Below it nothing on the page is called normal."""


@dataclass(frozen=True, slots=True)
class SpirometryReport:
    """Everything that the page says, in values; None is unknown."""

    before: Examined
    """The session, or the one before a bronchodilator."""
    equation: str
    """The reference equation's name as it is printed."""
    bounds: Bounds
    after: Examined | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    """By ``FEV1`` and ``FVC``; one that is absent could not be judged."""
    post_only: bool = False
    """``before`` was itself blown after a bronchodilator."""
    sex: str | None = None
    age_years: float | None = None
    height_cm: float | None = None
    taken: str | None = None
    device: str | None = None
    person: str | None = None
    """Whose it is, as it is printed; None: a file names nobody, and it is written by hand."""
    btps_known: bool = True

    @property
    def may_say_normal(self) -> bool:
        """False where an FEV1 lies below its bound, or none can be compared."""
        percents = [session.fev1_percent for session in (self.before, self.after) if session is not None]
        return all(percent is not None and percent >= self.bounds.fev1_percent - 1e-9 for percent in percents)

"""Results of spirometry, as they travel. Volumes in litres, flows in L/s, BTPS; times in seconds."""

import math
from dataclasses import dataclass, field

from zhenbao.model.finding import Confidence, Finding


@dataclass(frozen=True, slots=True)
class BlowDefect:
    """Something wrong with a blow, or worth a hint."""

    name: str
    """A key of the ``blow_defect`` words."""
    at_s: float
    """Seconds from time zero; negative before it."""
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Blow:
    """One forced expiration (ATS/ERS 2019). None: not measurable on this curve (for instance FEV3 of a 2 s blow)."""

    fvc_l: float
    fev05_l: float | None
    fev075_l: float | None
    fev1_l: float | None
    fev3_l: float | None
    fev6_l: float | None
    pef_l_s: float
    fef25_l_s: float | None
    fef50_l_s: float | None
    fef75_l_s: float | None
    fef2575_l_s: float | None
    bev_l: float
    fet_s: float
    t0_s: float
    fivc_l: float | None
    rise_time_s: float | None
    defects: tuple[str, ...] = ()
    """Keys of the ``blow_defect`` words."""
    details: tuple[BlowDefect, ...] = ()
    """The same with when and how sure."""
    fev1_acceptable: bool = False
    fvc_acceptable: bool = False
    fev1_usable: bool = False
    fvc_usable: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """All blows of one test and what may be reported of them (ATS/ERS 2019, Table 10)."""

    fev1_grade: str
    """``A`` to ``F`` or ``U``."""
    fvc_grade: str
    fev1_l: float | None
    fvc_l: float | None
    fev1_fvc: float | None
    fev1_repeatability_l: float | None
    fvc_repeatability_l: float | None
    best_blow: int | None
    """Index of the blow with the largest FEV1 + FVC: the source of all other indices."""
    more_blows: int
    """How many more blows make sense now (at most 8 in all)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One predicted distribution (LMS); ``l`` ``m`` ``s`` are its parameters for this person."""

    l: float  # noqa: E741 - the LMS method's own name
    m: float
    s: float
    predicted: float
    lln: float
    uln: float

    def z(self, measured: float) -> float:
        """z-score of a measured value in the parameter's own unit (Cole & Green 1992)."""
        if abs(self.l) < 1e-12:
            return math.log(measured / self.m) / self.s
        return (math.pow(measured / self.m, self.l) - 1) / (self.l * self.s)

    def percent(self, measured: float) -> float:
        """Per cent of predicted."""
        return 100 * measured / self.predicted


@dataclass(frozen=True, slots=True)
class Interpretation:
    """Two systems side by side, each with the numbers that decided; keys are words."""

    ats2021_pattern: str
    ats2021_severity: str | None
    cn5_class: str
    """``normal obstructive restrictive mixed small-airway unclassified``; ``not-graded`` below grade C."""
    cn5_severity: str | None
    small_airway: str
    """``yes``, ``no`` or ``cannot-say``."""
    gold: str | None
    """Only after bronchodilator."""
    prism: bool = False
    decided_by: dict[str, float] = field(default_factory=dict)
    """For instance ``{"fev1fvc_percent_predicted": 71.3, "fev1fvc_z": -2.9}``."""


@dataclass(frozen=True, slots=True)
class SpirometryAnalysis:
    """A session, judged."""

    blows: tuple[Blow, ...]
    session: Session
    equation: str
    """The reference equation's name; printed on every report."""
    references: dict[str, Reference]
    interpretation: Interpretation | None
    findings: tuple[Finding, ...]
    limits: tuple[str, ...] = ()
    """Keys of the ``spirometry_limit`` words."""

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


NO_BLOW = "no-blow"
"""The defect of a curve in which nobody blew."""
EQUATIONS = ("gli2012", "gli2022", "jian2017")
"""Keys of the reference equations; their names are the ``equation`` words."""
FLOW_EQUATIONS = ("eccs1993",)
"""Keys of reference equations for flows at parts of the volume; their names are the ``equation`` words."""
GLI2012_GROUPS = ("Caucasian", "AfrAm", "NEAsia", "SEAsia", "Other")
"""The groups of GLI-2012; their names are the ``gli_group`` words."""


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
    equation: str = ""
    """Key of the equation it comes from; empty in records from before it was kept here."""
    group: str = ""
    """The equation's group, where it has groups."""

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
    """Two systems side by side, each with the numbers that decided; keys are words.

    The class has a code for the county's platform and words for people, and they are not the same: the five classes
    have no place for an FEV1 below 80 % of predicted beside a normal ratio and FVC. Whoever shows the class uses
    ``shown_class``, never ``cn5_class``.
    """

    ats2021_pattern: str
    ats2021_severity: str | None
    cn5_class: str
    """The platform's code, not for people: ``normal obstructive restrictive mixed small-airway``; ``cannot-say`` where
    missing flows could turn it; ``not-graded`` below grade C. (Older records: ``unclassified``.)"""
    cn5_severity: str | None
    small_airway: str
    """``yes``, ``no`` or ``cannot-say``."""
    gold: str | None
    """Only after bronchodilator."""
    prism: bool = False
    """Ratio at least 0.70 and FEV1 below 80 % of predicted."""
    decided_by: dict[str, float] = field(default_factory=dict)
    """For instance ``{"fev1fvc_percent_predicted": 71.3, "fev1fvc_z": -2.9}``."""
    equation: str = ""
    """Key of the reference equation behind the numbers; empty where none was used."""
    group: str = ""
    cn5_shown: str = ""
    """Key of the ``spirometry_class`` words; empty in older records, where the code was the key."""
    prism_z: bool = False
    """The same by z-scores: ratio at or above, FEV1 below the lower limit of normal."""
    dysanapsis: bool = False
    """Candidate by z-scores: low ratio with an FEV1 that is not low."""
    notes: tuple[str, ...] = ()
    """Keys of the ``spirometry_note`` words, for people."""

    @property
    def shown_class(self) -> str:
        """Key of the ``spirometry_class`` words."""
        return self.cn5_shown or self.cn5_class


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
    group: str = ""
    """The equation's group, where it has groups."""
    equation_chosen: bool | None = None
    """Whether the county chose the equation (and group), or the program took one; None: not recorded."""
    sex: str = ""
    """``M`` or ``F``, as the reference took it; empty where it was not known."""
    age_years: float | None = None
    height_cm: float | None = None
    post_bronchodilator: bool | None = None
    """None: not recorded."""

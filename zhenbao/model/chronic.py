"""Chronic patients: their registers, follow-ups and plans, and what the hub tells a kit of its own patients.

Field names: the follow-up forms of the national basic public-health service norm; "next nursing plan" as one consortium
added it. Days are calendar days in Beijing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from uuid import UUID

from zhenbao.model.finding import Urgency
from zhenbao.model.observation import TYPED, Device
from zhenbao.model.quantity import Quantity

Disease = Literal["htn", "dm", "copd", "chd", "stroke", "tumour"]
THREE_C: tuple[Disease, ...] = ("chd", "stroke", "tumour")
"""冠心病, 卒中, 肿瘤: three practitioners share one plan."""
Tier = Literal["village", "township", "county"]
Outcome = Literal["controlled", "uncontrolled", "adverse", "complication"]
"""此次随访分类: 1 控制满意, 2 控制不满意, 3 不良反应, 4 并发症."""
Part = Literal["specialist", "gp", "manager"]
"""三师: 专科医师, 全科医师, 健康管理师."""
PlanKind = Literal["village-visit", "nursing", "review"]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One follow-up as it was written. What the rule said stands beside what the person decided."""

    id: UUID
    patient_id: UUID
    disease: Disease
    tier: Tier
    form: str
    """Key of its form; ``form_version`` says which fields that had."""
    form_version: int
    at_ms: int
    answers: dict[str, str]
    """By field of the form; several codes are joined by a comma."""
    outcome: Outcome
    next_on: date
    refer: bool = False
    """To be referred up; then the village asks within two weeks what became of it."""
    rule_outcome: Outcome | None = None
    """None: the rule could not tell, a number was missing."""
    rule_next_on: date | None = None
    changed_because: str = ""
    """Why a person decided otherwise than the rule."""
    profile: str = ""
    """Whose target was applied (口径)."""
    by: str = ""
    """Who wrote it: a name at the hub, empty on a kit."""
    kit_id: str = ""
    encounter_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What is kept of a follow-up to know when the next one is due."""

    on: date
    tier: Tier
    outcome: Outcome
    next_on: date
    refer: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One of the three who share a plan."""

    part: Part
    name: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """One disease for which a patient is managed."""

    id: UUID
    disease: Disease
    since: date
    unit: str
    """Name of the organisation that manages the patient."""
    past: tuple[Past, ...] = ()
    """Of each tier the last two, oldest first."""
    team: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class RecentResult:
    """A result in a line: enough to decide whether the test must be repeated, and no waveform."""

    observation_id: UUID
    code: str
    effective_ms: int
    """By the clock of the kit that took it."""
    origin: str
    """Name of the organisation where it was taken."""
    device: Device
    values: dict[str, Quantity]
    urgency: Urgency
    quality: str
    """Of a spirometry the grade ``A`` to ``F`` or ``U``; of an ECG ``good`` or ``poor``; otherwise ``unrated``."""
    complete: bool = True
    reviewed: bool = False
    """A specialist signed a report on it."""
    clock_doubtful: bool = False
    """The clock behind ``effective_ms`` was wrong when it was sent: its age is not certain."""
    context: dict[str, str] = field(default_factory=dict)
    """What the value means nothing without: ``meal`` of a glucose, ``arm`` of a blood pressure."""

    @property
    def typed(self) -> bool:
        """Whether a person typed it from a display."""
        return self.device.driver == TYPED


@dataclass(frozen=True, slots=True)
class CareBrief:
    """The hub tells a kit what it should know of one patient that this kit has registered; the newest counts."""

    patient_id: UUID
    """As the kit itself named the patient."""
    told_ms: int
    registers: tuple[Register, ...] = ()
    recent: tuple[RecentResult, ...] = ()
    """Taken elsewhere: the kit knows its own."""


@dataclass(frozen=True, slots=True)
class PlanDate:
    """A day on which somebody visits or is visited."""

    kind: PlanKind
    on: date


@dataclass(frozen=True, slots=True)
class DischargePlan:
    """The patient comes home: what was done, what the village does next, and when. Never changed once it was sent."""

    id: UUID
    patient_id: UUID
    """As the kit that gets it named the patient."""
    made_ms: int
    unit: str
    by: str
    phone: str
    diagnosis: str
    next_plan: str
    """下一步治疗方案及康复建议."""
    nursing_plan: str
    """下一步护理计划."""
    medication: str = ""
    warning_signs: str = ""
    dates: tuple[PlanDate, ...] = ()

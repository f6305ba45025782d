"""Two-way referral: up to a hospital, and back to the village with a plan.

Field names: the referral forms of the national norm (存根, 转出, 回转); "next nursing plan" as one consortium added it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from zhenbao.model.finding import Urgency

ReferralState = Literal[
    "draft",
    "sent",
    "accepted",
    "refused",
    "arrived",
    "treating",
    "returned",
    "village-received",
    "followed-up",
    "withdrawn",
]
"""草稿 已发出 已接收 拒收 已到诊 诊疗中 已回转 村医已接收 首次随访完成 撤销."""


@dataclass(frozen=True, slots=True)
class UpForm:
    """What goes with a patient who is referred up."""

    department: str
    impression: str
    """初步印象: never called a diagnosis."""
    reason: str
    """主要现病史（转出原因）."""
    past_history: str = ""
    allergies: str = ""
    treatment: str = ""
    """治疗经过."""
    transport: str = ""
    consent: bool = False
    physician: str = ""
    physician_phone: str = ""


@dataclass(frozen=True, slots=True)
class DownForm:
    """What comes back with the patient."""

    diagnosis: str
    next_plan: str
    """下一步治疗方案及康复建议."""
    nursing_plan: str
    """下一步护理计划."""
    treatment: str = ""
    inpatient_number: str = ""
    main_results: str = ""
    medication: str = ""
    review_schedule: str = ""
    warning_signs: str = ""
    physician: str = ""
    physician_phone: str = ""


@dataclass(frozen=True, slots=True)
class Referral:
    """One referral as it stands. ``number`` is what people say on the telephone (存根号)."""

    id: UUID
    number: str
    patient_id: UUID
    encounter_id: UUID | None
    from_org: str
    to_org: str
    urgency: Urgency
    state: ReferralState
    state_ms: int
    up: UpForm
    down: DownForm | None = None

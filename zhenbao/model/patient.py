"""Who is examined, when, and by whom."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from zhenbao.model.identity import Sex


@dataclass(frozen=True, slots=True)
class Patient:
    """A resident, or a person without a number (``resident_number`` None: a temporary identity, merged later)."""

    id: UUID
    name: str
    sex: Sex
    birth_date: date | None
    resident_number: str | None = None
    height_cm: float | None = None
    phone: str | None = None
    known_diabetes: str = "unknown"
    """``yes``, ``no`` or ``unknown``: decides which glucose rules apply."""

    @property
    def temporary(self) -> bool:
        return self.resident_number is None

    @property
    def tail(self) -> str | None:
        """Last four characters of the number, for the wrong-patient guard."""
        return self.resident_number[-4:] if self.resident_number else None


@dataclass(frozen=True, slots=True)
class Encounter:
    """One visit: the readings taken of one patient on one occasion."""

    id: UUID
    patient_id: UUID
    kit_id: str
    started_ms: int
    reason: str = ""
    chest_pain: str = "unknown"
    """``yes``, ``no`` or ``unknown``."""

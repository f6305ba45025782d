"""A recording taken while nobody had unlocked the tablet."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording


@dataclass(frozen=True, slots=True)
class Emergency:
    """One reading of a person whom nobody has registered yet, whole in itself: it is sealed before any store is open.

    ``patient`` is a temporary identity (no resident number); its record is merged when somebody knows who it was.
    """

    id: UUID
    """Of its reading."""
    patient: Patient
    encounter: Encounter
    observation: Observation
    recordings: tuple[Recording, ...] = ()

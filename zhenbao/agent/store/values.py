"""What the store answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from zhenbao.model.attachment import MediaType
from zhenbao.model.report import Report
from zhenbao.sync.envelope import Lane


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What is not yet at the hub, in one look. Times are the kit's, Unix ms."""

    waiting: dict[Lane, int]
    """Items without a receipt, by lane; every lane is there."""
    critical: int
    quarantined: int
    """Refused, by either side: somebody must look."""
    oldest_ms: int | None
    """When the oldest waiting item was saved."""
    last_receipt_ms: int | None
    """When the hub last confirmed something."""

    @property
    def total(self) -> int:
        return sum(self.waiting.values())


@dataclass(frozen=True, slots=True)
class Account:
    """Every item that was ever posted here, for reconciling with the hub."""

    posted: int
    delivered: int
    """Of these, the hub holds and has receipted."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something that one side will never take; it blocks nothing and is not forgotten."""

    envelope_id: UUID
    direction: Literal["out", "in"]
    kind: str
    subject_id: UUID
    at_ms: int
    reason: str
    """A code: ``envelope-body``, ``other-body``, ``body-damaged``..."""


@dataclass(frozen=True, slots=True)
class InboxReport:
    """A report that came back, and whether the village doctor has opened it."""

    report: Report
    arrived_ms: int
    read_ms: int | None


@dataclass(frozen=True, slots=True)
class Capture:
    """A measurement under way, or one that was cut off: what had been recorded is there."""

    id: UUID
    encounter_id: UUID
    code: str
    started_ms: int
    detail: dict[str, Any]
    n_parts: int


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An attachment as the visit lists it, without its content."""

    id: UUID
    observation_id: UUID
    media_type: MediaType
    title: str
    made_ms: int
    sha256: bytes
    size_bytes: int
    pruned_ms: int | None
    """When its content was cleared here, after the hub had it; None: it is here."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A waveform or a file that the hub has and this kit has let go."""

    id: UUID
    kind: str
    """``recording`` or ``attachment``."""
    observation_id: UUID
    sha256: bytes
    """Of the packed body, as the hub receipted it."""
    size_bytes: int
    received_ms: int
    """By the hub's clock."""
    pruned_ms: int
    """By the kit's clock."""

"""What comes back from the hub, and what the kit tells in return."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class DeliveryState(StrEnum):
    """The four states a village doctor sees; one never stands for another."""

    SAVED = "saved"
    """已存本机"""
    RECEIVED = "received"
    """枢纽已接收: the hub committed and said so."""
    VIEWED = "viewed"
    """医师已查看: a specialist opened the case."""
    REPORTED = "reported"
    """报告已回传: a signed report is in the kit's inbox."""


@dataclass(frozen=True, slots=True)
class SignedRecording:
    """A recording that a report rests on, named by its content."""

    recording_id: UUID
    sha256: str
    """Of the recording's body as it travelled, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Report:
    """A specialist's signed report on one case; never changed after signing."""

    id: UUID
    encounter_id: UUID
    patient_id: UUID
    observation_ids: tuple[UUID, ...]
    practitioner: str
    specialty: str
    conclusion: str
    advice: str
    """One line: 怎么办."""
    urgency: str
    signed_ms: int
    signature: str
    """SHA-256 over the report's content, kept with the hub's audit trail."""
    recordings: tuple[SignedRecording, ...] = ()
    """What lay before the specialist: the kit refuses a report whose recordings are not its own."""


@dataclass(frozen=True, slots=True)
class Viewed:
    """The hub tells: a specialist opened these readings."""

    observation_ids: tuple[UUID, ...]
    practitioner: str
    viewed_ms: int


@dataclass(frozen=True, slots=True)
class ReportRead:
    """The kit tells: the village doctor opened the report."""

    report_id: UUID
    read_ms: int


@dataclass(frozen=True, slots=True)
class ReturnedReport:
    """The kit gives back a signed report that a hub restored from a backup may have lost."""

    report: Report
    arrived_ms: int
    """When it had come to the kit, by the kit's time."""
    read_ms: int | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other side committed this envelope. Only this lets a sender stop."""

    envelope_id: UUID
    body_sha256: bytes
    store_epoch: str
    received_ms: int
    duplicate: bool = False
    refused: str = ""
    """Not empty: the other side will never take this envelope, and why. The sender sets it aside, visibly."""

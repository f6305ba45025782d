"""A reading of one patient: what travels from the kit to the hub."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from zhenbao.model.bp_series import Bp24Recording
from zhenbao.model.ecg import EcgAnalysis
from zhenbao.model.finding import Finding, Urgency, most_urgent
from zhenbao.model.quantity import Quantity
from zhenbao.model.spirometry import SpirometryAnalysis

Status = Literal["preliminary", "incomplete", "quarantined"]


TYPED = "typed"
"""The ``driver`` of values that a person typed."""


@dataclass(frozen=True, slots=True)
class Device:
    """Which device took it."""

    driver: str
    """Entry-point name of the driver, or ``typed`` for a value typed by hand."""
    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One examination with its values and findings; always preliminary until a specialist reports.

    Three clocks stay apart: ``effective_ms`` is the kit's belief, ``device_time`` the device's own,
    and the hub adds its own time of receipt.
    """

    id: UUID
    patient_id: UUID
    encounter_id: UUID
    kit_id: str
    code: str
    """``bp bp24 glucose spo2 ecg spirometry temperature weight ultrasound``: a key of the code table."""
    status: Status
    effective_ms: int
    device: Device
    values: dict[str, Quantity]
    """By key of the code table: ``bp_systolic``, ``glucose``, ``heart_rate``, ``fev1``..."""
    readings: tuple[dict[str, Quantity], ...] = ()
    """Each raw reading behind a mean."""
    context: dict[str, str] = field(default_factory=dict)
    """How it was taken: ``arm``, ``meal``, ``known_diabetes``, ``chest_pain``..."""
    findings: tuple[Finding, ...] = ()
    device_time: str | None = None
    device_offset_s: float | None = None
    """Device clock minus kit clock, as measured when the reading was fetched."""
    device_key: str | None = None
    """What names this result on its device for ever, so that it is charted once."""
    ecg: EcgAnalysis | None = None
    spirometry: SpirometryAnalysis | None = None
    recordings: tuple[UUID, ...] = ()
    attachments: tuple[UUID, ...] = ()
    """Files that belong to it; they travel behind it."""
    notes: tuple[str, ...] = ()
    """Keys of the ``note`` words: what happened to this reading on its way."""
    bp24: Bp24Recording | None = None

    @property
    def typed(self) -> bool:
        """Whether a person typed the values from a display, instead of a device sending them."""
        return self.device.driver == TYPED

    @property
    def urgency(self) -> Urgency:
        return most_urgent(self.findings)

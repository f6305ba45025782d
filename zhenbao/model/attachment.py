"""A file that belongs to a visit: ultrasound pictures and clips, a document."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class MediaType(StrEnum):
    """What a file is, by its bytes; RFC 2046, RFC 3240 (DICOM)."""

    DICOM = "application/dicom"
    JPEG = "image/jpeg"
    PNG = "image/png"
    PDF = "application/pdf"


class Named(StrEnum):
    """What the file itself says of whose it is, beside the patient of the visit."""

    AGREES = "agrees"
    NOBODY = "nobody"
    """It names nobody, or in a way that cannot be compared (letters where the record has characters)."""
    DIFFERS = "differs"
    """It names somebody else, and the village doctor has confirmed that it is this patient's all the same."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file, byte for byte as it came from the device."""

    id: UUID
    encounter_id: UUID
    patient_id: UUID
    observation_id: UUID
    """The examination it belongs to: its state, its report."""
    media_type: MediaType
    title: str
    """What it shows, in a few words; never the file's name, which may name the patient."""
    made_ms: int
    """When it was taken over, by the kit's time (Unix ms)."""
    sha256: bytes
    """Of ``content``."""
    content: bytes
    named: Named = Named.NOBODY
    frames: int = 1
    """Pictures in it: more than one is a clip."""
    device_time: str | None = None
    """When the device says it was taken: ``2026-11-22T10:30:00``, its own local time."""

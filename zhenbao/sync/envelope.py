"""An envelope: one thing to deliver, from its posting in one store to its receipt from the other.

How envelopes travel is the business of ``messages`` and ``packet``; how values lie in them, of ``bodies``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from uuid import UUID

from zhenbao.model.attachment import Attachment
from zhenbao.model.chest_pain import CaseTime, ChannelNews
from zhenbao.model.chronic import CareBrief, DischargePlan, FollowUp
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import Rejected
from zhenbao.model.fleet import KitStatus
from zhenbao.model.hub_terms import HubTerms
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import Report, ReportRead, ReturnedReport, Viewed
from zhenbao.sync.bodies import pack_value, unpack_value

KIND_CHARACTERS = 32

Body = (
    Patient
    | Encounter
    | Observation
    | Recording
    | Report
    | Viewed
    | ReportRead
    | Emergency
    | Attachment
    | ReturnedReport
    | HubTerms
    | CaseTime
    | ChannelNews
    | FollowUp
    | CareBrief
    | DischargePlan
    | KitStatus
)
KINDS: dict[str, type[Body]] = {
    "patient": Patient,
    "encounter": Encounter,
    "observation": Observation,
    "recording": Recording,
    "report": Report,
    "viewed": Viewed,
    "report-read": ReportRead,
    "emergency": Emergency,
    "attachment": Attachment,
    "returned-report": ReturnedReport,
    "hub-terms": HubTerms,
    "case-time": CaseTime,
    "channel-news": ChannelNews,
    "follow-up": FollowUp,
    "care-brief": CareBrief,
    "discharge-plan": DischargePlan,
    "kit-status": KitStatus,
}
"""Append only: on the wire a kind is its place here, counted from 1. One that is not here travels under its name."""


class Lane(IntEnum):
    """What goes first. A lower lane waits while a higher one has anything to send."""

    CRITICAL = 0
    RESULTS = 1
    REPORTS = 2
    WAVEFORMS = 3
    BULK = 4


@dataclass(frozen=True)
class Envelope:
    """One thing to deliver. Ordered by (sender, boot, sequence), never by wall clock."""

    id: UUID
    sender: str
    recipient: str
    boot: str
    sequence: int
    kind: str
    lane: Lane
    subject_id: UUID
    """The value's own id: delivery states are kept by it."""
    created_ms: int
    body: bytes
    clock_ahead_ms: int = field(default=0, compare=False)
    """Of what was received: by how much the sender's clock was ahead of ours when it sent this, as far as is known.
    Not part of it: another sending may say otherwise."""

    @cached_property
    def body_sha256(self) -> bytes:
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An envelope that waits, without its body: what is needed to decide whose turn it is."""

    id: UUID
    recipient: str
    boot: str
    sequence: int
    kind: str
    lane: Lane
    subject_id: UUID
    created_ms: int
    size_bytes: int
    """Of the body."""
    body_sha256: bytes


def envelope_id(sender: str, boot: str, sequence: int) -> UUID:
    """The id of what a sender posts as its ``sequence``-th in a boot (UUIDv8, RFC 9562 section 5.8).

    The other side computes it as well, so that it need not travel.
    """
    digest = hashlib.sha256(f"zhenbao envelope\0{sender}\0{boot}\0{sequence}".encode()).digest()
    number = int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0b11 << 62)
    return UUID(int=number | 0x8 << 76 | 0b10 << 62)


def kind_of(value: Body) -> str:
    """The envelope kind of a value."""
    return next(kind for kind, type_ in KINDS.items() if type(value) is type_)


def pack(value: Body) -> bytes:
    """A value as an envelope's body."""
    return pack_value(value)


def unpack(kind: str, body: bytes) -> Body:
    """The value in a body, strictly checked.

    Raises:
        Rejected: code ``envelope-kind`` or ``envelope-body``.
    """
    type_ = KINDS.get(kind)
    if type_ is None:
        raise Rejected("envelope-kind", kind=kind[:KIND_CHARACTERS])
    value: Body = unpack_value(body, type_)
    return value

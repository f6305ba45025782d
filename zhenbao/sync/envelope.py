"""Envelopes and receipts as bytes on the wire (CBOR, RFC 8949).

A message is a CBOR array ``[version, type, map]`` with integer keys in the map. Unknown keys are ignored, so
that old kits survive a newer hub. Bodies are CBOR of the model's values.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any
from uuid import UUID

import cbor2
import msgspec

from zhenbao.model.errors import Rejected
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt, Report, ReportRead, Viewed

VERSION = 1
_ENVELOPE, _RECEIPT = 1, 2

Body = Patient | Encounter | Observation | Recording | Report | Viewed | ReportRead
KINDS: dict[str, type[Body]] = {
    "patient": Patient,
    "encounter": Encounter,
    "observation": Observation,
    "recording": Recording,
    "report": Report,
    "viewed": Viewed,
    "report-read": ReportRead,
}


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

    @cached_property
    def body_sha256(self) -> bytes:
        return hashlib.sha256(self.body).digest()


def kind_of(value: Body) -> str:
    """The envelope kind of a value."""
    return next(kind for kind, type_ in KINDS.items() if type(value) is type_)


def pack(value: Body) -> bytes:
    """A value as an envelope's body."""
    return cbor2.dumps(msgspec.to_builtins(value, builtin_types=(bytes,)))


def unpack(kind: str, body: bytes) -> Body:
    """The value in a body, strictly checked.

    Raises:
        Rejected: code ``envelope-kind`` or ``envelope-body``.
    """
    type_ = KINDS.get(kind)
    if type_ is None:
        raise Rejected("envelope-kind", kind=kind[:32])
    try:
        return msgspec.convert(_loads(body), type_, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Rejected("envelope-body", reason=str(error)[:200]) from error


def encode(message: Envelope | Receipt) -> bytes:
    """A message for the wire."""
    if isinstance(message, Receipt):
        return cbor2.dumps([
            VERSION,
            _RECEIPT,
            {
                1: message.envelope_id.bytes,
                2: message.body_sha256,
                3: message.store_epoch,
                4: message.received_ms,
                5: message.duplicate,
                6: message.refused,
            },
        ])
    return cbor2.dumps([
        VERSION,
        _ENVELOPE,
        {
            1: message.id.bytes,
            2: message.sender,
            3: message.recipient,
            4: message.boot,
            5: message.sequence,
            6: message.kind,
            7: int(message.lane),
            8: message.subject_id.bytes,
            9: message.created_ms,
            10: message.body,
            11: message.body_sha256,
        },
    ])


def decode(data: bytes) -> Envelope | Receipt:
    """A message from the wire.

    Raises:
        Rejected: code ``message``; these bytes are no message of ours, or were damaged on the way.
    """
    match _loads(data):
        case [1, 1, {1: bytes(id_), 2: str(sender), 3: str(recipient), 4: str(boot), 5: int(sequence), 6: str(kind),
                     7: int(lane), 8: bytes(subject), 9: int(created_ms), 10: bytes(body), 11: bytes(sha256)}] if (
            len(id_) == len(subject) == 16 and lane in list(Lane) and sequence >= 0
        ):  # fmt: skip
            envelope = Envelope(
                UUID(bytes=id_), sender, recipient, boot, sequence, kind, Lane(lane), UUID(bytes=subject), created_ms, body
            )
            if envelope.body_sha256 != sha256:
                raise Rejected("message", reason="the body does not match its hash")
            return envelope
        case [1, 2, {1: bytes(id_), 2: bytes(sha256), 3: str(epoch), 4: int(received_ms), 5: bool(duplicate), 6: str(refused)}] if (
            len(id_) == 16
        ):
            return Receipt(UUID(bytes=id_), sha256, epoch, received_ms, duplicate, refused)
        case _:
            raise Rejected("message", reason="not a message of this protocol")


def _loads(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise Rejected("message", reason=f"not CBOR: {type(error).__name__}") from error

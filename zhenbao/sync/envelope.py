"""Envelopes and receipts as bytes on the wire (CBOR, RFC 8949).

A message is a CBOR sequence (RFC 8742) of two: an array ``[version, type, map]`` with integer keys in the map, and
the CRC-32 of that array's bytes as a 32-bit unsigned integer, so that a bit that flips in a name or a lane is as
harmless as one in the body. Unknown keys are ignored, so that old kits survive a newer hub. Bodies are CBOR of the
model's values.
"""

import hashlib
import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any
from uuid import UUID

import cbor2
import msgspec

from zhenbao.model.attachment import Attachment
from zhenbao.model.errors import Rejected
from zhenbao.model.hub_terms import HubTerms
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt, Report, ReportRead, ReturnedReport, Viewed

VERSION = 1
_ENVELOPE, _RECEIPT, _HELLO = 1, 2, 3
_UINT32 = b"\x1a"
"""Initial byte of a CBOR unsigned integer of four bytes (RFC 8949, appendix B)."""
_MAX_INT = (1 << 63) - 1
"""Every store here keeps 64-bit integers; what does not fit is no number of ours."""
_NAME_CHARACTERS, _KIND_CHARACTERS, _REASON_CHARACTERS = 80, 32, 500

Body = (
    Patient
    | Encounter
    | Observation
    | Recording
    | Attachment
    | Report
    | Viewed
    | ReportRead
    | ReturnedReport
    | HubTerms
)
KINDS: dict[str, type[Body]] = {
    "patient": Patient,
    "encounter": Encounter,
    "observation": Observation,
    "recording": Recording,
    "attachment": Attachment,
    "report": Report,
    "viewed": Viewed,
    "report-read": ReportRead,
    "returned-report": ReturnedReport,
    "hub-terms": HubTerms,
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


@dataclass(frozen=True)
class Hello:
    """I am on the line: what waits for me can be tried now. It carries nothing and needs no receipt."""

    sender: str


Message = Envelope | Receipt | Hello


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
        raise Rejected("envelope-kind", kind=kind[:_KIND_CHARACTERS])
    try:
        plain = _loads(body)
        _check_storable(plain)
        return msgspec.convert(plain, type_, builtin_types=(bytes,))
    except Rejected as error:
        raise Rejected("envelope-body", reason=error.facts.get("reason", error.code)) from error
    except (msgspec.ValidationError, RecursionError) as error:
        # msgspec names the place and the type that was expected; a wrong enum or date it would quote.
        raise Rejected(
            "envelope-body", reason=str(error).partition(" - at ")[2][:200] or type(error).__name__
        ) from error


def _check_storable(value: Any) -> None:
    """Refuse what no database here can keep: integers beyond 64 bits, NUL in text."""
    match value:
        case int() if abs(value) > _MAX_INT:
            raise Rejected("envelope-body", reason="integer beyond 64 bits")
        case str() if "\0" in value:
            raise Rejected("envelope-body", reason="NUL in text")
        case dict():
            for key, inner in value.items():
                _check_storable(key)
                _check_storable(inner)
        case list() | tuple():
            for inner in value:
                _check_storable(inner)
        case _:
            pass


def encode(message: Message) -> bytes:
    """A message for the wire."""
    match message:
        case Envelope():
            type_, fields = _ENVELOPE, {
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
            }  # fmt: skip
        case Receipt():
            type_, fields = _RECEIPT, {
                1: message.envelope_id.bytes,
                2: message.body_sha256,
                3: message.store_epoch,
                4: message.received_ms,
                5: message.duplicate,
                6: message.refused,
            }  # fmt: skip
        case Hello():
            type_, fields = _HELLO, {1: message.sender}
    array = cbor2.dumps([VERSION, type_, fields])
    return array + _UINT32 + zlib.crc32(array).to_bytes(4, "big")


def decode(data: bytes) -> Message:
    """A message from the wire.

    Raises:
        Rejected: code ``message``; these bytes are no message of ours, or were damaged on the way.
    """
    array, head, crc = data[:-5], data[-5:-4], data[-4:]
    if head != _UINT32 or zlib.crc32(array) != int.from_bytes(crc, "big"):
        raise Rejected("message", reason="the checksum does not match")
    match _loads(array):
        case [1, 1, {1: bytes(id_), 2: str(sender), 3: str(recipient), 4: str(boot), 5: int(sequence), 6: str(kind),
                     7: int(lane), 8: bytes(subject), 9: int(created_ms), 10: bytes(body), 11: bytes(sha256)}] if (
            len(id_) == len(subject) == 16
            and lane in list(Lane)
            and _is_count(sequence)
            and _is_count(created_ms)
            and all(_is_name(name, _NAME_CHARACTERS) for name in (sender, recipient, boot))
            and _is_name(kind, _KIND_CHARACTERS)
        ):  # fmt: skip
            envelope = Envelope(
                UUID(bytes=id_),
                sender,
                recipient,
                boot,
                sequence,
                kind,
                Lane(lane),
                UUID(bytes=subject),
                created_ms,
                body,
            )
            if envelope.body_sha256 != sha256:
                raise Rejected("message", reason="the body does not match its hash")
            return envelope
        case [1, 2, {1: bytes(id_), 2: bytes(sha256), 3: str(epoch), 4: int(received_ms), 5: bool(duplicate),
                     6: str(refused)}] if (
            len(id_) == 16
            and _is_count(received_ms)
            and _is_name(epoch, _NAME_CHARACTERS)
            and (not refused or _is_name(refused, _REASON_CHARACTERS))
        ):  # fmt: skip
            return Receipt(UUID(bytes=id_), sha256, epoch, received_ms, duplicate, refused)
        case [1, 3, {1: str(sender)}] if _is_name(sender, _NAME_CHARACTERS):
            return Hello(sender)
        case _:
            raise Rejected("message", reason="not a message of this protocol")


def _is_count(number: int) -> bool:
    return 0 <= number <= _MAX_INT


def _is_name(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable()


def _loads(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except (
        cbor2.CBORDecodeError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # cbor2 builds dates, fractions, patterns and addresses while it reads, and lets some of their errors through.
        raise Rejected("message", reason=f"not CBOR: {type(error).__name__}") from error

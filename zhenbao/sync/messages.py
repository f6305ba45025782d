"""What is inside a packet: a CBOR array of messages, each an array whose first item says what it is.

Unknown messages are skipped, so that an older side survives a newer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zhenbao.model.errors import Rejected
from zhenbao.model.report import Receipt
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.columns import COLUMNS, Joiner, split
from zhenbao.sync.cose import KEY_ID, read_sign1, sign1
from zhenbao.sync.envelope import KIND_CHARACTERS, KINDS, Envelope, Lane, envelope_id
from zhenbao.sync.packet import is_name

if TYPE_CHECKING:
    from zhenbao.sync.keys import KeyPair, PublicKeys

MOST_ITEMS = 50
"""In one packet."""
TRANSFER_BYTES = 8
LATEST_MS = 1 << 47
"""No clock shows more: the year 6429."""
_ITEMS, _RECEIPTS, _REFUSAL, _HAVE, _ASK, _CARD, _CARD_KNOWN, _HELLO, _CLOCK = 1, 2, 3, 4, 5, 6, 7, 8, 9
_KINDS, _LANES = list(KINDS), frozenset(Lane)
_EXTERNAL = b"zhenbao receipts 2"
_MAX_INT = (1 << 63) - 1
_REASON_CHARACTERS, _BOOT_CHARACTERS = 500, 80
_MOST_PARTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Receipts:
    """Receipts with what proves them: a COSE_Sign1 of its own, which stands without the packet that brought it."""

    receipts: tuple[Receipt, ...]
    proof: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A packet or a transfer was not taken, and why. ``packet-version`` means kept for later."""

    boot: bytes
    sequence: int
    code: str
    transfer: bytes = b""
    """Empty: the packet was whole."""


@dataclass(frozen=True, slots=True)
class Have:
    """Which parts of a transfer lie on this side's disk."""

    transfer: bytes
    count: int
    """How many parts there are; 0: nothing is known of this transfer."""
    parts: frozenset[int]


@dataclass(frozen=True, slots=True)
class Ask:
    """What have you of this transfer?"""

    transfer: bytes


@dataclass(frozen=True, slots=True)
class CardShown:
    """My keys, with a new generation."""

    card: bytes


@dataclass(frozen=True, slots=True)
class CardKnown:
    """I have pinned your generation of this key."""

    sign_id: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """I am on the line: what waits for me can be tried now. It needs no receipt."""


@dataclass(frozen=True, slots=True)
class ClockShown:
    """What the sender's clock showed when it made the packet."""

    now_ms: int


Message = Envelope | Receipts | Refusal | Have | Ask | CardShown | CardKnown | Hello | ClockShown


def encode(messages: Sequence[Message]) -> bytes:
    """Messages as the plain content of a packet."""
    envelopes = [message for message in messages if isinstance(message, Envelope)]
    listed = [
        _items(boot, list(group))
        for boot, group in groupby(sorted(envelopes, key=lambda e: e.boot), key=lambda e: e.boot)
    ]
    for message in messages:
        match message:
            case Receipts():
                listed.append([_RECEIPTS, message.proof])
            case Refusal():
                listed.append([_REFUSAL, message.boot, message.sequence, message.code, message.transfer])
            case Have():
                listed.append([_HAVE, message.transfer, message.count, _bits(message.parts, message.count)])
            case Ask():
                listed.append([_ASK, message.transfer])
            case CardShown():
                listed.append([_CARD, message.card])
            case CardKnown():
                listed.append([_CARD_KNOWN, message.sign_id])
            case Hello():
                listed.append([_HELLO])
            case ClockShown():
                listed.append([_CLOCK, message.now_ms])
            case Envelope():
                pass
    return dumps(listed)


def decode(plain: bytes, sender: str, recipient: str, key: PublicKeys | None) -> list[Message]:
    """The messages in a packet's plain content.

    Args:
        sender: from the packet's verified header.
        recipient: likewise.
        key: with which the sender signed; receipts are signed with it as well. None: an emergency's, without receipts.

    Raises:
        Rejected: ``packet-body``.
    """
    try:
        listed = loads(plain)
        if not isinstance(listed, list):
            raise Rejected("packet-body")
        messages: list[Message] = []
        for each in listed:
            messages += _message(each, sender, recipient, key)
    except Rejected as error:
        raise Rejected("packet-body", reason=error.facts.get("reason", error.code)) from error
    if sum(isinstance(message, Envelope) for message in messages) > MOST_ITEMS:
        raise Rejected("packet-body", reason="too many items")
    return messages


def signed_receipts(receipts: Sequence[Receipt], recipient: str, pair: KeyPair) -> Receipts:
    """Receipts with their proof."""
    listed = dumps([recipient, _listed(receipts)])
    proof = sign1({KEY_ID: pair.public.sign_id}, listed, pair.sign_key, _EXTERNAL)
    return Receipts(tuple(receipts), proof)


def read_receipts(proof: bytes, public: bytes) -> tuple[str, tuple[Receipt, ...]]:
    """To whom a proof was given, and what it says; the signature is checked.

    Args:
        public: Ed25519 key of whoever gave it.

    Raises:
        Rejected: ``packet-signature``, ``packet-suite`` or ``message``.
    """
    signed = read_sign1(proof)
    signed.verify(public, _EXTERNAL)
    match loads(signed.payload):
        case [str(recipient), [*listed]]:
            return recipient, tuple(map(_receipt, listed))
        case _:
            raise Rejected("message", reason="no receipts")


def receipts_to_bytes(receipts: Sequence[Receipt]) -> bytes:
    """Receipts for this side's own disk."""
    return dumps(_listed(receipts))


def receipts_from_bytes(data: bytes) -> tuple[Receipt, ...]:
    """What ``receipts_to_bytes`` wrote.

    Raises:
        Rejected: ``message``.
    """
    return tuple(map(_receipt, loads(data)))


def _listed(receipts: Sequence[Receipt]) -> list[Any]:
    return [
        [r.envelope_id.bytes, r.body_sha256, r.store_epoch, r.received_ms, r.duplicate, r.refused] for r in receipts
    ]


def _message(each: Any, sender: str, recipient: str, key: PublicKeys | None) -> list[Message]:
    match each:
        case [1, *items]:
            return list(_envelopes(items, sender, recipient))
        case [2, bytes(proof)] if key is not None:
            named, receipts = read_receipts(proof, key.sign)
            if named != recipient:
                raise Rejected("message", reason="receipts of another")
            return [Receipts(receipts, proof)]
        case [3, bytes(boot), int(sequence), str(code), bytes(transfer)] if is_name(code, _REASON_CHARACTERS):
            return [Refusal(boot, sequence, code, transfer)]
        case [4, bytes(transfer), int(count), bytes(bits)] if (
            len(transfer) == TRANSFER_BYTES and 0 <= count <= _MOST_PARTS and len(bits) == (count + 7) // 8
        ):
            return [Have(transfer, count, frozenset(n for n in range(count) if bits[n >> 3] >> (n & 7) & 1))]
        case [5, bytes(transfer)] if len(transfer) == TRANSFER_BYTES:
            return [Ask(transfer)]
        case [6, bytes(card)]:
            return [CardShown(card)]
        case [7, bytes(sign_id)]:
            return [CardKnown(sign_id)]
        case [8]:
            return [Hello()]
        case [9, int(now_ms)] if 0 <= now_ms < LATEST_MS:
            return [ClockShown(now_ms)]
        case [int(unknown), *_] if unknown > _CLOCK:
            return []
        case _:
            raise Rejected("message", reason="no message of this protocol")


def _receipt(listed: Any) -> Receipt:
    match listed:
        case [bytes(id_), bytes(sha256), str(epoch), int(received_ms), bool(duplicate), str(refused)] if (
            len(id_) == 16
            and len(sha256) == 32
            and 0 <= received_ms <= _MAX_INT
            and is_name(epoch)
            and (not refused or is_name(refused, _REASON_CHARACTERS))
        ):
            return Receipt(UUID(bytes=id_), sha256, epoch, received_ms, duplicate, refused)
        case _:
            raise Rejected("message", reason="no receipt")


def _bits(parts: frozenset[int], count: int) -> bytes:
    bits = bytearray((count + 7) // 8)
    for n in parts:
        bits[n >> 3] |= 1 << (n & 7)
    return bytes(bits)


# Items lie in columns, as neighbours are alike, and what the other side can compute or has just read is not sent:
# [1, boot, base ms, sequences (less the one before), kinds, lanes, times of posting (less the time in the subject's
#  id), bodies (what ``columns.split`` leaves; a list of one that could not be split), {place: [subject, id]}, columns].


def _items(boot: str, envelopes: Sequence[Envelope]) -> list[Any]:
    base_ms = envelopes[0].created_ms
    steps, sequence = [], 0
    named: dict[int, list[bytes]] = {}
    for place, envelope in enumerate(envelopes):
        steps.append(envelope.sequence - sequence)
        sequence = envelope.sequence
        subject = b"" if subject_in(envelope.body) == envelope.subject_id else envelope.subject_id.bytes
        id_ = b"" if envelope.id == envelope_id(envelope.sender, boot, sequence) else envelope.id.bytes
        if subject or id_:
            named[place] = [subject, id_]
    left, columns = split(envelope.body for envelope in envelopes)
    return [
        _ITEMS,
        boot,
        base_ms,
        steps,
        [_KINDS.index(e.kind) + 1 if e.kind in KINDS else e.kind for e in envelopes],
        [int(e.lane) for e in envelopes],
        [e.created_ms - _begun_ms(e.subject_id, base_ms) for e in envelopes],
        [[e.body] if rest is None else rest for e, rest in zip(envelopes, left, strict=True)],
        named,
        columns,
    ]


def _envelopes(listed: Sequence[Any], sender: str, recipient: str) -> list[Envelope]:
    match listed:
        case [str(boot), int(base_ms), list(steps), list(kinds), list(lanes), list(times), list(bodies),
              Mapping() as named, [*columns]] if (
            len(columns) == COLUMNS
            and is_name(boot, _BOOT_CHARACTERS)
            and all(isinstance(column, bytes) for column in columns)
            and len(steps) == len(kinds) == len(lanes) == len(times) == len(bodies) <= MOST_ITEMS
        ):  # fmt: skip
            pass
        case _:
            raise Rejected("message", reason="no items")
    joiner, sequence, envelopes = Joiner(columns), 0, []
    for place, (step, kind, lane, ms, rest) in enumerate(zip(steps, kinds, lanes, times, bodies, strict=True)):
        match step, kind, lane, ms, rest, named.get(place, (b"", b"")):
            case (int(), int() | str(), int(), int(), bytes() | [bytes()], (bytes(subject), bytes(id_))) if (
                lane in _LANES and len(subject) in (0, 16) and len(id_) in (0, 16)
            ):
                pass
            case _:
                raise Rejected("message", reason="no item")
        body = joiner.body(rest) if isinstance(rest, bytes) else rest[0]
        sequence += step
        subject_id = UUID(bytes=subject) if subject else subject_in(body)
        if subject_id is None:
            raise Rejected("message", reason="an item of nothing")
        created_ms = ms + _begun_ms(subject_id, base_ms)
        if not (0 <= sequence <= _MAX_INT and 0 <= created_ms <= _MAX_INT):
            raise Rejected("message", reason="no item")
        envelopes.append(
            Envelope(
                UUID(bytes=id_) if id_ else envelope_id(sender, boot, sequence),
                sender,
                recipient,
                boot,
                sequence,
                _kind(kind),
                Lane(lane),
                subject_id,
                created_ms,
                body,
            )
        )
    joiner.done()
    return envelopes


def _begun_ms(subject_id: UUID, base_ms: int) -> int:
    """The time in a UUIDv7; of another id, the batch's."""
    return subject_id.int >> 80 if subject_id.version == 7 else base_ms


def _kind(kind: int | str) -> str:
    if isinstance(kind, str):
        if is_name(kind, KIND_CHARACTERS):
            return kind
        raise Rejected("message", reason="no kind")
    # A number that is not known yet is a kind all the same: the store refuses it by name, this item alone.
    return _KINDS[kind - 1] if 0 < kind <= len(_KINDS) else f"kind-{kind & 0xFFFF}"


def subject_in(body: bytes) -> UUID | None:
    """The id at the head of a body: a map whose first key is 1 with 16 bytes. None where there is none."""
    if body[1:3] == b"\x01\x50" and 0xA1 <= body[0] <= 0xB7 and len(body) >= 19:
        return UUID(bytes=body[3:19])
    return None

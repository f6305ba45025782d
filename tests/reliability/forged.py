"""Packets that are right in every way but for the key that signed them, towards both sides.

They carry what would do harm: a reading of a patient the hub knows, receipts for what waits, a report, a card with
other keys. Each attacker has one key, and everything that is public.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from reliability.keyring import keys_of
from reliability.rig import HUB_ID, KIT_ID, Visit

from zhenbao.model.report import Receipt, Report
from zhenbao.sync.envelope import Envelope, Lane, envelope_id, kind_of, pack
from zhenbao.sync.keys import KeyPair, OwnKeys, card_of, make_keys, rotated
from zhenbao.sync.messages import CardShown, Hello, Message, encode, signed_receipts
from zhenbao.sync.names import emergency_side
from zhenbao.sync.packet import Header, Kind, make_packet
from zhenbao.sync.sealing import seal_to

ANOTHER = "kit-0001"
"""A kit that the hub knows, with keys of its own."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """What it is, whose road it comes on, and to whom."""

    what: str
    road: str
    to: str
    data: bytes


def forgeries(rng: random.Random, kit: Any, hub: Any) -> Iterator[Forgery]:
    """One of each kind, with fresh content."""
    stranger, posing = make_keys(KIT_ID, 1), make_keys(HUB_ID, 1)
    spare = keys_of(KIT_ID).emergency
    assert spare is not None
    side = emergency_side(KIT_ID)
    to_hub = [
        ("a stranger's key", KIT_ID, stranger.newest),
        ("a stranger's key under the kit's own key id", KIT_ID, stranger.newest),
        ("another kit's key", KIT_ID, keys_of(ANOTHER).newest),
        ("the hub's own key, sent back", KIT_ID, keys_of(HUB_ID).newest),
        ("the emergency key, by the kit's road", KIT_ID, spare.pair),
        ("the emergency key, by its own road", side, spare.pair),
        ("the kit's key, by its emergency side's road", side, keys_of(KIT_ID).newest),
        ("a kit's key, by another kit's road", ANOTHER, keys_of(KIT_ID).newest),
    ]
    for what, road, pair in to_hub:
        named = keys_of(KIT_ID).newest.public.sign_id if "key id" in what else pair.public.sign_id
        for content, kind, messages in _for_hub(kit, hub):
            data = _packet(rng, KIT_ID, HUB_ID, kind, messages, pair, named)
            yield Forgery(f"{what}: {content}", road, HUB_ID, data)
    for kind, body in (("patient", _patient()), ("observation", _reading())):
        yield Forgery(f"the emergency key: a {kind} sealed as an emergency", side, HUB_ID, _emergency(kind, body))
    other = keys_of(ANOTHER).emergency
    assert other is not None
    yield Forgery("another kit's emergency key", side, HUB_ID, seal_to(_hub_card(), other, "emergency", _reading()))
    to_kit = [
        ("a stranger's key as the hub's", posing.newest),
        ("a stranger's key under the hub's key id", posing.newest),
        ("the kit's own key as the hub's", keys_of(KIT_ID).newest),
        ("another kit's key as the hub's", keys_of(ANOTHER).newest),
        ("an emergency key as the hub's", spare.pair),
    ]
    for what, pair in to_kit:
        named = keys_of(HUB_ID).newest.public.sign_id if "key id" in what else pair.public.sign_id
        for content, kind, messages in _for_kit(kit, pair):
            data = _packet(rng, HUB_ID, KIT_ID, kind, messages, pair, named)
            yield Forgery(f"{what}: {content}", HUB_ID, KIT_ID, data)


def honest(rng: random.Random, kit: Any, hub: Any) -> Iterator[Forgery]:
    """The same content, each signed by whom it says: what makes the forgeries worth refusing."""
    own = keys_of(KIT_ID).newest
    for content, kind, messages in _for_hub(kit, hub):
        if content == "a reading":
            data = _packet(rng, KIT_ID, HUB_ID, kind, messages, own, own.public.sign_id)
            yield Forgery(content, KIT_ID, HUB_ID, data)


def _for_hub(kit: Any, hub: Any) -> Iterator[tuple[str, Kind, Sequence[Message]]]:
    visit = Visit()
    values = [visit.patient, visit.encounter, visit.reading(critical=True)]
    yield "a reading", Kind.MAIL, [_envelope(KIT_ID, HUB_ID, n, value) for n, value in enumerate(values, 1)]
    waiting = [hub.load(item.id) for item in hub.due(1 << 60, 3)]
    receipts = [_receipt(item) for item in waiting if item is not None] or [_receipt(_any())]
    yield "receipts", Kind.ANSWERS, [signed_receipts(receipts, HUB_ID, make_keys(KIT_ID, 1).newest)]
    yield "a new card", Kind.ANSWERS, [CardShown(card_of(_third(KIT_ID)).data), Hello()]


def _for_kit(kit: Any, pair: KeyPair) -> Iterator[tuple[str, Kind, Sequence[Message]]]:
    (known,) = kit.patients("")[:1] or (Visit().patient,)
    report = Report(
        uuid4(), uuid4(), known.id, (uuid4(),), "冒充的医师", "心内科", "一切正常", "不必就诊", "GREEN", 1, "00" * 32
    )
    yield "a report", Kind.MAIL, [_envelope(HUB_ID, KIT_ID, 1, report)]
    waiting = [kit.load(item.id) for item in kit.due(1 << 60, 3)]
    receipts = [_receipt(item) for item in waiting if item is not None] or [_receipt(_any())]
    yield "receipts", Kind.ANSWERS, [signed_receipts(receipts, KIT_ID, pair)]
    yield "the hub's card with a wrong key", Kind.ANSWERS, [CardShown(card_of(_third(HUB_ID)).data), Hello()]


def _packet(
    rng: random.Random,
    sender: str,
    recipient: str,
    kind: Kind,
    messages: Sequence[Message],
    pair: KeyPair,
    named: bytes,
) -> bytes:
    to = keys_of(recipient).newest.public
    header = Header(sender, recipient, to.seal_id, rng.randbytes(8), 1, kind)
    return make_packet(header, encode(messages), sign_key=pair.sign_key, sign_id=named, recipient=to)


def _emergency(kind: str, body: bytes) -> bytes:
    spare = keys_of(KIT_ID).emergency
    assert spare is not None
    return seal_to(_hub_card(), spare, kind, body)


def _hub_card() -> Any:
    return card_of(keys_of(HUB_ID))


def _patient() -> bytes:
    return pack(Visit().patient)


def _reading() -> bytes:
    return pack(Visit().reading(critical=True))


def _third(name: str) -> OwnKeys:
    """Keys with a higher number than any that are known."""
    return rotated(rotated(make_keys(name, 1), 2), 3)


def _envelope(sender: str, recipient: str, sequence: int, value: Any) -> Envelope:
    boot = "f" * 16
    body = pack(value)
    id_ = envelope_id(sender, boot, sequence + value.id.int % 1_000_000)
    return Envelope(
        id_,
        sender,
        recipient,
        boot,
        sequence + value.id.int % 1_000_000,
        kind_of(value),
        Lane.CRITICAL,
        value.id,
        1,
        body,
    )


def _any() -> Envelope:
    return _envelope(KIT_ID, HUB_ID, 1, replace(Visit().patient, id=UUID(int=7)))


def _receipt(item: Envelope) -> Receipt:
    return Receipt(item.id, item.body_sha256, "forged", 1)

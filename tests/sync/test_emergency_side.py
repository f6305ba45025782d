"""What a thief of a locked kit holds, its emergency side, and what the hub takes from that and gives to it."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sync.test_locked import lock, spooled, unlock
from tests.sync.test_trust import County
from zhenbao.agent.emergency import spool
from zhenbao.agent.keys import EmergencyKeyring, for_emergencies
from zhenbao.hub.worklist import Worklist
from zhenbao.model.errors import Rejected
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane, pack
from zhenbao.sync.keys import Card, card_of, make_keys, read_card, rotated
from zhenbao.sync.messages import (
    Ask,
    CardShown,
    Have,
    Hello,
    Message,
    Receipts,
    Refusal,
    decode,
    encode,
    signed_receipts,
)
from zhenbao.sync.names import emergency_side
from zhenbao.sync.packet import MOST_SEALED_BYTES, Header, Kind, make_packet, read_packet
from zhenbao.sync.parts import is_part
from zhenbao.sync.sealing import seal_to

SIDE = emergency_side("kit-1")


@pytest.fixture
def county(tmp_path: Path, clock: Any, faulty_road: Any) -> Iterator[County]:
    pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
    made = County(tmp_path, clock, faulty_road())
    made.register.add_kit(made.hub, made.card)
    yield made
    made.close()


def said_to_side(county: County) -> list[Message]:
    """Everything the hub ever sent to the emergency side, opened with the only key that it has."""
    pair = EmergencyKeyring(county.home).own.newest
    messages: list[Message] = []
    for to, data in county.road.carried:
        if to == SIDE:
            packet = read_packet(data)
            hub = county.hub_keys.own.newest.public
            packet.verify(hub.sign)
            messages += decode(packet.open(pair.seal_key), "hub", SIDE, hub)
    return messages


def signed_by_side(county: County, kind: int, *messages: Message, sender: str = "kit-1") -> bytes:
    """A packet that is right in every way but what it is."""
    _, key = for_emergencies(county.home)
    hub = county.hub_keys.own.newest.public
    header = Header(sender, "hub", hub.seal_id, random.Random(repr(messages)).randbytes(8), 1, kind)
    pair = key.pair
    plain = encode(list(messages))
    return make_packet(header, plain, sign_key=pair.sign_key, sign_id=pair.public.sign_id, recipient=hub)


def test_nothing_but_an_emergency_is_taken_from_the_emergency_key_and_each_is_refused_with_a_signature(
    county: County, ward: Any
) -> None:
    ward.admit(county.kit)
    county.settle()
    accepted = county.hub.counters.accepted
    waiting = ward.reading()
    county.kit.save_observation(waiting)
    (item,) = [county.kit.load(each.id) for each in county.kit.due(1 << 60, 9)]
    assert isinstance(item, Envelope)
    lock(county)
    _, key = for_emergencies(county.home)
    thief = rotated(rotated(make_keys("kit-1", 1), 2), 3)
    ended = signed_receipts([], "hub", key.pair)
    hostile = {
        "a reading as mail": signed_by_side(county, Kind.MAIL, item),
        "a reading as an emergency": signed_by_side(county, Kind.EMERGENCY, item),
        "a patient as an emergency": seal_to(county.hub_keys.card, key, "patient", pack(ward.patient)),
        "a reading in the critical lane": signed_by_side(county, Kind.EMERGENCY, replace(item, lane=Lane.CRITICAL)),
        "two at once": signed_by_side(county, Kind.EMERGENCY, item, replace(item, sequence=item.sequence + 1)),
        "a greeting": signed_by_side(county, Kind.ANSWERS, Hello()),
        "receipts": signed_by_side(county, Kind.ANSWERS, ended),
        "a question": signed_by_side(county, Kind.ANSWERS, Ask(b"transfer")),
        "a new card": signed_by_side(county, Kind.ANSWERS, CardShown(card_of(thief).data)),
        "a card among emergencies": signed_by_side(county, Kind.EMERGENCY, CardShown(card_of(thief).data)),
        "nothing": signed_by_side(county, Kind.EMERGENCY),
        "under its own name": signed_by_side(county, Kind.MAIL, Hello(), sender=SIDE),
        "a kind that is none": signed_by_side(county, 9, Hello()),
    }
    for what, data in hostile.items():
        for road in (SIDE, "kit-1"):
            before = county.down.counts.packets_refused_in
            county.hub_end.on_message(road, data)
            county.down.step()
            county.road.deliver()
            assert county.down.counts.packets_refused_in == before + 1, (what, road)
    refused = [message.code for message in said_to_side(county) if isinstance(message, Refusal)]
    assert len(refused) == len(hostile), "each is told, sealed and signed, to the side that it came from"
    assert set(refused) == {"packet-kind", "packet-sender"}
    assert county.hub.counters.accepted == accepted
    assert county.hub.counters.quarantined == 0
    assert Worklist(county.hub).rows() == []
    (row,) = county.register.registered(county.hub)
    assert row.card == read_card(county.card.data)


def test_the_road_of_the_emergency_side_is_for_its_own_key_alone(county: County, ward: Any) -> None:
    """The kit's own key does not speak there, and neither does another kit's emergency key."""
    ward.admit(county.kit)
    (item, *_) = [county.kit.load(each.id) for each in county.kit.due(1 << 60, 9)]
    peer = county.kit_keys.peer("hub")
    assert peer is not None and item is not None
    other = make_keys("kit-2", 1, emergency=True)
    county.register.add_kit(county.hub, card_of(other))
    assert other.emergency is not None
    from tests.sync.test_trust import emergency

    foreign = seal_to(county.hub_keys.card, other.emergency, "emergency", pack(emergency(ward)))
    from zhenbao.sync.sealing import Sealer

    for data in (Sealer("kit-1", county.kit_keys).seal(peer, [item])[0], foreign):
        county.hub_end.on_message(SIDE, data)
    county.down.step()
    assert county.down.counts.packets_refused_in == 2
    assert county.hub.counters.accepted == 0


def test_the_emergency_side_is_given_receipts_and_nothing_of_any_patient(county: County, ward: Any) -> None:
    """A report waits for the kit, and the hub has new keys to announce: the locked kit's road carries neither."""
    ward.admit(county.kit)
    reading = ward.reading()
    county.kit.save_observation(reading)
    county.settle()
    report = ward.report(reading)
    outbox = importlib.import_module("zhenbao.hub.store.outbox")
    lock(county)
    value = spooled(county, ward)
    with county.hub.writing() as connection:
        outbox.post(connection, county.hub.sender, report, report.id, "kit-1", county.clock.now_ms())
    sent = len(county.road.carried)
    county.settle(30)
    assert spool.account(county.home).received == 1
    assert {type(message) for message in said_to_side(county)} - {Have, Receipts} <= {_clock_shown()}
    assert Worklist(county.hub).rows()[0].item.effective_ms == value.observation.effective_ms
    # What went up from the locked kit: parts of what was sealed long before, and nothing that was signed now.
    assert all(is_part(data) for to, data in county.road.carried[sent:] if to == "hub")
    # The report is sealed for the key behind the PIN: the emergency side and the whole traffic read nothing of it.
    pair = EmergencyKeyring(county.home).own.newest
    reports = [data for to, data in county.road.carried if to == "kit-1"]
    assert reports
    for data in reports:
        with pytest.raises(Rejected, match="packet-sealed"):
            read_packet(data, MOST_SEALED_BYTES).open(pair.seal_key)
    unlock(county)
    county.settle(30)
    assert [kept.report for kept in county.kit.inbox()] == [report]


def _clock_shown() -> type:
    from zhenbao.sync.messages import ClockShown

    return ClockShown


def test_revoking_a_kit_ends_both_sides(county: County, ward: Any) -> None:
    county.register.revoke_kit(county.hub, "kit-1")
    spooled(county, ward)
    lock(county)
    county.settle(20)
    assert [m.code for m in said_to_side(county) if isinstance(m, Refusal)][:1] == ["packet-revoked"]
    assert (spool.account(county.home).waiting, county.hub.counters.accepted) == (1, 0)
    county.register.add_kit(county.hub, county.card)
    county.settle(60, 10)
    assert (spool.account(county.home).waiting, county.hub.counters.accepted) == (0, 1)


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_large_emergency_gets_through_without_a_word_of_ours(
    tmp_path: Path, clock: Any, faulty_road: Any, ward: Any, loss: float
) -> None:
    """Parts, lost receipts, restarts in the middle: nothing may be asked, as nothing may be signed."""
    county = County(tmp_path, clock, faulty_road(loss=loss, repeat=loss / 2, seed=4))
    try:
        county.register.add_kit(county.hub, county.card)
        values = [spooled(county, ward) for _ in range(3)]
        lock(county)
        for _ in range(12):
            county.settle(5, 5)
            lock(county)  # a restart of the service: nothing is remembered
        county.settle(400 if loss else 60, 5)
        assert spool.account(county.home).waiting == 0
        assert spool.account(county.home).received == len(values)
        assert county.hub.counters.accepted == len(values)
        assert len(Worklist(county.hub).rows()) == len(values)
    finally:
        county.close()


def test_a_card_of_an_older_version_is_read_and_its_kit_is_answered_once_it_is_renewed(
    county: County, ward: Any
) -> None:
    """Its emergency key is taken; what it sends while locked waits, as nothing could be answered."""
    from zhenbao.sync.cbor import dumps
    from zhenbao.sync.cose import KEY_ID, sign1

    own = county.kit_keys.own
    assert own.emergency is not None
    public = own.newest.public
    data = dumps(["kit-1", [[public.number, public.sign, public.seal]], own.emergency.public])
    old = read_card(sign1({KEY_ID: public.sign_id}, data, own.newest.sign_key, b"zhenbao card 1"))
    assert (old.emergency, old.emergency_seal) == (own.emergency.public, None)
    assert old.fingerprint != county.card.fingerprint
    county.register.add_kit(county.hub, old)
    assert county.hub_keys.peer(SIDE) is None
    value = spooled(county, ward)
    lock(county)
    county.settle(20)
    assert spool.account(county.home).waiting == 1
    unlock(county)
    from zhenbao.agent.keys import renew_keys

    renew_keys(county.home, "kit-1", county.clock.now_ms())
    county.settle(30)
    assert isinstance(county.hub_keys.peer(SIDE).card, Card)  # type: ignore[union-attr]
    lock(county)
    county.settle(40, 10)
    assert spool.account(county.home).received == 1
    assert Worklist(county.hub).rows()[0].item.effective_ms == value.observation.effective_ms


def test_an_engine_that_does_not_speak_says_nothing_at_all(county: County, ward: Any) -> None:
    """Its neighbour, which speaks with this key, is refused: that is what the switch is for."""
    from zhenbao.agent.emergency.mailbox import SpoolMailbox

    lock(county)
    spooled(county, ward)
    talking = Engine(
        SpoolMailbox(county.home, "kit-1", county.clock),
        county.emergency_end,
        county.clock,
        EmergencyKeyring(county.home),
    )
    talking._changed("up")
    talking.step()
    county.road.deliver()
    county.down.step()
    assert county.down.counts.packets_refused_in > 0

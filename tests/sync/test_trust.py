"""Who is believed: forged, foreign, revoked, replayed, of another version; and keys that are renewed."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from store_key import KEY

from zhenbao.agent.keys import KitKeyring, pin_hub, renew_keys, set_up_keys
from zhenbao.agent.store import KitStore
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import DeliveryState, SignedRecording
from zhenbao.sync.cbor import dumps
from zhenbao.sync.cose import KEY_ID, sign1
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Lane, pack
from zhenbao.sync.keys import card_of, load_keys, rotated
from zhenbao.sync.messages import Hello, read_receipts
from zhenbao.sync.packet import _EXTERNAL, HEADER, Header, Kind, _listed, make_packet
from zhenbao.sync.peers import Peer
from zhenbao.sync.sealing import seal_to


class County:
    """A hub with its register and a kit with its folder, both as they really are, on one road."""

    def __init__(self, place: Path, clock: Any, road: Any) -> None:
        hub_store = importlib.import_module("zhenbao.hub.store.hub_store")
        self.register = importlib.import_module("zhenbao.hub.keys")
        self.clock, self.road, self.place, self.home = clock, road, place, place / "kit"
        (place / "hub").mkdir()
        self.hub = hub_store.HubStore(f"sqlite:///{place}/hub/hub.db", clock)
        self.hub_keys = self.register.HubKeyring(self.hub, place / "hub")
        self.card = set_up_keys(self.home, "kit-1", clock.now_ms())
        pin_hub(self.home, self.hub_keys.card.text)
        self.kit = KitStore.open(self.home, kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY)
        self.kit_keys = KitKeyring(self.home, "kit-1")
        self.events: list[Any] = []
        self.kit_end, self.hub_end = road.end("kit-1"), road.end("hub")
        self.up = Engine(
            self.kit, self.kit_end, clock, self.kit_keys, rng=random.Random(1), on_event=self.events.append
        )
        self.down = Engine(self.hub, self.hub_end, clock, self.hub_keys, rng=random.Random(2))
        self.hub_end.start()
        self.kit_end.start()

    def settle(self, turns: int = 12, seconds: float = 1.0) -> None:
        for _ in range(turns):
            self.up.step()
            self.road.deliver()
            self.down.step()
            self.road.deliver()
            self.clock.pass_s(seconds)

    def close(self) -> None:
        self.kit.close()
        self.hub.close()


@pytest.fixture
def county(tmp_path: Path, clock: Any, faulty_road: Any) -> Iterator[County]:
    pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
    made = County(tmp_path, clock, faulty_road())
    yield made
    made.close()


def reasons(county: County, name: str = "packet-refused") -> list[str]:
    return [event.reason for event in county.events if event.name == name]


def test_an_unregistered_kit_is_refused_keeps_everything_and_goes_on_when_it_is_registered(
    county: County, ward: Any
) -> None:
    ward.admit(county.kit)
    county.settle()
    # Nobody knows its key, so nothing can be sealed for it: the refusal is counted at the hub.
    assert county.down.counts.packets_refused_in >= 1
    assert county.kit.queue().total == 2
    assert county.register.add_kit(county.hub, county.card)
    assert not county.register.add_kit(county.hub, county.card)
    county.settle(40, 10)
    assert county.kit.queue().total == 0
    (proof,) = county.kit.proofs(ward.patient.id)
    named, receipts = read_receipts(proof, county.hub_keys.own.newest.public.sign)
    assert named == "kit-1"
    assert {r.store_epoch for r in receipts} == {county.hub.epoch}
    assert len(receipts) == 2


def test_a_revoked_kit_is_told_so_by_a_signed_refusal_and_is_taken_back(county: County, ward: Any) -> None:
    county.register.add_kit(county.hub, county.card)
    county.register.revoke_kit(county.hub, "kit-1")
    ward.admit(county.kit)
    county.settle()
    assert "packet-revoked" in reasons(county)
    assert county.kit.queue().total == 2
    before = county.up.counts.sent
    county.settle(100, 1)
    assert county.up.counts.sent - before == 0, "it is not tried again every few seconds"
    county.register.add_kit(county.hub, county.card)
    county.settle(60, 10)
    assert county.kit.queue().total == 0
    with pytest.raises(InputError, match="kit-unknown"):
        county.register.revoke_kit(county.hub, "kit-9")
    assert [(row.kit_id, row.revoked_ms) for row in county.register.registered(county.hub)] == [("kit-1", None)]


def signed(county: County, header: Any, payload: bytes = b"?") -> bytes:
    pair = county.kit_keys.own.newest
    fields = {KEY_ID: pair.public.sign_id, HEADER: header}
    return sign1(fields, payload, pair.sign_key, _EXTERNAL)


def test_what_cannot_be_taken_is_answered_with_its_reason(county: County) -> None:
    county.register.add_kit(county.hub, county.card)
    own, hub = county.kit_keys.own.newest, county.hub_keys.own.newest.public
    head = Header("kit-1", "hub", hub.seal_id, b"a start.", 1, Kind.MAIL)

    def packet(**changes: Any) -> bytes:
        changed = replace(head, **changes)
        return make_packet(changed, dumps([[8]]), sign_key=own.sign_key, sign_id=own.public.sign_id, recipient=hub)

    for data in (
        packet(sequence=2, recipient="kit-2"),
        packet(sequence=3, sender="kit-2"),
        packet(sequence=4, kind=Kind.EMERGENCY),
        packet(sequence=5, kind=77),
        packet(sequence=6, seal_id=b"unknown."),
        signed(county, [3, "of the future"]),
        signed(county, _listed(replace(head, sequence=7, suite=0))),
        signed(county, _listed(replace(head, sequence=8))),
        packet(sequence=9),
        packet(sequence=9, kind=Kind.ANSWERS),
        bytes(200_000),
        dumps([1, 3, {1: "kit-1"}]) + b"\x1a\x00\x00\x00\x00",
    ):
        county.hub_end.on_message("kit-1", data)
    county.down.step()
    county.road.deliver()
    county.up.step()
    assert reasons(county) == [
        "packet-recipient",
        "packet-sender",
        "packet-kind",
        "packet-kind",
        "packet-key",
        "packet-version",
        "packet-suite",
        "packet-sealed",
        "packet-replay",
        "packet-size",
        "packet-downgrade",
    ]
    from sqlalchemy import select

    from zhenbao.hub.store.tables import future_packets

    with county.hub.reading() as connection:
        kept = connection.execute(select(future_packets)).all()
    assert [(row.peer, row.packet) for row in kept] == [("kit-1", signed(county, [3, "of the future"]))]
    assert county.down.counts.packets_refused_in == 9


def test_a_kits_new_keys_are_announced_by_the_old_and_then_stand_alone(county: County, ward: Any, clock: Any) -> None:
    county.register.add_kit(county.hub, county.card)
    ward.admit(county.kit)
    county.settle()
    old = load_keys(county.home)
    renew_keys(county.home, "kit-1", clock.now_ms())
    with pytest.raises(InputError, match="keys-pending"):
        renew_keys(county.home, "kit-1", clock.now_ms())
    county.kit.save_observation(ward.reading())
    county.settle()
    assert county.kit.queue().total == 0
    (row,) = county.register.registered(county.hub)
    new = load_keys(county.home)
    assert old is not None and new is not None
    assert row.card.newest == new.newest.public != old.newest.public
    assert county.kit_keys.peer("hub").knows == new.newest.public.sign_id  # type: ignore[union-attr]
    # What the old key signed is taken for a while, and then no more.
    assert county.hub_keys.signer(old.newest.public.sign_id) is not None
    clock.pass_s(county.register.overlap_ms() / 1000 + 1)
    assert county.hub_keys.signer(old.newest.public.sign_id) is None
    assert county.hub_keys.signer(new.newest.public.sign_id) is not None
    renew_keys(county.home, "kit-1", clock.now_ms())


def test_the_hubs_new_keys_reach_the_kit(county: County, ward: Any, clock: Any) -> None:
    county.register.add_kit(county.hub, county.card)
    ward.admit(county.kit)
    county.settle()
    county.register.renew(county.hub, county.place / "hub")
    county.kit.save_observation(ward.reading())
    county.settle()
    assert county.kit.queue().total == 0
    assert KitKeyring(county.home, "kit-1").peer("hub").card == county.hub_keys.card  # type: ignore[union-attr]
    county.kit.save_observation(ward.reading())
    county.settle()
    assert county.kit.queue().total == 0


def test_a_card_of_a_stranger_is_not_pinned(county: County) -> None:
    from zhenbao.sync.keys import make_keys
    from zhenbao.sync.messages import CardShown
    from zhenbao.sync.sealing import Sealer

    thief = rotated(rotated(make_keys("hub", 1), 2), 3)
    sealer = Sealer("hub", type("Own", (), {"own": thief})())
    data, _ = sealer.seal(
        Peer(county.card, knows=thief.newest.public.sign_id), [CardShown(card_of(thief).data), Hello()]
    )
    before = county.kit_keys.peer("hub")
    county.kit_end.on_message("hub", data)
    county.up.step()
    assert county.kit_keys.peer("hub") == before


def test_a_report_about_another_patient_or_another_tracing_is_refused_visibly(county: County, ward: Any) -> None:
    county.register.add_kit(county.hub, county.card)
    ward.admit(county.kit)
    reading = ward.reading()
    recording = ward.recording(reading, 3000)
    county.kit.save_observation(reading, [recording])
    waiting = next(w for w in county.kit.due(1 << 60, 9) if w.kind == "recording")
    digest = waiting.body_sha256.hex()
    county.settle()
    report = ward.report(reading)
    right = replace(report, recordings=(SignedRecording(recording.id, digest),))
    wrong = [
        replace(right, id=uuid4(), patient_id=uuid4()),
        replace(right, id=uuid4(), encounter_id=uuid4()),
        replace(right, id=uuid4(), recordings=(SignedRecording(recording.id, "00" * 32),)),
    ]
    outbox = importlib.import_module("zhenbao.hub.store.outbox")
    for each in (*wrong, right):
        with county.hub.writing() as connection:
            outbox.post(connection, county.hub.sender, each, each.id, "kit-1", county.clock.now_ms())
    county.settle()
    assert [kept.report for kept in county.kit.inbox()] == [right]
    assert [(q.direction, q.reason) for q in county.kit.quarantined()] == [("in", "report-mismatch")] * 3
    assert sorted(q.reason for q in county.hub.quarantined()) == ["report-mismatch"] * 3
    assert [e.reason for e in county.events if e.name == "refused-in"] == ["report-mismatch"] * 3


# Emergencies


def emergency(ward: Any, urgency: Urgency = Urgency.RED, **changes: Any) -> Emergency:
    nobody = replace(ward.patient, id=uuid4(), name="", resident_number=None)
    encounter = replace(ward.encounter, id=uuid4(), patient_id=nobody.id)
    finding = Finding("EC19", urgency, source="a source")
    reading = replace(ward.reading("ecg"), patient_id=nobody.id, encounter_id=encounter.id, findings=(finding,))
    recording = ward.recording(reading, 30_000)
    reading = replace(reading, recordings=(recording.id,))
    made = Emergency(uuid4(), nobody, encounter, reading, (recording,))
    return replace(made, **changes)


def post(county: County, value: Emergency, kind: str = "emergency", subject: UUID | None = None) -> bytes:
    """As while the tablet is locked: with the emergency key and the hub's card, and nothing of the store."""
    own = load_keys(county.home)
    assert own is not None and own.emergency is not None
    data = seal_to(county.hub_keys.card, own.emergency, kind, pack(value))
    county.kit.post_sealed(data, subject or value.id)
    return data


def test_an_emergency_sealed_while_locked_makes_an_urgent_case_of_nobody(county: County, ward: Any) -> None:
    from zhenbao.hub.worklist import Worklist

    county.register.add_kit(county.hub, county.card)
    value = emergency(ward)
    data = post(county, value)
    county.kit.post_sealed(data, value.id)  # the same once more
    assert county.kit.queue().critical == 1
    county.settle(30)
    assert DeliveryState.RECEIVED in county.kit.delivery(value.id)
    assert county.kit.queue().total == 0
    (row,) = Worklist(county.hub).rows()
    assert row.item.urgency is Urgency.RED
    assert row.patient is not None and row.patient.temporary
    with county.hub.reading() as connection:
        from zhenbao.hub.store import records

        assert records.recordings_of(connection, value.observation.id) == list(value.recordings)


def test_the_key_alone_brings_a_recording_before_a_physician(county: County, ward: Any) -> None:
    """The machine finds nothing, and what was torn off early has hardly a sample: somebody pressed the key."""
    from zhenbao import rules
    from zhenbao.hub.worklist import Worklist

    county.register.add_kit(county.hub, county.card)
    value = emergency(ward)
    begun = rules.evaluate("emergency", {}, {"begun": "yes"})
    reading = replace(value.observation, findings=begun, recordings=())
    data = post(county, replace(value, observation=reading, recordings=()))
    assert len(data) < 4096
    county.settle(30)
    assert county.kit.quarantined() == []
    (row,) = Worklist(county.hub).rows()
    assert (row.item.urgency, row.item.route_id) == (Urgency.ORANGE, "R65")
    assert (row.item.specialty, row.item.lead_rule) == ("emergency", "EM01")


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "the second first"])
def test_two_recordings_of_one_person_are_one_case(county: County, ward: Any, turned: bool) -> None:
    from zhenbao.hub.worklist import Worklist

    county.register.add_kit(county.hub, county.card)
    first = emergency(ward)
    calm = Finding("EM01", Urgency.ORANGE, source="a source")
    strip = ward.recording(first.observation, 9000)
    reading = replace(first.observation, id=uuid4(), findings=(calm,), recordings=(strip.id,))
    strip = replace(strip, observation_id=reading.id)
    both = [first, replace(first, id=reading.id, observation=reading, recordings=(strip,))]
    for value in reversed(both) if turned else both:
        post(county, value)
        county.settle(15)
    assert county.kit.quarantined() == []
    (row,) = Worklist(county.hub).rows()
    assert row.item.urgency is Urgency.RED
    with county.hub.reading() as connection:
        from zhenbao.hub.store import records

        assert len(records.observations_of(connection, first.encounter.id)) == 2
    # The same names with another patient's particulars are refused.
    other = replace(both[1], id=uuid4(), patient=replace(first.patient, name="演示患者乙"))
    fresh = replace(reading, id=other.id, recordings=())
    post(county, replace(other, observation=fresh, recordings=()))
    county.settle(30)
    assert [q.reason for q in county.kit.quarantined()] == ["other-body"]


def test_nothing_else_is_taken_from_the_emergency_key(county: County, ward: Any) -> None:
    county.register.add_kit(county.hub, county.card)
    own = load_keys(county.home)
    assert own is not None and own.emergency is not None
    posing = seal_to(county.hub_keys.card, own.emergency, "patient", pack(ward.patient))
    county.hub_end.on_message("kit-1", posing)
    # With the head of ordinary mail, or an answer that would end what waits.
    hub = county.hub_keys.own.newest.public
    from zhenbao.sync.keys import key_id_of

    head = Header("kit-1", "hub", hub.seal_id, b"a start.", 1, Kind.MAIL)
    spare = own.emergency
    county.hub_end.on_message(
        "kit-1",
        make_packet(head, dumps([[8]]), sign_key=spare.sign_key, sign_id=key_id_of(spare.public), recipient=hub),
    )
    county.down.step()
    assert county.down.counts.packets_refused_in == 2
    assert county.hub.counters.accepted == 0
    assert county.hub.counters.quarantined == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda v: replace(v, patient=replace(v.patient, resident_number="999999196001010020")),
                     "emergency-parts", id="a known person"),
        pytest.param(lambda v: replace(v, observation=replace(v.observation, patient_id=uuid4())), "emergency-parts",
                     id="two patients"),
        pytest.param(lambda v: replace(v, observation=replace(v.observation, findings=())), "emergency-urgency",
                     id="nothing urgent"),
        pytest.param(lambda v: replace(v, encounter=replace(v.encounter, kit_id="kit-2")), "hub-kit-differs",
                     id="another kit's"),
    ],
)  # fmt: skip
def test_an_emergency_that_is_none_is_set_aside(county: County, ward: Any, spoil: Any, reason: str) -> None:
    county.register.add_kit(county.hub, county.card)
    post(county, spoil(emergency(ward)))
    county.settle(30)
    assert [q.reason for q in county.kit.quarantined()] == [reason]
    assert [q.reason for q in county.hub.quarantined()] == [reason]


def test_an_emergency_overwrites_nothing_that_is_known(county: County, ward: Any) -> None:
    county.register.add_kit(county.hub, county.card)
    ward.admit(county.kit)
    county.kit.save_observation(ward.reading(), lane=Lane.RESULTS)
    county.settle()
    value = emergency(ward)
    taking = replace(value, patient=replace(value.patient, id=ward.patient.id))
    taking = replace(
        taking,
        encounter=replace(taking.encounter, patient_id=ward.patient.id),
        observation=replace(taking.observation, patient_id=ward.patient.id),
    )
    post(county, taking)
    county.settle(30)
    assert [q.reason for q in county.kit.quarantined()] == ["other-body"]


def test_a_kit_that_is_not_set_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keys-missing"):
        KitKeyring(tmp_path, "kit-1")
    set_up_keys(tmp_path, "kit-1", 1)
    with pytest.raises(InputError, match="hub-card-missing"):
        KitKeyring(tmp_path, "kit-1")
    with pytest.raises(InputError, match="card-name"):
        pin_hub(tmp_path, set_up_keys(tmp_path, "kit-1", 1).text)

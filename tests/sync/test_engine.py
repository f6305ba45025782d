"""The engine on a real kit's store, over roads that lose, repeat, reorder and damage."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import StorageError
from zhenbao.model.report import DeliveryState, Receipt, Viewed
from zhenbao.sync.engine import Engine, Event
from zhenbao.sync.envelope import Envelope, Lane, pack
from zhenbao.sync.messages import Hello, Refusal


class Pair:
    """A kit's engine and a hub's, at the two ends of a road."""

    def __init__(self, kit: KitStore, hub: Any, road: Any, clock: Any, **options: Any) -> None:
        self.road, self.clock = road, clock
        self.kit_keys, self.hub_keys = road.keyring_of("kit-1"), road.keyring_of("hub")
        self.kit_end, self.hub_end = road.end("kit-1"), road.end("hub")
        self.events: list[Event] = []
        self.kit = Engine(
            kit, self.kit_end, clock, self.kit_keys, on_event=self.events.append, rng=random.Random(1), **options
        )
        self.hub = Engine(hub, self.hub_end, clock, self.hub_keys, rng=random.Random(2))

    def connect(self) -> Pair:
        self.hub_end.start()
        self.kit_end.start()
        return self

    def settle(self) -> None:
        """Until nothing moves at this moment."""
        while True:
            moved = self.kit.step() | self.hub.step()
            self.road.deliver()
            if not moved:
                return

    def settle_for(self, seconds: float, *, steps: int) -> None:
        for _ in range(steps):
            self.settle()
            self.clock.pass_s(seconds / steps)
        self.settle()


@pytest.fixture
def pair(kit: KitStore, hub: Any, clock: Any, faulty_road: Any) -> Callable[..., Pair]:
    return lambda road=None, **options: Pair(kit, hub, road or faulty_road(), clock, **options)


def kinds_sent(road: Any) -> list[tuple[str, UUID]]:
    return [(m.kind, m.subject_id) for m in road.messages_to("hub") if isinstance(m, Envelope)]


def everything(kit: KitStore) -> list[Envelope]:
    """All that waits, with the bodies."""
    return [envelope for item in kit.due(1 << 60, 999) if (envelope := kit.load(item.id)) is not None]


def taken_subjects(hub: Any) -> list[UUID]:
    return [envelope.subject_id for envelope, _ in hub.taken.values()]


def test_everything_kept_reaches_the_hub_and_only_a_receipt_says_so(
    pair: Any, kit: KitStore, hub: Any, ward: Any
) -> None:
    ward.admit(kit)
    reading = ward.reading()
    recording = ward.recording(reading)
    kit.save_observation(reading, [recording])
    both = pair().connect()
    both.kit.step()
    assert DeliveryState.RECEIVED not in kit.delivery(reading.id), "handed to the road is not received"
    both.settle()
    assert taken_subjects(hub) == [ward.patient.id, ward.encounter.id, reading.id, recording.id]
    assert DeliveryState.RECEIVED in kit.delivery(reading.id)
    assert kit.queue().total == 0
    assert both.kit.counts.delivered == 4
    assert [e.subject_id for e in both.events if e.name == "delivered"] == taken_subjects(hub)


def test_a_lost_receipt_delivers_once(pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any) -> None:
    ward.admit(kit)
    both = pair().connect()
    both.kit.step()
    both.road.deliver()
    both.hub.step()
    both.hub_end.stop()
    both.kit_end.connected = False  # the receipts on the way find nobody
    both.road.deliver()
    assert len(hub.taken) == 2
    assert kit.queue().total == 2
    both.connect()
    both.settle()
    assert len(hub.taken) == 2
    assert kit.queue().total == 0
    assert both.hub.counts.duplicates == 2


def test_a_receipt_that_comes_twice_changes_nothing(pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any) -> None:
    ward.admit(kit)
    both = pair().connect()
    both.settle()
    before = kit.delivery(ward.patient.id)
    clock.pass_s(60)
    for envelope, at_ms in hub.taken.values():
        again = Receipt(envelope.id, envelope.body_sha256, "plain-epoch", at_ms, True)
        both.kit_end.on_message("hub", both.road.receipts_by("hub", "kit-1", again))
    both.settle()
    assert kit.delivery(ward.patient.id) == before
    assert both.kit.counts.stray == 2


def test_a_critical_reading_overtakes_two_hundred(pair: Any, kit: KitStore, hub: Any, ward: Any) -> None:
    ward.admit(kit)
    waiting = [ward.reading() for _ in range(200)]
    for reading in waiting:
        kit.save_observation(reading, [ward.recording(reading, 600)])
    both = pair(batch=20).connect()
    both.kit.step()  # the window is full now, and nobody has answered
    assert len(kinds_sent(both.road)) == 20
    assert not both.kit.step()
    infarction = ward.reading("ecg")
    trace = ward.recording(infarction, 120_000)
    kit.save_observation(infarction, [trace], lane=Lane.CRITICAL)
    both.kit.step()
    assert kinds_sent(both.road)[20:] == [("observation", infarction.id)]
    assert both.kit.counts.parts == 3, "and its recording behind it, a few parts at a time"
    both.settle()
    kinds = [kind for kind, _ in kinds_sent(both.road)]
    assert kinds.index("recording", 21) > len(kinds) - 1 - 200, "waveforms wait for every result"
    taken = taken_subjects(hub)
    assert taken.index(trace.id) < taken.index(waiting[-1].id), "and the critical one for none of the less urgent"
    assert len(hub.taken) == 2 + 400 + 2


def test_what_a_critical_reading_belongs_to_goes_first(pair: Any, kit: KitStore, hub: Any, ward: Any) -> None:
    other = type(ward)("kit-1")
    other.patient = replace(other.patient, resident_number="999999195602290019")
    other.admit(kit)
    for _ in range(50):
        kit.save_observation(other.reading())
    ward.admit(kit)
    infarction = ward.reading("ecg")
    kit.save_observation(infarction, lane=Lane.CRITICAL)
    both = pair().connect()
    both.kit.step()
    assert [subject for _, subject in kinds_sent(both.road)[:3]] == [ward.patient.id, ward.encounter.id, infarction.id]


def test_only_what_is_critical_goes_onto_a_road_that_is_full(pair: Any, kit: KitStore, hub: Any, ward: Any) -> None:
    ward.admit(kit)
    both = pair(window_bytes=10_000).connect()
    both.kit_end.backlog_bytes = 9_999
    assert not kinds_sent(both.road)
    both.kit.step()
    assert not kinds_sent(both.road)
    infarction = ward.reading("ecg")
    kit.save_observation(infarction, lane=Lane.CRITICAL)
    both.kit.step()
    assert [kind for kind, _ in kinds_sent(both.road)] == ["patient", "encounter", "observation"]


def test_a_refused_item_goes_to_quarantine_and_the_others_pass(pair: Any, kit: KitStore, hub: Any, ward: Any) -> None:
    ward.admit(kit)
    readings = [ward.reading() for _ in range(30)]
    for reading in readings:
        kit.save_observation(reading)
    bad = next(e for e in everything(kit) if e.subject_id == readings[3].id)
    hub.accept([replace(bad, body=b"another body under the same id, kept first")], 1)
    hub.refused_in.clear()
    hub.taken[bad.id] = (replace(bad, body=b"first"), 1)
    both = pair().connect()
    both.settle()
    assert kit.queue().total == 0
    assert [(q.subject_id, q.direction, q.reason) for q in kit.quarantined()] == [(readings[3].id, "out", "other-body")]
    assert kit.queue().quarantined == 1
    assert hub.taken[bad.id][0].body == b"first"
    assert DeliveryState.RECEIVED not in kit.delivery(readings[3].id)
    assert all(DeliveryState.RECEIVED in kit.delivery(r.id) for r in readings if r.id != readings[3].id)


@pytest.mark.slow
def test_items_that_nobody_can_answer_block_nothing(
    pair: Any, kit: KitStore, hub: Any, ward: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Sixty readings at which the hub stumbles, first in the queue: three windows full."""
    ward.admit(kit)
    bad = [ward.reading() for _ in range(60)]
    good = [ward.reading() for _ in range(40)]
    for reading in bad + good:
        kit.save_observation(reading)
    hub.silent_about = {reading.id for reading in bad}
    both = pair().connect()
    both.settle_for(3600, steps=360)
    assert set(taken_subjects(hub)) == {ward.patient.id, ward.encounter.id, *(r.id for r in good)}
    assert kit.queue().total == 60
    assert "演示" not in caplog.text
    hub.silent_about.clear()  # repaired
    both.settle_for(700, steps=140)
    assert kit.queue().total == 0


def test_an_item_too_large_for_the_road_is_set_aside(
    kit: KitStore, hub: Any, ward: Any, clock: Any, faulty_road: Any
) -> None:
    ward.admit(kit)
    reading = ward.reading()
    recording = ward.recording(reading, 60_000)
    kit.save_observation(reading, [recording])
    both = Pair(kit, hub, faulty_road(), clock)
    both.kit_end._most_bytes = 4_000  # less than a part
    both.connect().settle()
    assert [(q.subject_id, q.reason) for q in kit.quarantined()] == [(recording.id, "link-too-large")]
    assert kit.queue().total == 0
    assert len(hub.taken) == 3


def test_a_silent_hub_is_not_flooded_and_gets_everything_when_it_speaks(
    pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any
) -> None:
    ward.admit(kit)
    for _ in range(300):
        kit.save_observation(ward.reading())
    both = pair().connect()
    both.hub_end.connected = False  # the broker is there, the hub is not
    sent = []
    for _ in range(8):
        before = both.kit.counts.sent
        for _ in range(45):
            both.kit.step()
            both.road.deliver()
            clock.pass_s(5)
        sent.append(both.kit.counts.sent - before)
    # In half an hour: backoff to five minutes for what is under way, one item a minute to see whether it is they.
    assert both.kit.counts.sent < 400
    assert sent[-1] < 60
    both.hub_end.connected = True
    both.settle_for(600, steps=120)
    assert kit.queue().total == 0
    assert len(hub.taken) == 302


def test_after_a_reconnect_everything_is_due_again_a_window_at_a_time(
    pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any
) -> None:
    ward.admit(kit)
    for _ in range(100):
        kit.save_observation(ward.reading())
    both = pair(batch=20).connect()
    both.kit.step()
    both.road._on_the_way.clear()  # lost
    assert not both.kit.step()
    both.kit_end.stop()
    both.kit_end.start()
    before = both.kit.counts.sent
    both.kit.step()
    assert both.kit.counts.sent - before == 20
    both.settle()
    assert kit.queue().total == 0


def test_first_retry_comes_after_about_five_seconds_and_later_ones_more_slowly(
    pair: Any, kit: KitStore, ward: Any, clock: Any
) -> None:
    kit.save_patient(ward.patient)
    both = pair().connect()
    both.hub_end.connected = False
    times = []
    start_s = clock.monotonic_s()
    for _ in range(4 * 3600):
        before = both.kit.counts.sent
        both.kit.step()
        both.road.deliver()
        if both.kit.counts.sent > before:
            times.append(clock.monotonic_s() - start_s)
        clock.pass_s(0.25)
    gaps = [b - a for a, b in pairwise(times)]
    assert 4.0 <= gaps[0] <= 6.5
    assert 8.0 <= gaps[1] <= 12.5
    assert max(gaps) <= 360.5
    assert len(gaps) < 20
    assert kit.tries(kit.due(1 << 60, 1)[0].id) == len(times)


@pytest.mark.parametrize("jump_s", [-3 * 86400, 3 * 86400, -50 * 365 * 86400], ids=["back", "forward", "to 1977"])
def test_a_wall_clock_that_jumps_delays_nothing(
    pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any, jump_s: int
) -> None:
    ward.admit(kit)
    both = pair().connect()
    both.kit.step()
    both.road._on_the_way.clear()  # lost
    clock.wall_ms += 1000 * jump_s
    clock.pass_s(10)
    both.settle()
    assert kit.queue().total == 0


@pytest.mark.parametrize("seed", range(6))
def test_over_a_bad_road_everything_arrives_once(
    pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any, faulty_road: Any, seed: int
) -> None:
    ward.admit(kit)
    readings = [ward.reading() for _ in range(40)]
    for n, reading in enumerate(readings):
        lane = Lane.CRITICAL if n % 13 == 0 else Lane.RESULTS
        size = 3000 if n % 2 else 30_000
        kit.save_observation(reading, [ward.recording(reading, size)] if n % 5 == 0 else (), lane=lane)
    wanted = {e.id: e.body for e in everything(kit)}
    reports = [hub.post(ward.report(reading), uuid4()) for reading in readings[:10]]
    both = pair(faulty_road(loss=0.3, repeat=0.3, damage=0.1, seed=seed), batch=5).connect()
    for minute in range(60):
        both.settle_for(60, steps=12)
        if minute in (1, 3):
            both.kit_end.stop()
            both.settle_for(60, steps=2)
            both.kit_end.start()
        if kit.queue().total == 0 and not hub.outbox:
            break
    assert {id_: envelope.body for id_, (envelope, _) in hub.taken.items()} == wanted
    assert kit.queue().total == 0
    assert len(kit.inbox()) == len(reports)
    assert not hub.outbox
    assert kit.quarantined() == []
    assert both.kit.counts.damaged + both.hub.counts.damaged > 0, "the road was bad"
    assert both.kit.counts.parts >= 4 * 8


def test_reports_and_views_come_back_and_the_reading_of_them_is_told(
    pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any
) -> None:
    ward.admit(kit)
    reading = ward.reading()
    kit.save_observation(reading)
    both = pair().connect()
    both.settle()
    clock.pass_s(60)
    viewed = Viewed((reading.id,), "演示医师", clock.now_ms() - 7)
    hub.post(viewed, uuid4())
    both.settle_for(2, steps=1)
    assert list(kit.delivery(reading.id)) == [DeliveryState.SAVED, DeliveryState.RECEIVED, DeliveryState.VIEWED]
    report = ward.report(reading)
    hub.post(report, report.id)
    both.settle_for(2, steps=1)
    assert list(kit.delivery(reading.id)) == list(DeliveryState)
    assert [r.report for r in kit.inbox()] == [report]
    assert ("accepted", "report", report.id) in [(e.name, e.kind, e.subject_id) for e in both.events]
    assert kit.read_report(report.id, clock.now_ms())
    both.settle()
    assert taken_subjects(hub)[-1] == report.id
    assert not hub.outbox


def test_a_kit_that_is_away_delays_no_other_kit(hub: Any, clock: Any, faulty_road: Any, ward: Any) -> None:
    road = faulty_road()
    end = road.end("hub")
    engine = Engine(hub, end, clock, road.keyring_of("hub"), batch=20)
    for _ in range(150):
        hub.post(ward.report(), uuid4(), recipient="kit-away")
    end.start()
    engine.step()
    near = hub.post(ward.report(), uuid4(), recipient="kit-near")
    for _ in range(3):
        engine.step()
    assert [m.id for m in road.messages_to("kit-near") if isinstance(m, Envelope)] == [near.id]
    clock.pass_s(3600)
    engine.step()
    road.carried.clear()
    end.on_message("kit-away", road.sealed_by("kit-away", "hub", Hello()))
    engine.step()
    again = [m for m in road.messages_to("kit-away") if isinstance(m, Envelope)]
    assert len(again) == 20, "a kit that comes back gets a window at once"


def test_two_engines_on_one_store_do_not_hinder_each_other(
    kit: KitStore, hub: Any, ward: Any, clock: Any, faulty_road: Any
) -> None:
    """The service, and a doctor's command that wants to see it go: both hear every receipt, one of them first."""
    road = faulty_road()
    both = Pair(kit, hub, road, clock, batch=20)
    command_end = type(both.kit_end)(road, "kit-1")
    command = Engine(kit, command_end, clock, road.keyring_of("kit-1"), batch=20)
    service_hears = both.kit_end.on_message

    def heard(sender: str, data: bytes) -> None:
        service_hears(sender, data)
        command_end.on_message(sender, data)

    both.kit_end.on_message = heard
    ward.admit(kit)
    for _ in range(100):
        kit.save_observation(ward.reading())
    command_end.start()
    both.connect()
    command.step()
    assert command.counts.sent == 20
    road.deliver()
    both.hub.step()
    road.deliver()
    both.kit.step()  # the service settles what the command had sent
    assert both.kit.counts.delivered == 20
    command.step()
    assert (command.counts.stray, command.counts.sent) == (20, 40), "and the command goes on at once"
    for _ in range(20):
        command.step()
        both.settle()
    assert kit.queue().total == 0
    assert len(hub.taken) == 102
    kit.save_encounter(replace(ward.encounter, reason="复诊"))
    command.step()
    assert sum(len(peer.handed) for peer in command._standings.values()) == 1


def test_nobody_speaks_for_somebody_else(pair: Any, kit: KitStore, hub: Any, ward: Any, clock: Any) -> None:
    ward.admit(kit)
    reading = ward.reading()
    kit.save_observation(reading)
    both = pair().connect()
    road = both.road
    (envelope, *_) = everything(kit)
    # Under another's name, on another's road, and both.
    both.hub_end.on_message("kit-1", road.sealed_by("kit-1", "hub", envelope, claims="kit-2"))
    both.hub_end.on_message("kit-1", road.sealed_by("kit-2", "hub", replace(envelope, sender="kit-2")))
    both.hub_end.on_message("kit-1", road.sealed_by("kit-2", "hub", Hello(), claims="kit-1"))
    both.hub_end.on_message("kit-1", road.sealed_by("nobody", "hub", envelope, claims="kit-1"))
    both.hub.step()
    assert both.hub.counts.packets_refused_in == 4
    assert not hub.taken
    to_another = Envelope(uuid4(), "hub", "kit-2", "b", 1, "report", Lane.REPORTS, uuid4(), 1, pack(ward.report()))
    both.kit_end.on_message("hub", road.sealed_by("hub", "kit-2", to_another))
    both.settle()
    assert kit.inbox() == []
    told = [m.code for name in ("hub", "kit-1") for m in road.messages_to(name) if isinstance(m, Refusal)]
    assert told == ["packet-recipient", "packet-sender", "packet-sender", "packet-sender", "packet-signer"]
    # A receipt for what went to another kit ends nothing.
    mine = hub.post(ward.report(), uuid4(), recipient="kit-1")
    both.hub.step()
    both.hub_end.on_message("kit-3", road.receipts_by("kit-3", "hub", Receipt(mine.id, mine.body_sha256, "e", 1)))
    both.hub.step()
    assert mine.id in hub.outbox


class FullMailbox:
    """A hub whose disk is full for a while."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.full = True
        self.code = "hub-write"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        if self.full:
            raise StorageError(self.code)
        receipts: list[Receipt] = self._inner.accept(envelopes, now_ms)
        return receipts


def test_a_store_that_cannot_keep_gives_no_receipt_and_gets_it_again(
    kit: KitStore, hub: Any, ward: Any, clock: Any, faulty_road: Any
) -> None:
    ward.admit(kit)
    full = FullMailbox(hub)
    both = Pair(kit, full, faulty_road(), clock).connect()
    both.settle_for(30, steps=6)
    assert kit.queue().total == 2
    assert both.hub.counts.store_errors >= 2
    full.full = False
    both.settle_for(120, steps=24)
    assert kit.queue().total == 0
    full.full, full.code = True, "store-damaged"
    kit.save_encounter(replace(ward.encounter, reason="复诊"))
    both.kit.step()
    both.road.deliver()
    with pytest.raises(StorageError, match="store-damaged"):
        both.hub.step()

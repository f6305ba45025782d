"""Large items go in parts: resumed at both ends after any restart, overtaken by what is critical, bounded."""

from __future__ import annotations

import contextlib
import importlib
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import Rejected
from zhenbao.model.report import DeliveryState, Receipt
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane
from zhenbao.sync.messages import Hello, Refusal
from zhenbao.sync.parts import (
    DONE_AGE_MS,
    HALF_AGE_MS,
    MOST_HALF,
    PART_BYTES,
    Part,
    decode_part,
    encode_part,
    is_part,
    transfer_of,
)

NOW = 1_800_000_000_000


def hub_store(place: Path, clock: Any) -> Any:
    pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
    return importlib.import_module("zhenbao.hub.store.hub_store").HubStore(f"sqlite:///{place}/hub.db", clock)


@pytest.fixture(params=["kit", "hub", "plain"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Any, plain_mailbox: Any) -> Iterator[Any]:
    if request.param == "plain":
        yield plain_mailbox("hub", "kit-1")
        return
    made = (
        KitStore.open(tmp_path / "kit", kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY)
        if request.param == "kit"
        else hub_store(tmp_path, clock)
    )
    yield made
    made.close()


def parts_of(packet: bytes) -> list[Part]:
    count = -(-len(packet) // PART_BYTES)
    pieces = [packet[n * PART_BYTES : (n + 1) * PART_BYTES] for n in range(count)]
    return [Part(transfer_of(packet), n, count, piece) for n, piece in enumerate(pieces)]


# The frame


def test_a_part_arrives_as_it_left_in_21_bytes_more() -> None:
    for part in parts_of(random.Random(1).randbytes(3 * PART_BYTES + 17)):
        wire = encode_part(part)
        assert is_part(wire)
        assert decode_part(wire) == part
        assert len(wire) <= len(part.data) + 24


@given(st.binary(max_size=60), st.integers(0, 4000), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_part_or_rejected(data: bytes, at: int, flip: int) -> None:
    good = bytearray(encode_part(parts_of(bytes(5000))[1]))
    good[at % len(good)] ^= flip
    for wire in (data, b"\x87\x02\x09" + data, bytes(good)):
        with contextlib.suppress(Rejected):
            decoded = decode_part(wire)
            assert decoded.data == bytes(len(decoded.data)), "the checksum finds what was changed in the bytes"


# What every store does with parts


def test_parts_are_kept_joined_and_dropped(store: Any) -> None:
    packet = random.Random(2).randbytes(5 * PART_BYTES + 5)
    parts = parts_of(packet)
    name = transfer_of(packet)
    assert store.transfer("kit-1", name) is None
    store.keep_parts("kit-1", [parts[4], parts[0], parts[0]], NOW)
    assert store.transfer("kit-1", name).have == {0, 4}
    assert store.transfer("kit-2", name) is None, "another's parts are another's"
    store.keep_parts("kit-1", [Part(name, 0, 6, bytes(PART_BYTES)), *parts], NOW)
    assert store.whole("kit-1", name) == packet, "what came first stays"
    with pytest.raises(Rejected, match="transfer-parts"):
        store.keep_parts("kit-1", [Part(name, 1, 7, bytes(PART_BYTES))], NOW)
    answer = Receipt(uuid4(), bytes(32), "epoch", NOW)
    store.end_transfer("kit-1", name, [answer], NOW)
    known = store.transfer("kit-1", name)
    assert (known.done, known.have) == ((answer,), frozenset())
    store.end_transfer("kit-1", name, (), NOW)
    assert store.transfer("kit-1", name) is None


def test_what_is_half_there_is_bounded(store: Any) -> None:
    for n in range(MOST_HALF):
        store.keep_parts("kit-1", [Part(n.to_bytes(8, "big"), 0, 3, bytes(PART_BYTES))], NOW)
    more = Part(b"one more", 0, 3, bytes(PART_BYTES))
    with pytest.raises(Rejected, match="transfer-quota"):
        store.keep_parts("kit-1", [more], NOW)
    store.keep_parts("kit-2", [more], NOW)  # each for itself
    big = [Part(bytes([n]) * 8, 0, 2048, bytes(PART_BYTES)) for n in range(9)]
    with pytest.raises(Rejected, match="transfer-quota"):
        store.keep_parts("kit-3", big, NOW)


def test_a_critical_transfer_pushes_out_what_was_gone_on_with_longest_ago(store: Any) -> None:
    names = [bytes([n]) * 8 for n in range(MOST_HALF)]
    for n, name in enumerate(names):
        store.keep_parts("kit-1", [Part(name, 0, 3, bytes(PART_BYTES), Lane.WAVEFORMS)], NOW + n)
    store.keep_parts("kit-2", [Part(names[0], 0, 3, bytes(PART_BYTES), Lane.WAVEFORMS)], NOW)
    critical = Part(b"critical", 0, 3, bytes(PART_BYTES), Lane.CRITICAL)
    store.keep_parts("kit-1", [critical], NOW + 100)
    assert store.transfer("kit-1", b"critical") is not None
    assert [name for name in names if store.transfer("kit-1", name) is None] == [names[0]]
    assert store.transfer("kit-2", names[0]) is not None, "nobody's but its own"
    with pytest.raises(Rejected, match="transfer-quota"):
        store.keep_parts("kit-1", [Part(names[0], 0, 3, bytes(PART_BYTES), Lane.WAVEFORMS)], NOW + 101)


def test_who_calls_everything_critical_holds_no_more_than_others(store: Any) -> None:
    names = [n.to_bytes(8, "big") for n in range(3 * MOST_HALF)]
    for n, name in enumerate(names):
        store.keep_parts("kit-1", [Part(name, 0, 2048, bytes(PART_BYTES), Lane.CRITICAL)], NOW + n)
    half = [known for name in names if (known := store.transfer("kit-1", name)) is not None]
    assert len(half) == 8, "eight times 8 MiB"
    assert [store.transfer("kit-1", name) is not None for name in names[-8:]] == [True] * 8


def test_what_nobody_goes_on_with_is_forgotten(tmp_path: Path, clock: Any) -> None:
    made = hub_store(tmp_path, clock)
    with KitStore.open(tmp_path / "kit", kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY) as kit:
        for each in (made, kit):
            each.keep_parts("hub", [Part(b"half one", 0, 2, bytes(PART_BYTES))], NOW)
            each.keep_parts("hub", [Part(b"done one", 0, 1, b"x")], NOW)
            each.end_transfer("hub", b"done one", [Receipt(uuid4(), bytes(32), "e", NOW)], NOW)
            each.keep_parts("hub", [Part(b"another1", 0, 2, bytes(PART_BYTES))], NOW + DONE_AGE_MS + 1)
            assert each.transfer("hub", b"done one") is None
            assert each.transfer("hub", b"half one") is not None
            each.keep_parts("hub", [Part(b"another2", 0, 2, bytes(PART_BYTES))], NOW + HALF_AGE_MS + 1)
            assert each.transfer("hub", b"half one") is None
    made.close()


def test_a_sealed_packet_is_kept_and_given_in_slices(store: Any) -> None:
    id_, packet = uuid4(), random.Random(3).randbytes(10_000)
    assert store.sealed_bytes(id_) is None
    assert store.sealed_slice(id_, 0, 10) == b""
    store.keep_sealed(id_, packet)
    store.keep_sealed(id_, b"another sealing of the same")
    assert store.sealed_bytes(id_) == len(packet)
    assert b"".join(store.sealed_slice(id_, at, PART_BYTES) for at in range(0, 12_000, PART_BYTES)) == packet
    store.drop_sealed(id_)
    assert store.sealed_bytes(id_) is None


# Two ends and a road


class Ends:
    """A kit's engine and a hub's on real stores, each of which can be started again."""

    def __init__(self, place: Path, clock: Any, road: Any) -> None:
        self.place, self.clock, self.road = place, clock, road
        self.stores: dict[str, Any] = {}
        self.engines: dict[str, Engine] = {}
        for name in ("hub", "kit-1"):
            self.start(name)

    def start(self, name: str) -> None:
        """Start, or start again: nothing of what was in memory is left."""
        if name in self.stores:
            self.road.ends[name].stop()
            self.stores[name].close()
        if name == "hub":
            self.stores[name] = hub_store(self.place, self.clock)
        else:
            self.stores[name] = KitStore.open(
                self.place / "kit", kit_id=name, clock=self.clock, ballast_bytes=1 << 20, key=KEY
            )
        end = self.road.end(name)
        self.engines[name] = Engine(
            self.stores[name], end, self.clock, self.road.keyring_of(name), rng=random.Random(1)
        )
        end.start()

    @property
    def kit(self) -> KitStore:
        store: KitStore = self.stores["kit-1"]
        return store

    def turn(self) -> None:
        for engine in self.engines.values():
            engine.step()
        self.road.deliver()
        self.clock.pass_s(0.5)

    def until(self, done: Callable[[], bool], *, turns: int = 400) -> None:
        for _ in range(turns):
            if done():
                return
            self.turn()
        pytest.fail(f"not within {turns} turns")

    def close(self) -> None:
        for store in self.stores.values():
            store.close()


@pytest.fixture
def ends(tmp_path: Path, clock: Any, faulty_road: Any) -> Iterator[Ends]:
    made = Ends(tmp_path, clock, faulty_road())
    yield made
    made.close()


def bytes_of_parts(road: Any) -> list[tuple[bytes, int, bytes]]:
    found = [decode_part(data) for to, data in road.carried if to == "hub" and is_part(data)]
    return [(part.transfer, part.number, part.data) for part in found]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["kit-1", "hub", "both"])
def test_a_restart_at_every_part_resumes_with_the_same_bytes(ends: Ends, ward: Any, who: str) -> None:
    ward.admit(ends.kit)
    reading = ward.reading("spirometry")
    recording = ward.recording(reading, 8 * PART_BYTES)
    ends.kit.save_observation(reading, [recording])
    ends.until(lambda: len(bytes_of_parts(ends.road)) > 0)
    restarts = 0
    for _ in range(60):
        sent = len({number for _, number, _ in bytes_of_parts(ends.road)})
        for name in ("kit-1", "hub") if who == "both" else (who,):
            ends.start(name)
        restarts += 1
        ends.until(
            lambda sent=sent: (
                len({number for _, number, _ in bytes_of_parts(ends.road)}) > sent
                or DeliveryState.RECEIVED in ends.kit.delivery(recording.id)
            )
        )
        if DeliveryState.RECEIVED in ends.kit.delivery(recording.id):
            break
    ends.until(lambda: ends.kit.queue().total == 0)
    assert restarts >= 4
    sent = bytes_of_parts(ends.road)
    assert len({(transfer, number): data for transfer, number, data in sent}) == 9, "one sealing, nine parts"
    assert len({(transfer, number, data) for transfer, number, data in sent}) == 9, "the same bytes each time"
    with ends.stores["hub"].reading() as connection:
        from zhenbao.hub.store import records

        assert records.recordings_of(connection, reading.id) == [recording]
    (proof,) = ends.kit.proofs(recording.id)
    assert proof


def test_parts_that_are_there_are_not_sent_again(ends: Ends, ward: Any) -> None:
    ward.admit(ends.kit)
    reading = ward.reading("spirometry")
    ends.kit.save_observation(reading, [ward.recording(reading, 20 * PART_BYTES)])
    ends.until(lambda: len({n for _, n, _ in bytes_of_parts(ends.road)}) >= 10)
    ends.start("kit-1")
    ends.until(lambda: ends.kit.queue().total == 0)
    assert len(bytes_of_parts(ends.road)) <= 21 + 2, "at most what was under way goes twice"


def test_a_critical_item_goes_between_two_parts(ends: Ends, ward: Any) -> None:
    ward.admit(ends.kit)
    slow = ward.reading("spirometry")
    ends.kit.save_observation(slow, [ward.recording(slow, 30 * PART_BYTES)])
    ends.until(lambda: len(bytes_of_parts(ends.road)) >= 6)
    infarction = ward.reading("ecg")
    trace = ward.recording(infarction, 6 * PART_BYTES + 1)
    ends.kit.save_observation(infarction, [trace], lane=Lane.CRITICAL)
    before = len(ends.road.carried)
    ends.engines["kit-1"].step()
    (first, *_) = [data for to, data in ends.road.carried[before:] if to == "hub"]
    assert not is_part(first), "the finding before the next part"
    ends.until(lambda: DeliveryState.RECEIVED in ends.kit.delivery(trace.id))
    since = [decode_part(data) for to, data in ends.road.carried[before:] if to == "hub" and is_part(data)]
    slow_name = bytes_of_parts(ends.road)[0][0]
    until_done = [part.transfer == slow_name for part in since]
    assert sum(until_done) <= 2, "its own recording before all other waveforms"
    ends.until(lambda: ends.kit.queue().total == 0)


def half_at_hub(ends: Ends) -> int:
    names = {name for name, _, _ in bytes_of_parts(ends.road)}
    known = [ends.stores["hub"].transfer("kit-1", name) for name in names]
    return sum(each is not None and not each.done for each in known)


def test_one_transfer_ends_before_the_next_begins_however_often_something_overtakes(ends: Ends, ward: Any) -> None:
    """On a road that loses parts. Else each tracing that overtakes leaves another half there, until all is full."""
    ward.admit(ends.kit)
    for _ in range(12):
        reading = ward.reading("spirometry")
        ends.kit.save_observation(reading, [ward.recording(reading, 12 * PART_BYTES)])
    ends.road.loss = 0.15
    most, criticals = 0, []
    for turn in range(400):
        if turn % 25 == 5:
            infarction = ward.reading("ecg")
            trace = ward.recording(infarction, 4 * PART_BYTES)
            ends.kit.save_observation(infarction, [trace], lane=Lane.CRITICAL)
            criticals.append(trace.id)
        ends.turn()
        most = max(most, half_at_hub(ends))
    assert len(criticals) == 16
    assert most <= 4, "two of the backlog, two critical ones"
    ends.road.loss = 0.0
    ends.until(lambda: ends.kit.queue().total == 0, turns=1500)


def test_a_critical_tracing_finds_room_where_everything_is_full(ends: Ends, ward: Any) -> None:
    hub = ends.stores["hub"]
    for n in range(MOST_HALF):
        part = Part(bytes([n]) * 8, 0, 30, bytes(PART_BYTES), Lane.WAVEFORMS)
        hub.keep_parts("kit-1", [part], ends.clock.now_ms())
    ward.admit(ends.kit)
    infarction, slow = ward.reading("ecg"), ward.reading("spirometry")
    trace, flow = ward.recording(infarction, 7 * PART_BYTES), ward.recording(slow, 5 * PART_BYTES)
    ends.kit.save_observation(slow, [flow])
    ends.kit.save_observation(infarction, [trace], lane=Lane.CRITICAL)
    ends.until(lambda: DeliveryState.RECEIVED in ends.kit.delivery(trace.id), turns=20)
    ends.until(lambda: ends.kit.queue().total == 0)


def test_the_road_is_told_what_is_urgent_by_the_lane(ends: Ends, ward: Any) -> None:
    ward.admit(ends.kit)
    for n in range(30):
        reading = ward.reading()
        ends.kit.save_observation(reading, [ward.recording(reading, 3 * PART_BYTES)] if n % 10 == 0 else [])
    ends.until(lambda: ends.kit.queue().total == 0)
    infarction = ward.reading("ecg")
    ends.kit.save_observation(infarction, [ward.recording(infarction, 3 * PART_BYTES)], lane=Lane.CRITICAL)
    ends.until(lambda: ends.kit.queue().total == 0)
    backlog = critical = 0
    for (to, data), urgent in zip(ends.road.carried, ends.road.urgent, strict=True):
        lanes = {message.lane for message in ends.road.opened(data) if isinstance(message, Envelope)}
        lanes |= {decode_part(data).lane} if is_part(data) else set()
        assert urgent == (not lanes or Lane.CRITICAL in lanes), f"{lanes} to {to}"
        backlog += bool(lanes) and not urgent
        critical += bool(lanes) and urgent
    assert backlog >= 5
    assert critical == 5, "the finding, and four parts"


def test_few_bytes_of_waveforms_are_under_way(ends: Ends, ward: Any) -> None:
    """What a critical item waits behind, on a road of 64 kbit/s: about a second."""
    ward.admit(ends.kit)
    for _ in range(3):
        reading = ward.reading("spirometry")
        ends.kit.save_observation(reading, [ward.recording(reading, 30 * PART_BYTES)])
    ends.until(lambda: len(bytes_of_parts(ends.road)) >= 4)
    ends.road.ends["hub"].connected = False  # nothing is answered any more
    before = len(bytes_of_parts(ends.road))
    for _ in range(5):
        ends.engines["kit-1"].step()
    assert len(bytes_of_parts(ends.road)) - before <= 2


def test_a_part_that_was_changed_costs_the_transfer_and_not_the_item(ends: Ends, ward: Any) -> None:
    ward.admit(ends.kit)
    reading = ward.reading("spirometry")
    recording = ward.recording(reading, 5 * PART_BYTES)
    ends.kit.save_observation(reading, [recording])
    ends.until(lambda: len(bytes_of_parts(ends.road)) > 0)
    (name, _, _) = bytes_of_parts(ends.road)[0]
    # Somebody on the road is faster with a part of their own.
    ends.road.ends["hub"].on_message("kit-1", encode_part(Part(name, 5, 6, b"a forged last part")))
    ends.until(lambda: ends.kit.queue().total == 0)
    assert ends.kit.quarantined() == []
    assert ends.engines["hub"].counts.damaged == 1
    codes = [m.code for m in ends.road.messages_to("kit-1") if isinstance(m, Refusal)]
    assert codes == ["transfer-damaged"]


def test_parts_of_a_stranger_are_not_kept(ends: Ends) -> None:
    ends.road.ends["hub"].on_message("kit-9", encode_part(Part(b"stranger", 0, 2, bytes(PART_BYTES))))
    ends.turn()
    assert ends.stores["hub"].transfer("kit-9", b"stranger") is None
    assert ends.engines["hub"].counts.packets_refused_in == 1


@pytest.mark.slow
def test_a_backlog_of_waveforms_does_not_fill_the_memory(ends: Ends, ward: Any) -> None:
    ward.admit(ends.kit)
    size = 1 << 20
    for _ in range(24):
        reading = ward.reading("spirometry")
        ends.kit.save_observation(reading, [ward.recording(reading, size)])
    ends.turn()
    tracemalloc.start()
    try:
        for _ in range(40):
            ends.engines["kit-1"].step()
            ends.road.deliver()
            ends.engines["hub"].step()
            ends.road.carried.clear()
            ends.clock.pass_s(0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * size, "of 24 waiting, one at a time (and its sealing)"


def test_a_hello_of_a_peer_that_is_back_makes_it_be_asked(ends: Ends, ward: Any) -> None:
    """What had been sent before is asked for, and not sent blindly again."""
    ward.admit(ends.kit)
    reading = ward.reading("spirometry")
    ends.kit.save_observation(reading, [ward.recording(reading, 12 * PART_BYTES)])
    ends.until(lambda: len(bytes_of_parts(ends.road)) >= 4)
    ends.road.ends["kit-1"].stop()
    ends.road.ends["kit-1"].start()
    before = len(bytes_of_parts(ends.road))
    ends.engines["kit-1"].step()
    assert len(bytes_of_parts(ends.road)) == before
    assert any(isinstance(m, Hello) for m in ends.road.messages_to("hub"))
    assert not any(isinstance(m, Envelope) and m.kind == "recording" for m in ends.road.messages_to("hub"))
    ends.until(lambda: ends.kit.queue().total == 0)

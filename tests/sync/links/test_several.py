"""Two roads under one engine: failover, half-open roads, and receipts that come back by the other one."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import LinkDown, Rejected
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Lane
from zhenbao.sync.links.several import SPILL_BYTES, STALLED_S, Parcel, RoadState, SeveralRoads, in_order
from zhenbao.sync.links.several_hub import RoadsAtHub


class Cable:
    """Both ends of one road. It can be cut, seen by both sides, or swallow what it is given, seen by nobody."""

    def __init__(self, most_bytes: int = 1 << 30) -> None:
        self.ends = {"kit-1": End(self, most_bytes), "hub": End(self, most_bytes)}
        self.swallows = False
        self.carried: list[tuple[str, bytes]] = []
        self._on_the_way: list[tuple[str, str, bytes]] = []

    def put(self, sender: str, recipient: str, data: bytes) -> None:
        self._on_the_way.append((sender, recipient, data))

    def deliver(self) -> None:
        if self.swallows:
            return
        moving, self._on_the_way = self._on_the_way, []
        for end in self.ends.values():
            end.backlog_bytes = 0
        for sender, recipient, data in moving:
            if self.ends[recipient].connected:
                self.carried.append((recipient, data))
                self.ends[recipient].on_message(sender, data)

    def cut(self) -> None:
        self._on_the_way.clear()
        for end in self.ends.values():
            end.turn(up=False)

    def mend(self) -> None:
        self._on_the_way.clear()
        self.swallows = False
        for end in self.ends.values():
            end.turn(up=True)


class End:
    """A ``Link``."""

    def __init__(self, cable: Cable, most_bytes: int) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.connected = False
        self.backlog_bytes = 0
        self.trouble: LinkDown | None = LinkDown("link-nobody", reason="test")
        self.hurried = 0
        self.interface = ""
        self._cable, self._most_bytes = cable, most_bytes

    def start(self) -> None:
        self.turn(up=True)

    def stop(self) -> None:
        self.turn(up=False)

    def hurry(self) -> None:
        self.hurried += 1

    def via(self, interface: str) -> None:
        self.interface = interface

    def turn(self, *, up: bool) -> None:
        if up != self.connected:
            self.connected, self.backlog_bytes = up, 0
            (self.on_up if up else self.on_down)()

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        if len(data) > self._most_bytes:
            raise Rejected("link-too-large", size=len(data), most=self._most_bytes)
        if not self.connected:
            raise LinkDown("link-down")
        self.backlog_bytes += len(data)
        name = next(name for name, end in self._cable.ends.items() if end is self)
        self._cable.put(name, recipient, data)


class Pair:
    """A kit's and a hub's engine, joined by two cables."""

    def __init__(self, kit: KitStore, hub: Any, clock: Any, keyring_of: Any) -> None:
        self.kit, self.hub, self.clock = kit, hub, clock
        self.first, self.second = Cable(), Cable()
        self.kit_end = SeveralRoads(
            {"first": self.first.ends["kit-1"], "second": self.second.ends["kit-1"]}, monotonic_s=clock.monotonic_s
        )
        self.hub_end = RoadsAtHub(
            {"first": self.first.ends["hub"], "second": self.second.ends["hub"]}, monotonic_s=clock.monotonic_s
        )
        self.engines = [
            Engine(kit, self.kit_end, clock, keyring_of("kit-1"), rng=random.Random(1)),
            Engine(hub, self.hub_end, clock, keyring_of("hub"), rng=random.Random(2)),
        ]
        self.hub_end.start()
        self.kit_end.start()

    def turn(self, seconds: float = 1.0) -> None:
        for _ in range(3):
            for engine in self.engines:
                engine.step()
            self.first.deliver()
            self.second.deliver()
        self.clock.pass_s(seconds)

    def until(self, done: Callable[[], bool], seconds: int = 600) -> None:
        for _ in range(seconds):
            if done():
                return
            self.turn()
        pytest.fail(f"not within {seconds} s")


@pytest.fixture
def pair(kit: KitStore, hub: Any, clock: Any, faulty_road: Any) -> Pair:
    return Pair(kit, hub, clock, faulty_road.keyring_of)


def _fill(pair: Pair, ward: Any, count: int) -> int:
    ward.admit(pair.kit)
    for _ in range(count):
        pair.kit.save_observation(ward.reading())
    return count + 2


def test_roads_that_come_and_go_lose_and_double_nothing(pair: Pair, ward: Any) -> None:
    wanted = _fill(pair, ward, 150)
    rng = random.Random(7)
    for n in range(40):
        cable = rng.choice((pair.first, pair.second))
        (cable.cut if rng.random() < 0.5 else cable.mend)()
        if n % 8 == 0:
            report = ward.report(ward.reading())
            pair.hub.post(report, report.id)
        pair.turn(rng.uniform(0.1, 3.0))
    pair.first.mend()
    pair.until(lambda: pair.kit.queue().total == 0 and not pair.hub.outbox)
    assert len(pair.hub.taken) == wanted == pair.engines[1].counts.accepted
    assert pair.engines[0].counts.accepted == len(pair.kit.inbox()) == 5
    assert pair.first.carried and pair.second.carried
    assert pair.kit.quarantined() == []


def test_what_the_broken_road_held_goes_at_once_by_the_other(pair: Pair, ward: Any) -> None:
    wanted = _fill(pair, ward, 5)
    pair.first.swallows = True
    for engine in pair.engines:
        engine.step()
    pair.first.cut()
    # No time passes: no retry of the engine's is due, only the change of roads can do it.
    pair.turn(0.0)
    pair.turn(0.0)
    assert len(pair.hub.taken) == wanted
    assert pair.kit.queue().total == 0


def test_a_receipt_may_come_back_by_the_other_road(pair: Pair, ward: Any) -> None:
    wanted = _fill(pair, ward, 3)
    for engine in pair.engines:
        engine.step()
    pair.first.deliver()  # up by the first road
    pair.first.ends["hub"].turn(up=False)  # the hub can no longer answer there; the kit does not know
    for _ in range(3):
        pair.engines[1].step()
        pair.second.deliver()
        pair.engines[0].step()
    assert len(pair.hub.taken) == wanted
    assert pair.kit.queue().total == 0
    assert {recipient for recipient, _ in pair.second.carried} == {"kit-1"}


def test_a_half_open_road_is_passed_by_before_anybody_notices_that_it_is_dead(pair: Pair, ward: Any) -> None:
    pair.turn()
    pair.first.swallows = True
    stalls: list[float] = []
    pair.kit_end.on_stalled = lambda: stalls.append(pair.clock.monotonic_s())
    _fill(pair, ward, 60)
    critical = ward.reading()
    pair.kit.save_observation(critical, lane=Lane.CRITICAL)
    began_s = pair.clock.monotonic_s()
    pair.until(lambda: any(e.subject_id == critical.id for e, _ in pair.hub.taken.values()))
    assert pair.clock.monotonic_s() - began_s < STALLED_S + 5
    assert pair.kit_end.connected
    assert [state.stalled for state in pair.kit_end.states()] == [True, False]
    assert len(stalls) == 1
    pair.until(lambda: pair.kit.queue().total == 0)
    # It lives again: what it swallowed comes at last, twice as it seems, and is known.
    pair.first.swallows = False
    pair.turn()
    pair.turn()
    assert not pair.kit_end.states()[0].stalled
    assert len(pair.hub.taken) == 63
    assert pair.hub_end.presence()[0].road in ("first", "second")


def test_a_packet_that_one_road_cannot_carry_takes_the_other(
    kit: KitStore, hub: Any, clock: Any, ward: Any, faulty_road: Any
) -> None:
    pair = Pair(kit, hub, clock, faulty_road.keyring_of)
    pair.first.ends["kit-1"]._most_bytes = 3000
    ward.admit(kit)
    reading = ward.reading()
    kit.save_observation(reading, [ward.recording(reading)])
    pair.until(lambda: kit.queue().total == 0)
    assert kit.quarantined() == []
    assert any(len(data) > 3000 for _, data in pair.second.carried)
    pair.second.cut()
    with pytest.raises(Rejected, match="link-too-large"):
        pair.kit_end.send("hub", bytes(4000))


def test_only_the_first_and_the_last_road_are_news(pair: Pair) -> None:
    told: list[str] = []
    pair.kit_end.on_up, pair.kit_end.on_down = lambda: told.append("up"), lambda: told.append("down")
    pair.second.cut()  # carried nothing
    pair.second.mend()
    assert told == []
    pair.first.cut()
    pair.second.cut()
    assert not pair.kit_end.connected
    assert pair.kit_end.trouble is not None
    with pytest.raises(LinkDown):
        pair.kit_end.send("hub", b"x")
    pair.second.mend()
    assert told[-2:] == ["down", "up"]


def test_the_plain_choice_keeps_urgent_things_on_the_preferred_road_and_bulk_off_a_full_one() -> None:
    def road(name: str, backlog: int = 0, *, stalled: bool = False, connected: bool = True) -> RoadState:
        return RoadState(name, connected, backlog, stalled, 0)

    urgent, bulk = Parcel(300, True), Parcel(8000, False)
    full, free = road("mqtt", SPILL_BYTES), road("https")
    assert in_order(urgent, [full, free]) == ["mqtt", "https"]
    assert in_order(bulk, [full, free]) == ["https", "mqtt"]
    assert in_order(urgent, [road("mqtt", 10, stalled=True), free]) == ["https", "mqtt"]
    assert in_order(bulk, [road("mqtt", connected=False), free]) == ["https"]


def test_a_choice_from_outside_decides(pair: Pair, ward: Any) -> None:
    asked: list[Parcel] = []

    def second_for_large(parcel: Parcel, roads: Any) -> list[str]:
        asked.append(parcel)
        return ["second"] if parcel.size_bytes > 4000 else ["first"]

    pair.kit_end.choose = second_for_large
    ward.admit(pair.kit)
    reading = ward.reading()
    pair.kit.save_observation(reading, [ward.recording(reading)])
    pair.until(lambda: pair.kit.queue().total == 0)
    assert {len(d) > 4000 for r, d in pair.second.carried if r == "hub"} == {True}
    assert {parcel.urgent for parcel in asked} == {True, False}


def test_a_kit_whose_line_broke_is_known_to_be_away_unless_another_road_has_it(pair: Pair) -> None:
    pair.turn()
    (seen,) = pair.hub_end.presence()
    assert (seen.kit_id, seen.road, seen.here) == ("kit-1", "first", True)
    pair.hub_end.gone("second", "kit-1")
    assert pair.hub_end.presence()[0].here
    pair.hub_end.gone("first", "kit-1")
    assert not pair.hub_end.presence()[0].here

"""What the policy holds back stays in the outbox, whole and in order; everything else goes as ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zhenbao.agent.store import KitStore
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane
from zhenbao.sync.uplink.policy import Situation, decide
from zhenbao.sync.uplink.state import Kind, Signal, Uplink

SIM = Uplink(Kind.CELLULAR, "wwan0", up=True, signal=Signal(-90, -10, 15))
WEAK = replace(SIM, signal=Signal(-120, -18, -8))


class Bedside:
    """A kit, a hub and a road between them, under a policy."""

    def __init__(self, kit: KitStore, hub: Any, faulty_road: Any, clock: Any, **faults: float) -> None:
        self.now = Situation(SIM, answered=True)
        self.road = faulty_road(**faults)
        self.clock = clock
        self.hub = hub
        self.engines = [
            Engine(
                kit,
                self.road.end("kit-1"),
                clock,
                self.road.keyring_of("kit-1"),
                may_go=lambda item: decide(item.lane, self.now).allowed,
            ),
            Engine(hub, self.road.end("hub"), clock, self.road.keyring_of("hub")),
        ]
        for end in self.road.ends.values():
            end.start()

    def move(self, rounds: int = 40) -> None:
        for _ in range(rounds):
            for engine in self.engines:
                engine.step()
            self.road.deliver()
            self.clock.pass_s(10)

    def arrived(self) -> list[Envelope]:
        return [envelope for envelope, _ in self.hub.taken.values()]


def waiting(kit: KitStore) -> dict[Lane, int]:
    return {lane: count for lane, count in kit.queue().waiting.items() if count}


def test_a_waveform_waits_for_a_signal_and_the_rest_does_not(
    kit: KitStore, hub: Any, faulty_road: Any, clock: Any, ward: Any
) -> None:
    bedside = Bedside(kit, hub, faulty_road, clock)
    bedside.now = Situation(WEAK, answered=True)
    ward.admit(kit)
    reading = ward.reading("ecg")
    kit.save_observation(reading, [ward.recording(reading)])
    bedside.move()
    assert waiting(kit) == {Lane.WAVEFORMS: 1}
    assert {envelope.kind for envelope in bedside.arrived()} == {"patient", "encounter", "observation"}
    urgent = ward.reading("ecg")
    kit.save_observation(urgent, [ward.recording(urgent)], lane=Lane.CRITICAL)
    bedside.move()
    assert waiting(kit) == {Lane.WAVEFORMS: 1}
    assert {envelope.subject_id for envelope in bedside.arrived()} >= {urgent.id}
    assert sum(envelope.kind == "recording" for envelope in bedside.arrived()) == 1
    bedside.now = Situation(SIM, answered=True)
    bedside.move()
    assert waiting(kit) == {}
    assert sum(envelope.kind == "recording" for envelope in bedside.arrived()) == 2


def test_a_road_that_changes_all_the_time_loses_and_doubles_nothing(
    kit: KitStore, hub: Any, faulty_road: Any, clock: Any, ward: Any
) -> None:
    bedside = Bedside(kit, hub, faulty_road, clock, loss=0.2, repeat=0.2)
    ward.admit(kit)
    for _ in range(12):
        reading = ward.reading("ecg")
        kit.save_observation(reading, [ward.recording(reading, 400)])
    for situation in (Situation(WEAK, True), Situation(SIM, False), Situation(None, None), Situation(SIM, True)) * 5:
        bedside.now = situation
        bedside.move(3)
    bedside.now = Situation(SIM, True)
    bedside.move(300)
    assert waiting(kit) == {}
    kinds = [envelope.kind for envelope in bedside.arrived()]
    assert (kinds.count("observation"), kinds.count("recording"), kinds.count("patient")) == (12, 12, 1)


def test_a_receipt_is_taken_while_its_item_waits(
    kit: KitStore, hub: Any, faulty_road: Any, clock: Any, ward: Any
) -> None:
    """It went out on a good road; the receipt comes back on another, or later."""
    bedside = Bedside(kit, hub, faulty_road, clock)
    ward.admit(kit)
    bedside.engines[0].step()
    bedside.now = Situation(None, None)
    bedside.move()
    assert waiting(kit) == {}

"""A real kit with both roads to a real hub: Mosquitto and HTTPS, certificates of one county, and lines that break."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from store_key import KEY

from tests.bad_line import BadLine
from tests.hub.conftest import HandClock, KitVoice
from tests.hub.county import County
from zhenbao.agent.keys import KitKeyring, pin_hub, set_up_keys
from zhenbao.agent.roads import open_roads
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.store import KitStore
from zhenbao.hub.server import Hub
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import SystemClock
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Lane
from zhenbao.sync.links.several import SeveralRoads

pytestmark = pytest.mark.slow
KIT = "kit-001"


def until(what: str, happened: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.05)


@dataclass
class Scene:
    county: County
    hub: Hub
    store: KitStore
    voice: KitVoice
    mqtt: BadLine
    web: BadLine
    settings: KitSettings

    def readings(self, count: int) -> None:
        """Visits with readings; every fifth with a recording of some size."""
        patient = self.voice.patient(number=None)
        encounter = self.voice.encounter(patient)
        self.store.save_patient(patient)
        self.store.save_encounter(encounter)
        for n in range(count):
            if n % 5:
                self.store.save_observation(self.voice.observation(encounter))
            else:
                reading, recording = self.voice.ecg(encounter)
                self.store.save_observation(reading, (recording,))

    def busy(self) -> bool:
        """There is something to break in the middle of: however much has gone already, more waits."""
        if self.store.queue().total < 5:
            self.readings(20)
        return True

    def critical(self) -> object:
        patient = self.voice.patient()
        encounter = self.voice.encounter(patient, chest_pain="yes")
        reading = self.voice.observation(encounter, Finding("EC19", Urgency.RED))
        self.store.save_patient(patient)
        self.store.save_encounter(encounter)
        self.store.save_observation(reading, lane=Lane.CRITICAL)
        return reading.id

    @contextmanager
    def service(self) -> Iterator[SeveralRoads]:
        stop = threading.Event()
        roads = open_roads(self.county.home / KIT, self.settings)
        engine = Engine(self.store, roads, SystemClock(), KitKeyring(self.county.home / KIT, KIT))
        thread = threading.Thread(target=engine.run, args=(stop,))
        thread.start()
        try:
            yield roads
        finally:
            stop.set()
            thread.join(30)
            assert not thread.is_alive()

    def state(self, roads: SeveralRoads, name: str) -> bool:
        return next(s.connected and not s.stalled for s in roads.states() if s.name == name)

    def everything_arrived_once(self) -> None:
        until("receipted", lambda: self.store.queue().total == 0, 90)
        account, counters = self.store.account(), self.hub.counters
        assert account.posted == account.delivered == counters.accepted
        assert (counters.refused, counters.quarantined) == (0, 0)
        received = self.hub.store.received_from(KIT)
        assert len(received) == len(set(received)) == account.posted


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    county = County(tmp_path)
    folder = county.enrol(KIT)
    county.start()
    hub = county.hub()
    hub.add_kit(set_up_keys(county.home / KIT, KIT, SystemClock().now_ms()).text)
    pin_hub(county.home / KIT, hub.keyring.card.text)
    voice = KitVoice(hub.store, HandClock(SystemClock().now_ms()), KIT)
    with (
        BadLine(county.port) as mqtt,
        BadLine(int(hub.web_url.rpartition(":")[2])) as web,
        KitStore.open(folder / "store", kit_id=KIT, clock=SystemClock(), ballast_bytes=1 << 20, key=KEY) as store,
    ):
        settings = KitSettings(KIT, "", "localhost", mqtt.port, hub_tls=True, hub_https=f"https://localhost:{web.port}")
        yield Scene(county, hub, store, voice, mqtt, web, settings)
        hub.close()
        county.close()


def test_readings_go_up_and_a_report_comes_down_by_whichever_road_there_is(scene: Scene) -> None:
    heart = scene.hub.add_practitioner("heart", name="演示医师甲", specialty="cardiology", password="correct horse")
    with scene.service() as roads:
        until("both roads", lambda: all(s.connected for s in roads.states()))
        assert scene.hub.web_url.startswith("https://")
        reading_id = scene.critical()
        scene.everything_arrived_once()
        (seen,) = scene.hub.presence
        assert (seen.kit_id, seen.road, seen.here) == (KIT, "mqtt", True)
        scene.county.stop()  # the broker is dead; the report must find the other way
        until("MQTT is down", lambda: not scene.state(roads, "mqtt"))
        (item,) = scene.hub.open_cases()
        scene.hub.worklist.open_case(item.id, heart)
        scene.hub.reports.sign(item.id, heart, conclusion="结论", advice="平卧,呼120")
        until("reported", lambda: DeliveryState.REPORTED in scene.store.delivery(reading_id))  # type: ignore[arg-type]
        assert scene.hub.presence[0].road == "https"


def test_lines_that_break_in_turn_lose_and_double_nothing(scene: Scene) -> None:
    """Resets after so many bytes on both roads, a killed broker, and a web server that is away."""
    scene.readings(80)
    scene.mqtt.quality.reset_after_bytes = 20_000
    scene.web.quality.reset_after_bytes = 40_000
    with scene.service() as roads:
        until("some of it", lambda: scene.hub.counters.accepted > 20)
        scene.county.stop()
        until("the broker is gone", lambda: not scene.state(roads, "mqtt"))
        scene.readings(60)
        until("web reset in the middle", lambda: scene.busy() and scene.web.resets > 0)
        until("more by the web alone", lambda: scene.state(roads, "https") and scene.hub.counters.accepted > 40)
        scene.readings(20)
        scene.web.cut(down=True)
        scene.county.start()
        until("more by MQTT alone", lambda: scene.state(roads, "mqtt") and scene.hub.counters.accepted > 60)
        until("MQTT reset in the middle", lambda: scene.busy() and scene.mqtt.resets > 0)
        scene.mqtt.quality.reset_after_bytes = scene.web.quality.reset_after_bytes = None
        scene.web.quality.down = False
        scene.everything_arrived_once()
    assert scene.mqtt.resets > 0
    assert scene.web.resets > 0


def test_a_half_open_line_delays_a_critical_reading_by_seconds_not_by_a_heartbeat(scene: Scene) -> None:
    with scene.service() as roads:
        until("both roads", lambda: all(s.connected for s in roads.states()))
        scene.mqtt.quality.deaf = True
        began_s = time.monotonic()
        scene.critical()
        until("it arrived", lambda: bool(scene.hub.open_cases()), 40)
        took_s = time.monotonic() - began_s
        print(f"critical by the other road after {took_s:.1f} s; the half-open one still looked connected")
        assert took_s < 20
        scene.everything_arrived_once()
        scene.mqtt.quality.deaf = False


def test_a_chosen_interface_moves_only_what_leaves_by_another(scene: Scene) -> None:
    with scene.service() as roads:
        until("both roads", lambda: all(s.connected for s in roads.states()))
        connections = scene.mqtt.connections
        roads.via("lo")  # where they are already
        scene.readings(3)
        scene.everything_arrived_once()
        assert scene.mqtt.connections == connections
        roads.via("nowhere7")  # nothing leaves by it, and what works stays
        scene.readings(3)
        scene.everything_arrived_once()
        assert scene.mqtt.connections == connections
        scene.mqtt.cut()
        scene.web.cut()
        until("both are down", lambda: not any(s.connected for s in roads.states()))
        time.sleep(1)
        assert not any(s.connected for s in roads.states())
        roads.via("")
        until("both roads again", lambda: all(s.connected for s in roads.states()))
        scene.readings(3)
        scene.everything_arrived_once()


def test_a_network_that_lets_only_the_web_through_is_enough(scene: Scene) -> None:
    scene.mqtt.cut(down=True)
    scene.readings(20)
    with scene.service() as roads:
        scene.everything_arrived_once()
        assert [s.connected for s in roads.states()] == [False, True]
    assert scene.hub.presence[0].road == "https"

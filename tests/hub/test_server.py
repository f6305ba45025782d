"""A whole hub and a real kit's mailbox, joined by the real broker."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from store_key import KEY

from zhenbao.hub.broker import EmbeddedBroker
from zhenbao.hub.server import Hub
from zhenbao.model.errors import InputError, LinkDown, StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import SystemClock
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Lane
from zhenbao.sync.links.mqtt import MqttLink

if TYPE_CHECKING:
    from zhenbao.agent.store import KitStore

DEADLINE_S = 60.0


def until(what: str, happened: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not happened():
        if time.monotonic() > end:
            pytest.fail(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.02)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    made = EmbeddedBroker()
    made.start()
    yield made
    made.stop()


class Listener:
    """A plain MQTT 3.1.1 client on one topic."""

    def __init__(self, port: int, topic: str) -> None:
        import paho.mqtt.client as mqtt

        self.got: list[int] = []
        self.subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_disconnect = lambda *_: self.subscribed.clear()
        self.client.on_message = lambda _client, _data, message: self.got.append(len(message.payload))
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_large_payloads_pass_and_a_restart_keeps_the_port(broker: EmbeddedBroker) -> None:
    port = broker.port
    listener = Listener(port, "zhenbao/v1/up/+")
    try:
        until("subscribed", listener.subscribed.is_set)
        listener.client.publish("zhenbao/v1/up/kit-001", bytes(500_000), 1)
        until("500 kB passed", lambda: listener.got == [500_000])
        # In the middle of a message that is only half there: amqtt alone would wait for its end.
        listener.client.publish("zhenbao/v1/up/kit-001", bytes(400_000), 1)
        broker.restart()
        assert broker.port == port
        until("back by itself", listener.subscribed.is_set)
        before = len(listener.got)
        listener.client.publish("zhenbao/v1/up/kit-001", b"x", 1)
        until("carries again", lambda: len(listener.got) > before)
    finally:
        listener.close()


def test_a_port_that_is_taken_is_said(broker: EmbeddedBroker) -> None:
    with pytest.raises(LinkDown) as raised:
        EmbeddedBroker(broker.port).start()
    assert raised.value.code == "broker-start"


def test_stopping_twice_or_before_starting_is_harmless() -> None:
    broker = EmbeddedBroker()
    broker.stop()
    broker.start()
    with socket.create_connection(("127.0.0.1", broker.port), timeout=5):
        pass
    broker.stop()
    broker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port), timeout=5)


@pytest.mark.parametrize("address", ["http://x:1", "mqtt://", "mqtt://host:notaport", "somewhere", "mqtt://h:1/topic"])
def test_a_brokers_address_must_be_one(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError) as raised:
        Hub(tmp_path / "hub", broker=address)
    assert raised.value.code == "hub-broker"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    try:
        made.start()
    except StorageError as error:
        if error.code == "hub-vendor":
            pytest.skip("the page's files are not there: run make")
        raise
    yield made
    made.close()


@pytest.fixture
def kit_store(tmp_path: Path) -> Iterator[KitStore]:
    from zhenbao.agent.store import KitStore

    with KitStore.open(
        tmp_path / "kit", kit_id="kit-001", clock=SystemClock(), key=KEY, ballast_bytes=1 << 20
    ) as store:
        yield store


def test_the_web_port_answers_and_a_taken_one_is_said(hub: Hub, tmp_path: Path) -> None:
    import httpx

    assert httpx.get(f"{hub.web_url}/login").status_code == 200
    port = int(hub.web_url.rpartition(":")[2])
    other = Hub(tmp_path / "other", web_port=port)
    with pytest.raises(StorageError) as raised:
        other.start()
    assert raised.value.code == "hub-port"
    other.close()


@pytest.mark.slow
def test_a_reading_goes_up_and_its_report_comes_down_through_a_broker_that_is_restarted(
    hub: Hub, kit_store: KitStore, tmp_path: Path
) -> None:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.agent.keys import KitKeyring, pin_hub, set_up_keys
    from zhenbao.agent.store import KitStore

    heart = hub.add_practitioner("heart", name="演示医师甲", specialty="cardiology", password="correct horse")
    voice = KitVoice(hub.store, HandClock(SystemClock().now_ms()))
    patient = voice.patient()
    encounter = voice.encounter(patient, chest_pain="yes")
    reading, recording = voice.ecg(encounter, Finding("EC19", Urgency.RED))
    kit_store.save_patient(patient)
    kit_store.save_encounter(encounter)
    kit_store.save_observation(reading, (recording,), lane=Lane.CRITICAL)

    card = set_up_keys(tmp_path / "kit", "kit-001", SystemClock().now_ms())
    hub.add_kit(card.text)
    pin_hub(tmp_path / "kit", hub.keyring.card.text)
    stop = threading.Event()

    def serve() -> None:
        with KitStore.open(
            tmp_path / "kit", kit_id="kit-001", clock=SystemClock(), key=KEY, ballast_bytes=1 << 20
        ) as own:
            link = MqttLink("127.0.0.1", hub.mqtt_port, "kit-001")
            Engine(own, link, SystemClock(), KitKeyring(tmp_path / "kit", "kit-001")).run(stop)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        until("the case is there", lambda: bool(hub.open_cases()))
        hub.restart_broker()
        until("everything receipted", lambda: not sum(kit_store.queue().waiting.values()))
        (item,) = hub.open_cases()
        assert (item.urgency, item.late) == (Urgency.RED, False)
        hub.worklist.open_case(item.id, heart)
        until("seen", lambda: DeliveryState.VIEWED in kit_store.delivery(reading.id))
        report = hub.reports.sign(item.id, heart, conclusion="结论", advice="平卧,呼120")
        until("reported", lambda: DeliveryState.REPORTED in kit_store.delivery(reading.id))
        (arrived,) = kit_store.inbox()
        assert arrived.report == report
        until("arrival known", lambda: hub.worklist.look(item.id, heart)[0].reports[0].arrived_ms is not None)
        assert hub.village_read_ms(item.id) is None
        read_ms = SystemClock().now_ms()
        kit_store.read_report(report.id, read_ms)
        until("read", lambda: hub.village_read_ms(item.id) is not None)
        assert hub.village_read_ms(item.id) == read_ms
    finally:
        stop.set()
        thread.join(30)
    counters = hub.counters
    assert (counters.accepted, counters.refused, counters.quarantined) == (5, 0, 0)


def test_a_hub_starts_again_on_what_it_kept(tmp_path: Path) -> None:
    first = Hub(tmp_path / "hub")
    first.add_practitioner("heart", name="演示医师甲", specialty="cardiology", password="correct horse")
    first.close()
    second = Hub(tmp_path / "hub")
    with pytest.raises(InputError) as raised:
        second.add_practitioner("heart", name="演示医师乙", specialty="cardiology", password="correct horse")
    assert raised.value.code == "login-taken"
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700
    second.close()

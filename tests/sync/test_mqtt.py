"""The MQTT road: the embedded broker (3.1.1), a small MQTT 5 peer of our own, and what happens when they go away."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from bedside import give_pin
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from zhenbao.agent.keys import pin_hub, set_up_keys
from zhenbao.agent.service import run_service
from zhenbao.agent.store import KitStore
from zhenbao.hub.broker import EmbeddedBroker
from zhenbao.model.errors import InputError, LinkDown, Rejected
from zhenbao.model.report import Report
from zhenbao.model.time import SystemClock
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane, pack
from zhenbao.sync.keys import card_of
from zhenbao.sync.links.mqtt import MOST_BYTES, MqttLink
from zhenbao.sync.links.several import SeveralRoads
from zhenbao.sync.peers import Peer

Wait = Callable[..., None]


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def link(broker: EmbeddedBroker) -> Iterator[Callable[..., MqttLink]]:
    with contextlib.ExitStack() as ends:

        def make(name: str, **options: Any) -> MqttLink:
            made = MqttLink("127.0.0.1", broker.port, name, first_wait_s=0.05, **options)
            ends.callback(made.stop)
            return made

        yield make


def _collect(link: MqttLink) -> list[tuple[str, bytes]]:
    got: list[tuple[str, bytes]] = []
    link.on_message = lambda sender, data: got.append((sender, data))
    return got


def test_both_ways_and_only_to_whom_it_is_meant(link: Any, wait_for: Wait) -> None:
    hub, one, two = link("hub", is_hub=True), link("kit-1"), link("kit-2")
    at_hub, at_one, at_two = _collect(hub), _collect(one), _collect(two)
    for end in (hub, one, two):
        end.start()
    wait_for(lambda: hub.connected and one.connected and two.connected)
    large = bytes(range(256)) * 1600  # 400 kB: a long recording
    one.send("hub", b"from one")
    one.send("hub", large)
    two.send("hub", b"from two")
    hub.send("kit-1", b"to one")
    hub.send("kit-2", large)
    wait_for(lambda: len(at_hub) == 3 and len(at_one) == 1 and len(at_two) == 1)
    assert sorted(at_hub) == sorted([("kit-1", b"from one"), ("kit-1", large), ("kit-2", b"from two")])
    assert (at_one, at_two) == ([("hub", b"to one")], [("hub", large)])
    wait_for(lambda: one.backlog_bytes == hub.backlog_bytes == 0)


def test_without_a_connection_nothing_is_taken_and_nothing_is_remembered(
    broker: EmbeddedBroker, link: Any, wait_for: Wait
) -> None:
    hub, kit = link("hub", is_hub=True), link("kit-1")
    at_hub = _collect(hub)
    turns: list[str] = []
    kit.on_up, kit.on_down = lambda: turns.append("up"), lambda: turns.append("down")
    with pytest.raises(LinkDown):
        kit.send("hub", b"before")
    for end in (hub, kit):
        end.start()
    wait_for(lambda: hub.connected and kit.connected)
    broker.stop()
    wait_for(lambda: not kit.connected and not hub.connected)
    with pytest.raises(LinkDown):
        kit.send("hub", b"while down")
    assert kit.backlog_bytes == 0
    broker.start()
    wait_for(lambda: hub.connected and kit.connected)
    kit.send("hub", b"after")
    wait_for(lambda: bool(at_hub))
    assert at_hub == [("kit-1", b"after")]
    assert turns == ["up", "down", "up"]


@pytest.mark.slow
def test_a_stranger_with_an_impossible_name_is_not_heard(
    broker: EmbeddedBroker, link: Any, hub: Any, ward: Any, wait_for: Wait, faulty_road: Any
) -> None:
    """Whoever the broker lets in may publish under any topic; the hub's engine must outlive it."""
    engine = Engine(hub, link("hub", is_hub=True), SystemClock(), faulty_road.keyring_of("hub"))
    stop = threading.Event()
    thread = threading.Thread(target=engine.run, args=(stop,))
    thread.start()
    stranger, kit = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311), link("kit-1")
    try:
        kit.start()
        wait_for(lambda: kit.connected and engine._up)
        stranger.connect("127.0.0.1", broker.port)
        stranger.loop_start()
        value = ward.patient
        for name in ("诊包", "hub", "a b", "x" * 60, "kit-1"):
            bad = Envelope(uuid4(), name, "hub", "b", 1, "patient", Lane.RESULTS, value.id, 1, pack(value))
            published = stranger.publish(f"zhenbao/v1/up/{name}", faulty_road.sealed_by(name, "hub", bad), qos=1)
            published.wait_for_publish(10)
        wait_for(lambda: len(hub.taken) == 1)
        assert [e.sender for e, _ in hub.taken.values()] == ["kit-1"]
        assert thread.is_alive()
    finally:
        stranger.loop_stop()
        stop.set()
        thread.join(30)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "诊包", "x" * 33, "hub", "-a", "a\x00"])
def test_a_name_that_cannot_stand_in_a_topic_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="kit-id"):
        MqttLink("127.0.0.1", 1883, name)


@pytest.mark.parametrize(("host", "port"), [("", 1883), ("127.0.0.1", 0), ("127.0.0.1", 65536)])
def test_a_hub_without_an_address_is_refused(host: str, port: int) -> None:
    with pytest.raises(InputError, match="link-address"):
        MqttLink(host, port, "kit-1")


def test_a_message_too_large_for_the_road_is_refused() -> None:
    with pytest.raises(Rejected, match="link-too-large"):
        MqttLink("127.0.0.1", 1883, "kit-1").send("hub", bytes(MOST_BYTES + 1))


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_the_broker_comes_and_goes(
    broker: EmbeddedBroker, link: Any, kit: KitStore, hub: Any, ward: Any, wait_for: Wait, faulty_road: Any
) -> None:
    ward.admit(kit)
    readings = [ward.reading() for _ in range(120)]
    for n, reading in enumerate(readings):
        kit.save_observation(reading, [ward.recording(reading)] if n % 6 == 0 else ())
    wanted = {item.id: item.body for due in kit.due(1 << 60, 999) if (item := kit.load(due.id)) is not None}
    reports = [ward.report(reading) for reading in readings[:15]]
    for report in reports:
        hub.post(report, report.id)
    clock, stop = SystemClock(), threading.Event()
    kit_engine = Engine(kit, link("kit-1"), clock, faulty_road.keyring_of("kit-1"))
    hub_engine = Engine(hub, link("hub", is_hub=True), clock, faulty_road.keyring_of("hub"))
    threads = [threading.Thread(target=engine.run, args=(stop,)) for engine in (kit_engine, hub_engine)]
    for thread in threads:
        thread.start()
    try:
        for part in (0.2, 0.5, 0.8):
            wait_for(lambda part=part: len(hub.taken) >= part * len(wanted), 60)
            broker.restart()
        late = ward.reading()
        kit.save_observation(late, lane=Lane.CRITICAL)
        wait_for(lambda: kit.queue().total == 0 and not hub.outbox, 90)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert {id_: e.body for id_, (e, _) in hub.taken.items() if e.subject_id != late.id} == wanted
    assert hub_engine.counts.accepted == len(wanted) + 1
    assert kit_engine.counts.accepted == len(reports)
    assert {r.report.id for r in kit.inbox()} == {r.id for r in reports}
    assert kit.quarantined() == []
    assert hub_engine.counts.damaged == kit_engine.counts.damaged == 0


def test_the_kits_service_sends_takes_in_and_tells(
    broker: EmbeddedBroker, link: Any, tmp_path: Any, hub: Any, ward: Any, wait_for: Wait, faulty_road: Any
) -> None:
    clock, stop = SystemClock(), threading.Event()
    give_pin(tmp_path / "kit", "kit-1")
    arrived: list[Report] = []
    hub_keys = faulty_road.keyring_of("hub")
    hub_engine = Engine(hub, link("hub", is_hub=True), clock, hub_keys)
    card = set_up_keys(tmp_path / "kit", "kit-1", clock.now_ms())
    hub_keys.peers["kit-1"] = Peer(card)
    pin_hub(tmp_path / "kit", card_of(hub_keys.own).text)

    def roads(key: bytes = b"") -> SeveralRoads:
        return SeveralRoads({"mqtt": MqttLink("127.0.0.1", broker.port, "kit-1", first_wait_s=0.05)})

    options = {
        "make_roads": roads,
        "make_emergency_roads": roads,
        "clock": clock,
        "stop": stop,
        "on_report": arrived.append,
    }
    threads = [
        threading.Thread(target=run_service, args=(tmp_path / "kit", "kit-1"), kwargs=options),
        threading.Thread(target=hub_engine.run, args=(stop,)),
    ]
    for thread in threads:
        thread.start()
    try:
        # The doctor's short command: another opening of the same store.
        with KitStore.open(tmp_path / "kit", kit_id="kit-1", clock=clock) as store:
            ward.admit(store)
            reading = ward.reading()
            store.save_observation(reading)
            wait_for(lambda: len(hub.taken) == 3)
            report = ward.report(reading)
            hub.post(report, report.id)
            hub_engine.wake()
            wait_for(lambda: arrived == [report])
            assert [kept.report for kept in store.inbox()] == [report]
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


class Mqtt5Peer:
    """An MQTT 5 broker's first two answers (CONNACK, SUBACK), and then as much silence as is asked for.

    Packets are written from the standard (MQTT 5.0, sections 3.2 and 3.9), not with our library.
    """

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.versions: list[int] = []
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.open.append(connection)
                connect = self._packet(connection)
                self.versions.append(connect[6])  # after the length (2) and name (4) of the protocol
                connection.sendall(bytes.fromhex("20 03 00 00 00"))
                subscribe = self._packet(connection)
                connection.sendall(bytes.fromhex("90 04") + subscribe[:2] + bytes.fromhex("00 01"))

    @staticmethod
    def _packet(connection: socket.socket) -> bytes:
        """The variable header and payload of the next packet; these are short, so one byte of length is enough."""
        _, length = connection.recv(2, socket.MSG_WAITALL)
        return connection.recv(length, socket.MSG_WAITALL)

    def close(self) -> None:
        self._server.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def mqtt5() -> Iterator[Mqtt5Peer]:
    peer = Mqtt5Peer()
    yield peer
    peer.close()


def test_mqtt_5_is_spoken_where_it_is_understood(mqtt5: Mqtt5Peer, wait_for: Wait) -> None:
    link = MqttLink("127.0.0.1", mqtt5.port, "kit-1")
    link.start()
    wait_for(lambda: link.connected)
    link.stop()
    assert mqtt5.versions == [5]
    assert not link.connected


def test_a_road_that_has_gone_deaf_can_still_be_left(mqtt5: Mqtt5Peer, wait_for: Wait) -> None:
    """The other end takes nothing more: the socket's buffers fill, and no good-bye gets through."""
    link = MqttLink("127.0.0.1", mqtt5.port, "kit-1")
    link.start()
    wait_for(lambda: link.connected)
    threads = [t for t in threading.enumerate() if t.name.startswith(("mqtt-link", "paho"))]
    for _ in range(5):
        link.send("hub", bytes(MOST_BYTES))
    assert link.backlog_bytes == 5 * MOST_BYTES
    link.stop()
    assert threads
    assert not any(thread.is_alive() for thread in threads)


def test_a_broker_that_never_answers_can_be_left(wait_for: Wait) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        link = MqttLink("127.0.0.1", mute.getsockname()[1], "kit-1")
        link.start()
        connection, _ = mute.accept()
        with connection:
            (thread,) = (t for t in threading.enumerate() if t.name == "mqtt-link")
            link.stop()
            assert not thread.is_alive()
            assert not link.connected


def test_a_hub_that_is_nowhere_is_tried_again_until_it_is_there(wait_for: Wait) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    link = MqttLink("127.0.0.1", port, f"kit-{uuid4().hex[:6]}", first_wait_s=0.05)
    link.start()
    assert not link.connected
    broker = EmbeddedBroker(port)
    broker.start()
    try:
        wait_for(lambda: link.connected)
        assert link.connected
    finally:
        link.stop()
        broker.stop()


def test_who_waits_before_the_screen_does_not_wait_for_the_next_attempt(wait_for: Wait) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    link = MqttLink("127.0.0.1", port, "kit-1", first_wait_s=3600, last_wait_s=3600)
    link.start()
    wait_for(lambda: link.trouble is not None)
    broker = EmbeddedBroker(port)
    broker.start()
    try:
        # One attempt for each asking: the first may be in the version that this broker does not speak.
        wait_for(lambda: link.hurry() or link.connected, 60)
    finally:
        link.stop()
        broker.stop()

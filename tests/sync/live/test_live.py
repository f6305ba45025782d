"""A running trace: sealed like all else, dropped rather than late, and never in the way of what is kept."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import time as day_time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bad_line import BadLine, Quality
from tests.sync.conftest import HandClock, keyring_of, sealed_by
from zhenbao.model.errors import Rejected
from zhenbao.sync.cbor import dumps
from zhenbao.sync.links.mqtt import MqttLink
from zhenbao.sync.links.several_hub import RoadsAtHub
from zhenbao.sync.live.chunk import Chunk, LiveReader, LiveSealer, from_bytes, is_live, to_bytes
from zhenbao.sync.live.pump import Pump
from zhenbao.sync.live.rules import live_rules, may_run
from zhenbao.sync.messages import Hello
from zhenbao.sync.packet import read_packet
from zhenbao.sync.parts import is_part
from zhenbao.sync.uplink.policy import Reason, Situation
from zhenbao.sync.uplink.state import Kind, Registration, Signal, Uplink

if TYPE_CHECKING:
    from zhenbao.agent.store import KitStore

CHUNK = Chunk(b"12345678", UUID(int=7), 125, ("II", "V1"), 0.005, 250, struct.pack("<4h", 1, -2, 3, -32768), 1_800_000)


def test_a_chunk_arrives_as_it_left_and_only_the_hub_can_open_it() -> None:
    packet = LiveSealer("kit-1", keyring_of("kit-1")).seal("hub", to_bytes(CHUNK))
    assert packet is not None
    assert is_live(packet)
    assert not is_part(packet)
    signer, chunk = LiveReader("hub", keyring_of("hub")).read(packet, "kit-1")
    assert (signer.peer.name, chunk) == ("kit-1", CHUNK)
    assert struct.pack("<4h", 1, -2, 3, -32768) not in packet
    with pytest.raises(Rejected, match="packet-recipient"):
        LiveReader("kit-2", keyring_of("hub")).read(packet, "kit-1")


@pytest.mark.parametrize("road", ["kit-2", "nobody"])
def test_a_kit_speaks_for_itself_only(road: str) -> None:
    packet = LiveSealer("kit-1", keyring_of("kit-1")).seal("hub", to_bytes(CHUNK))
    assert packet is not None
    with pytest.raises(Rejected, match="packet-sender"):
        LiveReader("hub", keyring_of("hub")).read(packet, road)


def test_what_was_seen_is_not_shown_again_with_other_bytes() -> None:
    reader, sealer = LiveReader("hub", keyring_of("hub")), LiveSealer("kit-1", keyring_of("kit-1"))
    packet = sealer.seal("hub", to_bytes(CHUNK))
    assert packet is not None
    reader.read(packet, "kit-1")
    sealer._sequence = 0
    other = sealer.seal("hub", to_bytes(replace(CHUNK, first_sample=0)))
    assert other is not None
    with pytest.raises(Rejected, match="packet-replay"):
        reader.read(other, "kit-1")


def test_mail_is_no_trace_and_a_trace_is_no_mail() -> None:
    mail = sealed_by("kit-1", "hub", Hello())
    with pytest.raises(Rejected, match="packet-kind"):
        LiveReader("hub", keyring_of("hub")).read(dumps([2, 10, mail]), "kit-1")
    trace = LiveSealer("kit-1", keyring_of("kit-1")).seal("hub", to_bytes(CHUNK))
    assert trace is not None
    with pytest.raises(Rejected):
        read_packet(trace)  # an older hub: dropped as no packet, and not answered as another version


@given(st.binary(max_size=200))
def test_any_bytes_are_a_chunk_or_refused(data: bytes) -> None:
    for read in (from_bytes, lambda d: LiveReader("hub", keyring_of("hub")).read(d, "kit-1")):
        try:
            read(data)
        except Rejected:
            continue


@pytest.mark.parametrize(
    "wrong",
    [{"rate_hz": 0}, {"leads": ()}, {"leads": ("II", "II", "II")}, {"lsb_mv": 2.0}, {"first_sample": -1},
     {"stream": b"x"}, {"kit_ms": 1 << 50}],
)  # fmt: skip
def test_a_chunk_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        from_bytes(to_bytes(replace(CHUNK, **wrong)))


class HeldLink:
    """A link whose road acknowledges when it is told to."""

    def __init__(self) -> None:
        self.connected = True
        self.backlog_bytes = 0
        self.sent: list[tuple[bytes, bool]] = []

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        self.sent.append((data, urgent))
        self.backlog_bytes += len(data)


def pump(link: HeldLink, clock: HandClock, **changes: Any) -> Pump:
    given = {"waits": lambda: False, "allowed": lambda: True} | changes
    return Pump(link, LiveSealer("kit-1", keyring_of("kit-1")), monotonic_s=clock.monotonic_s, **given)  # type: ignore[arg-type]


def test_one_chunk_is_under_way_at_a_time_and_never_urgent(clock: HandClock) -> None:
    link = HeldLink()
    going = pump(link, clock)
    assert [going.offer(to_bytes(CHUNK)) for _ in range(3)] == [True, False, False]
    link.backlog_bytes = 0
    assert going.offer(to_bytes(CHUNK))
    assert [urgent for _, urgent in link.sent] == [False, False]
    assert (going.sent, going.dropped) == (2, 2)


def test_a_road_that_does_not_keep_up_has_rest(clock: HandClock) -> None:
    link, rules = HeldLink(), live_rules()
    going = pump(link, clock)
    assert going.offer(to_bytes(CHUNK))
    clock.pass_s(rules.answered_s + 0.1)
    assert not going.offer(to_bytes(CHUNK))
    link.backlog_bytes = 0
    clock.pass_s(rules.rest_s - 1)
    assert not going.offer(to_bytes(CHUNK)), "however good it looks now"
    clock.pass_s(1.1)
    assert going.offer(to_bytes(CHUNK))


def test_whatever_is_kept_goes_first(clock: HandClock, kit: KitStore, ward: Any) -> None:
    from zhenbao.agent.service import _anything_waits

    link = HeldLink()
    going = pump(link, clock, waits=lambda: _anything_waits(kit))
    assert going.offer(to_bytes(CHUNK))
    link.backlog_bytes = 0
    ward.admit(kit)
    assert not going.offer(to_bytes(CHUNK)), "a patient waits for its receipt"
    assert len(link.sent) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"signal": Signal(-106, -10, 15)}, Reason.WEAK_SIGNAL),
        ({"signal": Signal(-105, -10, 0)}, None),
        ({"signal": Signal(-105, -10, -1)}, Reason.WEAK_SIGNAL),
        ({"registration": Registration.ROAMING, "plmn": "46003"}, None),
        ({"up": False}, Reason.NO_ROAD),
    ],
)
def test_which_road_is_good_enough(changes: dict[str, Any], reason: Reason | None) -> None:
    uplink = Uplink(
        Kind.CELLULAR, "wwan0", up=True, registration=Registration.HOME, plmn="46000", signal=Signal(-90, -10, 15)
    )
    decision = may_run(Situation(replace(uplink, **changes), True, 0.1, day_time(12)))
    assert (decision.allowed, None if decision.allowed else decision.reason) == (reason is None, reason)


@pytest.mark.parametrize(("used", "allowed"), [(0.49, True), (0.5, False)])
def test_half_of_the_months_budget_is_not_for_traces(used: float, allowed: bool) -> None:
    uplink = Uplink(Kind.CELLULAR, "wwan0", up=True, registration=Registration.HOME, signal=Signal(-90, -10, 15))
    assert may_run(Situation(uplink, True, used)).allowed is allowed
    assert not may_run(Situation(uplink, None, used)).allowed, "nobody has asked the hub on it"


@pytest.fixture
def broker() -> Iterator[int]:
    from zhenbao.hub.broker import EmbeddedBroker

    running = EmbeddedBroker()
    running.start()
    yield running.port
    running.stop()


@pytest.mark.slow
def test_a_critical_packet_waits_for_no_more_than_one_chunk_on_a_slow_line(broker: int) -> None:
    """4 kB/s, a trace that wants 2.4 kB/s: the real links, the real broker, and a line that is as slow as it says."""
    heard: dict[bytes, float] = {}
    traces: list[bytes] = []
    hub = RoadsAtHub({"mqtt": MqttLink("127.0.0.1", broker, "hub", is_hub=True)})
    hub.on_message = lambda _, data: heard.setdefault(data, time.monotonic())
    hub.on_live = lambda _, data: traces.append(data)
    big = to_bytes(replace(CHUNK, leads=("II", "V1", "V5"), samples=bytes(1200)))
    with BadLine(broker, Quality(bytes_per_s=4000, one_way_s=0.05)) as line:
        kit = MqttLink("127.0.0.1", line.port, "kit-1")
        hub.start()
        kit.start()
        try:
            _until(lambda: kit.connected and hub.connected)

            def critical(name: bytes) -> float:
                began_s = time.monotonic()
                kit.send("hub", name * 1000, urgent=True)
                _until(lambda: name * 1000 in heard)
                return heard[name * 1000] - began_s

            alone_s = critical(b"a")
            over = threading.Event()
            going = Pump(kit, LiveSealer("kit-1", keyring_of("kit-1")), waits=lambda: False, allowed=lambda: True)

            def run() -> None:
                while not over.wait(0.02):
                    going.offer(big)

            runner = threading.Thread(target=run)
            runner.start()
            _until(lambda: len(traces) >= 3)
            beside_s = [critical(name) for name in (b"b", b"c", b"d")]
            over.set()
            runner.join()
        finally:
            kit.stop()
            hub.stop()
    assert traces
    assert going.dropped > 10, "it wanted far more than it got"
    one_chunk_s = 1600 / 4000
    assert max(beside_s) < alone_s + one_chunk_s + 0.6, (alone_s, beside_s)


def _until(true: Any, timeout_s: float = 30.0) -> None:
    ends_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < ends_s, "it never came to that"
        time.sleep(0.01)

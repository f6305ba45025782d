"""Pauses, the window, and what may overtake what: by hand-moved time, and on a modelled slow line."""

from __future__ import annotations

import random
from collections import Counter, deque

import pytest

from zhenbao.sync.links.backoff import Backoff
from zhenbao.sync.links.outgoing import Outgoing, Packet
from zhenbao.sync.links.window import LEAST_BYTES, MOST_BYTES, Window


def test_five_hundred_kits_thrown_off_at_once_come_back_spread_out() -> None:
    pauses = [Backoff(rng=random.Random(seed)).next_s() for seed in range(500)]
    a_tenth = Counter(int(pause * 10) for pause in pauses)
    assert max(pauses) - min(pauses) > 3.8
    # Evenly spread, 500 over 4 s are 12.5 in a tenth of a second.
    assert max(a_tenth.values()) < 30


def test_pauses_grow_to_a_bound_and_begin_anew_after_success() -> None:
    backoff = Backoff(1.0, 8.0, random.Random(3))
    kits = [Backoff(1.0, 8.0, random.Random(seed)) for seed in range(300)]
    longest = [max(kit.next_s() for kit in kits) for _ in range(6)]
    assert [round(bound) for bound in longest] == [1, 2, 4, 8, 8, 8]
    for _ in range(9):
        backoff.next_s()
    backoff.succeeded()
    assert backoff.next_s() <= 1.0


class Line:
    """A modem: so many bytes a second, answers after a round trip, everything queues before it."""

    def __init__(self, bytes_per_s: float, round_trip_s: float) -> None:
        self.now_s = 0.0
        self.bytes_per_s, self.round_trip_s = bytes_per_s, round_trip_s
        self.free_s = 0.0
        self.answers: deque[tuple[float, Packet]] = deque()

    def put(self, packet: Packet) -> None:
        self.free_s = max(self.free_s, self.now_s) + len(packet.data) / self.bytes_per_s
        self.answers.append((self.free_s + self.round_trip_s, packet))


def carry(line: Line, outgoing: Outgoing, until_s: float) -> tuple[int, dict[Packet, float]]:
    """Let the line work; gives the bytes that arrived and when each packet did."""
    done, arrived = 0, {}
    while line.now_s < until_s:
        while (packet := outgoing.take()) is not None:
            line.put(packet)
        if not line.answers:
            break
        line.now_s, packet = line.answers.popleft()
        outgoing.answered(packet)
        arrived[packet] = line.now_s
        done += len(packet.data)
    return done, arrived


@pytest.mark.parametrize(
    ("bytes_per_s", "round_trip_s", "share"), [(8_000, 0.6, 0.9), (8_000, 2.0, 0.7), (2_000_000, 0.05, 0.8)]
)
def test_the_window_fills_the_road(bytes_per_s: float, round_trip_s: float, share: float) -> None:
    line = Line(bytes_per_s, round_trip_s)
    outgoing = Outgoing(lambda: line.now_s)
    for _ in range(int(60 * bytes_per_s / 4096)):
        outgoing.put(Packet("hub", bytes(4096), urgent=False))
    done, _ = carry(line, outgoing, 60.0)
    assert done / line.now_s > share * bytes_per_s


def test_a_critical_packet_does_not_stand_behind_three_days_of_bulk_in_the_socket() -> None:
    """64 kbit/s, 600 ms: with the window it is there in less than two seconds; handed over all at once, after 65."""
    line = Line(8_000, 0.6)
    outgoing = Outgoing(lambda: line.now_s)
    for _ in range(128):
        outgoing.put(Packet("hub", bytes(4096), urgent=False))
    carry(line, outgoing, 20.0)
    asked_s = line.now_s
    critical = Packet("hub", bytes(700), urgent=True)
    outgoing.put(critical)
    _, arrived = carry(line, outgoing, 60.0)
    assert arrived[critical] - asked_s < 2.0
    unbridled = Line(8_000, 0.6)
    for _ in range(64):
        unbridled.put(Packet("hub", bytes(8192), urgent=False))
    unbridled.put(critical)
    assert unbridled.answers[-1][0] > 60


def test_the_window_stays_within_its_bounds_whatever_the_answers() -> None:
    window = Window()
    for n in range(20_000):
        window.answered(8192, [0.01, 5.0, 0.3][n % 3] if n < 1000 else 0.01, MOST_BYTES)
        assert LEAST_BYTES <= window.size_bytes <= MOST_BYTES
    assert window.size_bytes == MOST_BYTES
    for _ in range(1000):
        window.answered(8192, 9.0, MOST_BYTES)
    assert window.size_bytes == LEAST_BYTES


def test_the_queue_in_a_slow_road_stays_below_a_second() -> None:
    """The window begins at its least and does not take a part's own time on the air for a queue, nor let one grow."""
    line = Line(8_000, 0.6)
    outgoing = Outgoing(lambda: line.now_s)
    outgoing.put(Packet("hub", bytes(200), urgent=True))
    for _ in range(120):
        outgoing.put(Packet("hub", bytes(4117), urgent=False))
    waits = []
    while line.now_s < 50.0:
        while (packet := outgoing.take()) is not None:
            waits.append(max(0.0, line.free_s - line.now_s))
            line.put(packet)
        line.now_s, packet = line.answers.popleft()
        outgoing.answered(packet)
    assert max(waits) < 1.0
    assert outgoing.window.size_bytes < 4 * 4117


def test_a_road_that_idles_does_not_widen_its_window() -> None:
    """Otherwise a quiet day would let a burst of half a megabyte into a modem's buffer."""
    window = Window()
    for _ in range(1000):
        window.answered(300, 0.6, 300)
    assert window.size_bytes == LEAST_BYTES
    for _ in range(10):
        window.answered(4096, 0.6, 8192)
    assert window.size_bytes > LEAST_BYTES


def test_a_backlog_of_small_packets_does_not_pass_the_window() -> None:
    """Urgent is what the lane says: a thousand readings are all small."""
    outgoing = Outgoing(lambda: 0.0)
    for _ in range(100):
        outgoing.put(Packet("hub", bytes(300), urgent=False))
    taken = 0
    while outgoing.take() is not None:
        taken += 1
    assert taken == LEAST_BYTES // 300
    outgoing.put(Packet("hub", bytes(700), urgent=True))
    packet = outgoing.take()
    assert packet is not None
    assert packet.urgent


def test_a_packet_larger_than_any_window_still_goes_alone() -> None:
    outgoing = Outgoing(lambda: 0.0)
    large, next_one = Packet("hub", bytes(3 << 20), urgent=False), Packet("hub", bytes(9000), urgent=False)
    outgoing.put(large)
    outgoing.put(next_one)
    assert outgoing.take() is large
    assert outgoing.take() is None
    assert outgoing.backlog_bytes == (3 << 20) + 9000
    outgoing.answered(large)
    outgoing.answered(large)
    assert outgoing.backlog_bytes == 9000
    assert outgoing.take() is next_one

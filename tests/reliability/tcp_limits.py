"""What TCP and MQTT can do on a poor link: how long a small publish takes while bulk flows, by settings of the socket.

A county's own broker (Mosquitto) and a subscriber on one side, a publisher on the other, the kernel's TCP between;
none of the product's code. Each trial publishes a finding, then a 12-lead in parts, while a backlog never ends;
every message is answered by the subscriber, as the hub does. Findings are timed from the publish to the subscriber.

    python -m reliability.tcp_limits --variant two-thin --cycles 50 --seed 1
    python -m reliability.tcp_limits --list
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from reliability.slow_link import ADDRESS, SlowLink

PORT = 1883
_THIN_LINEAR, _THIN_DUPACK, _NOTSENT_LOWAT, _RTO_MAX_MS = 16, 17, 25, 44
"""linux/tcp.h; the last one is in Linux 6.15 and later."""
_PATIENCE_S = 60.0
FINDING_BYTES = 700


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to use the road.

    Attributes:
        window_bytes: of the backlog that may be without the broker's acknowledgement.
        part_bytes: of one message of the backlog, and of the 12-lead.
        alone: the critical lane has a connection of its own.
        thin: TCP_THIN_LINEAR_TIMEOUTS and TCP_THIN_DUPACK on the critical lane's connection.
        notsent_bytes: TCP_NOTSENT_LOWAT.
        congestion: of every connection of the kit.
        rto_max_ms: TCP_RTO_MAX_MS on the critical lane's connection.
    """

    window_bytes: int
    part_bytes: int
    alone: bool = False
    nodelay: bool = True
    thin: bool = False
    notsent_bytes: int = 0
    congestion: str = "cubic"
    rto_max_ms: int = 0


SMALL = Variant(8 << 10, 2 << 10)
VARIANTS = {
    "as-shipped": Variant(128 << 10, 24 << 10),
    "one-16k": Variant(16 << 10, 4 << 10),
    "one-8k": SMALL,
    "one-8k-nagle": replace(SMALL, nodelay=False),
    "one-8k-thin": replace(SMALL, thin=True, notsent_bytes=4096),
    "one-8k-bbr": replace(SMALL, congestion="bbr"),
    "one-8k-rto": replace(SMALL, rto_max_ms=1000),
    "one-4k": Variant(4 << 10, 1300),
    "two-128k": Variant(128 << 10, 24 << 10, alone=True),
    "two-8k": replace(SMALL, alone=True),
    "two-8k-thin": replace(SMALL, alone=True, thin=True),
    "two-8k-bbr": replace(SMALL, alone=True, congestion="bbr"),
    "two-128k-bbr": Variant(128 << 10, 24 << 10, alone=True, congestion="bbr"),
    "two-4k-thin": Variant(4 << 10, 1300, alone=True, thin=True),
}


class Road:
    """One MQTT connection of the kit and the bytes that the broker has not acknowledged."""

    def __init__(self, client: Client, changed: threading.Condition) -> None:
        self.client = client
        self.unacknowledged = 0
        self._changed = changed
        self._sizes: dict[int, int] = {}

    def publish(self, kind: str, number: int, size: int) -> None:
        head = f"{kind}:{number}:".encode()
        # Not while holding the condition: the library calls back with locks of its own held.
        info = self.client.publish(f"up/{kind}", head + bytes(size - len(head)), qos=1)
        self._count(info.mid, size)

    def acknowledged(self, mid: int) -> None:
        self._count(mid, 0)

    def _count(self, mid: int, size: int) -> None:
        """Published (with a size) or acknowledged (0): whichever comes second ends it."""
        with self._changed:
            if mid in self._sizes:
                self.unacknowledged -= self._sizes.pop(mid)
            else:
                self._sizes[mid] = size
                self.unacknowledged += size
            self._changed.notify_all()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=VARIANTS, default="one-8k")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate-bit-s", type=float, default=64_000)
    parser.add_argument("--round-trip-s", type=float, default=0.6)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--queue-bytes", type=int, default=32 << 10)
    parser.add_argument("--trace-bytes", type=int, default=25_000, help="a packed 10 s 12-lead")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(VARIANTS))
        return
    link = SlowLink(
        options.rate_bit_s, options.round_trip_s, options.loss, queue_bytes=options.queue_bytes, seed=options.seed
    )
    with link, tempfile.TemporaryDirectory() as folder, broker_on(link, Path(folder)):
        result = run(link, VARIANTS[options.variant], options.cycles, random.Random(options.seed), options.trace_bytes)
    lost = {side: f"{way.lost}+{way.overflowed}/{way.packets}" for side, way in link.ways.items()}
    print(json.dumps({"variant": options.variant, **asdict(VARIANTS[options.variant]), **result, "lost": lost}))


class broker_on:
    """Mosquitto on the hub's side; without a configuration it is open to all."""

    def __init__(self, link: SlowLink, folder: Path, configuration: Path | None = None) -> None:
        self._link, self._folder, self._configuration = link, folder, configuration

    def __enter__(self) -> None:
        file = self._configuration or self._folder / "mosquitto.conf"
        if self._configuration is None:
            file.write_text(
                f"listener {PORT} {ADDRESS['hub']}\nallow_anonymous true\nset_tcp_nodelay true\n"
                "max_inflight_messages 0\nmax_queued_messages 0\n"
            )
        with self._link.inside("hub"):
            self._process = subprocess.Popen(
                ["mosquitto", "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        time.sleep(1)
        assert self._process.poll() is None, "the broker does not start"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


def run(link: SlowLink, variant: Variant, cycles: int, rng: random.Random, trace_bytes: int) -> dict[str, Any]:
    """The trials; returns the seconds of each finding and of each 12-lead, and the backlog's pace."""
    changed = threading.Condition()
    came: dict[tuple[str, int], float] = {}
    with link.inside("hub"):
        _subscriber(came, changed)
    with link.inside("kit"):
        bulk = _road("bulk", variant, changed, urgent=not variant.alone)
        urgent = _road("urgent", variant, changed, urgent=True) if variant.alone else bulk
    stop = threading.Event()
    quiet = threading.Event()
    filler = threading.Thread(target=_fill, args=(bulk, variant, changed, quiet, stop), daemon=True)
    filler.start()
    start_s = time.monotonic()
    findings, traces = [], []
    time.sleep(10)
    for n in range(cycles):
        time.sleep(rng.uniform(2, 5))
        begun_s = time.monotonic()
        quiet.set()
        urgent.publish("finding", n, FINDING_BYTES)
        parts = -(-trace_bytes // variant.part_bytes)
        for part in range(parts):
            with changed:
                changed.wait_for(lambda: urgent.unacknowledged < max(variant.window_bytes, 8 << 10), _PATIENCE_S)
            urgent.publish("trace", n * 1000 + part, variant.part_bytes)
        with changed:
            wanted = [("trace", n * 1000 + part) for part in range(parts)] + [("finding", n)]
            changed.wait_for(lambda w=wanted: all(key in came for key in w), _PATIENCE_S)
            findings.append(came.get(("finding", n), begun_s + _PATIENCE_S) - begun_s)
            traces.append(max(came.get(key, begun_s + _PATIENCE_S) for key in wanted) - begun_s)
        quiet.clear()
        print(f"{n + 1}/{cycles} finding {findings[-1]:.1f} s, 12-lead {traces[-1]:.1f} s", file=sys.stderr)
    stop.set()
    seconds = time.monotonic() - start_s
    carried = sum(1 for kind, _ in came if kind == "bulk") * variant.part_bytes
    return {
        "cycles": cycles,
        "within_5_s": sum(1 for s in findings if s <= 5),
        "finding_s": quantiles(findings),
        "within_20_s": sum(1 for s in traces if s <= 20),
        "trace_s": quantiles(traces),
        "bulk_bytes_s": round(carried / seconds),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 95th, and the worst."""
    ranked = sorted(values)
    return {
        "p50": round(ranked[len(ranked) // 2], 2),
        "p95": round(ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))], 2),
        "max": round(ranked[-1], 2),
    }


def _fill(
    road: Road, variant: Variant, changed: threading.Condition, quiet: threading.Event, stop: threading.Event
) -> None:
    """The backlog: as much as the window allows, while nothing critical waits."""
    n = 0
    while not stop.is_set():
        with changed:
            fits = changed.wait_for(
                lambda: (
                    not quiet.is_set()
                    and (road.unacknowledged == 0 or road.unacknowledged + variant.part_bytes <= variant.window_bytes)
                ),
                0.5,
            )
        if fits:
            road.publish("bulk", n, variant.part_bytes)
            n += 1


def _subscriber(came: dict[tuple[str, int], float], changed: threading.Condition) -> None:
    """The hub: notes when each message came, and answers it."""
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id="hub", protocol=MQTTProtocolVersion.MQTTv5)

    def message(_client: Client, _data: Any, received: Any) -> None:
        kind, number, _ = received.payload[:40].split(b":", 2)
        with changed:
            came.setdefault((kind.decode(), int(number)), time.monotonic())
            changed.notify_all()
        client.publish("down/kit", bytes(150), qos=1)

    client.on_message = message
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda *_: client.subscribe("up/+", qos=1)
    client.connect(ADDRESS["hub"], PORT)
    client.loop_start()
    assert ready.wait(10)


def _road(name: str, variant: Variant, changed: threading.Condition, *, urgent: bool) -> Road:
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(10_000)
    road = Road(client, changed)
    client.on_publish = lambda _client, _data, mid, *_: road.acknowledged(mid)
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda *_: client.subscribe("down/kit" if urgent else "down/bulk", qos=1)
    client.on_socket_open = lambda _client, _data, opened: _options(opened, variant, urgent)
    client.connect(ADDRESS["hub"], PORT, keepalive=60)
    client.loop_start()
    assert ready.wait(60), "no connection over the slow link"
    return road


def _options(opened: socket.socket, variant: Variant, urgent: bool) -> None:
    settings: list[tuple[int, Any, Callable[[], bool] | bool]] = [
        (socket.TCP_NODELAY, 1, variant.nodelay),
        (_THIN_LINEAR, 1, variant.thin and urgent),
        (_THIN_DUPACK, 1, variant.thin and urgent),
        (_NOTSENT_LOWAT, variant.notsent_bytes, variant.notsent_bytes > 0),
        (socket.TCP_CONGESTION, variant.congestion.encode(), True),
        (_RTO_MAX_MS, variant.rto_max_ms, variant.rto_max_ms > 0 and urgent),
    ]
    for option, value, wanted in settings:
        if wanted:
            opened.setsockopt(socket.IPPROTO_TCP, option, value)


if __name__ == "__main__":
    main()

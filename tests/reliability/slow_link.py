"""A packet link between two network namespaces, with a delay, a rate, a queue and loss each way.

Every packet goes through two TUN devices and this forwarder, so that both TCPs are the kernel's own, with their
real retransmissions and time-outs. (The kernel's netem does the same where it is built in.) Needs root.

    python -m reliability.slow_link            measure that it does what it says, at 64 kbit/s, 600 ms, 5 % loss
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Side = Literal["kit", "hub"]
DEVICE, NET = "zhenbao0", "10.99.0"
ADDRESS = {"kit": f"{NET}.1", "hub": f"{NET}.2"}
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MTU = 1500


def usable() -> bool:
    """Whether this process may make such a link."""
    return os.geteuid() == 0 and Path("/dev/net/tun").exists()


@dataclass(slots=True)
class Way:
    """One direction. May be changed while it runs.

    ``queue_bytes`` is what the modem's buffer holds; what comes on top of it is dropped, as modems do.
    """

    rate_bit_s: float
    delay_s: float
    loss: float
    queue_bytes: int = 32 << 10
    blocked: bool = False
    """Everything vanishes without a word: a half-open connection."""
    packets: int = 0
    lost: int = 0
    overflowed: int = 0
    _free_s: float = 0.0

    def arrival_s(self, size: int, now_s: float, rng: random.Random) -> float | None:
        """When a packet that enters now comes out; None where it never does."""
        self.packets += 1
        waiting = max(0.0, self._free_s - now_s) * self.rate_bit_s / 8
        if waiting + size > self.queue_bytes:
            self.overflowed += 1
            return None
        self._free_s = max(self._free_s, now_s) + size * 8 / self.rate_bit_s
        if self.blocked or rng.random() < self.loss:
            # Lost in the air: its time is gone with it.
            self.lost += 1
            return None
        return self._free_s + self.delay_s


class SlowLink:
    """``with SlowLink(...) as link``: two namespaces, ``link.name("kit")`` and ``link.name("hub")``.

    Args:
        rate_bit_s: each way.
        round_trip_s: half of it each way.
        loss: share of the packets that vanish, each way.
        seed: of the losses.
        device, net: name of the TUN devices, and the first three numbers of their addresses.
        beside: another link, entered already, between whose namespaces this one lies as well.
    """

    def __init__(
        self,
        rate_bit_s: float,
        round_trip_s: float,
        loss: float,
        *,
        queue_bytes: int = 32 << 10,
        seed: int,
        device: str = DEVICE,
        net: str = NET,
        beside: SlowLink | None = None,
    ) -> None:
        self.device, self._beside = device, beside
        self.address: dict[Side, str] = {"kit": f"{net}.1", "hub": f"{net}.2"}
        self.ways = {
            "kit": Way(rate_bit_s, round_trip_s / 2, loss, queue_bytes),
            "hub": Way(rate_bit_s, round_trip_s / 2, loss, queue_bytes),
        }
        """By the side that sends."""
        self._rng = random.Random(seed)
        self._tuns: dict[Side, int] = {}
        self._stop, self._poke = os.pipe()
        self._thread = threading.Thread(target=self._forward, name="slow-link", daemon=True)

    def name(self, side: Side) -> str:
        """Of the namespace, for ``ip netns exec``."""
        return f"zhenbao-{side}-{os.getpid()}"

    def __enter__(self) -> SlowLink:
        for side in ("kit", "hub"):
            if self._beside is None:
                ip("netns", "add", self.name(side))
            with self.inside(side):
                self._tuns[side] = _open_tun(self.device)
                ip("addr", "add", f"{self.address[side]}/30", "dev", self.device)
                ip("link", "set", self.device, "mtu", str(_MTU), "up")
                ip("link", "set", "lo", "up")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._poke, b"x")
        self._thread.join(5)
        for descriptor in (*self._tuns.values(), self._stop, self._poke):
            os.close(descriptor)
        for side in ("kit", "hub") if self._beside is None else ():
            ip("netns", "delete", self.name(side))

    @contextlib.contextmanager
    def inside(self, side: Side) -> Iterator[None]:
        """This thread, and threads and processes that it starts, stand on one side; their sockets stay there."""
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self.name(side)}") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(here.fileno())

    def _forward(self) -> None:
        """Read, hold, write. One heap for both ways."""
        other: dict[int, tuple[Side, int]] = {
            self._tuns["kit"]: ("kit", self._tuns["hub"]),
            self._tuns["hub"]: ("hub", self._tuns["kit"]),
        }
        held: list[tuple[float, int, int, bytes]] = []
        number = 0
        while True:
            wait_s = max(0.0, held[0][0] - time.monotonic()) if held else None
            readable, _, _ = select.select([*other, self._stop], [], [], wait_s)
            if self._stop in readable:
                return
            for descriptor in readable:
                side, target = other[descriptor]
                packet = os.read(descriptor, 65535)
                if packet[0] >> 4 != 4:
                    continue  # IPv6's own greetings
                arrival_s = self.ways[side].arrival_s(len(packet), time.monotonic(), self._rng)
                if arrival_s is not None:
                    number += 1
                    heapq.heappush(held, (arrival_s, number, target, packet))
            while held and held[0][0] <= time.monotonic():
                _, _, target, packet = heapq.heappop(held)
                with contextlib.suppress(OSError):  # the device there is down
                    os.write(target, packet)


def _open_tun(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


# Measuring the link itself


@dataclass(frozen=True, slots=True)
class Measured:
    round_trip_s: float
    """Median of small datagrams on an idle link."""
    lost: float
    """Share of the datagrams that did not come, one way."""
    rate_bit_s: float
    """Bytes on the wire per second, while datagrams come faster than they can go."""


def measure(link: SlowLink, *, datagrams: int, busy_s: float, echoes: int = 10) -> Measured:
    """Send datagrams and see what comes: the proof that the link is what it claims."""
    with link.inside("kit"):
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with link.inside("hub"):
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind((ADDRESS["kit"], 0))
    far.bind((ADDRESS["hub"], 0))
    near.connect(far.getsockname())
    far.connect(near.getsockname())
    patience_s = 3 * link.ways["kit"].delay_s + 1
    with near, far:
        trips = [trip for _ in range(echoes) if (trip := _echo(near, far, patience_s)) is not None]
        pause_s = 40 * 8 / link.ways["kit"].rate_bit_s * 1.2
        far.settimeout(patience_s)
        came = threading.Thread(target=lambda: arrived.append(_count(far)))
        arrived: list[tuple[int, float, float]] = []
        came.start()
        for _ in range(datagrams):
            near.send(bytes(8))
            time.sleep(pause_s)
        came.join()
        size = 972
        came = threading.Thread(target=lambda: arrived.append(_count(far)))
        came.start()
        end_s = time.monotonic() + busy_s
        while time.monotonic() < end_s:
            near.send(bytes(size))
            time.sleep(0.5 * (size + 28) * 8 / link.ways["kit"].rate_bit_s)
        came.join()
    (few, _, _), (many, first_s, last_s) = arrived
    kept = 1 - link.ways["kit"].loss
    rate = (many - 1) * (size + 28) * 8 / (last_s - first_s) / (kept if kept < 1 else 1)
    return Measured(sorted(trips)[len(trips) // 2], 1 - few / datagrams, rate)


def _echo(near: socket.socket, far: socket.socket, patience_s: float) -> float | None:
    near.settimeout(patience_s)
    far.settimeout(patience_s)
    start_s = time.monotonic()
    try:
        near.send(b"?")
        far.recv(100)
        far.send(b"!")
        near.recv(100)
    except TimeoutError:
        return None
    return time.monotonic() - start_s


def _count(far: socket.socket) -> tuple[int, float, float]:
    n, first_s, last_s = 0, 0.0, 0.0
    with contextlib.suppress(TimeoutError):
        while True:
            far.recv(2000)
            n, last_s = n + 1, time.monotonic()
            first_s = first_s or last_s
    return n, first_s, last_s


def main() -> None:
    with SlowLink(64_000, 0.6, 0.05, seed=1) as link:
        found = measure(link, datagrams=1000, busy_s=20)
    print(json.dumps({"round_trip_s": found.round_trip_s, "lost": found.lost, "rate_bit_s": found.rate_bit_s}))


if __name__ == "__main__":
    main()

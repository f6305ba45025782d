"""Several roads as one link, on the kit: which packet goes by which road, and what happens when one of them fails.

Nothing is lost and nothing doubled by a change of roads, because that is not decided here: an item ends by its receipt,
which may come by any road, and one that came twice is known by its id. What is decided here is only when to tell the
engine that what was under way may be lost (``on_up`` once more), so that it goes again at once and by a living road.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from zhenbao.model.errors import LinkDown, Rejected
from zhenbao.sync.link import Link

STALLED_S = 10.0
"""A road that has acknowledged nothing for so long, with bytes under way, is passed by: half-open, or as good as."""
SPILL_BYTES = 64 << 10
"""With so much waiting on the preferred road, what is not urgent may take the next."""


class Road(Link, Protocol):
    """A link that can say why it is down."""

    trouble: LinkDown | None

    def hurry(self) -> None:
        """Do not wait for the next attempt to connect."""

    def via(self, interface: str) -> None:
        """Leave by this network interface; empty: as the routes say."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a choice of roads may know of a packet: nothing of its content."""

    size_bytes: int
    urgent: bool


@dataclass(frozen=True, slots=True)
class RoadState:
    """One road, now."""

    name: str
    connected: bool
    backlog_bytes: int
    stalled: bool
    """Connected, and yet nothing gets through."""
    acknowledged_bytes: int
    """In all its connections: what the road itself says it has carried (no receipts)."""
    trouble: LinkDown | None = None


Choice = Callable[[Parcel, Sequence[RoadState]], Sequence[str]]
"""The names of the roads to try, in order; the first that takes the packet gets it."""


def in_order(parcel: Parcel, roads: Sequence[RoadState]) -> Sequence[str]:
    """The plain choice: roads that get through, in their order; bulk avoids a full one; stalled ones at the last."""

    def rank(road: RoadState) -> tuple[bool, bool]:
        return road.stalled, not parcel.urgent and road.backlog_bytes >= SPILL_BYTES

    return [road.name for road in sorted((r for r in roads if r.connected), key=rank)]


@dataclass(slots=True)
class _Lane:
    name: str
    link: Road
    up: bool = False
    carried: bool = False
    """Something was handed to it in this connection."""
    handed_bytes: int = 0
    acknowledged_bytes: int = 0
    progress_s: float = 0.0
    stalled: bool = False


class SeveralRoads:
    """Implements ``sync.link.Link``.

    Args:
        roads: by name, the preferred one first.
        choose: which roads a packet may take; may be replaced at any time.
        monotonic_s: a clock that never goes back.
    """

    def __init__(
        self,
        roads: dict[str, Road],
        *,
        choose: Choice = in_order,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.on_stalled: Callable[[], None] = lambda: None
        """A road is connected, and yet nothing gets through."""
        self.choose = choose
        self._monotonic_s = monotonic_s
        self._lanes = {name: _Lane(name, link) for name, link in roads.items()}
        self._lock = threading.RLock()
        for lane in self._lanes.values():
            self._listen(lane)

    @property
    def connected(self) -> bool:
        # Whoever looks at the road looks at each of its parts: one that has stalled is noticed here.
        return any(state.connected for state in self.states())

    @property
    def backlog_bytes(self) -> int:
        """Bytes on roads that get through; what lies on a stalled one is sent again by another."""
        states = self.states()
        through = [state for state in states if state.connected and not state.stalled]
        return sum(state.backlog_bytes for state in through or states)

    @property
    def trouble(self) -> LinkDown | None:
        """Why nothing is connected: what the most preferred road says; None while one is."""
        if self.connected:
            return None
        return next((lane.link.trouble for lane in self._lanes.values() if lane.link.trouble), None)

    def states(self) -> list[RoadState]:
        """Every road, in order."""
        return [self._look(lane) for lane in self._lanes.values()]

    def start(self) -> None:
        for lane in self._lanes.values():
            lane.link.start()

    def stop(self) -> None:
        for lane in self._lanes.values():
            lane.link.stop()

    def hurry(self) -> None:
        """Let every road that is down try to connect now."""
        for lane in self._lanes.values():
            lane.link.hurry()

    def via(self, interface: str) -> None:
        """Let every road leave by this network interface, connections that stand included; empty: as the routes say."""
        for lane in self._lanes.values():
            lane.link.via(interface)

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """Hand a packet to the first road that takes it.

        Raises:
            LinkDown: ``link-down``: none does now.
            Rejected: those that are connected never will.
        """
        rejected: Rejected | None = None
        for name in self.choose(Parcel(len(data), urgent), self.states()):
            lane = self._lanes[name]
            try:
                lane.link.send(recipient, data, urgent=urgent)
            except LinkDown:
                continue
            except Rejected as error:
                rejected = error
                continue
            with self._lock:
                lane.carried = True
                lane.handed_bytes += len(data)
            return
        raise rejected or LinkDown("link-down")

    # From the roads' threads

    def _listen(self, lane: _Lane) -> None:
        lane.link.on_message = lambda sender, data: self.on_message(sender, data)
        lane.link.on_up = lambda: self._turned(lane, up=True)
        lane.link.on_down = lambda: self._turned(lane, up=False)

    def _turned(self, lane: _Lane, *, up: bool) -> None:
        with self._lock:
            others = any(other.up for other in self._lanes.values() if other is not lane)
            carried, lane.up, lane.carried = lane.carried, up, False
            lane.handed_bytes = lane.acknowledged_bytes
            lane.progress_s, lane.stalled = self._monotonic_s(), False
        if up:
            if not others:
                self.on_up()
        elif not others:
            self.on_down()
        elif carried:
            # What was on the broken road may be lost: the engine sends it again, by those that are left.
            self.on_up()

    def _look(self, lane: _Lane) -> RoadState:
        connected, backlog, now_s = lane.link.connected, lane.link.backlog_bytes, self._monotonic_s()
        with self._lock:
            acknowledged = max(lane.acknowledged_bytes, lane.handed_bytes - backlog)
            if acknowledged > lane.acknowledged_bytes or not backlog:
                lane.acknowledged_bytes, lane.progress_s, lane.stalled = acknowledged, now_s, False
            newly = connected and not lane.stalled and now_s - lane.progress_s >= STALLED_S
            if newly:
                lane.stalled = True
            others = any(o.link.connected and not o.stalled for o in self._lanes.values() if o is not lane)
        if newly:
            self.on_stalled()
        if newly and others:
            self.on_up()
        return RoadState(
            lane.name,
            connected,
            backlog,
            lane.stalled,
            lane.acknowledged_bytes,
            None if connected else lane.link.trouble,
        )

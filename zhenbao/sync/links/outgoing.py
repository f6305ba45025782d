"""What a road was given and has not finished with: urgent packets first, few bytes under way, the rest still here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from zhenbao.sync.links.window import Window


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """Bytes for one recipient."""

    recipient: str
    data: bytes
    urgent: bool


@dataclass(slots=True)
class Outgoing:
    """The packets of one connection; thrown away with it. Safe from any thread.

    Args:
        monotonic_s: a clock that never goes back.
    """

    monotonic_s: Callable[[], float]
    window: Window = field(default_factory=Window)
    _waiting: tuple[deque[Packet], deque[Packet]] = field(default_factory=lambda: (deque(), deque()))
    _under_way: dict[Packet, float] = field(default_factory=dict)
    _backlog_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def backlog_bytes(self) -> int:
        """Bytes not yet acknowledged: those that wait here, and those under way."""
        return self._backlog_bytes

    def put(self, packet: Packet) -> None:
        """Take a packet in."""
        with self._lock:
            self._waiting[0 if packet.urgent else 1].append(packet)
            self._backlog_bytes += len(packet.data)

    def take(self, *, urgent: bool | None = None) -> Packet | None:
        """The next packet that may go now, or None. Something may always go where nothing is under way.

        An urgent packet goes whatever the window says; whoever hands it over bounds how many there are.

        Args:
            urgent: only such, or only others; None: urgent ones first.
        """
        first, others = self._waiting
        with self._lock:
            if first and urgent is not False:
                packet = first.popleft()
            elif others and not urgent and self._has_room(len(others[0].data)):
                packet = others.popleft()
            else:
                return None
            self._under_way[packet] = self.monotonic_s()
            return packet

    def answered(self, packet: Packet) -> None:
        """The other end of this road has it."""
        with self._lock:
            at_s = self._under_way.pop(packet, None)
            if at_s is not None:
                size_bytes = len(packet.data)
                self._backlog_bytes -= size_bytes
                under_way_bytes = size_bytes + sum(len(other.data) for other in self._under_way)
                self.window.answered(size_bytes, self.monotonic_s() - at_s, under_way_bytes)

    def _has_room(self, size_bytes: int) -> bool:
        # Urgent ones are not counted: a stream of answers must not make a report wait for ever.
        under_way = sum(len(packet.data) for packet in self._under_way if not packet.urgent)
        return not under_way or under_way + size_bytes <= self.window.size_bytes

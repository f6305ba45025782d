"""Running traces at the hub: from the roads to whoever watches, and then forgotten. Nothing here is kept or judged."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from zhenbao.model.errors import InputError, Rejected, StorageError
from zhenbao.model.time import Clock
from zhenbao.sync.live.chunk import Chunk
from zhenbao.sync.live.rules import live_rules

_log = logging.getLogger(__name__)
_WAITING = 64
"""Chunks that may wait to be opened: a second of a county in which half of the kits send."""
_BEHIND = 20
"""Chunks that a slow reader may be behind, ten seconds; older ones are dropped and show as a gap."""
_FORGET_S = 60.0
Read = Callable[[bytes, str], tuple[str, Chunk]]
"""(packet, road) -> the kit, verified, and its chunk; ``Rejected`` for what is not taken."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk for a page."""

    chunk: Chunk
    delay_s: float
    """How old its first sample is, at the least: kit and hub are not known to agree by seconds, so that what every
    chunk of a recording took alike cannot be seen."""


@dataclass(eq=False)
class Watcher:
    """One page that looks."""

    kit_id: str
    encounter_id: UUID
    _loop: asyncio.AbstractEventLoop
    _pieces: asyncio.Queue[Piece | None] = field(default_factory=lambda: asyncio.Queue(_BEHIND))

    async def next(self, wait_s: float) -> Piece | None:
        """The next piece; None where the hub stops.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(wait_s):
            return await self._pieces.get()

    def give(self, piece: Piece | None) -> None:
        """From any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, piece)

    def _put(self, piece: Piece | None) -> None:
        while self._pieces.full():
            self._pieces.get_nowait()
        self._pieces.put_nowait(piece)


@dataclass(slots=True)
class _Stream:
    least_ms: int
    heard_s: float


class LiveDesk:
    """Passes chunks on. ``hear`` may be called from any thread and never waits.

    Args:
        read: see ``Read``.
    """

    def __init__(self, read: Read, clock: Clock) -> None:
        self.refused = 0
        self._read = read
        self._clock = clock
        self._arrivals: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_WAITING)
        self._watchers: set[Watcher] = set()
        self._streams: dict[bytes, _Stream] = {}
        self._lock = threading.Lock()

    def hear(self, road: str, data: bytes) -> None:
        """A chunk came by a road. Where nobody looks, it is dropped unopened."""
        with self._lock:
            wanted = any(watcher.kit_id == road for watcher in self._watchers)
        if wanted:
            try:
                self._arrivals.put_nowait((road, data))
            except queue.Full:
                self.refused += 1

    def run(self, stop: threading.Event) -> None:
        """Open and pass on until ``stop`` is set; for a thread of its own."""
        while not stop.is_set():
            try:
                arrival = self._arrivals.get(timeout=0.5)
            except queue.Empty:
                continue
            if arrival is not None:
                self.take(*arrival)
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.give(None)

    def take(self, road: str, data: bytes) -> None:
        """Open one chunk and pass it on."""
        try:
            kit_id, chunk = self._read(data, road)
        except (Rejected, StorageError) as error:
            self.refused += 1
            _log.debug("a live chunk was dropped: %s", error.code)
            return
        piece = Piece(chunk, self._delay_s(chunk))
        with self._lock:
            watchers = [w for w in self._watchers if (w.kit_id, w.encounter_id) == (kit_id, chunk.encounter_id)]
        for watcher in watchers:
            watcher.give(piece)

    @contextmanager
    def watching(self, kit_id: str, encounter_id: UUID) -> Iterator[Watcher]:
        """A page looks at the traces of one visit. On the event loop that will read.

        Raises:
            InputError: ``live-full``, too many look already.
        """
        watcher = Watcher(kit_id, encounter_id, asyncio.get_running_loop())
        with self._lock:
            if len(self._watchers) >= live_rules().most_watchers:
                raise InputError("live-full", most=live_rules().most_watchers)
            self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def _delay_s(self, chunk: Chunk) -> float:
        """Beyond the quickest chunk of its recording, and its own length."""
        now_s, apart_ms = self._clock.monotonic_s(), self._clock.now_ms() - chunk.kit_ms
        self._streams = {name: s for name, s in self._streams.items() if now_s - s.heard_s < _FORGET_S}
        stream = self._streams.setdefault(chunk.stream, _Stream(apart_ms, now_s))
        stream.least_ms, stream.heard_s = min(stream.least_ms, apart_ms), now_s
        return (apart_ms - stream.least_ms) / 1000 + chunk.n_samples / chunk.rate_hz

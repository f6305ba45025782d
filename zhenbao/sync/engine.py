"""The engine: what is due goes out, what comes in is committed and receipted. The same on both sides.

Only a receipt removes an item. Everything else is about when to send: by lane, few at a time, again after a
while, at once when the other side comes back.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from zhenbao.model.errors import StorageError
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Waiting
from zhenbao.sync.events import Counts, Event
from zhenbao.sync.link import Link
from zhenbao.sync.mailbox import MailboxStore
from zhenbao.sync.messages import MOST_ITEMS
from zhenbao.sync.names import HUB
from zhenbao.sync.peers import Keyring
from zhenbao.sync.receiving import Arrival, Receiver
from zhenbao.sync.sealing import Sealer
from zhenbao.sync.sending import Dispatcher
from zhenbao.sync.standing import Standing

__all__ = ["Counts", "Engine", "Event"]

_log = logging.getLogger(__name__)
_QUICK_POLL_S, _IDLE_POLL_S = 0.25, 1.0
"""How often the outbox is looked at, while things move and while nothing does: other processes post without telling."""
_ARRIVALS = 256
_WINDOW_BYTES = 8 << 10
"""A second of a 64 kbit/s uplink: what a critical item waits behind in the link's hands."""


class Engine:
    """Moves envelopes between a store and a link. The store is used on the thread of ``run`` or ``step`` alone.

    Args:
        keyring: the keys of both sides.
        batch: how many small items without a receipt may be under way to one recipient, counting those of the same
            lane and more urgent ones: nothing waits for a lower lane.
        window_bytes: how much may lie in the link's hands before items other than critical ones wait.
        on_event: told what happens, on the engine's thread.
        rng: jitter.
        may_go, speaks: see ``sending.Dispatcher``.
    """

    def __init__(
        self,
        store: MailboxStore,
        link: Link,
        clock: Clock,
        keyring: Keyring,
        *,
        batch: int = 2 * MOST_ITEMS,
        window_bytes: int = _WINDOW_BYTES,
        on_event: Callable[[Event], None] | None = None,
        rng: random.Random | None = None,
        may_go: Callable[[Waiting], bool] = lambda item: True,
        speaks: bool = True,
    ) -> None:
        self.counts = Counts()
        self._store = store
        self._link = link
        self._on_event = on_event
        self._standings: defaultdict[str, Standing] = defaultdict(Standing)
        sealer = Sealer(store.name, keyring, clock)
        self._dispatcher = Dispatcher(
            store,
            link,
            sealer,
            clock,
            self._standings,
            self.counts,
            self._tell,
            rng or random.Random(),  # noqa: S311 - jitter, not a secret
            batch=batch,
            window_bytes=window_bytes,
            may_go=may_go,
            speaks=speaks,
        )
        self._receiver = Receiver(
            store,
            sealer,
            clock,
            self._standings,
            self.counts,
            self._tell,
            on_refusal=self._dispatcher.refused,
            on_hello=lambda _: self._dispatcher.look_deep(),
            on_store_error=self._store_error,
        )
        self._arrivals: queue.Queue[Arrival] = queue.Queue(_ARRIVALS)
        self._changes: queue.SimpleQueue[Literal["up", "down"]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._up = False
        link.on_message = self._arrived
        link.on_up = lambda: self._changed("up")
        link.on_down = lambda: self._changed("down")

    def run(self, stop: threading.Event) -> None:
        """Start the link and work until ``stop`` is set.

        Raises:
            StorageError: ``store-damaged``: open the store again, it will be replaced.
        """
        self._link.start()
        poll_s = _QUICK_POLL_S
        try:
            while not stop.is_set():
                self._wake.wait(poll_s)
                self._wake.clear()
                poll_s = _QUICK_POLL_S if self.step() else min(2 * poll_s, _IDLE_POLL_S)
        finally:
            self._link.stop()

    def wake(self) -> None:
        """Something was posted, or must stop: look now. From any thread."""
        self._wake.set()

    def step(self) -> bool:
        """Handle what came in, then send what is due. True if anything was done.

        Raises:
            StorageError: ``store-damaged``.
        """
        worked = self._receive()
        if self._up and self._link.connected:
            worked |= self._dispatcher.answer()
            try:
                worked |= self._dispatcher.send()
            except StorageError as error:
                self._store_error(error)
        return worked

    # From the link's threads

    def _arrived(self, sender: str, data: bytes) -> None:
        try:
            # A short wait slows the road down to the pace of the disk; longer would stop its heartbeat.
            self._arrivals.put((sender, data), timeout=2.0)
        except queue.Full:
            self.counts.overrun += 1
        self._wake.set()

    def _changed(self, to: Literal["up", "down"]) -> None:
        self._changes.put(to)
        self._wake.set()

    # On the engine's own thread

    def _receive(self) -> bool:
        worked = False
        while not self._changes.empty():
            worked = True
            self._turned(self._changes.get())
        arrivals: list[Arrival] = []
        while len(arrivals) < _ARRIVALS:
            try:
                arrivals.append(self._arrivals.get_nowait())
            except queue.Empty:
                break
        else:
            self._wake.set()
        if arrivals:
            self._receiver.take(arrivals)
        return worked or bool(arrivals)

    def _turned(self, to: Literal["up", "down"]) -> None:
        self._up = to == "up"
        if self._up:
            # Whatever was on the old connection may be lost: everything without a receipt is due again.
            self._standings.clear()
            if self._store.name != HUB:
                self._dispatcher.hello(HUB)
        self._tell(Event(to))

    def _store_error(self, error: StorageError) -> None:
        if error.code == "store-damaged":
            raise error
        self.counts.store_errors += 1
        _log.error("the store could not keep up: %s", error.code)
        self._tell(Event("store-error", reason=error.code))

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

"""The engine: what is due goes out, what comes in is committed and receipted. The same on both sides.

Only a receipt removes an item. Everything else is about when to send: by lane, few at a time, again after a
while, at once when the other side comes back. All of that is kept in memory and timed by the monotonic clock:
a wall clock that jumps delays nothing, and a restart only means that some things are sent again.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from zhenbao.model.errors import LinkDown, Rejected, StorageError
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Hello, Lane, decode, encode
from zhenbao.sync.link import Link
from zhenbao.sync.mailbox import MailboxStore
from zhenbao.sync.names import HUB

_log = logging.getLogger(__name__)

_FIRST_RETRY_S = 5.0
_LAST_RETRY_S = {Lane.CRITICAL: 30.0}
_LAST_RETRY_ELSE_S = 300.0
_SLOW_BYTES_PER_S = 8000.0
"""A large item is given the time that a slow modem needs before it is sent again."""
_LAST_PROBE_S = 60.0
_QUICK_POLL_S, _IDLE_POLL_S = 0.25, 1.0
"""How often the outbox is looked at, while things move and while nothing does: other processes post without telling."""
_MOST_UNANSWERED = 10
"""How many batches may lie with a recipient that never answers."""
_ANY_TIME = (1 << 62) - 1
_DEEP_LOOK = 2000
_DEEP_LOOK_S = 5.0
"""The hub looks past what waits for kits that are away, but not all the time."""
_ARRIVALS = 256
_OWN_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a mistake in a store's own consequences raises. One item must not end the engine for all others."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for whoever watches. Free of content and identity."""

    name: Literal["up", "down", "delivered", "refused", "accepted", "refused-in", "damaged", "store-error", "fault"]
    kind: str = ""
    """The envelope's kind (``report``, ``observation``...)."""
    subject_id: UUID | None = None
    reason: str = ""


@dataclass(slots=True)
class Counts:
    """What has happened since the engine was made."""

    sent: int = 0
    delivered: int = 0
    refused: int = 0
    """By the other side."""
    accepted: int = 0
    duplicates: int = 0
    refused_in: int = 0
    """By this side."""
    damaged: int = 0
    """Messages that were none, or whose sender was not who they said."""
    stray: int = 0
    """Receipts that end nothing: repeated, or for something unknown."""
    store_errors: int = 0
    faults: int = 0
    overrun: int = 0
    """Messages dropped because they came faster than they could be committed; their sender tries again."""


@dataclass(slots=True)
class _Handed:
    """An item handed to the link in this connection, without a receipt so far."""

    kind: str
    lane: Lane
    subject_id: UUID
    at_s: float
    due_s: float
    tries: int
    answered: bool = False
    """A receipt came, though it ended nothing: another engine on the same store had been faster."""


@dataclass(slots=True)
class _Peer:
    """What is known of the one at the other end."""

    handed: dict[UUID, _Handed] = field(default_factory=dict)
    answered_s: float = float("-inf")
    newest_s: float = float("-inf")
    """When something was last sent for the first time."""
    probe_wait_s: float = _FIRST_RETRY_S


class Engine:
    """Moves envelopes between a store and a link. The store is used on the thread of ``run`` or ``step`` alone.

    Args:
        batch: how many items without a receipt may be under way to one recipient, counting those of the same lane
            and more urgent ones: nothing waits for a lower lane.
        window_bytes: how much may lie in the link's hands before items other than critical ones wait.
        on_event: told what happens, on the engine's thread.
        rng: jitter.
    """

    def __init__(
        self,
        store: MailboxStore,
        link: Link,
        clock: Clock,
        *,
        batch: int = 20,
        window_bytes: int = 128 << 10,
        on_event: Callable[[Event], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.counts = Counts()
        self._store = store
        self._link = link
        self._clock = clock
        self._batch = batch
        self._window_bytes = window_bytes
        self._on_event = on_event
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._peers: defaultdict[str, _Peer] = defaultdict(_Peer)
        self._arrivals: queue.Queue[tuple[str, bytes]] = queue.Queue(_ARRIVALS)
        self._changes: queue.SimpleQueue[Literal["up", "down"]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._deep_s = float("-inf")
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
            try:
                worked |= self._send()
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

    # Receiving

    def _receive(self) -> bool:
        worked = False
        while not self._changes.empty():
            worked = True
            self._turned(self._changes.get())
        for _ in range(_ARRIVALS):
            try:
                sender, data = self._arrivals.get_nowait()
            except queue.Empty:
                return worked
            worked = True
            try:
                self._message(sender, data)
            except StorageError as error:
                self._store_error(error)
        self._wake.set()
        return worked

    def _turned(self, to: Literal["up", "down"]) -> None:
        self._up = to == "up"
        if self._up:
            # Whatever was on the old connection may be lost: everything without a receipt is due again.
            self._peers.clear()
            if self._store.name != HUB:
                self._send_quietly(HUB, Hello(self._store.name))
        self._tell(Event(to))

    def _message(self, sender: str, data: bytes) -> None:
        try:
            message = decode(data)
        except Rejected:
            self._damaged(len(data))
            return
        match message:
            case Receipt():
                self._receipt(sender, message)
            case Envelope():
                if message.sender == sender:
                    self._envelope(message)
                else:
                    self._damaged(len(data))
            case Hello():
                if message.sender == sender:
                    self._peers.pop(sender, None)
                    self._deep_s = float("-inf")
                else:
                    self._damaged(len(data))

    def _receipt(self, sender: str, receipt: Receipt) -> None:
        if any(receipt.envelope_id in peer.handed for name, peer in self._peers.items() if name != sender):
            # Somebody answers for what was sent to somebody else.
            self.counts.damaged += 1
            return
        peer = self._peers[sender]
        peer.answered_s = self._clock.monotonic_s()
        peer.probe_wait_s = _FIRST_RETRY_S
        if not self._store.receipted(receipt):
            self.counts.stray += 1
            if (known := peer.handed.get(receipt.envelope_id)) is not None:
                known.answered = True
            return
        handed = peer.handed.pop(receipt.envelope_id, None)
        kind, subject_id = (handed.kind, handed.subject_id) if handed else ("", None)
        if receipt.refused:
            self.counts.refused += 1
            _log.warning("an item of kind %s was refused by %s: %s", kind, sender, receipt.refused)
            self._tell(Event("refused", kind, subject_id, receipt.refused))
        else:
            self.counts.delivered += 1
            self._tell(Event("delivered", kind, subject_id))

    def _envelope(self, envelope: Envelope) -> None:
        now_ms = self._clock.now_ms()
        if envelope.recipient != self._store.name:
            receipt = Receipt(envelope.id, envelope.body_sha256, self._store.epoch, now_ms, refused="other-recipient")
        else:
            try:
                receipt = self._store.accept(envelope, now_ms)
            except _OWN_FAULTS as error:
                # No receipt: the sender keeps it and tries again, after a repair with success.
                self.counts.faults += 1
                _log.error("an item of kind %s could not be taken in: %s", envelope.kind, type(error).__name__)
                self._tell(Event("fault", envelope.kind, envelope.subject_id, type(error).__name__))
                return
        self._send_quietly(envelope.sender, receipt)
        if receipt.refused:
            self.counts.refused_in += 1
            self._tell(Event("refused-in", envelope.kind, envelope.subject_id, receipt.refused))
        elif receipt.duplicate:
            self.counts.duplicates += 1
        else:
            self.counts.accepted += 1
            self._tell(Event("accepted", envelope.kind, envelope.subject_id))

    def _damaged(self, size: int) -> None:
        self.counts.damaged += 1
        _log.warning("a damaged message of %d bytes was dropped", size)
        self._tell(Event("damaged"))

    # Sending

    def _send(self) -> bool:
        limit = self._batch + sum(len(peer.handed) for peer in self._peers.values())
        items = self._store.due(_ANY_TIME, limit)
        if len(items) < limit:
            # That is all there is: what is not among it was settled by another engine on the same store.
            waiting = {item.id for item in items}
            for peer in self._peers.values():
                for gone in peer.handed.keys() - waiting:
                    del peer.handed[gone]
        worked = self._hand_over_some(items)
        now_s = self._clock.monotonic_s()
        if worked or len(items) < limit or self._store.name != HUB or now_s < self._deep_s:
            return worked
        # Nothing of the first may go: they are for kits that are away. Others may stand behind them.
        self._deep_s = now_s + _DEEP_LOOK_S
        return self._hand_over_some(self._store.due(_ANY_TIME, limit + _DEEP_LOOK))

    def _hand_over_some(self, items: list[Envelope]) -> bool:
        worked = False
        for item in items:
            if self._may_go(item):
                try:
                    self._hand_over(item)
                except LinkDown:
                    return worked
                worked = True
        return worked

    def _may_go(self, item: Envelope) -> bool:
        now_s = self._clock.monotonic_s()
        peer = self._peers[item.recipient]
        known = peer.handed.get(item.id)
        if known is not None and now_s < known.due_s:
            return False
        backlog = self._link.backlog_bytes
        if backlog and backlog + len(item.body) > self._window_bytes and (known or item.lane is not Lane.CRITICAL):
            return False
        under_way = sum(
            1
            for id_, other in peer.handed.items()
            # What is overdue no longer counts, if others have been answered since: that item is bad, not the road.
            if id_ != item.id
            and other.lane <= item.lane
            and not other.answered
            and (now_s < other.due_s or peer.answered_s < other.at_s)
        )
        if under_way < self._batch:
            return True
        # Nobody answers: the next item goes alone, now and then, lest those under way are all bad ones.
        waited = now_s - peer.newest_s >= peer.probe_wait_s
        if known is not None or not waited or under_way >= _MOST_UNANSWERED * self._batch:
            return False
        peer.probe_wait_s = min(2 * peer.probe_wait_s, _LAST_PROBE_S)
        return True

    def _hand_over(self, item: Envelope) -> None:
        """Give an item to the link and note when it is due again.

        Raises:
            LinkDown: the link broke.
        """
        peer = self._peers[item.recipient]
        try:
            self._link.send(item.recipient, encode(item))
        except Rejected as error:
            # Ours to refuse: set it aside by the same verb as if the other side had.
            own = Receipt(item.id, item.body_sha256, self._store.epoch, self._clock.now_ms(), refused=error.code)
            self._store.receipted(own)
            self.counts.refused += 1
            self._tell(Event("refused", item.kind, item.subject_id, error.code))
            return
        self.counts.sent += 1
        known = peer.handed.get(item.id)
        tries = known.tries + 1 if known else 1
        longest = _LAST_RETRY_S.get(item.lane, _LAST_RETRY_ELSE_S)
        wait_s = min(longest, _FIRST_RETRY_S * 2 ** min(tries - 1, 16)) * self._rng.uniform(0.8, 1.2)
        wait_s += len(item.body) / _SLOW_BYTES_PER_S
        now_s = self._clock.monotonic_s()
        if known is None:
            peer.newest_s = now_s
        peer.handed[item.id] = _Handed(item.kind, item.lane, item.subject_id, now_s, now_s + wait_s, tries)
        self._store.tried(item.id, self._clock.now_ms() + round(1000 * wait_s))

    def _send_quietly(self, recipient: str, message: Receipt | Hello) -> None:
        """What need not arrive: the other side asks again."""
        try:
            self._link.send(recipient, encode(message))
        except (LinkDown, Rejected) as error:
            _log.debug("an answer could not be sent: %s", error.code)

    # Telling

    def _store_error(self, error: StorageError) -> None:
        if error.code == "store-damaged":
            raise error
        self.counts.store_errors += 1
        _log.error("the store could not keep up: %s", error.code)
        self._tell(Event("store-error", reason=error.code))

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

"""The hub's end of the HTTPS road: packets for each kit lie in memory until the kit has fetched them.

Fetching removes nothing that matters: a packet leaves this memory when the kit asks for what comes after it, and the
item behind it leaves the hub's outbox by the kit's receipt alone.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from zhenbao.model.errors import LinkDown, Rejected
from zhenbao.sync.links.http_wire import BUSY, MOST_BYTES, TAKEN, TOO_LARGE, Mail

BOX_BYTES, BOX_PACKETS = 1 << 20, 256
"""What one mailbox holds at most; the engine sends again what found no room."""
AWAY_S = 180.0
"""A kit that has not asked for so long is away: its mailbox in memory is forgotten."""
_ANSWER_BYTES = 64 << 10
"""One answer carries about so much, so that a report is not held up behind a long one on a slow line."""


@dataclass(slots=True)
class _Box:
    epoch: str
    packets: deque[tuple[int, bytes]] = field(default_factory=deque)
    size_bytes: int = 0
    last: int = 0
    heard_s: float = 0.0
    waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=set)


class MailboxLink:
    """Implements ``sync.link.Link`` at the hub; a web server calls ``deliver`` and ``collect``.

    Args:
        monotonic_s: a clock that never goes back.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.trouble: LinkDown | None = None
        self._monotonic_s = monotonic_s
        self._boxes: dict[str, _Box] = {}
        self._up = False
        self._lock = threading.Lock()

    @property
    def connected(self) -> bool:
        return self._up

    @property
    def backlog_bytes(self) -> int:
        """Nothing: what lies in a mailbox is bounded for each kit, and one slow kit must not hold up the others."""
        return 0

    def start(self) -> None:
        self._up = True
        self.on_up()

    def stop(self) -> None:
        """Forget what lies here and let nobody wait any more."""
        self._up = False
        with self._lock:
            boxes, self._boxes = list(self._boxes.values()), {}
        for box in boxes:
            _ring(box)
        self.on_down()

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """Lay a packet into a kit's mailbox; where there is no room, it is dropped and comes again.

        Urgent or not: nothing overtakes here, as the kit fetches all of it at once.

        Raises:
            LinkDown: ``link-down``: the server does not run.
            Rejected: ``link-too-large``.
        """
        if len(data) > MOST_BYTES:
            raise Rejected("link-too-large", size=len(data), most=MOST_BYTES)
        if not self._up:
            raise LinkDown("link-down")
        with self._lock:
            box = self._boxes.get(recipient)
            if box is None:
                return
            full = box.packets and (box.size_bytes + len(data) > BOX_BYTES or len(box.packets) >= BOX_PACKETS)
            if full:
                return
            box.last += 1
            box.packets.append((box.last, data))
            box.size_bytes += len(data)
        _ring(box)

    # For the web server

    def is_there(self, kit_id: str) -> bool:
        """Whether a kit has asked lately."""
        box = self._boxes.get(kit_id)
        return box is not None and self._monotonic_s() - box.heard_s < AWAY_S

    def deliver(self, kit_id: str, packets: list[bytes]) -> list[str]:
        """Hand a kit's packets to the engine, in order, and say what became of each. May block for a moment."""
        self._box(kit_id)
        results = []
        for packet in packets:
            if not self._up:
                results.append(BUSY)
            elif len(packet) > MOST_BYTES:
                results.append(TOO_LARGE)
            else:
                self.on_message(kit_id, packet)
                results.append(TAKEN)
        return results

    async def collect(self, kit_id: str, epoch: str, after: int, wait_s: float) -> Mail:
        """What lies in a kit's mailbox after a number; waits up to ``wait_s`` where there is nothing."""
        box = self._box(kit_id)
        if epoch == box.epoch:
            self._arrived(box, after)
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            box.waiting.add(waiter)
        try:
            if not box.packets and wait_s > 0 and self._up:
                async with asyncio.timeout(wait_s):
                    await waiter[1].wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                box.waiting.discard(waiter)
        box.heard_s = self._monotonic_s()
        return self._mail(box)

    def _box(self, kit_id: str) -> _Box:
        now_s = self._monotonic_s()
        with self._lock:
            for name in [n for n, b in self._boxes.items() if now_s - b.heard_s > AWAY_S and not b.waiting]:
                del self._boxes[name]
            box = self._boxes.setdefault(kit_id, _Box(secrets.token_hex(8)))
            box.heard_s = now_s
            return box

    def _arrived(self, box: _Box, after: int) -> None:
        with self._lock:
            while box.packets and box.packets[0][0] <= after:
                box.size_bytes -= len(box.packets.popleft()[1])

    def _mail(self, box: _Box) -> Mail:
        with self._lock:
            chosen: list[bytes] = []
            size, last = 0, box.packets[0][0] - 1 if box.packets else box.last
            for number, data in box.packets:
                if chosen and size + len(data) > _ANSWER_BYTES:
                    break
                chosen.append(data)
                size, last = size + len(data), number
            return Mail(box.epoch, last, chosen)


def _ring(box: _Box) -> None:
    for loop, event in list(box.waiting):
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

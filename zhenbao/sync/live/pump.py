"""Hands a kit's running trace to its roads, after everything else: one chunk at a time, or none."""

from __future__ import annotations

import time
from collections.abc import Callable

from zhenbao.model.errors import LinkDown, Rejected, StorageError
from zhenbao.sync.link import Link
from zhenbao.sync.live.chunk import LiveSealer
from zhenbao.sync.live.rules import LiveRules, live_rules
from zhenbao.sync.names import HUB


class Pump:
    """What cannot go now is dropped: a trace that comes late is worth nothing, and the next chunk shows the gap.

    Args:
        waits: whether anything that is to be kept has not been receipted; the trace then stands back.
        allowed: whether the road is good enough (see ``rules.may_run``).
    """

    def __init__(
        self,
        link: Link,
        sealer: LiveSealer,
        *,
        waits: Callable[[], bool],
        allowed: Callable[[], bool],
        rules: LiveRules | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self._link = link
        self._sealer = sealer
        self._waits = waits
        self._allowed = allowed
        self._rules = rules or live_rules()
        self._monotonic_s = monotonic_s
        self._handed_s: float | None = None
        self._rests_until_s = float("-inf")

    def offer(self, chunk: bytes) -> bool:
        """Send a chunk if nothing stands against it. True if it went."""
        went = self._may_go() and self._send(chunk)
        self.sent += went
        self.dropped += not went
        return went

    def _may_go(self) -> bool:
        now_s = self._monotonic_s()
        if not self._link.connected or now_s < self._rests_until_s:
            return False
        if self._link.backlog_bytes:
            # Something is under way, ours or another's: never two, so that nothing waits behind more than one of ours.
            if self._handed_s is not None and now_s - self._handed_s > self._rules.answered_s:
                self._rests_until_s, self._handed_s = now_s + self._rules.rest_s, None
            return False
        self._handed_s = None
        try:
            return not self._waits() and self._allowed()
        except StorageError:
            return False

    def _send(self, chunk: bytes) -> bool:
        try:
            packet = self._sealer.seal(HUB, chunk)
            if packet is None:
                return False
            self._link.send(HUB, packet, urgent=False)
        except (LinkDown, Rejected):
            return False
        self._handed_s = self._monotonic_s()
        return True

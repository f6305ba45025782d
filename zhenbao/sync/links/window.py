"""How many bytes may be under way on one road: enough to fill it, and no queue in it for a critical reading to join.

After LEDBAT (RFC 6817): the window grows while an answer comes soon after the quickest one seen, and shrinks when
answers come later than that by more than a target, which means that bytes wait in a modem's or a socket's buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

LEAST_BYTES, FIRST_BYTES, MOST_BYTES = 8 << 10, 16 << 10, 1 << 20
TARGET_S = 1.0
"""So long may a byte wait on the way. At 64 kbit/s that is one packet of 8 KiB; a fast road never comes near it."""


@dataclass(slots=True)
class Window:
    """The window of one connection, in bytes."""

    size_bytes: float = FIRST_BYTES
    quickest_s: float = float("inf")
    """The shortest time in which anything was answered: what the road takes when it is empty."""

    def answered(self, size_bytes: int, after_s: float) -> None:
        """So many bytes were acknowledged, so long after they were handed over."""
        self.quickest_s = min(self.quickest_s, after_s)
        # A clock step or a long stall must not empty the window at once: one answer changes it by its own size at most.
        off = max(-1.0, 1.0 - (after_s - self.quickest_s) / TARGET_S)
        self.size_bytes = min(MOST_BYTES, max(LEAST_BYTES, self.size_bytes + off * size_bytes))

"""How many bytes may be under way on one road: enough to fill it, and no queue in it for a critical reading to join.

After LEDBAT (RFC 6817): the window grows while an answer comes soon after the quickest one seen, and shrinks when
answers come later than that by more than a target, which means that bytes wait in a modem's or a socket's buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEAST_BYTES, FIRST_BYTES, MOST_BYTES = 8 << 10, 8 << 10, 1 << 20
"""Measured at 64 kbit/s, 600 ms and 5 % loss: with 8 KiB under way a finding takes 1 s, with 16 KiB 2 s, and the road
is filled by either."""
TARGET_S = 0.3
"""So long may a byte wait on the way behind others; a fast road never comes near it."""


@dataclass(slots=True)
class Window:
    """The window of one connection, in bytes."""

    size_bytes: float = FIRST_BYTES
    quickest_s: dict[int, float] = field(default_factory=dict)
    """By the size of what was answered, in powers of two: the shortest time, what the road takes when it is empty. On a
    slow road a part of 4 KiB is half a second longer under way than a greeting, with no queue at all."""

    def answered(self, size_bytes: int, after_s: float, under_way_bytes: int) -> None:
        """So many bytes were acknowledged, so long after they were handed over.

        Args:
            under_way_bytes: at that moment, these included.
        """
        about = size_bytes.bit_length()
        quickest_s = self.quickest_s[about] = min(self.quickest_s.get(about, after_s), after_s)
        off = max(-1.0, 1.0 - (after_s - quickest_s) / TARGET_S)
        if off > 0 and 2 * under_way_bytes < self.size_bytes:
            # Not the window held it back (RFC 7661): a road that idles proves nothing about a larger one.
            return
        # A message more in a round trip, as in the RFC; less by as much as is answered where the queue is far too long.
        # One answer changes it by its own size at most: a clock step or a stall must not empty it at once.
        share = min(1.0, size_bytes / self.size_bytes) if off > -1 else 1.0
        self.size_bytes = min(MOST_BYTES, max(LEAST_BYTES, self.size_bytes + off * share * size_bytes))

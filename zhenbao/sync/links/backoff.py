"""When to try again: full jitter, so that five hundred kits whom one power cut threw off do not come back as one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

FIRST_S, LAST_S = 4.0, 30.0
"""The first pause is anything from nothing to ``FIRST_S``: 500 kits are then some 125 a second, which one broker's
handshakes stand (measured, docs/roads.md), and one kit waits 2 s on average."""


@dataclass(slots=True)
class Backoff:
    """Pauses before connecting again, each drawn evenly from nothing to a bound that doubles.

    Marc Brooker, "Exponential Backoff and Jitter" (AWS, 2015): "full jitter" needs the fewest calls and spreads best.

    Args:
        first_s: the first bound.
        last_s: no bound is larger.
    """

    first_s: float = FIRST_S
    last_s: float = LAST_S
    rng: random.Random = field(default_factory=random.Random)
    _failures: int = 0

    def next_s(self) -> float:
        """How long to wait now, in seconds; the next bound is twice as large."""
        bound_s = min(self.last_s, self.first_s * 2 ** min(self._failures, 16))
        self._failures += 1
        return self.rng.uniform(0.0, bound_s)

    def succeeded(self) -> None:
        """A connection stood: begin again with the first bound."""
        self._failures = 0

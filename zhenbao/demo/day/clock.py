"""The clock of the day: rests pass at once and move it on: a morning takes minutes, and timestamps stay true to it."""

from __future__ import annotations

import time


class DayClock:
    """A clock that jumps over waits.

    Args:
        start_ms: Unix time at which the day begins.
        factor: how many times faster than real time the devices run, and waits with devices last.
    """

    def __init__(self, start_ms: int, factor: float) -> None:
        self.factor = factor
        self._start_ms = start_ms
        self._jumped_ms = 0.0
        self._began_s = time.monotonic()

    def now_ms(self) -> int:
        """Unix time in the play."""
        return round(self._start_ms + self._jumped_ms + 1000 * (time.monotonic() - self._began_s))

    def monotonic_s(self) -> float:
        """Real seconds: what alarms are timed by."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """A rest passes at once."""
        self._jumped_ms += 1000 * seconds

    def wait_s(self, seconds: float) -> float:
        """A wait for a device."""
        return seconds / self.factor

"""Time comes from outside: whoever needs it is handed a ``Clock``.

Instants are Unix milliseconds (UTC). A device's own time is a naive local timestamp and stays text
(``2026-11-22T10:30:00``): it is a fact about the device, not an instant. People read Beijing time.
"""

import calendar
import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Protocol

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")


class Clock(Protocol):
    """What the kit and the hub know of time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds, by this machine's belief."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; no meaning beyond differences."""

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of this clock's time."""

    def wait_s(self, seconds: float) -> float:
        """How long a wait for ``seconds`` of this clock's time really lasts."""


class SystemClock:
    """The machine's clock. ``factor`` > 1 shortens waits, for rehearsals; it never alters timestamps."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(self.wait_s(seconds))

    def wait_s(self, seconds: float) -> float:
        return seconds / self.factor


def local_time(unix_ms: int) -> datetime:
    """The instant as Beijing wall time."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).astimezone(BEIJING)


def local_text(unix_ms: int, *, seconds: bool = False) -> str:
    """The instant as a person reads it: ``2026-11-22 14:05``."""
    return local_time(unix_ms).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def age_years(born: date, unix_ms: int) -> int:
    """Age in completed years (周岁) on the Beijing date of the instant."""
    today = local_time(unix_ms).date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def decimal_age_years(born: date, on: date) -> float:
    """Exact age in years: completed years, and the part of the way to the next birthday.

    Who was born on 29 February has the birthday on 1 March of common years, as :func:`age_years` counts. Negative
    before birth.
    """
    completed = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    last, following = _birthday(born, born.year + completed), _birthday(born, born.year + completed + 1)
    return completed + (on - last).days / (following - last).days


def _birthday(born: date, year: int) -> date:
    if (born.month, born.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 3, 1)
    return born.replace(year=year)

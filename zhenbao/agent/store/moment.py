"""What the tablet's clocks show: the wall clock, which may be wrong, and the time since its start, which is not."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from zhenbao.model.time import Clock

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_RANDOM_BOOT = secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks at once."""

    now_ms: int
    """Unix ms, by the wall clock."""
    boot: str
    """Names this start of the tablet."""
    since_boot_ms: int
    """Since that start, sleep included."""


def moment(clock: Clock) -> Moment:
    """Now."""
    return Moment(clock.now_ms(), boot_id(), since_boot_ms())


def since_boot_ms() -> int:
    """Since the tablet was started."""
    # CLOCK_BOOTTIME goes on while the tablet sleeps, which the monotonic clock does not.
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    """Names this start of the machine; where the system does not tell, this start of the program."""
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")
    except OSError:
        return _RANDOM_BOOT

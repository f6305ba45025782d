"""Does this result belong to the person in the chair? Judged by the device's clock, which may be wrong.

Meters store results and send them later. A result whose device time is near the kit's is live. One whose time is far
off is either an old one, perhaps another person's, or live on a device whose clock is wrong. Those two are told apart
by a second result: a wrong clock is wrong by the same amount each time, and a queue of old results is not.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from zhenbao.agent.protocols import protocol
from zhenbao.model.time import local_time


class Timing(StrEnum):
    """What the device's time says of a result."""

    LIVE = "live"
    HELD = "held"
    """Old, or the clock is wrong: not charted before that is known."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A timing with the device clock's offset (device minus kit, seconds), None where the device gives no time."""

    timing: Timing
    offset_s: float | None


def device_offset_s(device_time: str | None, received_ms: int) -> float | None:
    """Device clock minus the kit's at receipt, in seconds. ``device_time`` is naive Beijing wall time, ISO 8601."""
    if device_time is None:
        return None
    kit_time = local_time(received_ms).replace(tzinfo=None)
    return (datetime.fromisoformat(device_time) - kit_time).total_seconds()


def judge(device_time: str | None, received_ms: int, *, known_offsets_s: tuple[float, ...] = ()) -> Judged:
    """Judge one result by its device time.

    Args:
        device_time: as the device gives it, None where it gives none.
        received_ms: the kit's time when the result arrived.
        known_offsets_s: offsets of this device seen before in live results, or in one result that is held now.
    """
    limit_s: float = protocol("clock")["device_clock_warning_s"]
    offset = device_offset_s(device_time, received_ms)
    if offset is None or abs(offset) <= limit_s:
        return Judged(Timing.LIVE, offset)
    if any(abs(offset - known) <= limit_s for known in known_offsets_s):
        return Judged(Timing.LIVE, offset)
    return Judged(Timing.HELD, offset)

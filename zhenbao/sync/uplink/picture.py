"""What the watch last saw, as one value: for the gate, for ``zhenbao link`` and for the queue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from zhenbao.model.time import local_time
from zhenbao.sync.uplink.choice import Choice, Road
from zhenbao.sync.uplink.policy import Policy, Situation, policy

FILE = "road.json"
FRESH_MS = 11 * 60_000
"""The watch writes at least every five minutes: what is older was seen by a watch that no longer runs."""


_NONE = Choice()


@dataclass(frozen=True, slots=True)
class Picture:
    """All roads at one moment."""

    at_ms: int
    roads: tuple[Road, ...] = ()
    choice: Choice = _NONE
    used_bytes: int = 0
    """Over paid roads in this month."""
    trouble: tuple[str, ...] = ()
    """Codes of what could not be read."""

    @property
    def road(self) -> Road | None:
        """The one in use."""
        return next((road for road in self.roads if road.name == self.choice.name), None)

    @property
    def answered(self) -> bool | None:
        """Whether the hub answers on it: online, or not."""
        return self.road.answered if self.road else None

    @property
    def interface(self) -> str:
        """By which connections to the hub are to leave; empty: nobody has answered, so that the routes decide."""
        return self.road.uplink.interface if self.road and self.road.answered else ""

    def situation(self, now_ms: int, table: Policy | None = None) -> Situation:
        """What a decision depends on, now."""
        road = self.road
        return Situation(
            road.uplink if road else None,
            road.answered if road else None,
            self.used_bytes / (table or policy()).monthly_bytes,
            local_time(now_ms).time(),
        )


def save_picture(folder: Path, picture: Picture) -> None:
    """Keep it for other processes, whole or not at all.

    Raises:
        OSError: the disk is full, or read-only.
    """
    draft = folder / f".{FILE}.new"
    draft.write_bytes(msgspec.json.encode(picture))
    draft.replace(folder / FILE)


def load_picture(folder: Path, now_ms: int) -> Picture | None:
    """The service's newest; None where there is none, or none that still holds."""
    try:
        picture = msgspec.json.decode((folder / FILE).read_bytes(), type=Picture)
    except (OSError, msgspec.DecodeError):
        return None
    return picture if 0 <= now_ms - picture.at_ms <= FRESH_MS else None

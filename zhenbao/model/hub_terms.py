"""What the hub tells every kit of itself, and what the name of a restored hub's store says.

A store epoch is a name. One that a restore made begins with ``r`` and carries the second in which the backup was
taken, so that every receipt says since when things may be missing, and a kit offers again those alone.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

_RESTORED = re.compile(r"r([0-9a-f]{9})[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class HubTerms:
    """The hub tells: which store answers now, and how often it is backed up."""

    epoch: str
    backup_every_h: int | None
    """Hours between backups; None: nobody has said, and a kit assumes the worst."""
    told_ms: int


def restored_epoch(backup_ms: int, randbits: Callable[[int], int] = secrets.randbits) -> str:
    """A new name for a store that was restored from a backup taken at ``backup_ms`` (Unix ms): 16 characters.

    Raises:
        ValueError: a time before 1970, or after the year 4147.
    """
    second = backup_ms // 1000
    if not 0 <= second < 1 << 36:
        raise ValueError(f"{backup_ms} ms is no time of a backup")
    return f"r{second:09x}{randbits(24):06x}"


def restored_from_ms(epoch: str) -> int | None:
    """When the backup behind this name was taken (Unix ms, to the second below); None: the name does not say."""
    told = _RESTORED.fullmatch(epoch)
    return int(told.group(1), 16) * 1000 if told else None

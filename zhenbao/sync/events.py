"""What an engine tells of its work, free of content and identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for whoever watches."""

    name: Literal[
        "up",
        "down",
        "delivered",
        "refused",
        "accepted",
        "refused-in",
        "damaged",
        "packet-refused",
        "packet-refused-in",
        "store-error",
        "fault",
    ]
    kind: str = ""
    """The envelope's kind (``report``, ``observation``...)."""
    subject_id: UUID | None = None
    reason: str = ""


@dataclass(slots=True)
class Counts:
    """What has happened since the engine was made."""

    sent: int = 0
    """Items, each time they are handed to the link."""
    packets: int = 0
    parts: int = 0
    delivered: int = 0
    refused: int = 0
    """By the other side."""
    accepted: int = 0
    duplicates: int = 0
    refused_in: int = 0
    """By this side."""
    damaged: int = 0
    """Messages that were none, or not signed by who they said."""
    packets_refused: int = 0
    """Of ours, by the other side."""
    packets_refused_in: int = 0
    """Rightly signed or from a known road, and not taken: each was answered."""
    stray: int = 0
    """Receipts that end nothing: repeated, or for something unknown."""
    store_errors: int = 0
    faults: int = 0
    overrun: int = 0
    """Messages dropped because they came faster than they could be committed; their sender tries again."""

"""What a kit tells of itself. Nothing in it belongs to a patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SensorState:
    """The last verification of one flow sensor."""

    sensor: str
    """Serial number of the front-end."""
    at_ms: int
    verdict: str
    """``passed``, ``failed`` or ``incomplete``."""


@dataclass(frozen=True, slots=True)
class KitStatus:
    """One look at a kit, by its own clock (Unix ms). None: the kit cannot tell."""

    id: UUID
    made_ms: int
    version: str
    takes: tuple[str, ...] = ()
    """Kinds of messages that this version takes from the hub; what is not here would only be refused."""
    battery_percent: int | None = None
    on_mains: bool | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    """Items without a receipt, by lane."""
    oldest_ms: int | None = None
    """When the oldest of these was saved."""
    refused: int = 0
    last_receipt_ms: int | None = None
    certificate_until_ms: int | None = None
    free_mb: int | None = None
    sensors: tuple[SensorState, ...] = ()

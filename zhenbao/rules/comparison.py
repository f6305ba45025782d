"""A value beside the one before: by how much it changed, and whether that is more than the devices' error.

What makes two readings less comparable than they look is named beside it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from zhenbao.model.observation import Observation

Direction = Literal["higher", "lower", "same"]


@dataclass(frozen=True, slots=True)
class Change:
    """One value of two readings, the later one after the earlier one, in its own unit."""

    name: str
    """A key of the ``quantity`` words or of the code table."""
    unit: str
    before: float
    now: float
    direction: Direction
    """``same``: within the error of the devices, or no different at all."""
    within: float | None
    """The error that was allowed; None: none is known, and every difference is told."""
    beyond_range: bool = False
    """One of the two was HI or LO: the true difference is not known."""


def changes(before: Observation, now: Observation, names: tuple[str, ...]) -> list[Change]:
    """What changed between two readings of a kind; what one of them lacks or has in another unit is left out."""
    found = []
    for name in names:
        old, new = before.values.get(name), now.values.get(name)
        if old is None or new is None or old.unit != new.unit:
            continue
        within = _allowed(name, old.value)
        difference = round(new.value - old.value, 6)
        differs = abs(difference) > within if within is not None else difference != 0
        direction: Direction = "same" if not differs else "higher" if difference > 0 else "lower"
        beyond = old.comparator is not None or new.comparator is not None
        found.append(Change(name, new.unit, old.value, new.value, direction, within, beyond))
    return found


def cautions(before: Observation, now: Observation) -> tuple[str, ...]:
    """Why two readings are less comparable than they look: keys of the ``caution`` words."""
    found = []
    if (before.device.driver, before.device.model, before.device.serial) != (
        now.device.driver,
        now.device.model,
        now.device.serial,
    ):
        found.append("device")
    if before.typed or now.typed:
        found.append("typed")
    if "incomplete" in (before.status, now.status):
        found.append("incomplete")
    if any(r.ecg is not None and not r.ecg.quality.acceptable for r in (before, now)):
        found.append("quality")
    for key in ("meal", "arm", "oxygen"):
        if before.context.get(key) != now.context.get(key):
            found.append(key)
    return tuple(found)


def _allowed(name: str, value: float) -> float | None:
    row = _table().get(name)
    if row is None:
        return None
    if "percent_from" in row and value >= row["percent_from"]:
        return float(value * row["within_percent"] / 100)
    return float(row["within"])


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(files("zhenbao.rules").joinpath("comparison.toml").read_text(encoding="utf-8"))

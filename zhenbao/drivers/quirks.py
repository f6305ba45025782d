"""Facts about single products, kept as data in ``quirks.toml``; each row has a source."""

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from zhenbao.model.observation import Device


@dataclass(frozen=True, slots=True)
class CuffQuirk:
    """How a blood pressure cuff differs from the specification."""

    tail: Literal["", "beurer-bm85"] = ""
    """Layout of what follows the timestamp; empty: as specified."""
    hangs_up_after_send: bool = False
    """It disconnects by itself, so its subscription must be cleared with the first reading."""
    name_when_bonded_only: bool = False
    """It tells its name to its bonded host alone: it is looked for by its service, never by its name."""
    notes: tuple[str, ...] = ()
    """What the technician is told when it is paired: keys of the words ``cuff_note``."""


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """What a glucose meter's frames do not tell: limits behind HI and LO, what its numbers and clock are worth."""

    low_mg_dl: int | None = None
    high_mg_dl: int | None = None
    lasting_sequence: bool = True
    """False: numbers run backwards or change with each new result, so they neither order nor name a result."""
    only_newer: bool = False
    """It wants to be asked for records from a number on, not for all."""
    clock: Literal["", "contour", "unknown"] = ""
    """Where its clock is. Empty: where the specification says. ``contour``: a characteristic of its own, only written.
    ``unknown``: one whose layout is not known here, so it is neither read nor set."""


@dataclass(frozen=True, slots=True)
class ScaleQuirk:
    """How a scale differs from the specification."""

    pound_step_lb: Decimal = Decimal("0.01")
    """What it counts in when it sends pounds."""


PLAIN_CUFF = CuffQuirk()
PLAIN_METER = MeterFacts()
PLAIN_SCALE = ScaleQuirk()


def cuff_quirk(device: Device) -> CuffQuirk:
    """The quirk of a cuff by its maker, model and firmware."""
    row = _row("bp", device)
    if row is None:
        return PLAIN_CUFF
    return CuffQuirk(
        row.get("tail", ""),
        row.get("hangs_up_after_send", False),
        row.get("name_when_bonded_only", False),
        tuple(row.get("notes", ())),
    )


def meter_facts(device: Device) -> MeterFacts:
    """The facts of a glucose meter by its maker, model and firmware."""
    row = _row("glucose", device)
    if row is None:
        return PLAIN_METER
    return MeterFacts(
        row.get("low_mg_dl"),
        row.get("high_mg_dl"),
        row.get("lasting_sequence", True),
        row.get("only_newer", False),
        row.get("clock", ""),
    )


def scale_quirk(device: Device) -> ScaleQuirk:
    """The quirk of a scale by its maker and model."""
    row = _row("scale", device)
    return PLAIN_SCALE if row is None else ScaleQuirk(Decimal(row["pound_step_lb"]))


@cache
def rows() -> dict[str, list[dict[str, Any]]]:
    """All rows by kind of device, as written in the file."""
    return tomllib.loads(files("zhenbao.drivers").joinpath("quirks.toml").read_text(encoding="utf-8"))


def _row(kind: str, device: Device) -> dict[str, Any] | None:
    maker, model = device.maker.casefold(), device.model.casefold()
    for row in rows()[kind]:
        fits = row["maker"].casefold() in maker and row["model"].casefold() in model
        # Without a firmware the row is for every firmware; such a row stands below those that name one.
        if fits and row.get("firmware", device.firmware) == device.firmware:
            return row
    return None

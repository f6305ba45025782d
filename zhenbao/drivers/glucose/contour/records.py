"""ASTM E1394 records of Contour meters: header and results to values.

Fields are told by the header's own delimiters. Source: facts from glucometerutils (MIT) and tidepool-org/uploader
(BSD-2), drivers of Bayer and Ascensia meters. Two layouts of a result are known: nine fields (Contour USB, Next, Next
One), and twelve (the older Contour on a serial cable), which keep marks and time in other places.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from zhenbao.drivers.glucose.codec import GlucoseReading, within_range
from zhenbao.drivers.glucose.context import GlucoseContext
from zhenbao.drivers.quirks import MeterFacts
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device

DRIVER = "glucose-contour"
GLUCOSE = "Glucose"
"""The test that a result must name; a meter's average has another name and is nobody's result."""
_UNITS: dict[str, Literal["mmol/L", "mg/dL"]] = {"mmol/l": "mmol/L", "mg/dl": "mg/dL"}
_FLUIDS = {"P": "capillary-plasma", "B": "capillary-whole-blood"}
_MEALS = {"B": "before-meal", "A": "after-meal"}
_NOTES = frozenset({"D", "I", "S", "X", "Z"})
"""Marks that the patient sets on a result (logbook, feeling, sport ...); they say nothing against it."""
_TIMED_NOTE = re.compile(r"[MTZ]?\d{1,2}", re.ASCII)
_NUMBER = re.compile(r"\d{1,4}(\.\d{1,2})?", re.ASCII)
_TIME = re.compile(r"(\d{12})(\d\d)?", re.ASCII)
_LIMITS = re.compile(r"V=(\d\d)(\d\d\d)", re.ASCII)
_LEAST_HIGH_MG_DL = 400
"""A limit from here on is mg/dL, whatever the display counts in: no meter goes to 40 mmol/L."""
_LONG_RESULT = 12


@dataclass(frozen=True, slots=True)
class Header:
    """What the meter says of itself before its results."""

    device: Device
    field: str
    repeat: str
    component: str
    display_unit: Literal["mmol/L", "mg/dL"] | None
    facts: MeterFacts
    """Its own limits, where it tells them in mg/dL."""
    device_time: str | None
    """Its clock when the transfer began, ISO text without zone."""
    to_the_second: bool = False


def decode_header(record: bytes) -> Header:
    """The record that begins with H.

    Raises:
        FrameError: another record, delimiters that are none, or no serial number.
    """
    text = _text(record)
    if text[:1] != "H":
        raise FrameError(record, 0, "a header record")
    delimiters = text[1:5]
    if len(set(delimiters)) != 4 or any(c.isalnum() or c.isspace() for c in delimiters):
        raise FrameError(record, 1, "four delimiters")
    field, repeat, component = delimiters[0], delimiters[1], delimiters[2]
    # The delimiters themselves fill the first field.
    fields = ["H", "", *text[5:].split(field)[1:]]
    who = _field(fields, 4).split(component)
    if len(who) < 3 or not who[2].strip():
        raise FrameError(record, 0, "a model and a serial number")
    configuration = re.split(f"[{re.escape(repeat + component)}]", _field(fields, 5))
    maker = "Bayer" if who[0].startswith("Bayer") else "Ascensia"
    told = _TIME.fullmatch(_field(fields, 13).strip())
    return Header(
        Device(DRIVER, maker, who[0].strip()[:32], who[2].strip()[:32], who[1].replace(repeat, "/").strip()[:48]),
        field,
        repeat,
        component,
        {"U=0": "mg/dL", "U=1": "mmol/L"}.get(next((c for c in configuration if c.startswith("U=")), "")),  # type: ignore[arg-type]
        _limits(configuration),
        None if told is None else _moment(told),
        told is not None and told[2] is not None,
    )


def decode_result(record: bytes, header: Header) -> GlucoseReading | None:
    """A record that begins with R; None where it is no single glucose result (the meter's average).

    Raises:
        FrameError: another record, or one without a value, unit or time that can be read.
    """
    fields = _text(record).split(header.field)
    if fields[0] != "R" or len(fields) < 3:
        raise FrameError(record, 0, "a result record")
    if fields[2].split(header.component)[-1] != GLUCOSE:
        return None
    number = _field(fields, 3).strip()
    unit_and_method = _field(fields, 4).split(header.component)
    unit = _UNITS.get(unit_and_method[0].strip().lower())
    if not _NUMBER.fullmatch(number) or unit is None:
        raise FrameError(record, 0, "a number in mg/dL or mmol/L")
    long = len(fields) >= _LONG_RESULT
    told = _TIME.fullmatch(_field(fields, 11 if long else 8).strip())
    marks = [*_marks(fields, 6, header), *([*_marks(fields, 7, header), *_marks(fields, 8, header)] if long else [])]
    status, control = _judged(marks, long=long)
    device_time = None if told is None else _moment(told)
    if device_time is None:
        status.add("time-fault")
    meal = next((_MEALS[mark] for mark in marks if mark in _MEALS), None)
    method = unit_and_method[1].strip() if len(unit_and_method) > 1 else ""
    return GlucoseReading(
        sequence=0,
        concentration=within_range(Decimal(number), unit, status, header.facts),
        device_time=device_time,
        base_time=device_time,
        fluid="control-solution" if control else _FLUIDS.get(method),
        status=frozenset(status),
        raw=record,
        # The second field counts within this transfer only.
        lasting=header.field.join([fields[0], *fields[2:]]).encode("latin-1"),
        display_unit=header.display_unit,
        context=None if meal is None else GlucoseContext(0, meal=meal),
    )


def _judged(marks: list[str], *, long: bool) -> tuple[set[str], bool]:
    """Status and whether it is a control solution; a mark that nobody explains keeps a result from the chart."""
    status: set[str] = set()
    control = False
    for mark in marks:
        if mark == ">":
            status.add("too-high")
        elif mark == "<":
            status.add("too-low")
        elif mark == "C" or (mark == "E" and long):
            control = True
        elif mark not in _MEALS and mark not in _NOTES and not _TIMED_NOTE.fullmatch(mark):
            status.add("unknown-mark")
    if {"too-high", "too-low"} <= status:
        status = status - {"too-high", "too-low"} | {"unknown-mark"}
    return status, control


def _marks(fields: list[str], index: int, header: Header) -> list[str]:
    return [mark.strip() for mark in re.split(f"[/{re.escape(header.repeat)}]", _field(fields, index)) if mark.strip()]


def _limits(configuration: list[str]) -> MeterFacts:
    for entry in configuration:
        if found := _LIMITS.fullmatch(entry):
            low, high = int(found[1]), int(found[2])
            if high >= _LEAST_HIGH_MG_DL:
                return MeterFacts(low, high)
    return MeterFacts()


def _moment(told: re.Match[str]) -> str | None:
    try:
        return datetime.strptime(told[1] + (told[2] or "00"), "%Y%m%d%H%M%S").isoformat()  # noqa: DTZ007 - no zone
    except ValueError:
        return None


def _field(fields: list[str], index: int) -> str:
    return fields[index] if index < len(fields) else ""


def _text(record: bytes) -> str:
    return record.decode("latin-1")

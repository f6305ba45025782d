"""Follow-up forms as data: which fields, codes, ranges; what must be filled; what today's readings already say."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from zhenbao.model.observation import Observation

FieldKind = Literal["choice", "choices", "number", "date", "text"]
KEYS = ("htn", "dm", "copd", "three-c", "complications", "review")


@dataclass(frozen=True, slots=True)
class Field:
    """One field; its label is ``form.<key>`` of the words, the meaning of a code ``form_choice.<key>.<code>``."""

    key: str
    kind: FieldKind
    codes: tuple[str, ...] = ()
    none: str = ""
    """The code that says "none of them": it stands alone."""
    required: bool = False
    unit: str = ""
    """Key of the ``form_unit`` words."""
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    longest: int = 200
    needs: Mapping[str, str] = field(default_factory=dict)
    """Must be filled where another field has this code."""
    needs_value: str = ""
    """Must be filled where this other field is."""
    take: str = ""
    """``reading.value`` of the same visit that may stand here."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Context that such a reading must have."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of one version."""

    key: str
    version: int
    source: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an answer: the ``form_problem`` words say it."""

    field: str
    code: Literal["missing", "code", "number", "range", "whole", "date", "long", "none-and-more", "unknown"]


@cache
def form(key: str) -> Form:
    """A form by its key.

    Raises:
        KeyError: there is none such.
    """
    if key not in KEYS:
        raise KeyError(key)
    raw = tomllib.loads(files("zhenbao.rules").joinpath("forms", f"{key}.toml").read_text(encoding="utf-8"))
    fields = tuple(Field(**(row | {"codes": tuple(row.get("codes", ()))})) for row in raw["field"])
    return Form(raw["key"], raw["version"], raw["source"], fields)


def tidy(answers: Mapping[str, str]) -> dict[str, str]:
    """Answers without spaces around them and without empty ones; several codes in order, each once."""
    told = {key: " ".join(value.split()) for key, value in answers.items()}
    return {key: value.replace("，", ",") for key, value in told.items() if value}


def problems(of: Form, answers: Mapping[str, str]) -> list[Problem]:
    """What must be put right before the form can be kept, in the order of its fields."""
    known = {each.key for each in of.fields}
    found = [Problem(key, "unknown") for key in answers if key not in known]
    for each in of.fields:
        value = answers.get(each.key, "")
        if value:
            if (code := _wrong(each, value)) is not None:
                found.append(Problem(each.key, code))
        elif (
            each.required
            or any(code in answers.get(key, "").split(",") for key, code in each.needs.items())
            or (each.needs_value and answers.get(each.needs_value))
        ):
            found.append(Problem(each.key, "missing"))
    return found


def taken(of: Form, readings: Iterable[Observation]) -> dict[str, str]:
    """What readings of the visit say for the fields of a form; the last one of each kind counts."""
    found: dict[str, str] = {}
    for reading in readings:
        for each in of.fields:
            code, _, name = each.take.partition(".")
            quantity = reading.values.get(name)
            fits = all(reading.context.get(key) == value for key, value in each.only.items())
            if not each.take or reading.code != code or quantity is None or not fits:
                continue
            # HI and LO are no numbers for a form, and another unit is another number.
            if reading.status != "preliminary" or quantity.comparator is not None or quantity.unit in _OTHER_UNITS:
                continue
            found[each.key] = f"{quantity.value:.0f}" if each.whole else f"{round(quantity.value, 1):g}"
    return found


_OTHER_UNITS = ("mg/dL", "kPa", "[lb_av]")


def _wrong(
    each: Field, value: str
) -> Literal["code", "number", "range", "whole", "date", "long", "none-and-more"] | None:
    if each.kind == "choice":
        return None if value in each.codes else "code"
    if each.kind == "choices":
        chosen = value.split(",")
        if not set(chosen) <= set(each.codes):
            return "code"
        return "none-and-more" if each.none in chosen and len(chosen) > 1 else None
    if each.kind == "date":
        try:
            date.fromisoformat(value)
        except ValueError:
            return "date"
        return None
    if each.kind == "text":
        return "long" if len(value) > each.longest else None
    number = number_in(value)
    if number is None:
        return "number"
    if not each.low <= number <= each.high:
        return "range"
    return "whole" if each.whole and number != int(number) else None


def number_in(text: str) -> float | None:
    """A plain decimal number; None for anything else (also for ``nan`` and ``inf``)."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

"""Numbers, texts and dates of results that other devices send, taken with care: every byte may be wrong."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from zhenbao.model.errors import InputError

LARGEST_BYTES = 16 << 20
"""An export with its curves has a few MB; a larger file is not loaded."""
MOST_SUMMARIES = 20
_LARGEST_NUMBER = 1e6
_LONGEST_TEXT = 400
_NOTHING = {"", "-", "--", "---", "nan", "null", "n/a"}
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:[.,][0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?")
_DAYS_A_YEAR = 365.25
_OLDEST_YEARS = 120


def number(text: str | None, field: str) -> float | None:
    """A number as devices print it (point or comma); None where there is none.

    Raises:
        InputError: ``summary-number``, anything else; ``field`` names its place.
    """
    stripped = (text or "").strip()
    if stripped.lower() in _NOTHING:
        return None
    if _NUMBER.fullmatch(stripped) is None:
        raise InputError("summary-number", field=clean(field, 24))
    value = float(stripped.replace(",", "."))
    if not math.isfinite(value) or abs(value) > _LARGEST_NUMBER:
        raise InputError("summary-number", field=clean(field, 24))
    return value


def clean(text: str, most: int = _LONGEST_TEXT) -> str:
    """Text fit for a screen: no control characters but line breaks, no more than ``most`` characters."""
    shown = "".join(c if c == "\n" or c.isprintable() else " " for c in text.replace("\r\n", "\n").replace("\r", "\n"))
    stripped = "\n".join(line.strip() for line in shown.split("\n")).strip()
    return stripped if len(stripped) <= most else stripped[: most - 1] + "…"


def day(text: str | None, pattern: str) -> date | None:
    """A date in a fixed pattern of digits (``%Y%m%d``); None where it is none."""
    try:
        return datetime.strptime((text or "").strip(), pattern).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def age_at(born: date | None, tested: date | None) -> float | None:
    """Decimal years at the test; None where a day is missing or the age is nobody's."""
    if born is None or tested is None:
        return None
    age = (tested - born).days / _DAYS_A_YEAR
    return round(age, 2) if 0 < age <= _OLDEST_YEARS else None


def height_cm(value: float | None) -> float | None:
    """A height in centimetres, from centimetres or metres; None where it is neither."""
    if value is None:
        return None
    if 0.4 <= value <= 2.5:
        return round(100 * value, 1)
    return value if 40 <= value <= 250 else None

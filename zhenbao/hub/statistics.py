"""The monthly report: the indicators as a table of text, and as a file that Excel and WPS open without mojibake."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from zhenbao.hub.indicators import Indicator
from zhenbao.hub.store.period import Period
from zhenbao.model.errors import InputError
from zhenbao.model.time import BEIJING
from zhenbao.words import Words

COLUMNS = ("name", "numerator", "denominator", "rate", "median", "p90", "unit", "target")


def month(text: str) -> Period:
    """A month in Beijing time, as ``2026-11``.

    Raises:
        InputError: ``stats-month``.
    """
    found = re.fullmatch(r"(2[0-9]{3})-(0[1-9]|1[0-2])", text)
    if found is None:
        raise InputError("stats-month", month=text[:20])
    year, number = int(found[1]), int(found[2])
    begin = datetime(year, number, 1, tzinfo=BEIJING)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=BEIJING)
    return Period(round(begin.timestamp() * 1000), round(end.timestamp() * 1000))


def cells(indicator: Indicator, words: Words) -> tuple[str, ...]:
    """One line of the report, as ``COLUMNS``; a rate of nothing says that there are no data, other gaps are empty."""
    return (
        words(f"hub.indicator.{indicator.key}"),
        str(indicator.numerator),
        "" if indicator.denominator is None else str(indicator.denominator),
        _rate(indicator, words),
        _minutes(indicator.median),
        _minutes(indicator.p90),
        words(f"hub.indicator_unit.{indicator.unit}"),
        "" if indicator.target_percent is None else f"≥{indicator.target_percent:g}%",
    )


def as_csv(indicators: Iterable[Indicator], words: Words) -> bytes:
    """The report as CSV in UTF-8 with a byte order mark."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([words(f"hub.stats.{column}") for column in COLUMNS])
    writer.writerows(cells(indicator, words) for indicator in indicators)
    return text.getvalue().encode("utf-8-sig")


def rows(indicators: Sequence[Indicator], words: Words) -> list[tuple[str, ...]]:
    """The lines of the report."""
    return [cells(indicator, words) for indicator in indicators]


def _rate(indicator: Indicator, words: Words) -> str:
    if indicator.percent is not None:
        return f"{indicator.percent:.1f}%"
    return "" if indicator.denominator is None else words("hub.stats.none")


def _minutes(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"

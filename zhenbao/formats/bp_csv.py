"""A recorder's exported series of blood pressures as a table: a row for each attempt to measure.

Names of people and other lines above the names of the columns are not read. What the table does not say (columns, unit,
order of day and month) is asked for. A damaged row is named and counted as an attempt that gave nothing.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Literal

from zhenbao.formats.bp_columns import Columns, Kind, Unit, named, told
from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.model.bp_series import BpSeries, DamagedRow, SeriesReading

Dates = Literal["dmy", "mdy"]
LARGEST_BYTES = 4 << 20
MOST_ROWS = 5000
_ABOVE = 80
"""Names of columns are looked for in so many lines."""
_KPA_PER_MMHG = 0.133322  # rule BP36
_NOTHING = {"", "-", "--", "---", "nan", "n/a", "na", "null", "无", "失败"}
_GOOD = {"ok", "good", "valid", "normal", "正常", "有效", "合格"}
_BAD = {
    "error",
    "err",
    "artifact",
    "artefact",
    "invalid",
    "failed",
    "bad",
    "excluded",
    "错误",
    "无效",
    "伪差",
    "失败",
    "剔除",
}
_YES, _NO = (
    {"1", "yes", "y", "true", "valid", "是", "有效", "√"},
    {"0", "no", "n", "false", "invalid", "否", "无效", "×", "x"},
)
_NO_ERROR = {"0", "00", "none", "no", "ok", "无"}
_YEAR_FIRST = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_CLOCK = re.compile(
    r"(?P<half>上午|下午)?\s*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.\d+)?)?[分秒]?\s*(?P<after>am|pm|a\.m\.|p\.m\.)?"
)
_AFTERNOON = {"下午", "pm", "p.m."}


class _Damaged(Exception):
    """Why a row gives nothing: a reason of ``DamagedRow``, and the cell."""


def read_bp_series(
    path: Path, *, columns: str | None = None, unit: str | None = None, dates: str | None = None
) -> BpSeries:
    """Read a table from a file.

    Args:
        path: UTF-8 with or without BOM, UTF-16 with BOM, or GBK/GB 18030; comma, semicolon or tab between cells.
        columns: what stands where (:func:`zhenbao.formats.bp_columns.told`); None: the names of the table say it.
        unit: ``mmHg`` or ``kPa``, where the names do not say it.
        dates: ``dmy`` or ``mdy``, where dates do not begin with the year.

    Returns:
        Pressures in mmHg (kPa to a tenth), readings in order of time.

    Raises:
        FileFormatError: its code says why; ``bp-file-absent``, ``bp-file-large``, ``bp-file-unknown``,
            ``bp-file-columns``, ``bp-file-twice``, ``bp-file-unit``, ``bp-file-unit-missing``,
            ``bp-file-dates``, ``bp-file-none``, ``bp-columns-told``, ``bp-columns-count``, ``bp-option``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError:
        raise FileFormatError("bp-file-absent") from None
    return parse_bp_series(data, columns=columns, unit=unit, dates=dates)


def parse_bp_series(
    data: bytes, *, columns: str | None = None, unit: str | None = None, dates: str | None = None
) -> BpSeries:
    """As :func:`read_bp_series`, from bytes."""
    known_unit: dict[str, Unit] = {"mmhg": "mmHg", "kpa": "kPa"}
    known_dates: dict[str, Dates] = {"dmy": "dmy", "mdy": "mdy"}
    if unit is not None and unit.lower() not in known_unit:
        raise FileFormatError("bp-option", option="--unit", known="mmHg kPa")
    if dates is not None and dates.lower() not in known_dates:
        raise FileFormatError("bp-option", option="--dates", known="dmy mdy")
    if len(data) > LARGEST_BYTES:
        raise FileFormatError("bp-file-large", most=LARGEST_BYTES >> 20)
    lines = [(number, line) for number, line in enumerate(_text(data).splitlines(), 1) if line.strip(" \t,;")]
    if len(lines) > MOST_ROWS:
        raise FileFormatError("bp-file-large", most=LARGEST_BYTES >> 20)
    layout, mark, rows = _layout(lines, columns)
    measure = known_unit[unit.lower()] if unit else layout.unit
    if unit and layout.unit and known_unit[unit.lower()] != layout.unit:
        raise FileFormatError("bp-file-unit", units=f"{layout.unit} {unit}")
    if measure is None:
        raise FileFormatError("bp-file-unit-missing")
    order = known_dates[dates.lower()] if dates else None
    readings: list[SeriesReading] = []
    damaged: list[DamagedRow] = []
    for number, line in rows:
        cells = _cells(line, mark)
        try:
            readings.append(_reading(number, cells, layout, measure, order, mark))
        except _Damaged as why:
            damaged.append(DamagedRow(number, *why.args))
    if not readings:
        raise FileFormatError("bp-file-none", rows=len(rows))
    kept, repeated = _one_a_time(readings)
    return BpSeries(kept, tuple(sorted([*damaged, *repeated], key=lambda d: d.row)), layout.left_out)


def _layout(lines: Sequence[tuple[int, str]], columns: str | None) -> tuple[Columns, str, Sequence[tuple[int, str]]]:
    """The columns, what parts them, and the rows below their names."""
    if columns is not None:
        layout = told(columns)
        for mark in ("\t", ";", ","):
            fitting = [i for i, (_, line) in enumerate(lines) if len(_cells(line, mark)) == layout.width]
            if fitting and layout.width > 1:
                first = _cells(lines[fitting[0]][1], mark)
                # A row of names, or a line above them, holds no pressures.
                has_names = not any(_is_number(first[layout.places[k]]) for k in ("systolic", "diastolic"))
                return layout, mark, lines[fitting[0] + has_names :]
        raise FileFormatError("bp-columns-count", told=layout.width)
    for i, (_, line) in enumerate(lines[:_ABOVE]):
        for mark in ("\t", ";", ","):
            if mark in line and (found := named(_cells(line, mark))) is not None:
                return found, mark, lines[i + 1 :]
    raise FileFormatError("bp-file-columns", missing="systolic diastolic time")


def _reading(
    row: int, cells: Sequence[str], layout: Columns, unit: Unit, order: Dates | None, mark: str
) -> SeriesReading:
    def cell(kind: Kind) -> str:
        place = layout.places.get(kind)
        return "" if place is None else cells[place].strip().strip("\"'").strip()

    if len(cells) <= max(layout.places.values()):
        raise _Damaged("cells", str(len(cells)))
    text = cell("time") or f"{cell('date')} {cell('clock')}"
    at = _time(text, order)
    systolic, diastolic = (_pressure(cell(kind), unit, mark) for kind in ("systolic", "diastolic"))
    pulse = _number(cell("pulse"), mark) if _is_number(cell("pulse")) else None
    reason, said = _judged(cell, layout)
    if systolic is None or diastolic is None:
        reason = "no-value"
    return SeriesReading(row, at.isoformat(), systolic, diastolic, pulse, reason, said)


def _judged(cell: Callable[[Kind], str], layout: Columns) -> tuple[str, str]:
    """Reason and words of what the recorder says of its own reading."""
    for kind in ("error", "valid", "status"):
        said = cell(kind) if kind in layout.places else ""
        word = said.lower()
        if word in _NOTHING and kind != "valid":
            continue
        if kind == "error":
            if word not in _NO_ERROR:
                return "marked", said[:40]
        else:
            good, bad = (_YES, _NO) if kind == "valid" else (_GOOD, _BAD)
            if kind in layout.places and word not in good:
                return ("marked" if word in bad else "status-unknown"), said[:40]
    return "", ""


def _time(text: str, order: Dates | None) -> datetime:
    """A day and an hour. What is left over beside them (a zone, say) is not understood, and the time then not read."""
    whole = text.strip().lower()
    date = _YEAR_FIRST.match(whole) or _YEAR_LAST.match(whole)
    clock = None if date is None else _CLOCK.fullmatch(whole[date.end() :].lstrip(" ,t"))
    if date is None or clock is None:
        raise _Damaged("time", text[:30])
    if date.re is _YEAR_FIRST:
        year, month, day = (int(part) for part in date.groups())
    elif order is None:
        raise FileFormatError("bp-file-dates", cell=text[:30])
    else:
        one, two, year = (int(part) for part in date.groups())
        day, month = (one, two) if order == "dmy" else (two, one)
    hour, minute, second = (int(clock.group(i) or 0) for i in (2, 3, 4))
    half = clock.group("half") or clock.group("after")
    if half is not None:
        if not 1 <= hour <= 12 or (clock.group("half") and clock.group("after")):
            raise _Damaged("time", text[:30])
        hour = hour % 12 + 12 * (half in _AFTERNOON)
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the recorder's own time
    except ValueError:
        raise _Damaged("time", text[:30]) from None


def _pressure(cell: str, unit: Unit, mark: str) -> float | None:
    if cell.lower() in _NOTHING:
        return None
    value = _number(cell, mark)
    # A zero is what recorders write where nothing was measured.
    if value == 0:
        return None
    return value if unit == "mmHg" else round(value / _KPA_PER_MMHG, 1)


def _number(cell: str, mark: str) -> float:
    text = cell.replace(",", ".") if mark != "," and cell.count(",") == 1 else cell
    try:
        value = float(text) if re.fullmatch(r"[+-]?\d{1,6}(\.\d{1,6})?", text) else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _Damaged("number", cell[:20])
    return value


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*\"?\d{1,6}([.,]\d{1,6})?\"?\s*", cell) is not None


def _one_a_time(readings: Iterable[SeriesReading]) -> tuple[tuple[SeriesReading, ...], list[DamagedRow]]:
    """In order of time. A row that says the same again is named; two that differ at one instant are not valid."""
    kept: list[SeriesReading] = []
    repeated: list[DamagedRow] = []
    for _, group in groupby(sorted(readings, key=lambda r: (r.at, r.row)), key=lambda r: r.at):
        different: list[SeriesReading] = []
        for reading in group:
            if any(replace(reading, row=other.row) == other for other in different):
                repeated.append(DamagedRow(reading.row, "repeated", reading.at.replace("T", " ")))
            else:
                different.append(reading)
        clash = sum(reading.valid for reading in different) > 1
        kept += [replace(r, reason="same-time") if clash and r.valid else r for r in different]
    return tuple(kept), repeated


def _text(data: bytes) -> str:
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FileFormatError("bp-file-unknown")


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
    except csv.Error:
        return []

"""Blows as a table: a row for each instant; one blow, several told apart by a number, or a column for each."""

from __future__ import annotations

import csv
import math
import re
from typing import TYPE_CHECKING

from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.formats.spirometry_columns import named, told, usable
from zhenbao.formats.spirometry_file import BlowCurve, Btps, Measured, SpirometryFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zhenbao.formats.spirometry_columns import Column

_NOTHING = {"", "nan", "na", "n/a", "null", "-", "--"}
_ENCODINGS = ("utf-8-sig", "gb18030")
_LOOK_AT = 20
_SEPARATOR = re.compile(r"\s*\"?sep=.\"?\s*$", re.IGNORECASE)
"""A line for spreadsheets; the rows themselves show what parts them."""
_LONGEST_LINE = 10_000

_Samples = list[tuple[float, float]]


def read_spirometry_csv(data: bytes, *, columns: str | None = None, restarts: bool = False) -> SpirometryFile:
    """Read a table.

    Args:
        data: UTF-8 (with or without BOM), UTF-16 with BOM, or GBK/GB 18030; comma, semicolon or tab between cells;
            decimal points, or decimal commas where the comma does not part cells. Lines that begin with ``#`` and
            empty ones are passed over.
        columns: what stands where, as in :func:`zhenbao.formats.spirometry_columns.told`; None: the first row says it.
        restarts: whoever has the file says that each time the clock goes back a new blow begins.

    Raises:
        FileFormatError: its code says why.
    """
    lines = _lines(_text(data))
    if not lines:
        raise FileFormatError("spirometry-file-none")
    mark = _between([line for _, line in lines[:_LOOK_AT]])
    table = [(number, _cells(line, mark)) for number, line in lines]
    first = table[0][1]
    has_names = not any(_is_number(cell) for cell in first)
    known = told(columns) if columns is not None else named(first) if has_names else None
    if known is None:
        raise FileFormatError("spirometry-file-no-names", found=len(first))
    if len(known) != len(first):
        raise FileFormatError("spirometry-columns-count", found=len(first), told=len(known))
    time, values, blow, left_out = usable(known)
    rows = table[1:] if has_names else table
    used = [time, *values, *([] if blow is None else [blow])]
    _one_decimal_sign(rows, used, mark)
    kind: Measured = "flow" if known[values[0]].kind == "flow" else "volume"
    read = list(_numbers(rows, len(known), known, time, values, blow))
    blows = _wide(read, known, values) if len(values) > 1 else _long(read, numbered=blow is not None, restarts=restarts)
    names = tuple(first[i].strip() or str(i + 1) for i in left_out) if has_names else ()
    return SpirometryFile("csv", kind, blows, btps=_btps(known, values), left_out=names)


def _numbers(
    rows: Sequence[tuple[int, list[str]]],
    width: int,
    columns: Sequence[Column],
    time: int,
    values: Sequence[int],
    blow: int | None,
) -> Iterator[tuple[int, int | None, float, list[float]]]:
    """Line, number of the blow, time in s, values in L/s or L."""
    for line, cells in rows:
        if len(cells) != width:
            raise FileFormatError("csv-columns", row=line, found=len(cells), expected=width)
        if not any(cell.strip() for cell in cells):
            continue
        number = None
        if blow is not None:
            counted = _number(cells[blow], line)
            if not counted >= 1 or counted != int(counted):
                raise FileFormatError("spirometry-file-number", row=line, cell=cells[blow].strip()[:20])
            number = int(counted)
        at = _number(cells[time], line) * (columns[time].factor or 1.0)
        if math.isnan(at):
            raise FileFormatError("csv-cell", row=line, cell=cells[time].strip()[:20])
        yield line, number, at, [_number(cells[i], line) * (columns[i].factor or 1.0) for i in values]


def _long(
    read: Sequence[tuple[int, int | None, float, list[float]]], *, numbered: bool, restarts: bool
) -> tuple[BlowCurve, ...]:
    """Blows one below the other."""
    blows: dict[int, _Samples] = {}
    current, before = 0, -math.inf
    for line, number, at, (value,) in read:
        if number is not None and number != current:
            if number in blows:
                raise FileFormatError("spirometry-file-apart", row=line, blow=number)
            current, before = number, -math.inf
        elif not numbered and (not blows or (at < before and restarts)):
            current, before = current + 1, -math.inf
        if at < before:
            code = "spirometry-file-back" if numbered else "spirometry-file-blows"
            raise FileFormatError(code, row=line)
        blows.setdefault(current, []).append((at, value))
        before = at
    return tuple(_curve(number, blows[number]) for number in sorted(blows))


def _wide(
    read: Sequence[tuple[int, int | None, float, list[float]]], columns: Sequence[Column], values: Sequence[int]
) -> tuple[BlowCurve, ...]:
    """Blows side by side on one clock; the empty end of a shorter one is no part of it."""
    before = -math.inf
    for line, _, at, _ in read:
        if at < before:
            raise FileFormatError("spirometry-file-back", row=line)
        before = at
    blows = []
    for place, i in enumerate(values):
        samples = [(at, found[place]) for _, _, at, found in read]
        while samples and math.isnan(samples[-1][1]):
            samples.pop()
        blows.append(_curve(columns[i].blow or place + 1, samples))
    return tuple(sorted(blows, key=lambda blow: blow.number))


def _curve(number: int, samples: _Samples) -> BlowCurve:
    return BlowCurve(number, tuple(at for at, _ in samples), tuple(value for _, value in samples))


def _btps(columns: Sequence[Column], values: Sequence[int]) -> Btps:
    said = {columns[i].btps for i in values}
    return said.pop() if len(said) == 1 else "unknown"


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = _ENCODINGS
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FileFormatError("spirometry-file-unknown")


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines that say something, with their numbers in the file."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST_LINE:
            raise FileFormatError("csv-cell", row=number, cell=line[:20])
        if line.strip(" \t,;") and not line.lstrip().startswith("#") and not _SEPARATOR.match(line):
            lines.append((number, line))
    return lines


def _between(lines: Sequence[str]) -> str:
    """Tab before semicolon before comma: a comma beside one of the others is a decimal sign."""
    return next((mark for mark in ("\t", ";", ",") if all(mark in line for line in lines)), ",")


def _cells(line: str, mark: str) -> list[str]:
    return next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])


def _one_decimal_sign(rows: Sequence[tuple[int, list[str]]], used: Sequence[int], mark: str) -> None:
    """A table with both signs has thousands marked with one of them: which one is not ours to guess."""
    seen: set[str] = set()
    for line, cells in rows:
        for cell in (cells[i] for i in used if i < len(cells)):
            seen |= {sign for sign in ",." if sign in cell}
            if len(seen) > 1 or ("," in cell and mark == ","):
                raise FileFormatError("spirometry-file-decimal", row=line, cell=cell.strip()[:20])


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(_number(cell, 0))
    except FileFormatError:
        return False


def _number(cell: str, row: int) -> float:
    text = cell.strip().strip("\"'").strip()
    if text.lower() in _NOTHING:
        return math.nan
    try:
        value = float(text.replace(",", ".")) if text.count(",") <= 1 and "_" not in text else math.inf
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise FileFormatError("csv-cell", row=row, cell=text[:20])
    return value

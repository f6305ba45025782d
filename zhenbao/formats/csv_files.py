"""Tables of numbers: a row for each instant, a column for each lead. Rate and unit are asked for, never guessed."""

from __future__ import annotations

import csv
import math
import re
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.formats.ecg_file import MV_PER_UNIT, EcgFile, FileFormatError, named_apart, standard_lead
from zhenbao.model.ecg import LEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES = {
    *("t", "ms", "s", "sec", "seconds", "time", "times", "timestamp", "timestamps", "elapsed", "date", "datetime"),
    *("sample", "samples", "index", "时间", "采样", "采样点", "序号", "日期"),
}
_NOTHING = {"", "nan", "na", "null", "-"}
_LOOK_AT = 20
_LONGEST_LINE = 100_000


def read_csv(path: Path, *, fs_hz: float | None, unit: str | None) -> EcgFile:
    """Leads by their names in the first row, or numbered where there is none.

    Args:
        path: UTF-8 or GB 18030; comma, semicolon, tab or blanks between values.
        fs_hz: sampling rate.
        unit: ``V``, ``mV`` or ``uV``.

    Raises:
        FileFormatError: ``csv-rate``, ``csv-unit``, ``csv-cell``, ``csv-columns`` or ``ecg-file-no-ecg``.
    """
    if fs_hz is None:
        raise FileFormatError("csv-rate")
    if unit is None or unit.lower() not in MV_PER_UNIT:
        raise FileFormatError("csv-unit")
    import numpy as np

    text = _text(path)
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST_LINE:
            raise FileFormatError("csv-cell", row=number, cell=line[:20])
    mark = _between([line for line in lines[:_LOOK_AT] if line.strip()])
    rows = csv.reader(lines, delimiter=mark, skipinitialspace=True, quoting=csv.QUOTE_NONE)
    first = next(rows, [])
    has_names = any(not _is_number(cell, mark) for cell in first)
    names = (
        [cell.strip().strip("\"'").strip() for cell in first] if has_names else [str(i + 1) for i in range(len(first))]
    )
    columns: list[list[float]] = [[] for _ in names]
    start = 2 if has_names else 1
    source = rows if has_names else iter([first, *rows])
    for number, row in enumerate(source, start):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            raise FileFormatError("csv-columns", row=number, found=len(row), expected=len(names))
        for column, cell in zip(columns, row, strict=True):
            column.append(_number(cell, mark, number))
    leads = [i for i, name in enumerate(names) if name and not _is_time(name, columns[i])]
    if not leads or not columns[leads[0]]:
        raise FileFormatError("ecg-file-no-ecg", format="CSV")
    ecg_mv = np.array([columns[i] for i in leads], np.float64) * MV_PER_UNIT[unit.lower()]
    left_out = tuple(names[i] or str(i + 1) for i in range(len(names)) if i not in leads)
    return EcgFile(
        "csv", ecg_mv, float(fs_hz), named_apart([standard_lead(names[i]) for i in leads]), left_out=left_out
    )


def _is_time(name: str, column: Sequence[float]) -> bool:
    """By its name, or because it rises by one step throughout, which no lead does."""
    if standard_lead(name) in LEADS:
        return False
    word = re.split(r"[\s\[\](（_#.:]", name.strip().lower(), maxsplit=1)[0]
    steps = [b - a for a, b in pairwise(column[:_LOOK_AT])]
    even = len(steps) > 1 and min(steps) > 0 and max(steps) - min(steps) <= 1e-6 * max(steps)
    return word in _TIMES or even


def _text(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileFormatError("ecg-file-unknown")


def _between(lines: Sequence[str]) -> str:
    """The mark that cuts the first lines into the same number of parts, the most parts."""
    counts = {mark: {line.count(mark) for line in islice(lines, _LOOK_AT)} for mark in ("\t", ";", ",")}
    steady = {mark: max(found) for mark, found in counts.items() if len(found) == 1 and max(found) > 0}
    return max(steady, key=lambda mark: steady[mark]) if steady else ","


def _is_number(cell: str, mark: str) -> bool:
    try:
        _number(cell, mark, 0)
    except FileFormatError:
        return False
    return True


def _number(cell: str, mark: str, row: int) -> float:
    text = cell.strip().strip('"')
    if text.lower() in _NOTHING:
        return float("nan")
    try:
        value = float(text.replace(",", ".") if mark != "," else text)
        if math.isinf(value):
            raise ValueError(text)
        return value
    except ValueError:
        raise FileFormatError("csv-cell", row=row, cell=text[:20]) from None

"""Tables of numbers: a row for each instant, a column for each lead. Rate and unit are asked for, never guessed."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.formats.ecg_file import MV_PER_UNIT, EcgFile, FileFormatError, named_apart, standard_lead

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES = {"t", "time", "timestamp", "sample", "index", "时间", "采样", "序号"}
_NOTHING = {"", "nan", "na", "null", "-"}
_LOOK_AT = 20


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
    mark = _between([line for line in lines[:_LOOK_AT] if line.strip()])
    rows = csv.reader(lines, delimiter=mark, skipinitialspace=True)
    first = next(rows, [])
    has_names = any(not _is_number(cell, mark) for cell in first)
    names = [cell.strip() for cell in first] if has_names else [str(i + 1) for i in range(len(first))]
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
    leads = [i for i, name in enumerate(names) if name.split("(")[0].strip().lower() not in _TIMES and name]
    if not leads or not columns[leads[0]]:
        raise FileFormatError("ecg-file-no-ecg", format="CSV")
    ecg_mv = np.array([columns[i] for i in leads], np.float64) * MV_PER_UNIT[unit.lower()]
    left_out = tuple(names[i] or str(i + 1) for i in range(len(names)) if i not in leads)
    return EcgFile(
        "csv", ecg_mv, float(fs_hz), named_apart([standard_lead(names[i]) for i in leads]), left_out=left_out
    )


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
    text = cell.strip()
    if text.lower() in _NOTHING:
        return float("nan")
    try:
        return float(text.replace(",", ".") if mark != "," else text)
    except ValueError:
        raise FileFormatError("csv-cell", row=row, cell=text[:20]) from None

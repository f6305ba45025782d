"""A recorded flow as a table: a row for each instant, columns ``time_s`` and ``flow_l_s``."""

from __future__ import annotations

import csv
import math

from zhenbao.model.errors import InputError

LARGEST_BYTES = 16 << 20
_TIME, _FLOW = "time_s", "flow_l_s"


def read_flow_table(data: bytes) -> tuple[list[float], list[float]]:
    """Times in seconds and flows in L/s; an empty flow is a lost sample (NaN).

    Args:
        data: UTF-8; commas, semicolons or tabs; other columns are left aside. The names carry the units, so that none
            is guessed.

    Raises:
        InputError: ``flow-table-large``, ``flow-table-columns`` or ``flow-table-cell``.
    """
    if len(data) > LARGEST_BYTES:
        raise InputError("flow-table-large", most=LARGEST_BYTES >> 20)
    lines = data.decode("utf-8-sig", "replace").splitlines()
    head = lines[0] if lines else ""
    mark = max((";", "\t", ","), key=head.count)
    names = [name.strip().strip('"').lower() for name in head.split(mark)]
    if names.count(_TIME) != 1 or names.count(_FLOW) != 1:
        raise InputError("flow-table-columns")
    at, of = names.index(_TIME), names.index(_FLOW)
    times: list[float] = []
    flows: list[float] = []
    for row, cells in enumerate(csv.reader(lines[1:], delimiter=mark, quoting=csv.QUOTE_NONE), 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= max(at, of):
            raise InputError("flow-table-cell", row=row)
        times.append(_number(cells[at], row, empty_is_lost=False))
        flows.append(_number(cells[of], row, empty_is_lost=True))
    return times, flows


def _number(cell: str, row: int, *, empty_is_lost: bool) -> float:
    text = cell.strip().strip('"')
    if empty_is_lost and text.lower() in ("", "nan"):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise InputError("flow-table-cell", row=row) from None
    if not math.isfinite(value):
        raise InputError("flow-table-cell", row=row)
    return value

"""Which column of a recorder's table holds what: by the names in its first row, or as somebody tells. Never guessed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zhenbao.formats.ecg_file import FileFormatError

Kind = Literal["time", "date", "clock", "systolic", "diastolic", "pulse", "status", "valid", "error", "-"]
Unit = Literal["mmHg", "kPa"]

KINDS: tuple[Kind, ...] = (
    "time", "date", "clock", "systolic", "diastolic", "pulse", "status", "valid", "error", "-",
)  # fmt: skip
"""``time``: day and hour in one cell; ``date`` and ``clock``: in two."""
_NAMES: dict[str, Kind] = {
    **dict.fromkeys(("datetime", "date time", "timestamp", "measured at", "日期时间", "测量时间", "时间日期"), "time"),
    **dict.fromkeys(("date", "day", "日期", "测量日期"), "date"),
    **dict.fromkeys(("time", "clock", "时间", "时刻"), "clock"),
    **dict.fromkeys(("systolic", "sys", "sbp", "systolic pressure", "systolic bp", "收缩压", "高压"), "systolic"),
    **dict.fromkeys(("diastolic", "dia", "dbp", "diastolic pressure", "diastolic bp", "舒张压", "低压"), "diastolic"),
    **dict.fromkeys(
        ("pulse", "pulse rate", "pr", "hr", "heart rate", "脉率", "脉搏", "心率"),
        "pulse",
    ),
    **dict.fromkeys(("status", "quality", "状态", "质量"), "status"),
    **dict.fromkeys(("valid", "有效", "是否有效"), "valid"),
    **dict.fromkeys(("error", "error code", "err", "错误", "错误码", "错误代码"), "error"),
}
_BRACKET = re.compile(r"[(\[]([^)\]]*)[)\]]")
_TAIL = re.compile(r"[ _](mm ?hg|kpa)$")
_UNITS: dict[str, Unit] = {"mmhg": "mmHg", "毫米汞柱": "mmHg", "kpa": "kPa", "千帕": "kPa"}
_PRESSURES = ("systolic", "diastolic")


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of what is read, by kind; and the unit of the pressures, None where nobody has told it."""

    places: dict[Kind, int]
    width: int
    unit: Unit | None
    left_out: tuple[str, ...] = ()


def named(cells: Sequence[str]) -> Columns | None:
    """What the names of a row say; None where it is no row of names (it does not name both pressures).

    Raises:
        FileFormatError: ``bp-file-twice`` (two columns of one kind), ``bp-file-unit`` (the pressures' units differ, or
            one is neither mmHg nor kPa), ``bp-file-columns`` (no column for the time).
    """
    kinds = [_kind(cell) for cell in cells]
    found = [kind for kind, _ in kinds]
    if not all(kind in found for kind in _PRESSURES):
        return None
    # "Time" alone holds day and hour; beside a date only the hour.
    if "clock" in found and "date" not in found and "time" not in found:
        kinds = [("time" if kind == "clock" else kind, unit) for kind, unit in kinds]
    units = {unit for kind, unit in kinds if kind in _PRESSURES}
    if len(units) > 1 or units - {"", "mmHg", "kPa"}:
        raise FileFormatError("bp-file-unit", units=" ".join(sorted(units))[:30])
    (unit,) = units
    left_out = tuple(cell.strip()[:30] for cell, (kind, _) in zip(cells, kinds, strict=True) if kind == "-")
    return _checked([kind for kind, _ in kinds], _UNITS.get(unit.lower()), left_out)


def told(text: str) -> Columns:
    """Columns as somebody tells them, a word for each: ``date,clock,systolic,diastolic,pulse,-``.

    Raises:
        FileFormatError: ``bp-columns-told``, and those of :func:`named`.
    """
    kinds: list[Kind] = []
    for part in text.replace("，", ",").split(","):
        kind = next((kind for kind in KINDS if kind == part.strip().lower()), None)
        if kind is None:
            raise FileFormatError("bp-columns-told", part=part.strip()[:20], known=" ".join(KINDS))
        kinds.append(kind)
    return _checked(kinds, None, ())


def _checked(kinds: Sequence[Kind], unit: Unit | None, left_out: tuple[str, ...]) -> Columns:
    places: dict[Kind, int] = {}
    for i, kind in enumerate(kinds):
        if kind == "-":
            continue
        if kind in places:
            raise FileFormatError("bp-file-twice", kind=kind)
        places[kind] = i
    missing = [kind for kind in _PRESSURES if kind not in places]
    if "time" not in places and not ("date" in places and "clock" in places):
        missing.append("time")
    if missing:
        raise FileFormatError("bp-file-columns", missing=" ".join(missing))
    return Columns(places, len(kinds), unit, left_out)


def _kind(name: str) -> tuple[Kind, str]:
    """Kind and unit of one name; the unit is empty where the name has none."""
    text = unicodedata.normalize("NFKC", name).lower().strip().strip("\"'").strip()
    unit = ""
    if bracket := _BRACKET.search(text):
        unit = bracket.group(1).strip()
        text = (text[: bracket.start()] + " " + text[bracket.end() :]).strip()
    elif tail := _TAIL.search(text):
        unit, text = tail.group(1), text[: tail.start()]
    words = " ".join(word for word in re.split(r"[\s_./:-]+", text) if word)
    unit = unit.replace(" ", "")
    return _NAMES.get(words, "-"), _UNITS.get(unit, unit)

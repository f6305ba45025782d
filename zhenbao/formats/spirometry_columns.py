"""Which column of a table is time, flow, volume or the number of the blow, and in which unit.

Told by the names in the first row, or by whoever has the file; what neither tells is asked for, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.formats.spirometry_file import UNITS, Btps, scale

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["time", "flow", "volume", "blow", "other"]

_NAMES: dict[str, Kind] = {
    **dict.fromkeys(("time", "times", "t", "elapsed", "seconds", "时间"), "time"),
    **dict.fromkeys(("flow", "flowrate", "flow rate", "airflow", "流量", "流速", "气流"), "flow"),
    **dict.fromkeys(("volume", "vol", "v", "exhaled volume", "容积", "容量", "体积", "呼气量"), "volume"),
    **dict.fromkeys(
        (
            *("blow", "trial", "test", "manoeuvre", "maneuver", "attempt", "effort", "blow number"),
            *("吹气", "吹气次数", "吹气序号", "次", "次数", "次序"),
        ),
        "blow",
    ),
}
_CHINESE_UNITS = {"秒": "s", "毫秒": "ms", "分": "min", "升": "L", "毫升": "mL", "升/秒": "L/s", "升/分": "L/min"}
_BRACKET = re.compile(r"[(\[]([^)\]]*)[)\]]")
_TAIL = re.compile(r"[_ ](l_s|l_min|ml_s|l/s|l/min|ml/s|ms|ml|s|l|min)$")
_LAST_NUMBER = re.compile(r"[_ ](\d+)$")
_NUMBER = re.compile(r"第?\s*(\d+)\s*次?")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds, its factor to s, L/s or L, and the blow it belongs to where the table is wide."""

    kind: Kind
    name: str = ""
    factor: float | None = None
    """None: the unit is not known."""
    blow: int | None = None
    btps: Btps = "unknown"


def named(cells: Sequence[str]) -> list[Column]:
    """What the names of a first row say; unknown names are ``other``."""
    return [_named(cell.strip().strip("\"'").strip()) for cell in cells]


def _named(name: str) -> Column:
    text = unicodedata.normalize("NFKC", name).lower().strip()
    btps: Btps = "yes" if "btps" in text else "no" if "atps" in text else "unknown"
    text = re.sub(r"[ _,;]*(btps|atps)[ _,;]*", lambda m: "_" if "_" in m.group() else " ", text).strip(" _")
    unit = ""
    if bracket := _BRACKET.search(text):
        unit = bracket.group(1).strip()
        text = (text[: bracket.start()] + " " + text[bracket.end() :]).strip()
    else:
        # "flow_l_s_2": the number may stand behind the unit.
        last = _LAST_NUMBER.search(text)
        front = text[: last.start()] if last else text
        if tail := _TAIL.search(front):
            unit = tail.group(1).replace("_", "/")
            text = front[: tail.start()] + (last.group() if last else "")
    blow = None
    if number := _NUMBER.search(text):
        blow = int(number.group(1))
        text = text[: number.start()] + " " + text[number.end() :]
    words = [word for word in re.split(r"[\s_.#:/-]+", text) if word]
    kind = _NAMES.get(" ".join(words))
    if kind is None and blow is not None and len(words) > 1:
        # "blow 1 flow", "flow test 2": the number's own word is not the column's.
        rest = [word for word in words if _NAMES.get(word) != "blow"]
        kind = _NAMES.get(" ".join(rest))
    if kind is None:
        return Column("other", name)
    factor = scale(kind, _CHINESE_UNITS.get(unit, unit)) if kind != "blow" and unit else None
    if kind != "blow" and unit and factor is None:
        raise FileFormatError("spirometry-file-unit", column=name[:30], unit=unit[:16], known=_units(kind))
    return Column(kind, name, factor, blow if kind in ("flow", "volume") else None, btps)


def told(text: str) -> list[Column]:
    """Columns as somebody tells them: ``time:s,flow:L/s,blow``; ``-`` is a column to leave out.

    Raises:
        FileFormatError: ``spirometry-columns-told``.
    """
    columns = []
    kinds: dict[str, Kind] = {"time": "time", "flow": "flow", "volume": "volume", "blow": "blow", "-": "other"}
    for part in text.replace("，", ",").split(","):
        word, _, unit = (piece.strip() for piece in part.replace("：", ":").partition(":"))
        kind = kinds.get(word.lower())
        factor = scale(kind, unit) if kind in ("time", "flow", "volume") else None
        if kind is None or (kind in ("time", "flow", "volume")) != (factor is not None):
            raise FileFormatError("spirometry-columns-told", part=part.strip()[:30])
        columns.append(Column(kind, factor=factor))
    for kind in ("flow", "volume"):
        same = [i for i, column in enumerate(columns) if column.kind == kind]
        for number, i in enumerate(same, 1):
            if len(same) > 1:
                columns[i] = Column(columns[i].kind, factor=columns[i].factor, blow=number)
    return columns


def usable(columns: Sequence[Column]) -> tuple[int, list[int], int | None, list[int]]:
    """Places of the time, of the values, of the blow number (or None), and of what is left out.

    Flow goes before volume where a table has both.

    Raises:
        FileFormatError: ``spirometry-file-no-time``, ``spirometry-file-no-values``, ``spirometry-file-unit-missing`` or
            ``spirometry-file-twice``.
    """
    places = {kind: [i for i, c in enumerate(columns) if c.kind == kind] for kind in ("time", "flow", "volume", "blow")}
    values = places["flow"] or places["volume"]
    # The names are not quoted: what looks like a first row may be a line about the patient.
    if not places["time"]:
        raise FileFormatError("spirometry-file-no-time")
    if not values:
        raise FileFormatError("spirometry-file-no-values")
    for kind in ("time", "blow"):
        if len(places[kind]) > 1:
            raise FileFormatError("spirometry-file-twice", column=kind)
    blows = [columns[i].blow for i in values]
    if len(values) > 1 and (None in blows or len(set(blows)) < len(blows) or places["blow"]):
        raise FileFormatError("spirometry-file-twice", column=columns[values[0]].kind)
    for i in (places["time"][0], *values):
        if columns[i].factor is None:
            column = columns[i]
            raise FileFormatError("spirometry-file-unit-missing", column=column.name[:30], known=_units(column.kind))
    blow = places["blow"][0] if places["blow"] else None
    used = {places["time"][0], *values, *([] if blow is None else [blow])}
    return places["time"][0], values, blow, [i for i in range(len(columns)) if i not in used]


def _units(kind: str) -> str:
    return " ".join(
        {"l/s": "L/s", "l/min": "L/min", "ml/s": "mL/s", "l": "L", "ml": "mL"}.get(u, u) for u in UNITS[kind]
    )

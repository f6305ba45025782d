"""Results of Xeek spirometers as they go to a regional platform: one JSON object, a line a parameter in ``details``.

Predicted values are in ``preValue``, the per cent of predicted in ``bestPre``; numbers are texts, the equation a code.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from zhenbao.formats.summary_text import age_at, clean, day, height_cm, number
from zhenbao.model.errors import InputError
from zhenbao.model.observation import Device
from zhenbao.model.spirometry_summary import SpirometrySummary, SummaryValue

_PARAMETERS = {
    **{
        name: name
        for name in ("FVC", "FEV1", "FEV3", "FEV6", "PEF", "FEF25", "FEF50", "FEF75", "MMEF", "FET", "FIVC", "PIF")
    },
    "FEV1/FVC": "FEV1FVC",
    "Vexp": "BEV",
}
_TRIES = ("test1Value", "test2Value", "test3Value")
_SEXES = {"1": "male", "2": "female"}
"""GB/T 2261.1."""
_MOST_LINES = 200


def read_xeek(data: bytes) -> tuple[SpirometrySummary, ...]:
    """One summary.

    Raises:
        InputError: ``summary-damaged``, ``summary-number``, ``summary-twice`` or ``summary-empty``.
    """
    told = _object(data)
    details = told.get("details")
    if not isinstance(details, list) or len(details) > _MOST_LINES or not all(isinstance(d, dict) for d in details):
        raise InputError("summary-damaged", format="JSON")
    values: dict[str, SummaryValue] = {}
    left_out: list[str] = []
    for line in details:
        name = _text(line, "parameter")
        if name not in _PARAMETERS:
            left_out.append(clean(name, 24))
            continue
        if _PARAMETERS[name] in values:
            raise InputError("summary-twice", field=name)
        values[_PARAMETERS[name]] = SummaryValue(
            measured=number(_text(line, "bestValue"), name),
            unit=clean(_text(line, "unit"), 16),
            predicted=number(_text(line, "preValue"), name),
            lln=number(_text(line, "lln"), name),
            percent_predicted=number(_text(line, "bestPre"), name),
            z=number(_text(line, "zScore"), name),
            tries=tuple(number(_text(line, key), name) for key in _TRIES if key in line),
        )
    if not any(value.measured is not None for value in values.values()):
        raise InputError("summary-empty")
    tested = _instant(_text(told, "inspectTime"))
    grades = {"fvc": "fvcQuality", "fev1": "fev1Quality", "session": "finalQuality"}
    return (
        SpirometrySummary(
            format="xeek-json",
            values=values,
            quality={key: clean(text, 60) for key, field in grades.items() if (text := _text(told, field).strip())},
            label=clean(re.sub(r"<br\s*/?>", "\n", _text(told, "doctorDiag"), flags=re.IGNORECASE)) or None,
            equation=clean(_text(told, "refEquations"), 60) or None,
            measured_at=tested.isoformat() if tested else None,
            sex=_SEXES.get(_text(told, "patientGender").strip()),
            age_years=age_at(day(_text(told, "patientBirthday"), "%Y%m%d"), tested.date() if tested else None),
            height_cm=height_cm(number(_text(told, "height"), "height")),
            device=Device("file", "Xeek", clean(_text(told, "deviceType"), 32), clean(_text(told, "deviceSN"), 48)),
            left_out=tuple(left_out),
        ),
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_no_key_twice, parse_constant=lambda _: "nan")
        # Some platforms wrap the object as a text once more.
        if isinstance(told, str):
            told = json.loads(told, object_pairs_hook=_no_key_twice, parse_constant=lambda _: "nan")
    except (ValueError, RecursionError):
        raise InputError("summary-damaged", format="JSON") from None
    if not isinstance(told, dict):
        raise InputError("summary-damaged", format="JSON")
    return told


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one key nobody can say which is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _text(table: dict[str, Any], key: str) -> str:
    """A text or number of the table as text; anything else is damage."""
    value = table.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError("summary-damaged", format="JSON")
    return str(value)


def _instant(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the device's own clock
    except ValueError:
        return None

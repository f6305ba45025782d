"""GDT, the carrier of device data between German instruments and record systems (QMS, versions 2.1 and 3.0).

A line is ``LLL`` (its bytes with the line end), ``FFFF`` (what it holds), the content, CR LF. Set 6310 brings results:
each test begins with 8410. There is no field for a predicted value or a z-score; limits of normal are 8461 and 8462.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from zhenbao.formats.summary_text import age_at, clean, day, height_cm, number
from zhenbao.model.errors import InputError
from zhenbao.model.observation import Device
from zhenbao.model.spirometry_summary import SpirometrySummary, SummaryValue

_PARAMETERS = {
    **{
        name: name
        for name in (
            "FVC",
            "FEV1",
            "FEV3",
            "FEV6",
            "PEF",
            "FEF25",
            "FEF50",
            "FEF75",
            "MMEF",
            "FET",
            "BEV",
            "FIVC",
            "PIF",
        )
    },
    **dict.fromkeys(("FEV1/FVC", "FEV1FVC", "FEV1%FVC", "FEV1_FVC"), "FEV1FVC"),
    **dict.fromkeys(("FEF25-75", "FEF2575", "MMEF25-75", "MMEF75/25"), "MMEF"),
    # In Europe MEF counts what is still in the lungs.
    "MEF75": "FEF25",
    "MEF50": "FEF50",
    "MEF25": "FEF75",
}
_PAGES = {"1": "ascii", "2": "cp437", "3": "cp1252"}
_PAGE_UNSAID = "cp437"
_RESULTS = "6310"
_SHORTEST = 9
_LINE_END = 2
_SEXES = {"1": "male", "2": "female"}
_MOST_LINES = 5000


@dataclass(slots=True)
class _Test:
    """Fields of one test, from its 8410 on."""

    ident: str
    fields: dict[str, str] = field(default_factory=dict)


def read_gdt(data: bytes) -> tuple[SpirometrySummary, ...]:
    """One summary.

    Raises:
        InputError: ``gdt-line`` (a length that is not the line's), ``gdt-cut`` (shorter than field 8100 says),
            ``gdt-set`` (no results), ``gdt-page`` (text in an unknown code page), ``summary-people``,
            ``summary-number``, ``summary-twice`` or ``summary-empty``.
    """
    lines = _lines(data)
    if not lines or lines[0][0] != "8000" or lines[0][1] != _RESULTS.encode():
        raise InputError("gdt-set")
    people = {content for ident, content in lines if ident == "3000"}
    if len(people) > 1:
        raise InputError("summary-people", count=len(people))
    totals = [content for ident, content in lines if ident == "8100"]
    told = number(totals[0].decode("ascii", "replace"), "8100") if totals else None
    # Some devices write a total that is too small; too large means that the file was cut.
    if told is not None and told > len(data) + _LINE_END:
        raise InputError("gdt-cut", told=int(told), found=len(data))
    page = next((content.decode("ascii", "replace") for ident, content in lines if ident == "9206"), None)
    head: dict[str, list[str]] = {}
    tests: list[_Test] = []
    for ident, content in lines:
        text = _decoded(content, page)
        if ident == "8410":
            tests.append(_Test(text.strip()))
        elif tests and ident.startswith("84"):
            tests[-1].fields.setdefault(ident, text.strip())
        else:
            head.setdefault(ident, []).append(text)
    values, left_out = _values(tests)
    if not any(value.measured is not None for value in values.values()):
        raise InputError("summary-empty")
    moment = _moment(head, tests)
    first = {ident: texts[0].strip() for ident, texts in head.items()}
    return (
        SpirometrySummary(
            format="gdt",
            values=values,
            label=clean("\n".join(head.get("6220", ()))) or None,
            measured_at=moment.isoformat() if moment else None,
            sex=_SEXES.get(first.get("3110", "")),
            age_years=age_at(day(first.get("3103"), "%d%m%Y"), moment.date() if moment else None),
            height_cm=height_cm(number(first.get("3622"), "3622")),
            device=Device("file", "", clean(first.get("8402") or first.get("8316", ""), 32)),
            left_out=tuple(left_out),
        ),
    )


def _lines(data: bytes) -> list[tuple[str, bytes]]:
    """Field and content of each line, its length checked. A lone LF or CR ends a line as well."""
    found: list[tuple[str, bytes]] = []
    for row, line in enumerate(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1):
        if not line.strip(b" \0\x1a"):
            continue
        if row > _MOST_LINES or len(line) < _SHORTEST - _LINE_END or not line[:7].isdigit():
            raise InputError("gdt-line", row=row)
        if int(line[:3]) != len(line) + _LINE_END:
            raise InputError("gdt-line", row=row)
        found.append((line[3:7].decode("ascii"), line[7:]))
    return found


def _decoded(content: bytes, page: str | None) -> str:
    """Text by the code page of field 9206; a page that we do not know is read where it is plain or UTF-8."""
    encoding = _PAGE_UNSAID if page is None else _PAGES.get(page.strip(), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise InputError("gdt-page", page=clean(page or "-", 8)) from None


def _values(tests: list[_Test]) -> tuple[dict[str, SummaryValue], list[str]]:
    values: dict[str, SummaryValue] = {}
    left_out: list[str] = []
    for test in tests:
        name = _PARAMETERS.get("".join(test.ident.upper().split()))
        if name is None:
            left_out.append(clean(test.ident, 24))
            continue
        # A second line of one parameter may be predicted, or after a bronchodilator: nothing says which.
        if name in values:
            raise InputError("summary-twice", field=clean(test.ident, 24))
        told = test.fields
        values[name] = SummaryValue(
            measured=number(told.get("8420"), test.ident),
            unit=clean(told.get("8421", ""), 16),
            lln=number(told.get("8461"), test.ident),
            uln=number(told.get("8462"), test.ident),
        )
    return values, left_out


def _moment(head: dict[str, list[str]], tests: list[_Test]) -> datetime | None:
    """When it was measured: of the first test that says it, else of the set (2.1: 6200, 6201; 3.0: 7278, 7279)."""
    of_test = next((test.fields for test in tests if "8432" in test.fields), {})
    days = [of_test.get("8432"), *(head.get(key, [None])[0] for key in ("7278", "6200"))]
    times = [of_test.get("8439"), *(head.get(key, [None])[0] for key in ("7279", "6201"))]
    for day_text, time_text in zip(days, times, strict=True):
        if (found := day(day_text, "%d%m%Y")) is None:
            continue
        digits = (time_text or "").strip().rjust(6, "0")
        try:
            return datetime.strptime(f"{found:%Y%m%d}{digits}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - the device's clock
        except ValueError:
            return datetime(found.year, found.month, found.day)  # noqa: DTZ001
    return None

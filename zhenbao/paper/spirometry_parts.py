"""Parts of the spirometry page: the table of values with its z-scores, and the list of blows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.figures.report_curves import AFTER, AFTER_DASH, BEST, OTHER, dash_of
from zhenbao.figures.svg import INK, segment
from zhenbao.figures.z_bars import ZScale, draw_scale, draw_z
from zhenbao.paper import spirometry_wording as wording
from zhenbao.paper.sheet import text_mm, wrapped
from zhenbao.paper.spirometry_table import table_rows

if TYPE_CHECKING:
    from zhenbao.paper.sheet import Sheet
    from zhenbao.paper.spirometry_report import Examined, SpirometryReport
    from zhenbao.paper.spirometry_table import Row
    from zhenbao.words import Words

_MUTED, _RULE = "#555555", "#bbbbbb"
_LOW = "#9c1c1c"


def draw_table(
    sheet: Sheet, report: SpirometryReport, words: Words, *, left: float, right: float, top: float, size: float
) -> float:
    """The table between ``left`` and ``right`` (mm), with bars of the z-scores beside it; returns where it ends."""
    rows = table_rows(report)
    with_after = report.after is not None
    step, head = 1.42 * size, top + 1.6 * size
    names_mm = max(text_mm(words(f"spirometry_index.{row.key}"), size) for row in rows)
    column_mm = (4.6 if with_after else 5.2) * size
    heads = ["measured", "predicted", "lln", "percent", "z"] + (
        ["after", "after_percent", "change_column"] if with_after else []
    )
    edges = [left + min(names_mm, 46.0) + column_mm * (i + 1) for i in range(len(heads))]
    sheet.text(left, head, words("spirometry_page.index"), size=size, fill=_MUTED)
    for edge, key in zip(edges, heads, strict=True):
        sheet.text(edge, head, words(f"spirometry_page.{key}"), size=size, anchor="end", fill=_MUTED)
    sheet.path(segment(left, head + 0.9, right, head + 0.9), stroke=INK, width=0.2)
    y = head + 0.6
    centres = []
    for row in rows:
        y += step
        centres.append(y - 0.36 * size)
        sheet.text(left, y, words(f"spirometry_index.{row.key}"), size=size)
        for edge, (text, low) in zip(edges, _cells(row, words, report.bounds.z[0], with_after), strict=True):
            sheet.text(edge, y, text, size=size, anchor="end", fill=_LOW if low else INK)
        sheet.path(segment(left, y + 0.3 * size, edges[-1] + 1, y + 0.3 * size), stroke=_RULE, width=0.1)
    scored = [(row, centre) for row, centre in zip(rows, centres, strict=True) if row.z is not None]
    if scored:
        scale = ZScale(edges[-1] + 6, right - edges[-1] - 7, report.bounds.z)
        names = [words(f"spirometry_severity.{name}") for name in ("mild", "moderate", "severe")]
        bottom = scored[-1][1] + 0.8 * size
        draw_scale(
            sheet,
            scale,
            top=head + 1.8,
            bottom=bottom,
            names=names,
            limit_name=words("spirometry_page.lower_limit"),
            size=size,
        )
        for row, centre in scored:
            if row.z is not None:
                draw_z(sheet, scale, centre, row.z, name=row.key, after=row.after_z)
    return y + 0.4 * size


def _cells(row: Row, words: Words, limit_z: float, with_after: bool) -> list[tuple[str, bool]]:
    """Texts of the columns, and whether each says that the value is low."""
    none = words("spirometry_page.none")
    low = row.z is not None and row.z < limit_z
    mark = words("spirometry_page.low") if low else ""

    def value(number: float | None, sure: bool = True) -> str:
        if number is None:
            return none
        text = f"{number:.{row.decimals}f}"
        return text if sure else f"({text})"

    cells = [
        (value(row.measured, row.sure), low),
        (value(row.predicted), False),
        (value(row.lln), False),
        (none if row.percent is None else f"{row.percent:.1f}", low),
        (none if row.z is None else f"{mark}{row.z:+.2f}", low),
    ]
    if with_after:
        cells.append((value(row.after, row.after_sure), False))
        low_after = row.after_z is not None and row.after_z < limit_z
        mark = words("spirometry_page.low") if low_after else ""
        cells.append((none if row.after_percent is None else f"{mark}{row.after_percent:.1f}", low_after))
        cells.append((none if row.change is None else f"{row.change:+.{row.decimals}f}", False))
    return cells


def draw_blows(
    sheet: Sheet,
    report: SpirometryReport,
    words: Words,
    *,
    left: float,
    right: float,
    top: float,
    size: float,
    most_lines: int,
) -> float:
    """Every blow with its line, values and verdict, and why it was refused; returns where the list ends."""
    edges = _edges(left, size)
    head = top + 1.4 * size
    sheet.text(left + 10, head, words("spirometry_page.blow"), size=size, fill=_MUTED)
    for edge, text in zip(edges[:4], ("FEV1", "FVC", "PEF", "FET"), strict=True):
        sheet.text(edge, head, text, size=size, anchor="end", fill=_MUTED)
    for edge, text in zip(edges[4:], ("FEV1", "FVC", words("spirometry_page.reasons")), strict=True):
        sheet.text(edge, head, text, size=size, fill=_MUTED)
    sheet.path(segment(left, head + 0.9, right, head + 0.9), stroke=INK, width=0.2)
    y = _blows(sheet, report.before, words, left, right, head + 0.6, size, most_lines)
    if report.after is not None:
        y += 1.4 * size
        sheet.text(left, y, words("spirometry_page.after_head"), size=size, fill=_MUTED)
        y = _blows(sheet, report.after, words, left, right, y, size, most_lines, after=True)
    return y + 0.4 * size


def _edges(left: float, size: float) -> list[float]:
    """Right edges of four numbers, then left edges of two verdicts and of the reasons."""
    first = left + 10 + 7.2 * size
    numbers = [first + 3.7 * size * (i + 1) for i in range(4)]
    verdicts = [numbers[-1] + 1.6 * size, numbers[-1] + 8.4 * size]
    return [*numbers, *verdicts, verdicts[-1] + 6.8 * size]


def _blows(
    sheet: Sheet,
    examined: Examined,
    words: Words,
    left: float,
    right: float,
    y: float,
    size: float,
    most_lines: int,
    *,
    after: bool = False,
) -> float:
    edges = _edges(left, size)
    step = 1.36 * size
    for i, blow in enumerate(examined.analysis.blows):
        y += step
        best = i == examined.analysis.session.best_blow
        if best or not after:
            stroke, width, dash = (
                (AFTER, 0.5, AFTER_DASH) if after else (BEST, 0.6, "") if best else (OTHER, 0.2, dash_of(i))
            )
            sheet.path(segment(left, y - 0.35 * size, left + 8, y - 0.35 * size), stroke=stroke, width=width, dash=dash)
        name = words(f"spirometry_page.{'blow_best' if best else 'blow_number'}", number=examined.numbers[i])
        sheet.text(left + 10, y, name, size=size)
        none = words("spirometry_page.none")
        values = (
            none if blow.fev1_l is None else f"{blow.fev1_l:.2f}",
            f"{blow.fvc_l:.2f}" if blow.fvc_l > 0 else none,
            f"{blow.pef_l_s:.2f}" if blow.pef_l_s > 0 else none,
            f"{blow.fet_s:.1f}" if blow.fet_s > 0 else none,
        )
        for edge, text in zip(edges[:4], values, strict=True):
            sheet.text(edge, y, text, size=size, anchor="end")
        for edge, acceptable, usable in (
            (edges[4], blow.fev1_acceptable, blow.fev1_usable),
            (edges[5], blow.fvc_acceptable, blow.fvc_usable),
        ):
            sheet.text(edge, y, wording.blow_verdict(acceptable, usable, words), size=size)
        reasons = wording.blow_reasons(blow, words) or words("spirometry_page.no_defect")
        lines = _lines(reasons, size, right - edges[6], most_lines, words("spirometry_page.cut"))
        for number, line in enumerate(lines):
            y += step if number else 0.0
            sheet.text(edges[6], y, line, size=size)
    return y


def _lines(text: str, size: float, width: float, most: int, cut: str) -> list[str]:
    """Wrapped; of more than ``most`` lines the last one says that there is more."""
    lines = list(wrapped(text, size, width))
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and text_mm(last + cut, size) > width:
        last = last[:-1]
    return [*lines[: most - 1], last + cut]

"""The page of a spirometry session: one sheet of A4, standing.

Text comes first and takes what it needs; the curves take what is left. Where that would be too little the text becomes
smaller, so that it is one page whatever was blown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.figures.report_curves import Place, Session, draw_flow_volume, draw_volume_time
from zhenbao.figures.svg import INK, segment
from zhenbao.paper import spirometry_wording as wording
from zhenbao.paper.sheet import Column, Sheet
from zhenbao.paper.spirometry_parts import draw_blows, draw_table

if TYPE_CHECKING:
    from zhenbao.paper.spirometry_report import Examined, SpirometryReport
    from zhenbao.words import Words

WIDTH_MM, HEIGHT_MM = 210.0, 297.0
LEFT_MM, RIGHT_MM = 10.0, 200.0
_FOOT_MM = 286.0
"""Text ends here; below it stands that the page is preliminary."""
_MUTED = "#555555"
_SIZES: tuple[tuple[float, float, int], ...] = (
    (3.1, 76.0, 9),
    (2.9, 70.0, 9),
    (2.7, 64.0, 9),
    (2.5, 58.0, 9),
    (2.35, 54.0, 9),
    (2.2, 50.0, 3),
    (2.1, 46.0, 2),
    (2.0, 42.0, 1),
)
"""Size of the text and least height of the curves, both in mm, and the most lines of reasons that one blow gets."""
_MOST_CURVES_MM = 98.0


def spirometry_page(report: SpirometryReport, *, words: Words) -> Sheet:
    """The whole session on one page."""
    for size, least, reasons in _SIZES:
        _, foot = _drawn(report, words, size, 0.0, reasons)
        room = _FOOT_MM - foot
        if room >= least or (size, least, reasons) == _SIZES[-1]:
            sheet, _ = _drawn(report, words, size, min(_MOST_CURVES_MM, max(least, room)), reasons)
            return sheet
    raise AssertionError("unreachable: the last size is always taken")


def _drawn(report: SpirometryReport, words: Words, size: float, curves_mm: float, reasons: int) -> tuple[Sheet, float]:
    """The page, and where its text ends."""
    sheet = Sheet(WIDTH_MM, HEIGHT_MM, words("spirometry_page.title"))
    y = _head(sheet, report, words, size)
    y = _conclusion(sheet, report, words, size, y)
    if curves_mm:
        _curves(sheet, report, words, y, curves_mm)
    y += curves_mm + 1
    y = _text(sheet, _legend(report, words), y, size * 0.9)
    y = draw_table(sheet, report, words, left=LEFT_MM, right=RIGHT_MM, top=y + 2, size=size)
    y = draw_blows(sheet, report, words, left=LEFT_MM, right=RIGHT_MM, top=y + 2, size=size, most_lines=reasons)
    notes = " ".join(wording.note_lines(report, words))
    if notes:
        y = _text(sheet, f"{words('spirometry_page.notes')}: {notes}", y + 1.5, size * 0.9)
    limits = " ".join(wording.limit_lines(report, words))
    y = _text(sheet, f"{words('paper.limits')}: {limits}", y + 0.5, size * 0.9)
    sheet.path(segment(LEFT_MM, HEIGHT_MM - 9.5, RIGHT_MM, HEIGHT_MM - 9.5), stroke=INK, width=0.2)
    sheet.text(LEFT_MM, HEIGHT_MM - 5, words("preliminary"), size=4.0)
    return sheet, y


def _text(sheet: Sheet, text: str, top: float, size: float) -> float:
    column = Column(sheet, LEFT_MM, RIGHT_MM - LEFT_MM, top, HEIGHT_MM)
    column.add(text, size=size, fill=_MUTED)
    return column.y_mm


def _head(sheet: Sheet, report: SpirometryReport, words: Words, size: float) -> float:
    sheet.text(LEFT_MM, 14, words("spirometry_page.title"), size=5.6)
    # A file names nobody; a page on a desk must not be taken for another person's.
    whose = words("spirometry_page.by_hand") if report.person is None else report.person
    sheet.text(RIGHT_MM, 14, whose, size=3.2, anchor="end", fill=_MUTED)
    column = Column(sheet, LEFT_MM, RIGHT_MM - LEFT_MM, 15, HEIGHT_MM)
    column.add(wording.person_line(report, words), size=max(size, 3.0))
    column.add(wording.exam_line(report, words), size=size)
    y = column.y_mm + 1.8
    sheet.path(segment(LEFT_MM, y, RIGHT_MM, y), stroke=INK, width=0.3)
    return y


def _conclusion(sheet: Sheet, report: SpirometryReport, words: Words, size: float, top: float) -> float:
    """What is hinted at to the left, the quality that it rests on to the right."""
    middle = LEFT_MM + 0.58 * (RIGHT_MM - LEFT_MM)
    left = Column(sheet, LEFT_MM, middle - LEFT_MM - 4, top, HEIGHT_MM)
    left.add(words("spirometry_page.conclusion"), size=size * 1.15)
    first, *others = wording.verdict_lines(report, words)
    left.add(first, size=size * 1.15)
    for line in (*others, *wording.change_lines(report, words)):
        left.add(line, size=size)
    for line, action in wording.finding_lines(report, words):
        left.add(line, size=size)
        if action:
            left.add(action, size=size * 0.9, fill=_MUTED)
    right = Column(sheet, middle, RIGHT_MM - middle, top, HEIGHT_MM)
    right.add(words("spirometry_page.quality"), size=size * 1.15)
    for line in wording.quality_lines(report, words):
        right.add(line, size=size)
    y = max(left.y_mm, right.y_mm) + 2
    sheet.path(segment(middle - 2, top + 1.5, middle - 2, y - 1), stroke=_MUTED, width=0.15)
    sheet.path(segment(LEFT_MM, y, RIGHT_MM, y), stroke=INK, width=0.3)
    return y


def _curves(sheet: Sheet, report: SpirometryReport, words: Words, top: float, height: float) -> None:
    before = _session(report.before)
    after = _session(report.after) if report.after else None
    half = (RIGHT_MM - LEFT_MM - 6) / 2
    references = report.before.analysis.references
    for draw, left in ((draw_flow_volume, LEFT_MM), (draw_volume_time, LEFT_MM + half + 6)):
        place = Place(left, top + 1, half, height - 1)
        draw(sheet, place, before, words=words, references=references, after=after)


def _session(examined: Examined) -> Session:
    return Session(examined.curves, examined.analysis.blows, examined.analysis.session.best_blow)


def _legend(report: SpirometryReport, words: Words) -> str:
    best = report.before.analysis.session.best_blow
    text = words("spirometry_page.legend_no_best") if best is None else words("spirometry_page.legend")
    if report.after is not None:
        text += words("spirometry_page.legend_after")
    if report.before.analysis.references:
        text += words("spirometry_page.legend_predicted")
    return text

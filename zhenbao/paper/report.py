"""A signed report on A4, standing: who, what was measured, what the physician concludes, and who signed when.

The tracings follow on pages of their own (``ecg_page``, ``spirometry_page``), the same drawings as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.figures.svg import INK, segment
from zhenbao.paper.sheet import Column, Sheet, wrapped

if TYPE_CHECKING:
    from zhenbao.words import Words

WIDTH_MM, HEIGHT_MM = 210.0, 297.0
LEFT_MM, RIGHT_MM = 15.0, 195.0
_TOP_MM, _FOOT_MM = 16.0, 274.0
_MUTED = "#555555"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines; ``large`` for what matters most."""

    heading: str
    lines: tuple[str, ...]
    large: bool = False


@dataclass(frozen=True, slots=True)
class PrintedReport:
    """Everything that the pages say, in words."""

    title: str
    stage: str
    caution: str
    """Above everything else; empty: none."""
    person: tuple[str, ...]
    sections: tuple[Section, ...]
    signed: tuple[str, ...]
    """At the foot of every page: who signed, and the seal."""


def report_sheets(report: PrintedReport, *, words: Words) -> list[Sheet]:
    """As many sheets as the text needs; every one says whose it is and who signed it."""
    sheets: list[Sheet] = []
    column = _begun(sheets, report)
    for section in report.sections:
        size = 4.4 if section.large else 3.8
        # Line by line as they are printed, so that a long text goes on overleaf wherever the page ends.
        texts = [text for line in section.lines for text in line.split("\n")]
        lines = [line for text in texts for line in wrapped(text, size, column.width_mm)]
        if not column.fits(lines[0] if lines else "", size=size, more_mm=9):
            column = _begun(sheets, report)
        column.y_mm += 3
        column.add(section.heading, size=3.4, fill=_MUTED)
        for line in lines:
            if not column.fits(line, size=size):
                column = _begun(sheets, report)
            column.add(line, size=size)
    for number, sheet in enumerate(sheets, 1):
        _foot(sheet, report, words("paper.page", number=number, total=len(sheets)))
    return sheets


def _begun(sheets: list[Sheet], report: PrintedReport) -> Column:
    sheet = Sheet(WIDTH_MM, HEIGHT_MM, report.title)
    sheets.append(sheet)
    sheet.text(WIDTH_MM / 2, _TOP_MM, report.title, size=6.4, anchor="middle")
    sheet.text(RIGHT_MM, _TOP_MM, report.stage, size=4.2, anchor="end")
    column = Column(sheet, LEFT_MM, RIGHT_MM - LEFT_MM, _TOP_MM + 3, _FOOT_MM)
    if report.caution:
        column.add(report.caution, size=4.2)
        column.y_mm += 1
    for line in report.person:
        column.add(line, size=3.8)
    column.y_mm += 2.5
    sheet.path(segment(LEFT_MM, column.y_mm, RIGHT_MM, column.y_mm), stroke=INK, width=0.3)
    return column


def _foot(sheet: Sheet, report: PrintedReport, place: str) -> None:
    sheet.path(segment(LEFT_MM, _FOOT_MM + 2, RIGHT_MM, _FOOT_MM + 2), stroke=INK, width=0.2)
    column = Column(sheet, LEFT_MM, RIGHT_MM - LEFT_MM, _FOOT_MM + 2, HEIGHT_MM)
    for line in report.signed:
        column.add(line, size=3.1, fill=_MUTED)
    sheet.text(RIGHT_MM, HEIGHT_MM - 4, place, size=3.2, anchor="end", fill=_MUTED)

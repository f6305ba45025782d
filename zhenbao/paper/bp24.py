"""The page of a 24 h blood pressure recording: one sheet of A4, standing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.figures.bp_course import course_of, draw_bp_course
from zhenbao.figures.svg import INK, segment
from zhenbao.paper import bp24_wording as wording
from zhenbao.paper.sheet import Column, Sheet

if TYPE_CHECKING:
    from zhenbao.model.bp_series import Bp24Recording
    from zhenbao.words import Words

WIDTH_MM, HEIGHT_MM = 210.0, 297.0
_LEFT_MM, _RIGHT_MM, _FOOT_MM = 18.0, 192.0, 286.0
_MUTED = "#555555"
_COLUMNS_MM = (18.0, 62.0, 102.0, 134.0, 160.0)
"""Where the columns of the table begin: part of the day, mean, standard deviation, pulse, valid of all."""


def bp24_page(recording: Bp24Recording, *, words: Words, person: str = "") -> Sheet:
    """The whole recording on one page.

    Args:
        person: whose it is, as the doctor knows it. Empty: a line for the name is left, since a file names nobody.
    """
    analysis = recording.analysis
    sheet = Sheet(WIDTH_MM, HEIGHT_MM, words("bp24_page.title"))
    sheet.text(_LEFT_MM, 14, words("bp24_page.title"), size=5.6)
    column = Column(sheet, _LEFT_MM, _RIGHT_MM - _LEFT_MM, 16, _FOOT_MM)
    column.add(person or words("bp24_page.by_hand"), size=3.6)
    for line in wording.span_lines(analysis, words):
        column.add(line, size=3.2)
    column.y_mm += 2
    if lacking := wording.lacking_line(analysis, words):
        column.add(f"! {lacking}", size=4.0)
    for line in wording.finding_lines(analysis, words):
        column.add(line.strip(), size=3.4 if line.startswith(" ") else 4.0)
    column.y_mm = _table(sheet, recording, words, column.y_mm + 8)
    for line in wording.quality_lines(recording, words):
        column.add(line, size=3.4)
    column.y_mm += 4
    if recording.readings:
        points, nights, limits = course_of(recording)
        column.y_mm = draw_bp_course(sheet, points, nights, limits, words=words, top_mm=column.y_mm + 4) + 2
    column.add(words("bp24.limits"), size=3.2)
    rest = [*wording.limit_lines(analysis, words), *wording.not_valid_lines(recording, words)]
    for line in filter(None, rest):
        # What has no room is in the record; the page says what decides.
        if column.fits(line, size=2.6):
            column.add(line.strip(), size=2.6, fill=_MUTED)
    sheet.path(segment(_LEFT_MM, HEIGHT_MM - 9.5, _RIGHT_MM, HEIGHT_MM - 9.5), stroke=INK, width=0.2)
    sheet.text(_LEFT_MM, HEIGHT_MM - 5, words("preliminary"), size=4.0)
    return sheet


def _table(sheet: Sheet, recording: Bp24Recording, words: Words, top: float) -> float:
    """The means of the parts of the day; gives where it ends."""
    heads = [words(f"bp24_page.{name}") for name in ("part", "mean", "sd", "pulse", "valid")]
    rows = [heads]
    for part in wording.PARTS:
        period = getattr(recording.analysis, part)
        shown = [wording.number(v, words) for v in (period.systolic_mmhg, period.diastolic_mmhg, period.pulse_per_min)]
        spread = [wording.number(v, words, 1) for v in (period.systolic_sd_mmhg, period.diastolic_sd_mmhg)]
        rows.append(
            [
                words(f"bp24.{part}").strip(),
                f"{shown[0]} / {shown[1]}",
                f"{spread[0]} / {spread[1]}",
                shown[2],
                f"{period.valid} / {period.attempts}",
            ]
        )
    y = top
    for row in rows:
        for x, text in zip(_COLUMNS_MM, row, strict=True):
            sheet.text(x, y, text, size=3.4 if row is heads else 4.2)
        sheet.path(segment(_LEFT_MM, y + 1.8, _RIGHT_MM, y + 1.8), stroke=_MUTED, width=0.15)
        y += 6.5
    return y - 3

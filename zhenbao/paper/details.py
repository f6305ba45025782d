"""Everything that was found and measured, in full, on as many sheets as it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.paper.sheet import BOTTOM_MM, HEIGHT_MM, LEFT_MM, WIDTH_MM, Column, Sheet
from zhenbao.paper.wording import action_line, finding_line, hint_line, limit_line, quality_lines

if TYPE_CHECKING:
    from zhenbao.model.ecg import EcgAnalysis
    from zhenbao.model.recording import Recording
    from zhenbao.words import Words

_TEXT_MM = 180.0
_TABLE_X_MM = 208.0
_MUTED = "#555555"


def detail_sheets(recording: Recording, analysis: EcgAnalysis, words: Words) -> list[Sheet]:
    """Findings with their grounds, hints, limits and quality; the ST table beside them on the first sheet."""
    sheets: list[Sheet] = []

    def begun() -> Column:
        sheet = Sheet(WIDTH_MM, HEIGHT_MM, words("paper.findings"))
        sheets.append(sheet)
        return Column(sheet, LEFT_MM, _TEXT_MM, 6, BOTTOM_MM)

    column = begun()
    for size, text in _texts(analysis, words):
        if not column.fits(text, size=size, more_mm=6 if size > 4 else 0):
            column = begun()
        if size > 4:
            column.y_mm += 2
        column.add(text, size=size, fill=_MUTED if size < 3.3 else "#111111")
    _st_table(sheets[0], recording, analysis, words)
    return sheets


def _texts(analysis: EcgAnalysis, words: Words) -> list[tuple[float, str]]:
    """Size in mm, and text."""
    heading, plain, small = 4.4, 3.6, 3.2
    texts = [(heading, words("paper.findings"))]
    if not analysis.findings:
        texts.append((plain, words("paper.none")))
    for finding in analysis.findings:
        texts.append((plain, finding_line(finding, analysis, words)))
        if action := action_line(finding, words):
            texts.append((small, action))
    if analysis.hints:
        texts.append((heading, words("paper.hints")))
        texts += [(plain, hint_line(hint, analysis, words)) for hint in analysis.hints]
    texts += [(heading, words("paper.limits")), *((plain, limit_line(key, words)) for key in analysis.limits)]
    texts += [(heading, words("paper.quality")), *((plain, line) for line in quality_lines(analysis, words))]
    return texts


def _st_table(sheet: Sheet, recording: Recording, analysis: EcgAnalysis, words: Words) -> None:
    """Level by lead at the J point and 60 ms later."""
    y = 14.0
    sheet.text(_TABLE_X_MM, y, words("paper.st"), size=4.4)
    if not analysis.st_mm:
        sheet.text(_TABLE_X_MM, y + 7, words("paper.st_none"), size=3.6)
        return
    later = analysis.st60_mm or {}
    columns = (_TABLE_X_MM, _TABLE_X_MM + 38, _TABLE_X_MM + 66)
    for x, head in zip(columns, (words("paper.st_lead"), "J", "J+60 ms"), strict=True):
        sheet.text(x, y + 7, head, size=3.6, anchor="start" if x == _TABLE_X_MM else "end")
    for i, lead in enumerate(recording.channels):
        row = y + 13 + i * 5.4
        sheet.text(_TABLE_X_MM, row, lead, size=3.6)
        for x, levels in zip(columns[1:], (analysis.st_mm, later), strict=True):
            level = levels.get(lead)
            text = (
                words("paper.st_dash")
                if level is None
                else f"{level:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")
            )
            sheet.text(x, row, text, size=3.6, anchor="end")

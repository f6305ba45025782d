"""The pages of one ECG: the tracing with what matters first, then all that was measured, then a longer strip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zhenbao.figures import draw_ecg
from zhenbao.paper.details import detail_sheets
from zhenbao.paper.sheet import HEIGHT_MM, LEFT_MM, RIGHT_MM, WIDTH_MM, Column, Sheet
from zhenbao.paper.stretch import PAGE_S, start_s
from zhenbao.paper.wording import finding_line, hint_line, limit_line, measurements, quality_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.model.ecg import EcgAnalysis
    from zhenbao.model.recording import Recording
    from zhenbao.words import Words

PageLayout = Literal["3x4", "6x2"]

_GRID_TOP_MM = 53.0
_ROW_MM: dict[str, float] = {"3x4": 34.0, "6x2": 22.0}
_STRIP_ROWS = 4
_LONG_ROWS = 6
_LONG_ROW_MM = 28.0
_SETTLED_S = 0.5
"""A recording this little over a page's length needs no further strip."""


def ecg_page(
    recording: Recording,
    analysis: EcgAnalysis,
    *,
    words: Words,
    layout: PageLayout = "3x4",
    title: str | None = None,
    patient: Sequence[str] = (),
) -> list[Sheet]:
    """Pages of A4, lying, at 25 mm/s and 10 mm/mV.

    Args:
        recording: unit mV.
        analysis: of this recording; its beats are sample indices of it, at its rate.
        layout: of twelve leads; up to three leads are drawn as strips over the whole width.
        title: above everything; None: what the figure is.
        patient: up to three lines: who, when, which device. What is longer than its column is cut into lines.

    Raises:
        ValueError: the unit is not mV, or the analysis is of another rate.
    """
    if analysis.fs_hz != recording.fs_hz:
        raise ValueError(f"the analysis is of {analysis.fs_hz} Hz, the recording of {recording.fs_hz} Hz")
    begin = start_s(recording, analysis)
    sheets = [_tracing(recording, analysis, words, layout, title, patient, begin)]
    sheets += detail_sheets(recording, analysis, words)
    if recording.duration_s > PAGE_S + _SETTLED_S and len(recording.channels) > 1:
        sheets.append(_long_strip(recording, analysis, words, begin))
    for number, sheet in enumerate(sheets, 1):
        sheet.text(LEFT_MM, HEIGHT_MM - 4, words("preliminary"), size=3.6)
        place = words("paper.page", number=number, total=len(sheets))
        sheet.text(RIGHT_MM, HEIGHT_MM - 4, place, size=3.2, anchor="end")
    return sheets


def _tracing(
    recording: Recording,
    analysis: EcgAnalysis,
    words: Words,
    layout: PageLayout,
    title: str | None,
    patient: Sequence[str],
    begin: float,
) -> Sheet:
    sheet = Sheet(WIDTH_MM, HEIGHT_MM, title or words("figure.ecg"))
    _head(sheet, analysis, words, title, patient)
    if len(recording.channels) > 3:
        foot = draw_ecg(
            sheet,
            recording,
            words=words,
            top_mm=_GRID_TOP_MM,
            row_mm=_ROW_MM[layout],
            layout=layout,
            start_s=begin,
            beats=analysis.beats,
            classes=analysis.classes,
            spill=True,
        )
        stop = begin + PAGE_S
    else:
        channels = recording.channels
        starts = _starts(recording, begin, _STRIP_ROWS if len(channels) == 1 else 1)
        rows = [lead for _ in starts for lead in channels]
        foot = draw_ecg(
            sheet,
            recording,
            words=words,
            top_mm=_GRID_TOP_MM,
            row_mm=_ROW_MM["3x4"],
            layout="strip",
            rows=rows,
            row_starts_s=[start for start in starts for _ in channels],
            start_s=starts[0],
            beats=analysis.beats,
            classes=analysis.classes,
            spill=True,
        )
        begin, stop = starts[0], starts[-1] + PAGE_S
    classified = any(kind != "?" for kind in analysis.classes)
    note = words("paper.marks" if classified else "paper.marks_unclassified")
    length = recording.duration_s
    shown = words("paper.shown", start=round(begin, 2), stop=round(min(stop, length), 2), length=round(length, 2))
    sheet.text(LEFT_MM, foot + 5, f"{shown} · {note}", size=3.2)
    return sheet


def _head(sheet: Sheet, analysis: EcgAnalysis, words: Words, title: str | None, patient: Sequence[str]) -> None:
    """Who and what was measured to the left, what was found to the right."""
    left = Column(sheet, LEFT_MM, 92, 3.5, _GRID_TOP_MM - 2)
    left.add(title or words("figure.ecg"), size=4.6)
    for line in patient[:3]:
        if left.fits(line, size=3.2, more_mm=20):
            left.add(line, size=3.2)
    left.add_items(measurements(analysis, words), size=3.4)
    right = Column(sheet, LEFT_MM + 98, RIGHT_MM - LEFT_MM - 98, 3.5, _GRID_TOP_MM - 2)
    lines = [finding_line(f, analysis, words) for f in analysis.findings]
    if not lines:
        right.add(words("paper.none"), size=3.8)
    caution = [limit_line(key, words) for key in analysis.limits if key in ("quality", "excludes-nothing")]
    if not analysis.quality.acceptable:
        # Above all else: what follows rests on a tracing that should be taken again.
        reasons = words("paper.separator").join(quality_lines(analysis, words))
        right.add(words("paper.quality_line", text=reasons), size=3.8)
    kept_mm = 6.0 + sum(right.height_mm(line) for line in caution)
    for i, line in enumerate(lines):
        # The most urgent one is never left to the next page.
        if i and not right.fits(line, size=3.8, more_mm=kept_mm):
            right.add(words("paper.more", count=len(lines) - i), size=3.4)
            break
        right.add(line, size=3.8)
    for line in caution:
        right.add(line)
    others = [hint_line(hint, analysis, words) for hint in analysis.hints]
    others += [limit_line(key, words) for key in analysis.limits if key not in ("quality", "excludes-nothing")]
    for line in others:
        if right.fits(line):
            right.add(line)


def _long_strip(recording: Recording, analysis: EcgAnalysis, words: Words, begin: float) -> Sheet:
    """One lead over up to a minute around the ten seconds that the first page shows."""
    lead = next((n for n in ("II", *recording.channels) if n in recording.channels and n not in recording.absent), "")
    lead = lead or recording.channels[0]
    starts = _starts(recording, begin, _LONG_ROWS)
    first = starts[0]
    stop, length = min(starts[-1] + PAGE_S, recording.duration_s), recording.duration_s
    shown = words("paper.shown", start=round(first, 2), stop=round(stop, 2), length=round(length, 2))
    heading = f"{words('paper.strips', lead=words.lead(lead))} · {shown}"
    sheet = Sheet(WIDTH_MM, HEIGHT_MM, heading)
    sheet.text(LEFT_MM, 12, heading, size=4.6)
    draw_ecg(
        sheet,
        recording,
        words=words,
        top_mm=18,
        row_mm=_LONG_ROW_MM,
        layout="strip",
        rows=[lead] * len(starts),
        row_starts_s=starts,
        start_s=first,
        beats=analysis.beats,
        classes=analysis.classes,
        spill=True,
    )
    return sheet


def _starts(recording: Recording, begin: float, rows: int) -> list[float]:
    """Where up to ``rows`` rows of ten seconds begin, the one at ``begin`` among what they show."""
    first = max(0.0, min(begin, recording.duration_s - rows * PAGE_S)) if rows > 1 else begin
    return [first, *(s for i in range(1, rows) if (s := first + i * PAGE_S) < recording.duration_s - _SETTLED_S)]

"""ECG on millimetre paper, as a cardiologist reads it: calibrated, nothing smoothed, nothing filled in.

Recommendations followed: AHA/ACC/HRS 2007 standardisation of the ECG, part I (Circulation 2007;115:1306-1324,
doi 10.1161/CIRCULATIONAHA.106.180200): 25 mm/s and 10 mm/mV, a calibration pulse, and the filter settings on the page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zhenbao.figures.svg import Page, number, polyline, segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zhenbao.model.recording import Recording
    from zhenbao.words import Words

Layout = Literal["3x4", "6x2", "strip"]

_COLUMNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "3x4": (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    "6x2": (("I", "V1"), ("II", "V2"), ("III", "V3"), ("aVR", "V4"), ("aVL", "V5"), ("aVF", "V6")),
}
_ROW_MM = {"3x4": 40.0, "6x2": 30.0, "strip": 30.0}
_PAGE_WIDTH = 297.0
_LEFT, _TOP = 10.0, 20.0
_TRACE_X = 25.0
_TRACE_MM = 250.0
_RIGHT = 280.0
_FOOT_MM = 10.0
_LINE_MM = 4.5
_COLUMN_MM = 0.1
"""Finer than any screen or printer here: a column this wide shows at most its lowest and its highest sample."""
_FINE, _BOLD, _TRACE, _MUTED = "#f6c9c9", "#e89a9a", "#000000", "#777777"
_MARK = "#0b5cad"


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where one lead is drawn: from ``x`` for ``width`` mm around ``baseline``, never beyond its row."""

    lead: str
    x: float
    width: float
    baseline: float
    half_mm: float
    from_s: float
    above_mm: float
    below_mm: float
    """How far from ``baseline`` a wave may go."""


def ecg_paper(
    recording: Recording,
    *,
    words: Words,
    layout: Layout = "3x4",
    rows: Sequence[str] | None = None,
    rhythm_lead: str | None = "II",
    speed_mm_s: float = 25.0,
    gain_mm_mv: float = 10.0,
    start_s: float = 0.0,
    beats: Sequence[int] = (),
    classes: Sequence[str] = (),
    header: Sequence[str] = (),
    spill: bool = False,
) -> str:
    """Draw a recording in mV.

    Args:
        recording: ``kind`` ECG, unit mV. Leads it does not have, or that were absent, are written as not connected;
            lost samples leave the line broken.
        layout: ``3x4`` and ``6x2`` show one stretch of 250 mm cut into columns, one after the other in time; ``strip``
            shows every row over the whole stretch.
        rows: leads of a ``strip``, from above; None: all channels of the recording.
        rhythm_lead: a fourth row over the whole stretch under ``3x4``; None: no such row.
        speed_mm_s, gain_mm_mv: scale; the calibration pulse (1 mV, 0.2 s) follows it.
        start_s: where in the recording the stretch begins.
        beats: R-peak sample indices, marked with a tick under the rhythm row (or under the first row of a strip).
        classes: one for each of ``beats``, as in :func:`draw_ecg`.
        header: lines above the paper: who, when, which kit.
        spill: as in :func:`draw_ecg`.

    Raises:
        ValueError: the unit is not mV, or speed or gain is not above zero.
    """
    if recording.unit != "mV":
        raise ValueError(f"ECG paper is for mV, not {recording.unit}")
    if speed_mm_s <= 0 or gain_mm_mv <= 0:
        raise ValueError("speed and gain must be above zero")
    rows_of_it = len(_lines(recording, layout, rows, rhythm_lead))
    row_mm = _ROW_MM[layout]
    top = _TOP + max(0, len(header) - 2) * _LINE_MM
    page = Page(_PAGE_WIDTH, top + row_mm * rows_of_it + _FOOT_MM, words("figure.ecg"))
    for i, line in enumerate(header):
        page.text(_LEFT, 7 + i * _LINE_MM, line, size=3.6)
    draw_ecg(
        page,
        recording,
        words=words,
        top_mm=top,
        row_mm=row_mm,
        layout=layout,
        rows=rows,
        rhythm_lead=rhythm_lead,
        speed_mm_s=speed_mm_s,
        gain_mm_mv=gain_mm_mv,
        start_s=start_s,
        beats=beats,
        classes=classes,
        spill=spill,
    )
    return page.svg()


def draw_ecg(
    page: Page,
    recording: Recording,
    *,
    words: Words,
    top_mm: float,
    row_mm: float,
    layout: Layout = "3x4",
    rows: Sequence[str] | None = None,
    row_starts_s: Sequence[float] = (),
    rhythm_lead: str | None = "II",
    speed_mm_s: float = 25.0,
    gain_mm_mv: float = 10.0,
    start_s: float = 0.0,
    beats: Sequence[int] = (),
    classes: Sequence[str] = (),
    spill: bool = False,
) -> float:
    """Draw on a page of at least 280 mm width, as `ecg_paper` does; returns the y of the settings line, in mm.

    Args:
        top_mm, row_mm: where the grid begins and the height of a row.
        row_starts_s: of a ``strip``, where each row begins in the recording; none: all at ``start_s``.
        classes: one for each of ``beats``; a letter stands beside what is neither ``N`` nor ``?``.
        spill: a high wave runs into the rows beside it, as on a recorder's paper, and is cut at the grid's edge only.
    """
    lines = _lines(recording, layout, rows, rhythm_lead)
    bottom = top_mm + row_mm * len(lines)
    _grid(page, top_mm, bottom)
    values = dict(zip(recording.channels, recording.values(), strict=True))
    clipped = False
    marked = {len(lines) - 1} if layout != "strip" else set(range(len(lines))) if row_starts_s else {0}
    for i, leads in enumerate(lines):
        baseline = top_mm + row_mm * (i + 0.5)
        row_start = row_starts_s[i] if row_starts_s else start_s
        _calibration(page, baseline, speed_mm_s, gain_mm_mv)
        width = _TRACE_MM / len(leads)
        for column, lead in enumerate(leads):
            begin = row_start + column * width / speed_mm_s
            room = (baseline - top_mm, bottom - baseline) if spill else (row_mm / 2, row_mm / 2)
            cell = _Cell(lead, _TRACE_X + column * width, width, baseline, row_mm / 2, begin, *room)
            samples = None if lead in recording.absent else values.get(lead)
            clipped |= _lead(page, cell, samples, recording.fs_hz, speed_mm_s, gain_mm_mv, words)
            if beats and i in marked:
                _beats(page, cell, beats, classes, recording.fs_hz, speed_mm_s)
    foot = bottom + 6
    page.text(_LEFT, foot, _settings(recording, words, speed_mm_s, gain_mm_mv, start_s, clipped), size=3.2)
    return foot


def _lines(
    recording: Recording, layout: Layout, rows: Sequence[str] | None, rhythm_lead: str | None
) -> list[tuple[str, ...]]:
    if layout == "strip":
        return [(lead,) for lead in (rows if rows is not None else recording.channels)]
    lines = list(_COLUMNS[layout])
    if layout == "3x4" and rhythm_lead is not None:
        lines.append((rhythm_lead,))
    return lines


def _grid(page: Page, top: float, bottom: float) -> None:
    """Lines each millimetre, stronger ones each five, counted from the first row's upper left corner."""
    across, down = round(_RIGHT - _LEFT), round(bottom - top)
    for bold, colour, width in ((False, _FINE, 0.1), (True, _BOLD, 0.2)):
        data = [segment(_LEFT + i, top, _LEFT + i, bottom) for i in range(across + 1) if (i % 5 == 0) is bold]
        data += [segment(_LEFT, top + i, _RIGHT, top + i) for i in range(down + 1) if (i % 5 == 0) is bold]
        page.path("".join(data), stroke=colour, width=width, class_="grid-5mm" if bold else "grid-1mm")


def _calibration(page: Page, baseline: float, speed_mm_s: float, gain_mm_mv: float) -> None:
    """1 mV for 0.2 s."""
    width, high = 0.2 * speed_mm_s, baseline - gain_mm_mv
    left = _LEFT + (_TRACE_X - _LEFT - width) / 2
    points = [(_LEFT + 1, baseline), (left, baseline), (left, high), (left + width, high), (left + width, baseline)]
    page.path(polyline([*points, (_TRACE_X - 1, baseline)]), width=0.3, class_="calibration")


def _lead(
    page: Page,
    cell: _Cell,
    samples: NDArray[np.float64] | None,
    fs_hz: float,
    speed_mm_s: float,
    gain_mm_mv: float,
    words: Words,
) -> bool:
    """Draw one lead in its cell; True if a wave had to be cut off at the row's edge."""
    page.text(cell.x + 1, cell.baseline - cell.half_mm + 5, words.lead(cell.lead), size=3.6)
    page.path(segment(cell.x, cell.baseline - 2.5, cell.x, cell.baseline + 2.5), stroke=_MUTED, width=0.2)
    if samples is None:
        page.text(cell.x + 12, cell.baseline + 1.2, words("figure.ecg_paper.absent"), size=4, fill=_MUTED)
        return False
    first = max(0, math.ceil(cell.from_s * fs_hz - 1e-6))
    last = int((cell.from_s + cell.width / speed_mm_s) * fs_hz + 1e-6)
    shown = samples[first : last + 1]
    x = cell.x + (_indices(first, len(shown)) / fs_hz - cell.from_s) * speed_mm_s
    y = -shown * gain_mm_mv
    known = y == y
    if not known.any():
        page.text(cell.x + 12, cell.baseline + 1.2, words("figure.ecg_paper.no-signal"), size=4, fill=_MUTED)
        return False
    highest, lowest = 0.2 - cell.above_mm, cell.below_mm - 0.2
    beyond = bool(((y[known] < highest) | (y[known] > lowest)).any())
    height = cell.baseline + y.clip(highest, lowest)
    data = "".join(polyline(_thinned(x[part], height[part])) for part in _runs(known.tolist()))
    page.path(data, stroke=_TRACE, width=0.3, class_="lead", data_lead=cell.lead)
    return beyond


def _indices(first: int, count: int) -> NDArray[np.float64]:
    import numpy as np

    return np.arange(first, first + count, dtype=np.float64)


def _runs(known: Iterable[bool]) -> Iterator[slice]:
    """Stretches without a lost sample: the line is broken between them, never bridged."""
    begin: int | None = None
    end = 0
    for i, value in enumerate(known):
        end = i + 1
        if value and begin is None:
            begin = i
        elif not value and begin is not None:
            yield slice(begin, i)
            begin = None
    if begin is not None:
        yield slice(begin, end)


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """At most two points a column: its lowest and highest sample, in their order. Peaks keep their height."""
    import numpy as np

    columns = np.floor(x / _COLUMN_MM + 1e-9)
    begins = np.flatnonzero(np.diff(columns, prepend=-np.inf))
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(x)], strict=True):
        if end - begin <= 2:
            picked = list(range(begin, end))
        else:
            part = y[begin:end]
            picked = sorted({begin + int(part.argmin()), begin + int(part.argmax())})
        for i in picked:
            yield float(x[i]), float(y[i])


def _beats(
    page: Page, cell: _Cell, beats: Sequence[int], classes: Sequence[str], fs_hz: float, speed_mm_s: float
) -> None:
    """A tick for each beat at the foot of its row, and a letter beside it for what is no usual beat."""
    data = []
    y = cell.baseline + cell.half_mm
    for i, beat in enumerate(beats):
        x = (beat / fs_hz - cell.from_s) * speed_mm_s
        if 0 <= x <= cell.width:
            data.append(segment(cell.x + x, y - 2.5, cell.x + x, y - 0.5))
            if i < len(classes) and classes[i] not in ("N", "?"):
                page.text(cell.x + x + 0.6, y - 0.6, classes[i], size=3.2, fill=_MARK)
    page.path("".join(data), stroke=_MARK, width=0.4, class_="beats")


def _settings(
    recording: Recording, words: Words, speed_mm_s: float, gain_mm_mv: float, start_s: float, clipped: bool
) -> str:
    """The line below the paper. A filter that nobody told of is unknown, not absent."""
    parts = [
        words("figure.ecg_paper.speed", speed=speed_mm_s),
        words("figure.ecg_paper.gain", gain=gain_mm_mv),
        words("figure.ecg_paper.highpass", value=_hertz(recording.highpass_hz, words)),
        words("figure.ecg_paper.lowpass", value=_hertz(recording.lowpass_hz, words)),
        words("figure.ecg_paper.notch", value=_hertz(recording.notch_hz, words)),
        words("figure.ecg_paper.rate", rate=recording.fs_hz),
    ]
    if start_s:
        parts.append(words("figure.ecg_paper.start", start=start_s))
    if not recording.complete:
        parts.append(words("figure.ecg_paper.incomplete"))
    if clipped:
        parts.append(words("figure.ecg_paper.clipped"))
    return " · ".join(parts)


def _hertz(value: float | None, words: Words) -> str:
    if value is None:
        return words("figure.unknown")
    return f"{number(value)} Hz" if value else words("figure.off")

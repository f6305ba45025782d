"""The course of a 24 h blood pressure recording: each reading a bar from diastolic to systolic, the night shaded.

Readings that are not valid stand as crosses at the foot, so that a gap is never mistaken for a quiet hour. The limits
of the means (rules BP22 and BP23) are stepped lines: limits of means, so that a single bar above one is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from zhenbao import rules
from zhenbao.figures.svg import INK, Page, polyline, segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.model.bp_series import Bp24Recording
    from zhenbao.words import Words

_LEFT, _TOP, _WIDTH, _HEIGHT = 18.0, 24.0, 170.0, 80.0
_PAGE = (200.0, 126.0)
_LOW_MMHG, _HIGH_MMHG = 30, 200
_GRID, _NIGHT, _SYSTOLIC, _DIASTOLIC, _LIMIT = "#dddddd", "#e6e9f2", "#0b3d91", "#5a7ab8", "#9c1c1c"


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """One attempt: mmHg, or None where nothing valid was measured."""

    at: datetime
    systolic_mmhg: float | None
    diastolic_mmhg: float | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the means by day and by night, in mmHg: systolic, diastolic."""

    day: tuple[float, float]
    night: tuple[float, float]


def course_of(
    recording: Bp24Recording,
) -> tuple[list[CoursePoint], list[tuple[datetime, datetime]], Limits]:
    """What of a recording is drawn: its attempts, the nights in it, and the limits of the means by the rules."""
    analysis = recording.analysis
    points = [
        CoursePoint(datetime.fromisoformat(r.at), *((r.systolic_mmhg, r.diastolic_mmhg) if r.valid else (None, None)))
        for r in recording.readings
    ]
    start, end = time.fromisoformat(analysis.night_from), time.fromisoformat(analysis.day_from)
    nights = []
    if points:
        first = points[0].at.date() - timedelta(days=1)
        for days in range((points[-1].at.date() - first).days + 1):
            dusk = datetime.combine(first + timedelta(days=days), start)
            nights.append((dusk, datetime.combine(dusk.date() + timedelta(days=end <= start), end)))
    day, night = (tuple(float(n) for n in rules.rule(row).value.split("/")) for row in ("BP22", "BP23"))
    return points, nights, Limits((day[0], day[1]), (night[0], night[1]))


def bp_course(
    points: Sequence[CoursePoint],
    nights: Sequence[tuple[datetime, datetime]],
    limits: Limits,
    *,
    words: Words,
    header: Sequence[str] = (),
) -> str:
    """The course as SVG.

    Args:
        points: in order of time; at least one.
        nights: spans of night; what lies outside of the recording is cut.
        header: at most three lines above the plot.

    Raises:
        ValueError: no point.
    """
    page = Page(*_PAGE, words("figure.bp_course.title"))
    for i, line in enumerate(header[:3]):
        page.text(_LEFT, 6 + i * 4.6, line)
    draw_bp_course(page, points, nights, limits, words=words, top_mm=_TOP)
    page.text(_LEFT, _PAGE[1] - 2, words("preliminary"), size=2.8)
    return page.svg()


def draw_bp_course(
    page: Page,
    points: Sequence[CoursePoint],
    nights: Sequence[tuple[datetime, datetime]],
    limits: Limits,
    *,
    words: Words,
    top_mm: float,
) -> float:
    """Draw the course on a page, from ``top_mm`` on; gives the y in mm where it ends, its legend with it.

    Raises:
        ValueError: no point.
    """
    if not points:
        raise ValueError("no reading to draw")
    first = points[0].at.replace(minute=0, second=0)
    last = max(points[-1].at, first + timedelta(hours=1))
    scale = _Scale(first, (last - first).total_seconds() / 3600, top_mm)
    highest = max([_HIGH_MMHG, *(p.systolic_mmhg for p in points if p.systolic_mmhg is not None)])
    scale.top_mmhg = 20 * -(-int(highest) // 20)
    cut = [(max(start, first), min(end, last)) for start, end in nights]
    cut = [(start, end) for start, end in cut if start < end]
    for start, end in cut:
        page.area(scale.x(start), top_mm, scale.x(end) - scale.x(start), _HEIGHT, fill=_NIGHT, class_="night")
        page.text((scale.x(start) + scale.x(end)) / 2, top_mm + 4, words("figure.bp_course.night"), anchor="middle")
    _grid(page, scale)
    _limits(page, scale, first, last, cut, limits)
    for point in points:
        _point(page, scale, point)
    foot = top_mm + _HEIGHT + 16
    page.text(_LEFT, foot, words("figure.bp_course.legend"), size=2.8)
    return foot


class _Scale:
    def __init__(self, first: datetime, hours: float, top_mm: float) -> None:
        self.first, self.hours, self.top_mm = first, hours, top_mm
        self.top_mmhg = _HIGH_MMHG

    def x(self, at: datetime) -> float:
        return _LEFT + _WIDTH * (at - self.first).total_seconds() / 3600 / self.hours

    def y(self, mmhg: float) -> float:
        return self.top_mm + _HEIGHT * (self.top_mmhg - max(mmhg, _LOW_MMHG)) / (self.top_mmhg - _LOW_MMHG)


def _grid(page: Page, scale: _Scale) -> None:
    lines = []
    for mmhg in range(40, scale.top_mmhg + 1, 20):
        y = scale.y(mmhg)
        lines.append(segment(_LEFT, y, _LEFT + _WIDTH, y))
        page.text(_LEFT - 1.5, y + 1, str(mmhg), size=2.8, anchor="end")
    every = 2 if scale.hours <= 30 else 4
    at = scale.first
    while scale.x(at) <= _LEFT + _WIDTH + 0.01:
        if at.hour % every == 0:
            lines.append(segment(scale.x(at), scale.top_mm, scale.x(at), scale.top_mm + _HEIGHT))
            page.text(scale.x(at), scale.top_mm + _HEIGHT + 4, f"{at.hour:02}", size=2.8, anchor="middle")
        at += timedelta(hours=1)
    page.path("".join(lines), stroke=_GRID, width=0.15, class_="grid")
    page.text(_LEFT - 12, scale.top_mm - 2, "mmHg", size=2.8)


def _limits(
    page: Page,
    scale: _Scale,
    first: datetime,
    last: datetime,
    nights: Sequence[tuple[datetime, datetime]],
    limits: Limits,
) -> None:
    edges = sorted({first, last, *(edge for night in nights for edge in night)})
    for part in (0, 1):
        corners = []
        for start, end in pairwise(edges):
            dark = any(a <= start < b for a, b in nights)
            y = scale.y((limits.night if dark else limits.day)[part])
            corners += [(scale.x(start), y), (scale.x(end), y)]
        page.path(polyline(corners), stroke=_LIMIT, width=0.25, dash="1.5 1", class_="limit")


def _point(page: Page, scale: _Scale, point: CoursePoint) -> None:
    x = scale.x(point.at)
    if point.systolic_mmhg is None or point.diastolic_mmhg is None:
        y, half = scale.top_mm + _HEIGHT - 2, 0.8
        cross = segment(x - half, y - half, x + half, y + half) + segment(x - half, y + half, x + half, y - half)
        page.path(cross, stroke=INK, width=0.25, class_="not-valid")
        return
    top, bottom = scale.y(point.systolic_mmhg), scale.y(point.diastolic_mmhg)
    page.path(segment(x, top, x, bottom), stroke=_DIASTOLIC, width=0.35, class_="reading")
    page.path(polyline([(x, top)]) + polyline([(x, bottom)]), stroke=_SYSTOLIC, width=1.0)

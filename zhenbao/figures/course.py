"""One person's values over time: a line a value, marks that say how each was taken, and where the device changed.

Values of two devices are never joined by a line: the step between them may be the devices' own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from zhenbao.figures.svg import Page, Point, polyline, segment

Mark = Literal["measured", "poor", "typed"]
_LEFT, _TOP, _WIDTH, _HEIGHT = 18.0, 12.0, 150.0, 62.0
_PAGE = (178.0, 96.0)
_GRID, _TARGET, _BREAK = "#dddddd", "#9c1c1c", "#777777"
_STROKES = ("#0b3d91", "#0b6e6e", "#8a6d00")
_DASHES = ("", "2 1", "0.6 0.8")
"""Lines differ in their dashes as well as in their colour."""


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """One value of one day. ``device`` names what took it; only to see where it changes."""

    on: date
    value: float
    mark: Mark
    device: str


@dataclass(frozen=True, slots=True)
class CourseLine:
    """One value over time, in one unit."""

    name: str
    points: tuple[CoursePoint, ...]
    target: float | None = None
    """Dashed; of a follow-up, not a limit of disease."""


def draw_course(lines: Sequence[CourseLine], *, title: str, unit: str, legend: str) -> str:
    """The course as SVG.

    Args:
        lines: one to three in one unit, each in order of time; together at least one point.
        legend: what the marks mean.

    Raises:
        ValueError: no point, or more than three lines.
    """
    points = [point for line in lines for point in line.points]
    if not points or len(lines) > len(_STROKES):
        raise ValueError("one to three lines, with a point")
    first, last = min(p.on for p in points), max(p.on for p in points)
    days = max(1, (last - first).days)
    values = [p.value for p in points] + [line.target for line in lines if line.target is not None]
    low, high, step = _range(min(values), max(values))

    def x(on: date) -> float:
        return _LEFT + 4 + (_WIDTH - 8) * ((on - first).days / days if last > first else 0.5)

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (high - value) / (high - low)

    page = Page(*_PAGE, title)
    page.text(_LEFT - 14, 6, f"{title}  {unit}", size=3.4)
    grid = []
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        grid.append(segment(_LEFT, y(value), _LEFT + _WIDTH, y(value)))
        page.text(_LEFT - 1.5, y(value) + 1, f"{round(value, 6):g}", size=3.0, anchor="end")
    page.path("".join(grid), stroke=_GRID, width=0.15, class_="grid")
    for on in _ticks(first, last):
        page.text(x(on), _TOP + _HEIGHT + 4.5, on.isoformat(), size=2.8, anchor="middle")
    for n, line in enumerate(lines):
        if line.target is not None:
            across = segment(_LEFT, y(line.target), _LEFT + _WIDTH, y(line.target))
            page.path(across, stroke=_TARGET, width=0.25, dash="1.5 1", class_="target")
        run: list[Point] = []
        for before, point in zip((None, *line.points), line.points, strict=False):
            here = (x(point.on), y(point.value))
            if before is not None and before.device != point.device:
                _line(page, run, n)
                run = []
                middle = (x(before.on) + here[0]) / 2
                page.path(
                    segment(middle, _TOP, middle, _TOP + _HEIGHT), stroke=_BREAK, width=0.25, dash="0.8 0.8",
                    class_="other-device",
                )  # fmt: skip
            run.append(here)
        _line(page, run, n)
        for point in line.points:
            _mark(page, x(point.on), y(point.value), point.mark, _STROKES[n])
        page.text(_LEFT + n * 50, _PAGE[1] - 8, line.name, size=3.0, fill=_STROKES[n])
        page.path(
            segment(_LEFT - 8 + n * 50, _PAGE[1] - 9, _LEFT - 2 + n * 50, _PAGE[1] - 9), stroke=_STROKES[n], width=0.6,
            dash=_DASHES[n],
        )  # fmt: skip
    page.text(_LEFT - 14, _PAGE[1] - 2.5, legend, size=2.7)
    return page.svg()


def _line(page: Page, run: list[Point], n: int) -> None:
    # A single point is a mark and no line: a dot would fill an empty square.
    if len(run) > 1:
        page.path(polyline(run), stroke=_STROKES[n], width=0.45, dash=_DASHES[n], class_="line")


def _mark(page: Page, x: float, y: float, mark: Mark, stroke: str) -> None:
    if mark == "measured":
        page.path(polyline([(x, y)]), stroke=stroke, width=1.7, class_="measured")
        return
    size = 0.9
    if mark == "typed":
        corners = [(x - size, y - size), (x + size, y - size), (x + size, y + size), (x - size, y + size)]
        page.path(polyline(corners) + "Z", stroke=stroke, width=0.35, class_="typed")
    else:
        circle = [(x + size * math.cos(n * math.pi / 8), y + size * math.sin(n * math.pi / 8)) for n in range(17)]
        page.path(polyline(circle), stroke=stroke, width=0.35, class_="poor")


def _range(low: float, high: float) -> tuple[float, float, float]:
    """Round limits around all values, and the step between lines: four to nine of them."""
    span = max(high - low, abs(high) * 0.1, 1e-6)
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return (bottom, top if top > bottom else bottom + step, step)


def _ticks(first: date, last: date) -> list[date]:
    days = (last - first).days
    count = min(4, max(1, days))
    return sorted({first + timedelta(days=round(days * n / count)) for n in range(count + 1)}) if days else [first]

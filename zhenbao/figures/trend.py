"""How a value went from visit to visit: one column a visit, equally far apart, its date below."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zhenbao.figures.svg import INK, Page, number, segment

if TYPE_CHECKING:
    from collections.abc import Sequence

Mark = Literal["dot", "ring", "square"]
_LEFT, _TOP, _RIGHT_GAP, _PLOT_MM = 13.0, 11.0, 5.0, 34.0
_DATES_MM = 17.0
_COLUMN_MM, _LEAST_MM = 11.0, 66.0
_GRID, _MUTED = "#dddddd", "#555555"
_COLOURS = ("#0b3d91", "#9c1c1c", "#5c5c5c")
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Line:
    """One value over the visits. What it is shows by its mark, never by its colour alone."""

    name: str
    mark: Mark
    points: tuple[tuple[int, float, str], ...]
    """Number of the visit from 0, value, and what is written beside it (``>`` where the device showed HI)."""
    joined: bool = True


def trend(dates: Sequence[str], lines: Sequence[Line], *, title: str) -> str:
    """Draw the lines over the visits.

    Args:
        dates: of each visit, oldest first; written upwards below the plot.
        lines: at most three, with at least one point between them.
        title: what it is, with its unit.

    Raises:
        ValueError: there is no point.
    """
    values = [value for line in lines for _, value, _ in line.points]
    if not values:
        raise ValueError("nothing to draw")
    step, low, high = _scale(min(values), max(values))
    width = max(_LEAST_MM, _LEFT + _COLUMN_MM * len(dates) + _RIGHT_GAP)
    page = Page(width, _TOP + _PLOT_MM + _DATES_MM, title)
    right = width - _RIGHT_GAP
    column = (right - _LEFT) / max(1, len(dates))
    page.text(1, 4, title, size=3.2)
    _legend(page, lines)

    def y(value: float) -> float:
        return _TOP + _PLOT_MM * (high - value) / (high - low)

    grid = []
    for i in range(round((high - low) / step) + 1):
        level = low + i * step
        grid.append(segment(_LEFT, y(level), right, y(level)))
        page.text(_LEFT - 1.5, y(level) + 1, f"{level:g}", size=2.7, anchor="end", fill=_MUTED)
    page.path("".join(grid), stroke=_GRID, width=0.15, class_="grid")
    centres = [_LEFT + column * (i + 0.5) for i in range(len(dates))]
    for x, date in zip(centres, dates, strict=True):
        page.text(x + 1, _TOP + _PLOT_MM + 1.5 + 0.5 * _DATES_MM + 6, date, size=2.7, fill=_MUTED, turn=True)
    for line, colour in zip(lines, _COLOURS, strict=False):
        if line.joined and len(line.points) > 1:
            data = "M" + "L".join(f"{number(centres[i])} {number(y(value))}" for i, value, _ in line.points)
            page.path(data, stroke=colour, width=0.35, dash="" if line.mark == "dot" else "1.2 0.8", class_="line")
        for i, value, beside in line.points:
            _mark(page, line.mark, centres[i], y(value), colour)
            if beside:
                page.text(centres[i] + 1.5, y(value) - 1, beside, size=2.8, fill=colour)
    return page.svg()


def _scale(lowest: float, highest: float) -> tuple[float, float, float]:
    """Step of the grid, and the whole steps that hold all values."""
    spread = max(highest - lowest, 0.05 * abs(highest), 0.1)
    step = next((s for s in _STEPS if spread / s <= 5), _STEPS[-1])
    low, high = math.floor(lowest / step) * step, math.ceil(highest / step) * step
    return (step, low, high) if high > low else (step, low, low + step)


def _legend(page: Page, lines: Sequence[Line]) -> None:
    if len(lines) < 2:
        return
    x = _LEFT
    for line, colour in zip(lines, _COLOURS, strict=False):
        _mark(page, line.mark, x, 7.2, colour)
        page.text(x + 1.8, 8.2, line.name, size=2.8)
        x += 5 + sum(2.9 if ord(character) > 255 else 1.6 for character in line.name)


def _mark(page: Page, mark: Mark, x: float, y: float, colour: str) -> None:
    if mark == "dot":
        page.path(f"M{number(x)} {number(y)}l0 0", stroke=colour, width=1.8, class_="mark")
        return
    if mark == "square":
        corners = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (-0.8, -0.8)]
    else:
        corners = [(0.95 * math.cos(a * math.pi / 6), 0.95 * math.sin(a * math.pi / 6)) for a in range(13)]
    data = "M" + "L".join(f"{number(x + dx)} {number(y + dy)}" for dx, dy in corners)
    page.path(data, stroke=colour if mark == "ring" else INK, width=0.4, class_="mark")

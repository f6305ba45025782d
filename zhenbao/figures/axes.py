"""Two axes on a page in millimetres, their grid, and lines on their scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.figures.svg import INK, polyline, segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zhenbao.figures.svg import Page, Point

GRID = "#dddddd"
_LEAST_STEP_MM = 0.08


@dataclass(frozen=True, slots=True)
class Axes:
    """A plot's place on the page and its scales; ``y`` grows upwards."""

    left: float
    top: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_mm: float
    """Millimetres of one unit."""
    y_mm: float

    @property
    def right(self) -> float:
        return self.left + (self.x_range[1] - self.x_range[0]) * self.x_mm

    @property
    def bottom(self) -> float:
        return self.top + (self.y_range[1] - self.y_range[0]) * self.y_mm

    def x(self, value: float) -> float:
        return self.left + (value - self.x_range[0]) * self.x_mm

    def y(self, value: float) -> float:
        return self.bottom - (value - self.y_range[0]) * self.y_mm

    def holds(self, point: Point) -> bool:
        """Whether a point, in the units of the axes, lies inside."""
        return self.x_range[0] <= point[0] <= self.x_range[1] and self.y_range[0] <= point[1] <= self.y_range[1]


def draw_axes(
    page: Page, axes: Axes, x_label: str, y_label: str, *, x_step: float, y_step: float, size: float = 3.0
) -> None:
    """Grid, ticks and both labels; ``size`` of the numbers in mm."""
    grid = []
    for i in range(math.ceil(axes.x_range[0] / x_step), int(axes.x_range[1] / x_step) + 1):
        x = axes.x(i * x_step)
        grid.append(segment(x, axes.top, x, axes.bottom))
        page.text(x, axes.bottom + size + 1, f"{i * x_step:g}", size=size, anchor="middle")
    for i in range(math.ceil(axes.y_range[0] / y_step), int(axes.y_range[1] / y_step) + 1):
        y = axes.y(i * y_step)
        grid.append(segment(axes.left, y, axes.right, y))
        page.text(axes.left - 1.5, y + 1, f"{i * y_step:g}", size=size, anchor="end")
    page.path("".join(grid), stroke=GRID, width=0.15, class_="grid")
    page.path(
        segment(axes.left, axes.y(0), axes.right, axes.y(0)) + segment(axes.x(0), axes.top, axes.x(0), axes.bottom),
        stroke=INK,
        width=0.3,
        class_="axes",
    )
    label = size + 0.2
    page.text((axes.left + axes.right) / 2, axes.bottom + 3 * size, x_label, size=label, anchor="middle")
    page.text(axes.left - 3.67 * size, (axes.top + axes.bottom) / 2, y_label, size=label, anchor="middle", turn=True)


def draw_line(
    page: Page,
    axes: Axes,
    points: Iterable[Point | None],
    *,
    stroke: str,
    width: float,
    dash: str = "",
    **names: str,
) -> None:
    """A line through points in the units of the axes; it breaks at None and where it leaves the plot."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point is None or not axes.holds(point):
            if runs[-1]:
                runs.append([])
            continue
        x, y = axes.x(point[0]), axes.y(point[1])
        if runs[-1] and math.dist(runs[-1][-1], (x, y)) < _LEAST_STEP_MM:
            continue
        runs[-1].append((x, y))
    page.path("".join(polyline(run) for run in runs), stroke=stroke, width=width, dash=dash, **names)

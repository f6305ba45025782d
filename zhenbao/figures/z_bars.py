"""z-scores as bars from the predicted value, with the lower limit and the bands of severity behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.figures.svg import INK, polyline, segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.figures.svg import Page

LEAST_Z, MOST_Z = -5.5, 2.5
_MUTED, _LOW, _FINE, _AFTER = "#8a8a8a", "#9c1c1c", "#0b3d91", "#7a1f5c"


@dataclass(frozen=True, slots=True)
class ZScale:
    """Where the bars stand: ``left`` and ``width`` in mm, and the bounds below which a z-score is low, then worse."""

    left: float
    width: float
    bounds: tuple[float, ...]
    """From the lower limit downwards: -1.645, then where the bands of severity end."""

    def x(self, z: float) -> float:
        """Place of a z-score; what lies outside the scale stands at its edge."""
        return self.left + (min(MOST_Z, max(LEAST_Z, z)) - LEAST_Z) / (MOST_Z - LEAST_Z) * self.width


def draw_scale(
    page: Page, scale: ZScale, *, top: float, bottom: float, names: Sequence[str], limit_name: str, size: float
) -> None:
    """Zero, the lower limit and the bands.

    Args:
        top, bottom: of the bars, in mm; names stand above, numbers below.
        names: of the bands from the lower limit downwards, one for each bound.
        limit_name: of the lower limit.
    """
    page.path(segment(scale.x(0), top, scale.x(0), bottom), stroke=INK, width=0.3, class_="z-zero")
    for i, bound in enumerate(scale.bounds):
        x = scale.x(bound)
        page.path(
            segment(x, top, x, bottom),
            stroke=_LOW,
            width=0.4 if i == 0 else 0.2,
            dash="" if i == 0 else "1 0.8",
            class_="z-bound",
            data_z=f"{bound:g}",
        )
        # The lower limit stands close to the next bound: its number has a line of its own.
        below = bottom + size * (1.9 if i == 0 else 1.0)
        page.text(x, below, f"{bound:g}", size=size * 0.85, anchor="middle", fill=_LOW)
        worse = scale.bounds[i + 1] if i + 1 < len(scale.bounds) else LEAST_Z
        page.text((x + scale.x(worse)) / 2, top - 2.0, names[i], size=size * 0.85, anchor="middle", fill=_LOW)
    page.text(scale.x(scale.bounds[0]) + 0.8, top - 2.0, limit_name, size=size * 0.85, fill=_LOW)
    page.text(scale.x(0), bottom + size, "0", size=size * 0.85, anchor="middle")


def draw_z(page: Page, scale: ZScale, y: float, z: float, *, name: str, after: float | None = None) -> None:
    """One bar at the height ``y``: filled where low, open otherwise; an arrow where it runs out of the scale.

    ``after``: the z-score after a bronchodilator, as a ring of its own shape.
    """
    low = z < scale.bounds[0]
    stroke = _LOW if low else _FINE
    x = scale.x(z)
    page.path(segment(scale.x(0), y, x, y), stroke=stroke, width=0.9, class_="z-bar", data_name=name)
    half = 0.9
    page.path(_diamond(x, y, half), stroke=stroke, width=0.4)
    if low:
        page.path(_diamond(x, y, half / 2), stroke=stroke, width=0.8)
    if z < LEAST_Z:
        page.path(polyline(((x - 1.2, y - 1), (x - 2.4, y), (x - 1.2, y + 1))), stroke=stroke, width=0.4)
    if after is not None:
        mark = scale.x(after)
        page.path(_square(mark, y, 0.8), stroke=_AFTER, width=0.35, class_="z-after", data_name=name)


def _diamond(x: float, y: float, half: float) -> str:
    return polyline(((x - half, y), (x, y - half), (x + half, y), (x, y + half), (x - half, y)))


def _square(x: float, y: float, half: float) -> str:
    corners = ((-half, -half), (half, -half), (half, half), (-half, half), (-half, -half))
    return polyline((x + dx, y + dy) for dx, dy in corners)

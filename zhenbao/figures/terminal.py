"""Curves and bars in characters, for a terminal: eight dots of Braille in each cell, which every font here has."""

from __future__ import annotations

from collections.abc import Sequence

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a cell's dots, by row and column (Unicode 10.0, section 21.1)."""
_EMPTY = 0x2800
_FULL, _OUT = "●", "○"


def plot(
    x: Sequence[float], y: Sequence[float], *, columns: int, rows: int, x_most: float, y_least: float, y_most: float
) -> list[str]:
    """A line through points: ``rows`` lines of ``columns`` characters, x from 0 on; what lies outside is cut.

    Raises:
        ValueError: no room or no range.
    """
    if columns < 1 or rows < 1 or x_most <= 0 or y_most <= y_least:
        raise ValueError("a plot needs room and a range")
    wide, high = 2 * columns, 4 * rows
    cells = [[_EMPTY] * columns for _ in range(rows)]

    def dot(across: int, up: int) -> None:
        if 0 <= across < wide and 0 <= up < high:
            row = high - 1 - up
            cells[row // 4][across // 2] |= _DOTS[row % 4][across % 2]

    points = [
        ((wide - 1) * a / x_most, (high - 1) * (b - y_least) / (y_most - y_least)) for a, b in zip(x, y, strict=True)
    ]
    for (a, b), (c, d) in zip(points, points[1:] or points, strict=False):
        steps = max(1, min(wide + high, round(max(abs(c - a), abs(d - b)))))
        for i in range(steps + 1):
            dot(round(a + (c - a) * i / steps), round(b + (d - b) * i / steps))
    return ["".join(map(chr, row)) for row in cells]


def bar(share: float, length: int) -> str:
    """A bar of ``length`` cells filled to ``share`` of it."""
    full = round(min(max(share, 0.0), 1.0) * length)
    return "█" * full + "░" * (length - full)


def candles(share: float, count: int) -> str:
    """Candles for children: those blown out are empty."""
    out = int(min(max(share, 0.0), 1.0) * count + 1e-9)
    return _OUT * out + _FULL * (count - out)

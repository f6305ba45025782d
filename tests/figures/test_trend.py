"""A trend: every value at its height, every visit in its column, nothing told by colour alone."""

from __future__ import annotations

import re

import pytest

from zhenbao.figures.trend import Line, trend


def dots(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'<path class="mark" d="M([\d.]+) ([\d.]+)l0 0"', svg)
    return [(float(x), float(y)) for x, y in found]


def levels(svg: str) -> dict[float, float]:
    """Height of each grid line by the number written beside it."""
    texts = re.findall(r'<text x="11.5" y="([\d.]+)"[^>]*>(-?[\d.]+)</text>', svg)
    return {float(value): float(y) - 1 for y, value in texts}


def test_values_stand_at_the_height_of_their_scale() -> None:
    svg = trend(["10-01", "10-08", "11-22"], [Line("x", "dot", ((0, 120, ""), (1, 150, ""), (2, 135, "")))], title="t")
    scale = levels(svg)
    low, high = min(scale), max(scale)
    assert low <= 120 <= 150 <= high
    per_unit = (scale[low] - scale[high]) / (high - low)
    for (x, y), value in zip(dots(svg), (120, 150, 135), strict=True):
        assert y == pytest.approx(scale[low] - (value - low) * per_unit, abs=0.02)
        assert x > 13
    xs = [x for x, _ in dots(svg)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.02)


def test_two_lines_differ_by_mark_and_by_stroke() -> None:
    svg = trend(
        ["a", "b"], [Line("s", "dot", ((0, 1, ""), (1, 2, ""))), Line("d", "ring", ((0, 3, ""), (1, 2, "")))], title="t"
    )
    assert svg.count("stroke-dasharray") == 1
    assert len(dots(svg)) == 3, "two values and the legend"


def test_what_a_device_showed_as_hi_says_so() -> None:
    assert "&gt;" in trend(["a"], [Line("g", "dot", ((0, 33.3, ">"),))], title="t")


@pytest.mark.parametrize("value", [0.0, 0.7, 5.5, 33.3, 250.0, 1e5])
def test_a_single_value_can_be_drawn(value: float) -> None:
    assert dots(trend(["a"], [Line("g", "dot", ((0, value, ""),))], title="t"))


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="nothing"):
        trend(["a"], [Line("g", "dot", ())], title="t")

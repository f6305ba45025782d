"""The course of a value: where each point stands, how it was taken, and no line between two devices."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from zhenbao.figures.course import CourseLine, CoursePoint, Mark, draw_course

DAY = date(2026, 1, 1)


def line(*values: float, devices: str = "", marks: tuple[Mark, ...] = (), target: float | None = None) -> CourseLine:
    devices = devices or "a" * len(values)
    marks = marks or ("measured",) * len(values)
    points = [CoursePoint(DAY + timedelta(days=30 * n), value, marks[n], devices[n]) for n, value in enumerate(values)]
    return CourseLine("收缩压", tuple(points), target)


def drawn(*lines: CourseLine) -> str:
    return draw_course(lines, title="血压", unit="mmHg", legend="●")


def dots(svg: str, kind: str = "measured") -> list[tuple[float, float]]:
    found = re.findall(rf'class="{kind}" d="M([\d.]+) ([\d.]+)', svg)
    return [(float(x), float(y)) for x, y in found]


def test_equal_steps_of_time_and_value_are_equal_on_paper() -> None:
    (x1, y1), (x2, y2), (x3, y3) = dots(drawn(line(140, 150, 160)))
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.02)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.02)
    assert y3 < y2 < y1  # higher is up


def test_two_devices_are_never_joined() -> None:
    svg = drawn(line(140, 150, 160, 150, devices="aabb"))
    assert svg.count('class="line"') == 2
    assert svg.count('class="other-device"') == 1
    assert drawn(line(140, 150, devices="ab")).count('class="line"') == 0


def test_how_each_was_taken_has_its_own_mark() -> None:
    svg = drawn(line(140, 150, 160, marks=("measured", "typed", "poor")))
    assert [svg.count(f'class="{kind}"') for kind in ("measured", "typed", "poor")] == [1, 1, 1]


@pytest.mark.parametrize("values", [(5.0,), (140, 140), (0.01, 0.02), (1e-9, 2e-9), (-5, 5), (0, 0), (99999, 1)])
def test_every_point_lies_on_the_page(values: tuple[float, ...]) -> None:
    for x, y in dots(drawn(line(*values))):
        assert 18 <= x <= 168
        assert 12 <= y <= 74.01


def test_a_target_is_within_the_page_too() -> None:
    svg = drawn(line(120, 125, target=180))
    found = re.search(r'class="target" d="M18 ([\d.]+)H', svg)
    assert found is not None
    assert 12 <= float(found[1]) < dots(svg)[0][1]


def test_what_others_named_is_no_markup() -> None:
    svg = draw_course([CourseLine("<b>", line(1, 2).points)], title="<i>", unit="&", legend="<u>")
    assert "<b>" not in svg
    assert "<i>" not in svg


def test_nothing_is_no_drawing() -> None:
    for lines in ([], [CourseLine("x", ())], [line(1)] * 4):
        with pytest.raises(ValueError, match="one to three"):
            draw_course(lines, title="", unit="", legend="")

"""The course of a 24 h recording as SVG."""

from __future__ import annotations

from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest

from zhenbao.figures.bp_course import CoursePoint, Limits, bp_course
from zhenbao.words import Words

NOON = datetime(2026, 11, 22, 12, 0)
LIMITS = Limits((135, 85), (120, 70))
NIGHT = (NOON + timedelta(hours=10), NOON + timedelta(hours=18))


def parts(drawn: str, kind: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(drawn).iter() if e.get("class") == kind]  # noqa: S314 - our own text


def draw(*points: CoursePoint, nights: tuple[tuple[datetime, datetime], ...] = (NIGHT,)) -> str:
    return bp_course(points, nights, LIMITS, words=Words("zh_CN"), header=["<a & b>"])


def test_readings_are_bars_and_what_is_not_valid_a_cross() -> None:
    drawn = draw(
        CoursePoint(NOON, 140, 90),
        CoursePoint(NOON + timedelta(hours=12), None, None),
        CoursePoint(NOON + timedelta(hours=24), 120, 70),
    )
    bars = [bar.get("d") for bar in parts(drawn, "reading")]
    # 30 to 200 mmHg on 80 mm from 24 mm down: 140 mmHg stands at 24 + 60 / 170 * 80, 90 at 24 + 110 / 170 * 80
    assert bars == ["M18 52.24V75.76", "M188 61.65V85.18"]
    assert len(parts(drawn, "not-valid")) == 1
    assert "&lt;a &amp; b&gt;" in drawn


def test_the_night_is_shaded_where_it_was_recorded() -> None:
    points = (CoursePoint(NOON, 140, 90), CoursePoint(NOON + timedelta(hours=24), 120, 70))
    (night,) = parts(draw(*points), "night")
    # 10 of 24 hours on 170 mm from 18 mm; 8 hours wide
    assert (night.get("x"), night.get("width")) == ("88.83", "56.67")
    before = (NOON - timedelta(hours=14), NOON - timedelta(hours=6))
    assert parts(draw(*points, nights=(before,)), "night") == []


def test_a_pressure_above_the_scale_makes_it_higher() -> None:
    (bar,) = parts(draw(CoursePoint(NOON, 250, 150)), "reading")
    top = float(str(bar.get("d")).split()[1].split("V")[0])
    assert top >= 24


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="no reading"):
        draw()

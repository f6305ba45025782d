"""Trends on the case page: blood pressure, glucose and FEV1 over the visits that the reader may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from zhenbao.model.time import local_time

if TYPE_CHECKING:
    from zhenbao.figures.trend import Line, Mark
    from zhenbao.hub.case import Case
    from zhenbao.model.observation import Observation
    from zhenbao.words import Words

_MG_PER_MMOL = 18.0156
"""mg/dL of glucose in one mmol/L, from the atomic masses."""
_CARRYING = frozenset("ABC")
_MEALS = {"fasting": "fasting", "before-meal": "fasting", "2h-after-meal": "after_meal", "after-meal": "after_meal"}


@dataclass(frozen=True, slots=True)
class Trend:
    """One drawing; without one there is too little to compare."""

    key: str
    svg: Markup


def trends(case: Case, words: Words) -> list[Trend]:
    """The trends of what this case has measured; none for a first visit."""
    visits = [[reading for reading, _ in case.readings]]
    visits += [list(visit.readings) for visit in case.earlier]
    readings = sorted((r for visit in visits for r in visit), key=lambda r: r.effective_ms)
    now = {reading.code for reading, _ in case.readings}
    made = []
    if "bp" in now:
        made.append(_trend("bp", [r for r in readings if r.code == "bp"], _pressure, words))
    if "glucose" in now:
        made.append(_trend("glucose", [r for r in readings if r.code == "glucose"], _glucose, words))
    if "spirometry" in now:
        made.append(_trend("spirometry", [r for r in readings if r.code == "spirometry"], _fev1, words))
    return [trend for trend in made if trend is not None]


def _trend(key: str, readings: Sequence[Observation], lines_of: object, words: Words) -> Trend | None:
    from zhenbao.figures.trend import trend

    assert callable(lines_of)
    lines = [line for line in lines_of(readings, words) if line.points]
    if len({number for line in lines for number, _, _ in line.points}) < 2:
        return None
    dates = [local_time(reading.effective_ms).strftime("%Y-%m-%d") for reading in readings]
    text = trend(dates, lines, title=words(f"hub.trend.{key}"))
    # Made by our own drawing functions, which escape every text they are given.
    return Trend(key, Markup(text[text.index("<svg") :]))  # noqa: S704


def _points(readings: Iterable[Observation], key: str) -> tuple[tuple[int, float, str], ...]:
    return tuple(
        (i, value.value, value.comparator or "")
        for i, reading in enumerate(readings)
        if (value := reading.values.get(key)) is not None
    )


def _pressure(readings: Sequence[Observation], words: Words) -> list[Line]:
    from zhenbao.figures.trend import Line

    return [
        Line(words("hub.trend.systolic"), "dot", _points(readings, "bp_systolic")),
        Line(words("hub.trend.diastolic"), "ring", _points(readings, "bp_diastolic")),
    ]


def _glucose(readings: Sequence[Observation], words: Words) -> list[Line]:
    from zhenbao.figures.trend import Line

    points: dict[str, list[tuple[int, float, str]]] = {"fasting": [], "after_meal": [], "other": []}
    for i, reading in enumerate(readings):
        for key in ("glucose_capillary", "glucose_capillary_mass"):
            value = reading.values.get(key)
            if value is None:
                continue
            mmol_l = value.value / _MG_PER_MMOL if value.unit == "mg/dL" else value.value
            meal = _MEALS.get(reading.context.get("meal", ""), "other")
            points[meal].append((i, mmol_l, value.comparator or ""))
            break
    # Values of different meals are not one course: they stand as marks, not as a line.
    marks: dict[str, Mark] = {"fasting": "dot", "after_meal": "ring", "other": "square"}
    return [
        Line(words(f"hub.trend.{meal}"), mark, tuple(points[meal]), joined=meal == "fasting")
        for meal, mark in marks.items()
    ]


def _fev1(readings: Sequence[Observation], words: Words) -> list[Line]:
    from zhenbao.figures.trend import Line

    good: list[tuple[int, float, str]] = []
    poor: list[tuple[int, float, str]] = []
    for i, reading in enumerate(readings):
        session = reading.spirometry.session if reading.spirometry is not None else None
        if session is not None and session.fev1_l is not None:
            carries = session.fev1_grade in _CARRYING
            (good if carries else poor).append((i, session.fev1_l, "" if carries else session.fev1_grade))
    return [Line("FEV1", "dot", tuple(good)), Line(words("hub.trend.not_valid"), "ring", tuple(poor), joined=False)]

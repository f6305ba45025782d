"""Means of day, night and 24 h, the share of valid readings, the fall at night, and what the rules say of them.

Sources: rules BP21 to BP25 (``rules/thresholds.csv``); other numbers in ``criteria.toml``. The 24 h mean is the plain
mean of all valid readings, as recorders print it; where readings are denser by day it leans towards the day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from datetime import datetime, time
from functools import cache
from importlib.resources import files
from statistics import fmean, stdev
from typing import Any

from zhenbao import rules
from zhenbao.model.bp_series import Bp24Analysis, BpSeries, Period, SeriesReading
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding
from zhenbao.model.quantity import Quantity

_MMHG = "mm[Hg]"
_ADULT_YEARS = 18


@cache
def criteria() -> dict[str, Any]:
    """The tables of ``criteria.toml``."""
    return tomllib.loads(files(__package__).joinpath("criteria.toml").read_text(encoding="utf-8"))


def analyse_bp24(
    series: BpSeries, *, rose: str | None = None, went_to_bed: str | None = None, age_years: float | None = None
) -> Bp24Analysis:
    """Judge a series.

    Args:
        series: as read from a file; readings in order of time.
        rose, went_to_bed: ``HH:MM`` from the patient's diary; both or neither. Without them the fixed hours hold, and
            ``limits`` says so.
        age_years: of the patient; under 18 nothing is judged, since the thresholds are adults'.

    Returns:
        Means are in mmHg, not rounded; findings compare them as people read them, in whole mmHg.

    Raises:
        InputError: ``bp24-clock`` (not a clock time, both the same, or only one told), ``bp24-empty`` (no reading),
            ``bp24-span`` (longer than a recording can be).
    """
    day_from, night_from = _hours(rose, went_to_bed)
    if not series.readings:
        raise InputError("bp24-empty")
    first, last = (datetime.fromisoformat(series.readings[i].at) for i in (0, -1))
    span_h = (last - first).total_seconds() / 3600
    if span_h > criteria()["span"]["most_h"]:
        raise InputError("bp24-span", hours=round(span_h), most=criteria()["span"]["most_h"])
    judged = tuple(_plausible(reading) for reading in series.readings)
    by_day = [_is_day(reading, day_from, night_from) for reading in judged]
    whole = _period(judged)
    day = _period([r for r, is_day in zip(judged, by_day, strict=True) if is_day])
    night = _period([r for r, is_day in zip(judged, by_day, strict=True) if not is_day])
    unread = sum(row.reason != "repeated" for row in series.damaged)
    valid_percent = 100 * whole.valid / (whole.attempts + unread)
    lacking = _lacking(valid_percent, day, night)
    child = age_years is not None and age_years < _ADULT_YEARS
    dips = [_dip(day.systolic_mmhg, night.systolic_mmhg), _dip(day.diastolic_mmhg, night.diastolic_mmhg)]
    return Bp24Analysis(
        day_from.isoformat("minutes"),
        night_from.isoformat("minutes"),
        "fixed" if rose is None else "diary",
        series.readings[0].at,
        series.readings[-1].at,
        span_h,
        whole,
        day,
        night,
        valid_percent,
        not lacking,
        lacking,
        dips[0],
        dips[1],
        _dipping(dips[0]) if not lacking and not child and dips[0] is not None else None,
        () if lacking or child else _findings(whole, day, night, age_years),
        tuple(_limits(series, span_h, fixed=rose is None, enough=not lacking, age_years=age_years)),
        required(),
    )


def required() -> dict[str, int]:
    """What rule BP24 asks for: valid readings in per cent of all, and how many by day and by night."""
    least = criteria()["valid"]
    return {"percent": least["percent"], "day": least["day_readings"], "night": least["night_readings"]}


def judged_readings(series: BpSeries) -> tuple[SeriesReading, ...]:
    """The readings with those named that no heart produces (rule BP34)."""
    return tuple(_plausible(reading) for reading in series.readings)


def in_daytime(at: str, day_from: str, night_from: str) -> bool:
    """Whether a naive ISO time lies in the day; its first minute belongs to it, that of the night does not."""
    clock, start, end = datetime.fromisoformat(at).time(), time.fromisoformat(day_from), time.fromisoformat(night_from)
    return start <= clock < end if start < end else clock >= start or clock < end


def _is_day(reading: SeriesReading, day_from: time, night_from: time) -> bool:
    return in_daytime(reading.at, day_from.isoformat(), night_from.isoformat())


def _hours(rose: str | None, went_to_bed: str | None) -> tuple[time, time]:
    if (rose is None) != (went_to_bed is None):
        raise InputError("bp24-clock", text=rose or went_to_bed or "")
    fixed = criteria()["hours"]
    day_from, night_from = (_clock(text) for text in (rose or fixed["day_from"], went_to_bed or fixed["night_from"]))
    if day_from == night_from:
        raise InputError("bp24-clock", text=str(rose))
    return day_from, night_from


def _clock(text: str) -> time:
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007 - a clock time has no zone
    except ValueError:
        raise InputError("bp24-clock", text=text[:20]) from None


def _plausible(reading: SeriesReading) -> SeriesReading:
    if not reading.valid or reading.systolic_mmhg is None or reading.diastolic_mmhg is None:
        return reading
    values = {
        "bp_systolic": Quantity(reading.systolic_mmhg, _MMHG),
        "bp_diastolic": Quantity(reading.diastolic_mmhg, _MMHG),
    }
    if any(finding.rule_id == "BP34" for finding in rules.evaluate("bp", values)):
        return SeriesReading(
            reading.row,
            reading.at,
            reading.systolic_mmhg,
            reading.diastolic_mmhg,
            reading.pulse_per_min,
            "implausible",
            reading.told,
        )
    return reading


def _period(readings: Sequence[SeriesReading]) -> Period:
    valid = [reading for reading in readings if reading.valid]
    systolic = [r.systolic_mmhg for r in valid if r.systolic_mmhg is not None]
    diastolic = [r.diastolic_mmhg for r in valid if r.diastolic_mmhg is not None]
    pulse = [r.pulse_per_min for r in valid if r.pulse_per_min is not None]
    return Period(
        len(readings),
        len(valid),
        _if_any(fmean, systolic),
        _if_any(fmean, diastolic),
        _if_any(fmean, pulse),
        _if_any(stdev, systolic, least=2),
        _if_any(stdev, diastolic, least=2),
    )


def _if_any(function: Callable[[list[float]], float], numbers: list[float], *, least: int = 1) -> float | None:
    return function(numbers) if len(numbers) >= least else None


def _lacking(valid_percent: float, day: Period, night: Period) -> tuple[str, ...]:
    least = required()
    missed = {
        "percent": valid_percent < least["percent"],
        "day": day.valid < least["day"],
        "night": night.valid < least["night"],
    }
    return tuple(name for name, is_missed in missed.items() if is_missed)


def _dip(day_mmhg: float | None, night_mmhg: float | None) -> float | None:
    """How far the night lies below the day, in per cent of the day, to a tenth: as it is shown and judged."""
    if day_mmhg is None or night_mmhg is None:
        return None
    return round(100 * (day_mmhg - night_mmhg) / day_mmhg, 1)


def _dipping(percent: float) -> str:
    dip = criteria()["dip"]
    if percent < dip["reverse_below"]:
        return "reverse-dipper"
    if percent < dip["dipper_from"]:
        return "non-dipper"
    return "dipper" if percent <= dip["dipper_to"] else "extreme-dipper"


def _findings(whole: Period, day: Period, night: Period, age_years: float | None) -> tuple[Finding, ...]:
    values = means(whole, day, night)
    return rules.evaluate("bp", values, {} if age_years is None else {"adult": "yes"})


def means(whole: Period, day: Period, night: Period) -> dict[str, Quantity]:
    """The means of each part by the names that the rules know; those that there are."""
    values = {}
    for name, period in (("24h", whole), ("day", day), ("night", night)):
        for part, mean in (("systolic", period.systolic_mmhg), ("diastolic", period.diastolic_mmhg)):
            if mean is not None:
                values[f"bp_{name}_{part}"] = Quantity(mean, _MMHG)
    return values


def _limits(series: BpSeries, span_h: float, *, fixed: bool, enough: bool, age_years: float | None) -> list[str]:
    span = criteria()["span"]
    told = {
        "fixed-hours": fixed,
        "child": age_years is not None and age_years < _ADULT_YEARS,
        "age-unknown": age_years is None and enough,
        "span-short": span_h < span["short_h"],
        "span-long": span_h > span["whole_h"],
        "damaged": bool(series.damaged),
        "plain-mean": True,
        "patient-unknown": True,
    }
    return [name for name, holds in told.items() if holds]

"""Mutual recognition and comparison: honest about quality and age, at and beside every edge."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from zhenbao.model.chronic import RecentResult
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import TYPED, Device, Observation
from zhenbao.model.quantity import Quantity
from zhenbao.rules.comparison import cautions, changes
from zhenbao.rules.recognition import recognise, validity
from zhenbao.words import LANGUAGES, catalogue

DAY_MS = 86_400_000
NOW_MS = 1_795_312_800_000
NO_PAIN = {"chest_pain": "no"}


def result(code: str, age_days: float, **more: object) -> RecentResult:
    made = RecentResult(
        uuid7(1), code, round(NOW_MS - age_days * DAY_MS), "东一村卫生室", Device("x", "厂", "型"), {}, Urgency.GREEN,
        {"ecg": "good", "spirometry": "B"}.get(code, "unrated"),
    )  # fmt: skip
    return replace(made, **more)


@pytest.mark.parametrize("name", ["recognition.toml", "comparison.toml"])
def test_every_row_has_a_reason(name: str) -> None:
    rows = tomllib.loads(files("zhenbao.rules").joinpath(name).read_text(encoding="utf-8"))
    assert all(row.get("reason") or row.get("source") for row in rows.values())


@pytest.mark.parametrize(
    ("code", "age_days", "verdict"),
    [
        ("ecg", 6.99, "stands"), ("ecg", 7, "compare"), ("ecg", 364.9, "compare"), ("ecg", 365, "old"),
        ("spirometry", 29.9, "stands"), ("spirometry", 30, "compare"),
        ("bp", 0, "compare"), ("glucose", 0.01, "compare"), ("spo2", 0, "compare"), ("temperature", 0, "compare"),
        ("weight", 29.9, "stands"), ("weight", 30, "compare"), ("unheard-of", 0, "old"),
    ],
)  # fmt: skip
def test_how_long_it_stands(code: str, age_days: float, verdict: str) -> None:
    assert recognise(result(code, age_days), NOW_MS, NO_PAIN).verdict == verdict


def test_the_days_that_are_left() -> None:
    assert recognise(result("spirometry", 12.5), NOW_MS, {}).days_left == 18


@pytest.mark.parametrize("pain", ["yes", "unknown", None])
def test_with_chest_pain_or_without_having_asked_an_ecg_is_taken_anew(pain: str | None) -> None:
    found = recognise(result("ecg", 0.1), NOW_MS, {} if pain is None else {"chest_pain": pain})
    assert (found.verdict, found.reasons, found.days_left) == ("compare", ("complaint",), 0)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (result("ecg", 1, quality="poor"), "quality"),
        (result("spirometry", 1, quality="D"), "quality"),
        (result("spirometry", 1, quality="unrated"), "quality"),
        (result("spirometry", 1, device=Device(TYPED)), "typed"),
        (result("ecg", 1, complete=False), "incomplete"),
        (result("ecg", 1, clock_doubtful=True), "clock"),
        (result("ecg", -1), "clock"),
        (result("ultrasound", 1), "unreviewed"),
        (result("bp", 1), "changes-fast"),
        (result("ecg", 8), "expired"),
    ],
)
def test_what_does_not_stand_says_why(made: RecentResult, reason: str) -> None:
    found = recognise(made, NOW_MS, NO_PAIN)
    assert found.verdict == "compare"
    assert reason in found.reasons
    for language in LANGUAGES:
        assert f"recognition.why.{reason}" in catalogue(language)


def test_a_reviewed_ultrasound_stands() -> None:
    assert recognise(result("ultrasound", 1, reviewed=True), NOW_MS, {}).verdict == "stands"


def test_every_kind_of_reading_has_a_row() -> None:
    kinds = {"bp", "glucose", "spo2", "ecg", "spirometry", "temperature", "weight", "ultrasound"}
    assert all(validity(kind) is not None for kind in kinds)


def bp(systolic: float, *, unit: str = "mm[Hg]", serial: str = "A", **more: object) -> Observation:
    ids = uuid7(1)
    made = Observation(
        ids, ids, ids, "kit", "bp", "preliminary", 1, Device("bp-gatt", "", "B1", serial),
        {"bp_systolic": Quantity(systolic, unit)}, context={"arm": "left"},
    )  # fmt: skip
    return replace(made, **more)


@pytest.mark.parametrize(("now", "direction"), [(145, "same"), (146, "higher"), (135, "same"), (134, "lower")])
def test_noise_is_not_called_a_change(now: float, direction: str) -> None:
    (found,) = changes(bp(140), bp(now), ("bp_systolic", "bp_diastolic"))
    assert found.direction == direction


@pytest.mark.parametrize(
    ("before", "now", "direction"),
    [(5.0, 5.83, "same"), (5.0, 5.84, "higher"), (10.0, 11.5, "same"), (10, 8.4, "lower")],
)
def test_a_glucose_meter_has_its_own_error(before: float, now: float, direction: str) -> None:
    sugar = [bp(0, values={"glucose_capillary": Quantity(v, "mmol/L")}) for v in (before, now)]
    assert changes(*sugar, ("glucose_capillary",))[0].direction == direction


def test_another_unit_is_not_compared_and_hi_is_marked() -> None:
    assert changes(bp(18.6, unit="kPa"), bp(140), ("bp_systolic",)) == []
    over = bp(0, values={"bp_systolic": Quantity(300, "mm[Hg]", ">")})
    assert changes(bp(140), over, ("bp_systolic",))[0].beyond_range


def test_what_makes_two_readings_less_comparable_is_said() -> None:
    assert cautions(bp(140), bp(150)) == ()
    assert cautions(bp(140), bp(150, serial="B")) == ("device",)
    assert set(cautions(bp(140), bp(150, device=Device(TYPED), context={"arm": "right"}))) == {"device", "typed", "arm"}
    for caution in ("device", "typed", "incomplete", "quality", "meal", "arm", "oxygen"):
        assert all(f"caution.{caution}" in catalogue(language) for language in LANGUAGES)

"""The follow-up forms: every field has words, every range its edge, and nothing of a reading that does not belong."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.quantity import Quantity
from zhenbao.rules import forms
from zhenbao.rules.forms import Field, Problem, form, problems, taken, tidy
from zhenbao.words import LANGUAGES, catalogue

HTN = {
    "way": "1", "htn_symptoms": "1", "systolic": "138", "diastolic": "88", "adherence": "1", "adverse": "1",
    "complication": "1",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", forms.KEYS)
def test_every_form_field_code_and_unit_has_words(key: str, language: str) -> None:
    words = catalogue(language)
    wanted = {f"form_name.{key}", f"form_source.{key}"}
    for field in form(key).fields:
        wanted |= {f"form.{field.key}"} | {f"form_choice.{field.key}.{code}" for code in field.codes}
        wanted |= {f"form_unit.{field.unit}"} if field.unit else set()
    assert wanted - set(words) == set()


@pytest.mark.parametrize("key", forms.KEYS)
def test_the_data_is_sound(key: str) -> None:
    raw = tomllib.loads(files("zhenbao.rules").joinpath("forms", f"{key}.toml").read_text(encoding="utf-8"))
    assert raw["source"]
    made = form(key)
    names = [field.key for field in made.fields]
    assert made.key == key
    assert len(names) == len(set(names))
    for field in made.fields:
        assert set(field.needs) | ({field.needs_value} if field.needs_value else set()) <= set(names)
        assert bool(field.codes) == (field.kind in ("choice", "choices"))
        assert field.kind != "number" or (field.low < field.high and field.unit)
        assert all(code in {f.key: f.codes for f in made.fields}[key] for key, code in field.needs.items())


def test_a_filled_form_has_no_problem_and_each_required_answer_is_missed() -> None:
    assert problems(form("htn"), HTN) == []
    for key in HTN:
        without = {k: v for k, v in HTN.items() if k != key}
        assert problems(form("htn"), without) == [Problem(key, "missing")]


@pytest.mark.parametrize("field", [f for key in forms.KEYS for f in form(key).fields if f.kind == "number"])
def test_every_range_holds_at_its_edge_and_not_beside_it(field: Field) -> None:
    only = forms.Form("one", 1, "", (replace(field, required=False),))
    step = 1 if field.whole else 0.1
    for inside in (field.low, field.high):
        assert problems(only, {field.key: f"{inside:g}"}) == []
    for outside in (field.low - step, field.high + step):
        assert problems(only, {field.key: f"{outside:g}"}) == [Problem(field.key, "range")]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"systolic": "nan"}, Problem("systolic", "number")),
        ({"systolic": "138.5"}, Problem("systolic", "whole")),
        ({"systolic": "1e3"}, Problem("systolic", "range")),
        ({"way": "4"}, Problem("way", "code")),
        ({"htn_symptoms": "1,2"}, Problem("htn_symptoms", "none-and-more")),
        ({"htn_symptoms": "2,10"}, Problem("htn_symptoms", "code")),
        ({"adverse": "2"}, Problem("adverse_what", "missing")),
        ({"colour": "blue"}, Problem("colour", "unknown")),
        ({"medicines": "x" * 601}, Problem("medicines", "long")),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, str], problem: Problem) -> None:
    assert problems(form("htn"), HTN | changed) == [problem]


def test_a_date_goes_with_its_value() -> None:
    review = {"tests": "x", "screen": "1", "next_plan": "y"}
    assert problems(form("review"), review | {"hba1c": "6.8"}) == [Problem("hba1c_on", "missing")]
    assert problems(form("review"), review | {"hba1c": "6.8", "hba1c_on": "2026-02-30"}) == [
        Problem("hba1c_on", "date")
    ]


def test_answers_are_tidied() -> None:
    assert tidy({"a": " 1 ", "b": "", "c": "2，3", "d": " x  y "}) == {"a": "1", "c": "2,3", "d": "x y"}


def reading(code: str, unit: str = "mm[Hg]", **values: float) -> Observation:
    ids = uuid7(1)
    quantities = {name: Quantity(value, unit) for name, value in values.items()}
    return Observation(ids, ids, ids, "kit-1", code, "preliminary", 1, Device("x"), quantities)


def test_todays_readings_fill_what_belongs() -> None:
    bp = reading("bp", bp_systolic=151.4, bp_diastolic=92.0, pulse_rate_nibp=77.0)
    assert taken(form("htn"), [bp]) == {"systolic": "151", "diastolic": "92", "heart_rate": "77"}


def test_only_a_fasting_glucose_in_mmol_stands_for_the_fasting_one() -> None:
    sugar = reading("glucose", "mmol/L", glucose_capillary=7.94)
    assert taken(form("dm"), [sugar]) == {}
    assert taken(form("dm"), [replace(sugar, context={"meal": "random"})]) == {}
    fasting = replace(sugar, context={"meal": "fasting"})
    assert taken(form("dm"), [fasting]) == {"fasting_glucose": "7.9"}
    for unfit in (
        replace(fasting, status="incomplete"),
        replace(fasting, values={"glucose_capillary": Quantity(142, "mg/dL")}),
        replace(fasting, values={"glucose_capillary": Quantity(33.3, "mmol/L", ">")}),
    ):
        assert taken(form("dm"), [unfit]) == {}

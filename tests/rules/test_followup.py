"""Follow-up by rule, against the national norm's own sentences, at and beside every edge."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from importlib.resources import files
from itertools import product
from typing import Any

import pytest

from zhenbao.model.chronic import Disease, Outcome, Past, Register, Tier
from zhenbao.model.ids import uuid7
from zhenbao.rules import followup, forms
from zhenbao.rules.followup import DISEASES, OUTCOMES, due, judge, next_visit, recent_past

DAY = date(2026, 11, 22)
TABLE: dict[str, Any] = tomllib.loads(files("zhenbao.rules").joinpath("followup.toml").read_text(encoding="utf-8"))
CALM = {"adverse": "1", "complication": "1"}


def past(outcome: Outcome, days_ago: int, tier: Tier = "village", refer: bool = False) -> Past:
    on = DAY - timedelta(days=days_ago)
    return Past(on, tier, outcome, on + timedelta(days=14), refer)


def test_every_row_has_a_source() -> None:
    rows = [*TABLE["interval"], *TABLE["urgent"], *TABLE["target"], *TABLE["decides"], *TABLE["after"].values()]
    assert all(row["source"] for row in rows)
    assert TABLE["remind_source"]
    assert set(TABLE["after"]) == set(OUTCOMES)


def test_every_disease_and_tier_has_a_form_that_is_there() -> None:
    for disease in DISEASES:
        assert "village" in followup.tiers_of(disease)
        assert "county" in followup.tiers_of(disease)
        for tier in followup.tiers_of(disease):
            assert forms.form(followup.form_of(disease, tier)).fields


def test_every_field_that_decides_is_a_field_of_some_form() -> None:
    known = {field.key for key in forms.KEYS for field in forms.form(key).fields}
    said = {row["field"] for row in (*TABLE["urgent"], *TABLE["decides"])}
    said |= {key for row in TABLE["target"] for key in row["below"]}
    assert said <= known


@pytest.mark.parametrize("disease", ["htn", "dm"])
def test_four_visits_a_year_fit_into_a_year(disease: Disease) -> None:
    """The norm counts at least four face-to-face visits a year of those who are controlled."""
    on, visits = DAY, 0
    for _ in range(8):
        on = next_visit(disease, "village", "controlled", on, []).on
        visits += on <= DAY + timedelta(days=365)
    assert visits >= 4


@pytest.mark.parametrize(
    ("disease", "answers", "age", "outcome"),
    [
        ("htn", {"systolic": "139", "diastolic": "89"}, 50, "controlled"),
        ("htn", {"systolic": "140", "diastolic": "89"}, 50, "uncontrolled"),
        ("htn", {"systolic": "139", "diastolic": "90"}, 50, "uncontrolled"),
        ("htn", {"systolic": "149", "diastolic": "89"}, 65, "controlled"),
        ("htn", {"systolic": "150", "diastolic": "89"}, 65, "uncontrolled"),
        ("htn", {"systolic": "149", "diastolic": "89"}, 64, "uncontrolled"),
        ("htn", {"systolic": "149", "diastolic": "89"}, None, "uncontrolled"),  # not known: the stricter target
        ("htn", {"systolic": "120", "diastolic": "70", "adverse": "2"}, 50, "adverse"),
        ("htn", {"systolic": "120", "diastolic": "70", "adverse": "2", "complication": "2"}, 50, "complication"),
        ("dm", {"fasting_glucose": "6.9"}, 50, "controlled"),
        ("dm", {"fasting_glucose": "7.0"}, 50, "uncontrolled"),
        ("dm", {"fasting_glucose": "3.9"}, 50, "uncontrolled"),
        ("dm", {"fasting_glucose": "4.0"}, 50, "controlled"),
        ("dm", {"fasting_glucose": "6.0", "hypoglycaemia": "3"}, 50, "adverse"),
        ("dm", {"fasting_glucose": "6.0", "hypoglycaemia": "2"}, 50, "controlled"),
        ("dm", {}, 50, None),  # without a fasting glucose nobody can say
        ("copd", {"exacerbations": "0", "mmrc": "1"}, 60, "controlled"),
        ("copd", {"exacerbations": "1", "mmrc": "1"}, 60, "uncontrolled"),
        ("copd", {"exacerbations": "0", "mmrc": "2"}, 60, "uncontrolled"),
        ("copd", {"exacerbations": "0", "mmrc": "1", "cat": "10"}, 60, "uncontrolled"),
        ("copd", {"exacerbations": "0", "mmrc": "1", "cat": "9"}, 60, "controlled"),
        ("copd", {"exacerbations": "0", "mmrc": "1", "spo2": "90"}, 60, "uncontrolled"),
        ("stroke", {"state": "1", "readmitted": "1"}, 60, "controlled"),
        ("stroke", {"state": "2", "readmitted": "1"}, 60, "uncontrolled"),
        ("stroke", {"state": "1", "readmitted": "2"}, 60, "complication"),
        ("htn", {"screen": "1", "systolic": "135", "diastolic": "80"}, 50, "controlled"),
        ("htn", {"screen": "1"}, 50, "controlled"),
        ("htn", {"screen": "1", "systolic": "141", "diastolic": "80"}, 50, "uncontrolled"),  # numbers contradict
        ("htn", {"screen": "2", "systolic": "120", "diastolic": "80"}, 50, "complication"),
    ],
)  # fmt: skip
def test_the_outcome(disease: Disease, answers: dict[str, str], age: int | None, outcome: Outcome | None) -> None:
    assert judge(disease, CALM | answers, age).outcome == outcome


def test_two_sets_of_targets_stand_side_by_side_and_say_whose_they_are() -> None:
    answers = CALM | {"systolic": "145", "diastolic": "80"}
    norm, guideline = judge("htn", answers, 70), judge("htn", answers, 70, "guideline-2024")
    assert (norm.outcome, norm.profile) == ("controlled", "public-health")
    assert (guideline.outcome, guideline.profile) == ("uncontrolled", "guideline-2024")
    assert "150/90" in norm.source


@pytest.mark.parametrize(
    ("disease", "answers", "urgent"),
    [
        ("htn", {"systolic": "180", "diastolic": "80"}, ("systolic",)),
        ("htn", {"systolic": "179", "diastolic": "109"}, ()),
        ("htn", {"systolic": "150", "diastolic": "110"}, ("diastolic",)),
        ("dm", {"fasting_glucose": "16.7"}, ("fasting_glucose",)),
        ("dm", {"fasting_glucose": "16.6"}, ()),
        ("dm", {"fasting_glucose": "3.9"}, ("fasting_glucose",)),
    ],
)
def test_an_emergency_is_seen_whatever_the_outcome(
    disease: Disease, answers: dict[str, str], urgent: tuple[str, ...]
) -> None:
    for more in (CALM, {"adverse": "2", "complication": "1"}):
        assert judge(disease, more | answers, 50).urgent == urgent


@pytest.mark.parametrize(
    ("outcome", "earlier", "days", "refer"),
    [
        ("controlled", [], 90, False),
        ("controlled", ["uncontrolled"], 90, False),
        ("uncontrolled", [], 14, False),
        ("uncontrolled", ["controlled"], 14, False),
        ("uncontrolled", ["uncontrolled"], 14, True),
        ("uncontrolled", ["uncontrolled", "controlled"], 14, False),  # oldest first: not in a row
        ("uncontrolled", ["adverse"], 14, True),
        ("adverse", [], 14, False),
        ("adverse", ["adverse"], 14, True),
        ("complication", [], 14, True),
        ("complication", ["controlled"], 14, True),
    ],
)
def test_the_next_date_and_the_referral(outcome: Outcome, earlier: list[Outcome], days: int, refer: bool) -> None:
    before = [past(o, 14 * (len(earlier) - n)) for n, o in enumerate(earlier)]
    found = next_visit("htn", "village", outcome, DAY, before)
    assert (found.on, found.refer) == (DAY + timedelta(days=days), refer)
    hurried = next_visit("htn", "village", outcome, DAY, before, urgent=True)
    assert (hurried.on, hurried.refer) == (DAY + timedelta(days=14), True)


def test_another_tiers_outcome_is_not_the_second_in_a_row() -> None:
    assert not next_visit("htn", "village", "uncontrolled", DAY, [past("uncontrolled", 3, "township")]).refer
    assert not next_visit("htn", "village", "uncontrolled", DAY, [past("uncontrolled", 0)]).refer


def test_what_is_due_of_each_tier_and_when_it_is_said() -> None:
    register = Register(uuid7(1), "htn", DAY - timedelta(days=100), "东一村卫生室", (past("uncontrolled", 12),))
    found = {d.tier: d for d in due(register)}
    assert [found[t].on - DAY for t in ("village", "township", "county")] == [
        timedelta(days=2), timedelta(days=-10), timedelta(days=265),
    ]  # fmt: skip
    assert (found["village"].why, found["township"].why) == ("recheck", "first")
    assert [found[t].state(DAY) for t in ("village", "township", "county")] == ["due", "overdue", "later"]
    first = found["village"].on
    for days, state in ((-8, "later"), (-7, "due"), (0, "due"), (1, "overdue")):
        assert found["village"].state(first + timedelta(days=days)) == state


def test_after_a_referral_the_village_asks_what_became_of_it() -> None:
    register = Register(uuid7(1), "htn", DAY, "x", (past("complication", 3, refer=True),))
    assert due(register)[0].why == "ask-after-referral"


def test_two_of_each_tier_are_enough_for_the_rules() -> None:
    """Whatever the history, what travels gives the same next date as the whole."""
    history = [past(o, 300 - 10 * n, t) for n, (o, t) in enumerate(product(OUTCOMES, ("village", "county", "village")))]
    kept = recent_past(history)
    assert len(kept) == 4
    for outcome in OUTCOMES:
        assert next_visit("htn", "village", outcome, DAY, history) == next_visit("htn", "village", outcome, DAY, kept)
    whole, short = (Register(uuid7(1), "htn", DAY, "x", tuple(p)) for p in (history, kept))
    assert due(whole) == due(short)

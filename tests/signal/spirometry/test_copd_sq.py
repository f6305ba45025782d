"""COPD-SQ: points at and beside every boundary, and what unanswered questions leave open."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from zhenbao.model.errors import InputError
from zhenbao.signal.spirometry import copd_sq
from zhenbao.signal.spirometry.tables import settings
from zhenbao.words import LANGUAGES, Words

LEAST: dict[str, Any] = {
    "age_years": 45,
    "bmi": 30.0,
    "pack_years": 0.0,
    "cough": False,
    "dyspnoea": "none",
    "smoke": False,
    "family": False,
}


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        ({"age_years": 40}, 0),
        ({"age_years": 49.99}, 0),
        ({"age_years": 50}, 4),
        ({"age_years": 59}, 4),
        ({"age_years": 60}, 8),
        ({"age_years": 69.9}, 8),
        ({"age_years": 70}, 11),
        ({"age_years": 95}, 11),
        ({"bmi": 18.4}, 7),
        ({"bmi": 18.5}, 4),
        ({"bmi": 23.9}, 4),
        ({"bmi": 24.0}, 1),
        ({"bmi": 27.9}, 1),
        ({"bmi": 28.0}, 0),
        ({"pack_years": 14.9}, 0),
        ({"pack_years": 15.0}, 2),
        ({"pack_years": 29.9}, 2),
        ({"pack_years": 30.0}, 4),
        ({"cough": True}, 3),
        ({"dyspnoea": "uphill"}, 2),
        ({"dyspnoea": "level"}, 3),
        ({"smoke": True}, 1),
        ({"family": True}, 2),
    ],
)
def test_points_of_each_answer(answer: dict[str, Any], points: int) -> None:
    found = copd_sq(**{**LEAST, **answer})
    assert (found.least, found.most) == (points, points)
    assert sum(found.points.values()) == points
    assert found.unanswered == ()


def test_sixteen_is_positive_and_fifteen_is_not() -> None:
    sixteen = copd_sq(**{**LEAST, "age_years": 72, "bmi": 25.0, "pack_years": 40})
    assert (sixteen.least, sixteen.result) == (16, "positive")
    fifteen = copd_sq(**{**LEAST, "age_years": 72, "pack_years": 40})
    assert (fifteen.least, fifteen.result) == (15, "negative")


def test_unanswered_questions_leave_a_range() -> None:
    nothing = copd_sq(age_years=45)
    assert (nothing.least, nothing.most, nothing.result) == (0, 20, "cannot-say")
    assert nothing.unanswered == ("bmi", "pack_years", "cough", "dyspnoea", "smoke", "family")
    thin = copd_sq(age_years=75, bmi=17.0)
    assert (thin.least, thin.most, thin.result) == (18, 31, "positive")
    assert not thin.hangs_on_recalled
    young = copd_sq(age_years=41, bmi=29.0)
    assert (young.most, young.result) == (13, "negative")
    assert not young.hangs_on_recalled


def test_a_result_that_hangs_on_recalled_points_says_so() -> None:
    assert copd_sq(**{**LEAST, "age_years": 72, "bmi": 25.0, "pack_years": 40}).hangs_on_recalled
    assert not copd_sq(age_years=72).hangs_on_recalled


def test_answering_never_leaves_the_range() -> None:
    answers = {"bmi": (None, 17.0, 29.0), "pack_years": (None, 5.0, 35.0), "cough": (None, True, False)}
    for bmi, pack_years, cough in itertools.product(*answers.values()):
        found = copd_sq(age_years=63, bmi=bmi, pack_years=pack_years, cough=cough)
        whole = copd_sq(
            age_years=63,
            bmi=bmi or 22.0,
            pack_years=pack_years or 20.0,
            cough=bool(cough),
            dyspnoea="level",
            smoke=True,
            family=False,
        )
        assert found.least <= whole.least <= found.most
        assert found.result in (whole.result, "cannot-say")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"age_years": 39.99}, "copd-sq-age"),
        ({"age_years": float("nan")}, "copd-sq-age"),
        ({"bmi": 0.0022}, "copd-sq-bmi"),
        ({"bmi": float("nan")}, "copd-sq-bmi"),
        ({"pack_years": -1.0}, "copd-sq-pack-years"),
        ({"pack_years": float("inf")}, "copd-sq-pack-years"),
    ],
)
def test_what_cannot_be_right_is_refused(answer: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError, match=code):
        copd_sq(**{**LEAST, **answer})


def test_an_answer_that_was_never_offered_is_refused() -> None:
    with pytest.raises(ValueError, match="dyspnoea"):
        copd_sq(age_years=60, dyspnoea="always")  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_has_words(language: str) -> None:
    words = Words(language)
    for item in settings("copd_sq")["item"]:
        assert f"copd_sq.{item['name']}" in words
    for answer in ("none", "uphill", "level"):
        assert f"copd_sq_dyspnoea.{answer}" in words
    for result in ("positive", "negative", "cannot-say"):
        assert "16" in words(f"copd_sq_result.{result}", positive_from=16)

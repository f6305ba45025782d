"""Tests of one person over the years: slopes against another implementation, published limits at their edges."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from zhenbao.model.time import decimal_age_years
from zhenbao.signal.spirometry import PastTest, fev1q, reference, trend
from zhenbao.signal.spirometry.change import change_score
from zhenbao.signal.spirometry.slope import slope
from zhenbao.signal.spirometry.tables import settings
from zhenbao.words import LANGUAGES, Words

BORN = date(1960, 3, 15)


def taken(on: date, fev1_l: float, fvc_l: float | None = None, *, born: date = BORN, **other: Any) -> PastTest:
    """A good test of a man, before a bronchodilator; ratio 0.78 unless said otherwise."""
    height_cm, equation = other.pop("height_cm", 170.0), other.pop("equation", "jian2017")
    age_years = decimal_age_years(born, on)
    group = other.pop("group", None)
    found = reference(equation, sex="M", age_years=age_years, height_cm=height_cm or 170.0, ethnicity=group)
    whole = PastTest(on, fev1_l, fvc_l or fev1_l / 0.78, "A", "B", "M", age_years, height_cm, False, found)
    return replace(whole, **other)


def test_a_yearly_fall_in_ml_and_in_z() -> None:
    days = [date(2020, 5, 1), date(2021, 6, 12), date(2023, 4, 30), date(2026, 5, 1)]
    values = [3.10, 3.02, 2.91, 2.73]
    tests = [taken(on, value) for on, value in zip(days, values, strict=True)]
    found = trend(tests[::-1])
    years = [(on - days[0]).days / 365.2425 for on in days]
    line = stats.linregress(years, [1000 * v for v in values])
    assert found.ml_per_year is not None
    assert found.ml_per_year.per_year == pytest.approx(line.slope)
    z = stats.linregress(years, [t.references["FEV1"].z(v) for t, v in zip(tests, values, strict=True)])
    assert found.z_per_year is not None
    assert found.z_per_year.per_year == pytest.approx(z.slope)
    assert found.z_per_year.low < z.slope < found.z_per_year.high
    assert (found.equation, found.used, found.left_out, found.reasons) == ("jian2017", tuple(days), (), ())
    assert found.since_first is not None
    assert found.since_first.since == days[0]
    assert found.since_first.change_l == pytest.approx(-0.37)
    assert found.since_last is not None
    assert found.since_last.since == days[2]
    assert found.fev1q == pytest.approx(2.73 / 0.5)


def test_the_interval_of_a_slope_is_that_of_student_where_the_points_scatter() -> None:
    rng = np.random.default_rng(3)
    years = np.linspace(0, 8, 9)
    values = 3.0 - 0.04 * years + rng.normal(0, 0.4, 9)
    line = stats.linregress(years, values)
    half = stats.t.ppf(0.975, 7) * line.stderr
    found = slope(years.tolist(), values.tolist(), scatter=0.001)
    assert (found.low, found.high) == pytest.approx((line.slope - half, line.slope + half))


def test_points_on_a_line_by_chance_are_not_taken_for_certainty() -> None:
    for years in ([0.0, 2.0], [0.0, 1.0, 2.0]):
        found = slope(years, [3.0 - 0.1 * year for year in years], scatter=0.122)
        assert found.per_year == pytest.approx(-0.1)
        # Two years apart: 1.96 * 0.122 / sqrt(2).
        assert found.high - found.per_year == pytest.approx(1.96 * 0.122 / math.sqrt(2), rel=1e-4)
    for years, values in (([0.0], [3.0]), ([1.0, 1.0], [3.0, 2.0]), ([0.0, 1.0], [3.0])):
        with pytest.raises(ValueError, match="slope"):
            slope(years, values, 0.1)


def test_over_many_people_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    years = [0.0, 1.1, 2.0, 3.2, 4.0]
    held = [
        found.low <= -0.03 <= found.high
        for found in (slope(years, [3 - 0.03 * y + rng.normal(0, 0.2) for y in years], 0.0) for _ in range(2000))
    ]
    assert 0.935 < np.mean(held) < 0.965


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"fev1_grade": "D"}, "grade"),
        ({"fev1_grade": "U"}, "grade"),
        ({"fev1_l": None}, "no-value"),
        ({"fev1_l": 0.0}, "no-value"),
        ({"references": {}}, "no-reference"),
        ({"sex": "F"}, "other-sex"),
        ({"equation": "gli2022"}, "other-equation"),
        ({"post_bronchodilator": True}, "other-bronchodilator"),
        ({"post_bronchodilator": None}, "bronchodilator-unknown"),
    ],
)
def test_what_cannot_be_compared_is_left_out_and_says_why(other: dict[str, Any], reason: str) -> None:
    odd = taken(date(2022, 1, 10), **{"fev1_l": 2.0, **{k: v for k, v in other.items() if k != "fev1_l"}})
    if "fev1_l" in other:
        odd = replace(odd, fev1_l=other["fev1_l"])
    tests = [taken(date(2020, 1, 10), 3.0), odd, taken(date(2026, 1, 10), 2.9)]
    found = trend(tests)
    assert [(left.taken_on, left.reason) for left in found.left_out] == [(date(2022, 1, 10), reason)]
    assert found.used == (date(2020, 1, 10), date(2026, 1, 10))
    assert found.since_first is None
    # The same test as the newest of all: either nothing is said, or only of tests like it.
    newest = trend([tests[0], tests[2], replace(odd, taken_on=date(2026, 6, 1))])
    assert newest.since_last is None
    assert newest.ml_per_year is None
    assert newest.reasons in (("newest-unfit",), ("nothing-to-compare",))


def test_groups_of_one_equation_are_not_mixed() -> None:
    first = taken(date(2020, 1, 10), 3.0, equation="gli2012", group="Caucasian")
    newest = taken(date(2026, 1, 10), 2.9, equation="gli2012", group="NEAsia")
    assert trend([first, newest]).left_out[0].reason == "other-equation"
    # Records from before the equation was kept with each reference cannot prove that they are of one.
    nameless = {key: replace(r, equation="", group="") for key, r in first.references.items()}
    old = [replace(first, references=nameless), replace(first, references=nameless, taken_on=date(2022, 1, 1))]
    assert trend(old).left_out[0].reason == "other-equation"


def test_fvc_has_its_own_grade_and_no_fev1q() -> None:
    tests = [taken(date(2020, 1, 10), 3.0, fvc_grade="D"), taken(date(2026, 1, 10), 2.9)]
    assert trend(tests, "FVC").left_out[0].reason == "grade"
    assert trend(tests, "FEV1").left_out == ()
    assert trend(tests, "FVC").fev1q is None


def test_a_single_test_and_none() -> None:
    found = trend([taken(date(2026, 1, 10), 2.9)])
    assert (found.reasons, found.ml_per_year, found.since_last) == (("nothing-to-compare",), None, None)
    assert found.fev1q == pytest.approx(5.8)
    with pytest.raises(ValueError, match="a test"):
        trend([])


@pytest.mark.parametrize(
    ("parameter", "days", "ratio", "percent", "significant"),
    [
        # Pellegrino 2005, Table 12: at least 5 % within a day, 12 % (FVC 11 %) in weeks; 13, 11 and 20 % if obstructed.
        ("FEV1", 0, 0.78, -4.9, "no"),
        ("FEV1", 0, 0.78, -5.0, "yes"),
        ("FEV1", 0, 0.60, -12.9, "no"),
        ("FEV1", 0, 0.60, 13.0, "yes"),
        ("FVC", 0, 0.60, -10.9, "no"),
        ("FVC", 0, 0.60, -11.0, "yes"),
        ("FEV1", 7, 0.78, -11.9, "no"),
        ("FEV1", 7, 0.78, -12.0, "yes"),
        ("FVC", 7, 0.78, -11.0, "yes"),
        ("FVC", 92, 0.78, -10.9, "no"),
        ("FEV1", 92, 0.69, -19.9, "no"),
        ("FEV1", 92, 0.69, 20.0, "yes"),
        # No limit is published between three and eleven months: only beyond both, or within both.
        ("FEV1", 93, 0.78, -11.9, "no"),
        ("FEV1", 93, 0.78, -12.0, "cannot-say"),
        ("FEV1", 329, 0.78, -14.9, "cannot-say"),
        ("FEV1", 329, 0.78, -15.0, "yes"),
        ("FEV1", 200, 0.60, -14.9, "no"),
        ("FEV1", 200, 0.60, -19.9, "cannot-say"),
        ("FEV1", 200, 0.60, -20.0, "yes"),
    ],
)
def test_limits_of_change_in_adults(parameter: Any, days: int, ratio: float, percent: float, significant: str) -> None:
    first = taken(date(2025, 1, 10), 2.0, 2.0 / ratio)
    factor = 1 + percent / 100
    newest = taken(date(2025, 1, 10) + timedelta(days), 2.0 * factor, 2.0 / ratio * factor)
    found = trend([first, newest], parameter).since_last
    assert found is not None
    assert found.percent == pytest.approx(percent)
    assert found.significant == significant
    assert bool(found.reasons) is (significant == "cannot-say")


@pytest.mark.parametrize(("fall", "significant"), [(0.149, "no"), (0.151, "yes")])
@pytest.mark.parametrize("years", [1, 6, 15])
def test_from_year_to_year_ageing_is_allowed_for(fall: float, significant: str, years: int) -> None:
    first, later = (taken(date(2010 + gone, 1, 10), 3.0) for gone in (0, years))
    expected = 3.0 * later.references["FEV1"].predicted / first.references["FEV1"].predicted
    found = trend([first, taken(later.taken_on, expected - 3.0 * fall)]).since_last
    assert found is not None
    assert (found.rule, found.significant) == ("year", significant)
    assert found.percent_after_ageing == pytest.approx(-100 * fall)
    assert found.decided_by == found.percent_after_ageing
    assert found.percent < found.percent_after_ageing


def test_a_wrong_height_makes_no_finding() -> None:
    tests = [taken(date(2020, 1, 10), 3.0, height_cm=158.0), taken(date(2026, 1, 10), 2.5, height_cm=168.0)]
    found = trend(tests)
    assert found.since_last is not None
    assert found.since_last.significant == "cannot-say"
    assert found.z_per_year is None
    assert found.ml_per_year is not None
    assert found.reasons == ("heights-differ",)
    two = trend([tests[0], replace(tests[1], height_cm=160.0)])
    assert "heights-differ" not in two.reasons
    unknown = trend([tests[0], replace(tests[1], height_cm=None)])
    assert "heights-differ" in unknown.reasons


def test_tests_of_a_few_months_have_no_yearly_fall() -> None:
    found = trend([taken(date(2026, 1, 10), 3.0), taken(date(2026, 11, 10), 2.9)])
    assert (found.ml_per_year, found.z_per_year) == (None, None)
    assert "short-span" in found.reasons
    assert found.since_last is not None


def child(on: date, z: float, **other: Any) -> PastTest:
    whole = taken(on, 1.0, born=date(2014, 3, 15), height_cm=100.0 + 6.0 * (on.year - 2018), **other)
    fev1 = whole.references["FEV1"]
    value = fev1.m * (1 + z * fev1.l * fev1.s) ** (1 / fev1.l)
    return replace(whole, fev1_l=value, fvc_l=value / 0.85)


def test_young_people_are_compared_in_z_only() -> None:
    tests = [child(date(2022, 3, 15), 0.0), child(date(2023, 3, 15), -0.2), child(date(2025, 3, 15), -1.9)]
    found = trend(tests)
    assert found.ml_per_year is None
    assert found.fev1q is None
    assert found.z_per_year is not None
    assert found.z_per_year.per_year < 0
    assert found.reasons == ("growing",)
    last = found.since_last
    assert last is not None
    assert last.rule == "change-score"
    # Nine years at the first test, two years between: r = 0.642 - 0.08 + 0.18.
    r = 0.742
    assert last.decided_by == pytest.approx((-1.9 + r * 0.2) / math.sqrt(1 - r * r), abs=0.01)
    assert (last.limit, last.significant) == (1.96, "yes")
    assert last.change_l > 0
    fvc = trend(tests, "FVC").since_last
    assert fvc is not None
    assert (fvc.significant, fvc.reasons) == ("cannot-say", ("score-fev1-only",))


@pytest.mark.parametrize(
    ("z1", "z2", "age", "years", "score"),
    # Worked by hand from the formula of Box 2: r = 0.7, 0.8 and 0.902.
    [(0.0, -1.4, 4.9, 1.0, -1.96039), (-1.0, -2.0, 10.0, 1.05, -2.0), (-1.0, -1.0, 15.0, 1.0, -0.22698)],
)
def test_the_change_score(z1: float, z2: float, age: float, years: float, score: float) -> None:
    assert change_score(z1, z2, age_years=age, years=years) == pytest.approx(score, abs=1e-4)


def test_where_the_change_score_has_no_value_nothing_is_said() -> None:
    assert change_score(0.0, -1.0, age_years=17.95, years=0.02) is None
    # Two weeks before the eighteenth birthday r is more than 1.
    first = taken(date(2032, 3, 1), 3.5, born=date(2014, 3, 15))
    found = trend([first, taken(date(2032, 3, 10), 2.5, born=date(2014, 3, 15))]).since_last
    assert found is not None
    assert (found.significant, found.reasons) == ("cannot-say", ("score-undefined",))


@pytest.mark.parametrize(
    ("sex", "age", "value"),
    # The standard's own example is a woman of 70 with 0.91 L: about 2.25.
    [("F", 70, 0.91 / 0.4), ("M", 70, 1.82), ("M", 18, 1.82), ("M", 17.99, None), ("", 70, None)],
)
def test_fev1q_is_for_adults_whose_sex_is_known(sex: str, age: float, value: float | None) -> None:
    found = fev1q(0.91, sex=sex, age_years=age)
    assert found == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_rule_has_words(language: str) -> None:
    words = Words(language)
    reasons = (
        *("newest-unfit", "nothing-to-compare", "no-value", "grade", "no-reference", "bronchodilator-unknown"),
        *("other-sex", "other-equation", "other-bronchodilator", "short-span", "growing", "heights-differ"),
        *("no-limit-for-interval", "score-fev1-only", "score-undefined"),
    )
    keys = [f"spirometry_trend.{reason}" for reason in reasons]
    keys += [f"spirometry_rule.{rule}" for rule in ("within-day", "weeks", "year", "between", "change-score")]
    keys += [f"spirometry_change.{said}" for said in ("yes", "no", "cannot-say")]
    for key in keys:
        assert key in words, key
    assert settings("trend")["comparable"]["grades"] == ["A", "B", "C"]

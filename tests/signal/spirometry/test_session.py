"""Sessions: what is reported, graded and refused; and the whole way from curves to findings."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency, most_urgent
from zhenbao.model.identity import Sex
from zhenbao.model.quantity import Quantity
from zhenbao.model.spirometry import Blow, Reference, SpirometryAnalysis
from zhenbao.rules import evaluate, rule
from zhenbao.signal.spirometry import (
    EQUATIONS,
    analyse_blow,
    analyse_session,
    bronchodilator_response,
    btps_factor,
    grade_session,
    interpret,
    largest_fvc,
    past_test,
    reference,
    trend,
)
from zhenbao.words import Words

if TYPE_CHECKING:
    from tests.signal.spirometry.conftest import Bench, TrueBlow


@pytest.fixture
def blow(bench: Bench) -> Blow:
    time, flow = bench.blow().recorded(bench.perfect, np.random.default_rng(1))
    return analyse_blow(time, flow_l_s=flow)


def with_values(blow: Blow, fev1: float, fvc: float, *, acceptable: bool = True) -> Blow:
    return replace(blow, fev1_l=fev1, fvc_l=fvc, fev1_acceptable=acceptable, fvc_acceptable=acceptable)


def test_the_largest_values_are_reported_though_from_different_blows(blow: Blow) -> None:
    session = grade_session(
        [with_values(blow, 3.0, 4.0), with_values(blow, 2.9, 4.15), with_values(blow, 2.6, 3.6)], 50
    )
    assert (session.fev1_l, session.fvc_l) == (3.0, 4.15)
    assert session.fev1_fvc == pytest.approx(3.0 / 4.15)
    assert session.best_blow == 1
    assert (session.fev1_grade, session.fvc_grade) == ("A", "A")
    assert session.fvc_repeatability_l == pytest.approx(0.15)
    assert session.more_blows == 0


def test_fev1_and_fvc_are_graded_apart(blow: Blow) -> None:
    cut = replace(with_values(blow, 3.05, 3.0), fvc_acceptable=False)
    session = grade_session([with_values(blow, 3.0, 4.0), with_values(blow, 3.0, 4.0), cut], 50)
    assert (session.fev1_grade, session.fvc_grade) == ("A", "B")
    assert (session.fev1_l, session.fvc_l) == (3.05, 4.0)
    assert session.more_blows == 1


def test_usable_values_are_reported_only_where_none_is_acceptable(blow: Blow) -> None:
    usable = with_values(blow, 3.5, 4.5, acceptable=False)
    alone = grade_session([usable], 50)
    assert (alone.fev1_grade, alone.fev1_l) == ("U", 3.5)
    both = grade_session([usable, with_values(blow, 3.0, 4.0)], 50)
    assert (both.fev1_grade, both.fev1_l) == ("E", 3.0)


def test_the_next_blow_is_compared_with_the_largest_usable_fvc(blow: Blow) -> None:
    holed = replace(with_values(blow, 3.0, 9.0), fvc_usable=False)
    assert largest_fvc([with_values(blow, 3.0, 4.0, acceptable=False), with_values(blow, 3.0, 3.9), holed]) == 4.0
    assert largest_fvc([]) is None


def test_an_empty_session_says_so() -> None:
    session = grade_session([], 50)
    assert (session.fev1_grade, session.fvc_grade, session.fev1_l, session.best_blow) == ("F", "F", None, None)
    assert session.more_blows == 3


def test_after_eight_blows_nobody_is_asked_for_another(blow: Blow) -> None:
    blows = [with_values(blow, 2.0 + 0.3 * i, 3.0 + 0.3 * i) for i in range(8)]
    assert grade_session(blows, 50).more_blows == 0
    assert grade_session(blows[:7], 50).more_blows == 1


def obstructed(bench: Bench, scale: float = 1.0) -> TrueBlow:
    return bench.blow(pef=4.0 * scale, share=0.55, fast_s=0.3, slow_s=1.5, end_s=9.0)


def session_of(bench: Bench, *shapes: TrueBlow, **person: object) -> SpirometryAnalysis:
    rng = np.random.default_rng(9)
    curves = [shape.recorded(bench.sensor(noise=0.01), rng) for shape in shapes]
    who = {"sex": Sex.MALE, "age_years": 66, "height_cm": 168, **person}
    return analyse_session(curves, **who)


def test_three_good_obstructed_blows(bench: Bench) -> None:
    shapes = [obstructed(bench, s) for s in (1.0, 1.01, 0.99)]
    found = session_of(bench, *shapes)
    assert (found.session.fev1_grade, found.session.fvc_grade) == ("A", "A")
    assert found.session.fev1_l == pytest.approx(shapes[1].fev(1), abs=0.01)
    assert found.equation == "jian2017"
    judged = found.interpretation
    assert judged is not None
    assert (judged.cn5_class, judged.ats2021_pattern) == ("obstructive", "obstructive")
    assert judged.cn5_severity == "mild"
    assert judged.small_airway == "cannot-say"
    assert judged.gold is None
    assert judged.decided_by["fev1_fvc"] == pytest.approx(shapes[1].fev(1) / shapes[1].fvc, abs=0.005)
    assert {f.rule_id for f in found.findings} == {"SP03", "SP10"}
    assert most_urgent(found.findings) == Urgency.YELLOW
    assert set(found.limits) == {
        "small-airway-cannot-say",
        "before-bronchodilator",
        "equation-not-chosen",
        "screening-only",
    }


def test_gold_only_after_a_bronchodilator(bench: Bench) -> None:
    found = session_of(bench, *[obstructed(bench)] * 3, post_bronchodilator=True)
    assert found.interpretation is not None
    assert found.interpretation.gold == "2"
    assert "SP09" in {f.rule_id for f in found.findings}
    assert "before-bronchodilator" not in found.limits


@pytest.mark.parametrize(
    ("missing", "limit"),
    [
        ({"height_cm": None}, "no-height"),
        ({"age_years": None}, "no-age"),
        ({"sex": None}, "no-sex"),
        ({"sex": Sex.UNKNOWN}, "no-sex"),
        ({"age_years": 90}, "age-outside-reference"),
        ({"height_cm": 1.68}, "height-implausible"),
    ],
)
def test_without_the_person_there_is_no_reference_and_no_class(
    missing: dict[str, object], limit: str, bench: Bench
) -> None:
    found = session_of(bench, *[obstructed(bench)] * 3, **missing)
    assert found.references == {}
    assert found.interpretation is None
    assert limit in found.limits
    assert found.session.fev1_l is not None
    assert [(f.rule_id, f.urgency) for f in found.findings if f.status == "present"] == [("SP31", Urgency.BLUE)]


def test_one_blow_is_no_session(bench: Bench) -> None:
    found = session_of(bench, obstructed(bench))
    assert found.session.fev1_grade == "E"
    assert found.interpretation is not None
    assert found.interpretation.cn5_class == "not-graded"
    assert found.interpretation.ats2021_pattern == "not-graded"
    assert "quality-too-low" in found.limits
    assert {f.rule_id for f in found.findings} == {"SP23"}


def test_without_small_airway_flows_nobody_is_called_normal(bench: Bench) -> None:
    healthy = bench.blow(pef=9.0, share=0.85, fast_s=0.40, slow_s=0.9)
    found = session_of(bench, *[healthy] * 3, age_years=40, height_cm=172)
    judged = found.interpretation
    assert judged is not None
    # Jian's equation has no FEF50 and no FEF75: two flows that could both be low.
    assert (judged.cn5_class, judged.shown_class, judged.cn5_severity) == ("cannot-say", "cannot-say", None)
    assert judged.small_airway == "cannot-say"
    assert judged.ats2021_pattern == "normal"
    assert {f.rule_id for f in found.findings} == {"SP31"}
    known = session_of(bench, *[healthy] * 3, age_years=40, height_cm=172, equation="gli2012", ethnicity="NEAsia")
    assert known.interpretation is not None
    assert known.interpretation.small_airway in ("yes", "no")
    assert known.interpretation.cn5_class != "cannot-say"


def test_the_equation_stands_on_every_result_and_says_who_chose_it(bench: Bench) -> None:
    blows = [obstructed(bench)] * 3
    nobody = session_of(bench, *blows)
    assert (nobody.equation, nobody.equation_chosen) == ("jian2017", False)
    county = session_of(bench, *blows, equation="jian2017")
    assert (county.equation, county.equation_chosen) == ("jian2017", True)
    assert "equation-not-chosen" not in county.limits
    half = session_of(bench, *blows, equation="gli2012")
    assert (half.group, half.equation_chosen) == ("Other", False)
    assert "group-not-chosen" in half.limits
    whole = session_of(bench, *blows, equation="gli2012", ethnicity="NEAsia")
    assert (whole.group, whole.equation_chosen) == ("NEAsia", True)
    assert "group-not-chosen" not in whole.limits
    for found in (nobody, county, half, whole):
        assert found.interpretation is not None
        assert (found.interpretation.equation, found.interpretation.group) == (found.equation, found.group)
        assert {(r.equation, r.group) for r in found.references.values()} == {(found.equation, found.group)}
        assert (found.sex, found.age_years, found.height_cm, found.post_bronchodilator) == ("M", 66, 168, False)


def test_a_kept_analysis_is_a_test_of_a_trend(bench: Bench) -> None:
    before = session_of(bench, *[obstructed(bench)] * 3, equation="jian2017", age_years=65.0)
    now = session_of(bench, *[obstructed(bench, 0.8)] * 3, equation="jian2017", age_years=66.0)
    found = trend([past_test(before, date(2025, 6, 1)), past_test(now, date(2026, 6, 1))])
    assert found.equation == "jian2017"
    assert found.ml_per_year is not None
    assert found.ml_per_year.per_year == pytest.approx(1000 * (now.session.fev1_l - before.session.fev1_l), rel=0.01)
    assert found.since_last is not None
    assert found.since_last.significant == "yes"
    unlike = session_of(bench, *[obstructed(bench)] * 3, equation="gli2022", age_years=65.0)
    mixed = trend([past_test(unlike, date(2025, 6, 1)), past_test(now, date(2026, 6, 1))])
    assert [left.reason for left in mixed.left_out] == ["other-equation"]


@pytest.mark.parametrize(
    ("scale", "days", "found"),
    [(1.0, 400, False), (0.8, 400, True), (0.8, 200, False), (1.3, 400, False)],
)
def test_a_fall_since_last_year_is_a_finding(scale: float, days: int, found: bool, bench: Bench) -> None:
    today = date(2026, 6, 1)
    before = session_of(bench, *[obstructed(bench)] * 3, equation="jian2017", age_years=65.0)
    earlier = [past_test(before, today - timedelta(days))]
    now = session_of(bench, *[obstructed(bench, scale)] * 3, equation="jian2017", taken_on=today, earlier=earlier)
    assert ("SP25" in {f.rule_id for f in now.findings}) is found
    # A test that a wrong clock dated into the future is not compared, and hides nothing.
    later = [*earlier, past_test(before, today + timedelta(900))]
    again = session_of(bench, *[obstructed(bench, scale)] * 3, equation="jian2017", taken_on=today, earlier=later)
    assert {f.rule_id for f in again.findings} == {f.rule_id for f in now.findings}


def values_of(person: dict[str, Reference], fev1: float, fvc: float) -> dict[str, float]:
    return {"fev1_l": person["FEV1"].predicted * fev1 / 100, "fvc_l": person["FVC"].predicted * fvc / 100}


def test_two_of_three_flows_decide_on_the_small_airways() -> None:
    person = reference("gli2012", sex="F", age_years=50, height_cm=160, ethnicity="NEAsia")
    mmef, fef75 = person["FEF2575"].predicted, person["FEF75"].predicted
    good = values_of(person, 100, 100)
    for part_mmef, part_fef75, said, class_ in (
        (0.60, 0.60, "yes", "small-airway"),
        (0.70, 0.70, "no", "normal"),
        (0.60, 0.70, "cannot-say", "cannot-say"),
    ):
        found = interpret(references=person, mmef_l_s=mmef * part_mmef, fef75_l_s=fef75 * part_fef75, **good)
        assert (found.small_airway, found.cn5_class) == (said, class_)


def test_missing_flows_leave_a_class_that_does_not_hang_on_them() -> None:
    person = reference("jian2017", sex="F", age_years=50, height_cm=160)
    for fev1, fvc, class_ in ((60, 90, "obstructive"), (60, 65, "restrictive"), (40, 70, "mixed")):
        found = interpret(references=person, **values_of(person, fev1, fvc))
        assert (found.cn5_class, found.shown_class, found.small_airway) == (class_, class_, "cannot-say")


@pytest.mark.parametrize("flows", [{}, {"mmef_l_s": 9.0, "fef75_l_s": 9.0}])
def test_an_fev1_below_80_percent_is_never_called_normal(flows: dict[str, float]) -> None:
    person = reference("gli2012", sex="F", age_years=50, height_cm=160, ethnicity="NEAsia")
    found = interpret(references=person, **values_of(person, 79.5, 84), **flows)
    assert found.cn5_class == ("normal" if flows else "cannot-say")
    assert found.shown_class == "unclassified"
    assert found.prism
    assert "prism-found" in found.notes
    just = interpret(references=person, **values_of(person, 80.0, 84), **flows)
    assert just.shown_class == just.cn5_class
    assert not just.prism


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("flows", [{}, {"mmef_l_s": 9.0, "fef50_l_s": 9.0, "fef75_l_s": 9.0}])
@pytest.mark.parametrize("fev1", [55, 70, 79.9])
@pytest.mark.parametrize("fvc", [60, 79.9, 80, 84, 100])
def test_nothing_that_is_shown_says_normal_over_a_low_fev1(
    equation: str, flows: dict[str, float], fev1: float, fvc: float
) -> None:
    chinese, english = Words("zh_CN"), Words("en")
    for age_years in (25, 50, 79):
        person = reference(equation, sex="M", age_years=age_years, height_cm=168)
        for post in (False, True):
            found = interpret(references=person, post_bronchodilator=post, **values_of(person, fev1, fvc), **flows)
            keys = [
                f"spirometry_class.{found.shown_class}",
                f"spirometry_pattern.{found.ats2021_pattern}",
                f"small_airway.{found.small_airway}",
                *(f"spirometry_severity.{s}" for s in (found.cn5_severity, found.ats2021_severity) if s),
                *(f"spirometry_note.{note}" for note in found.notes),
                "spirometry_limit.small-airway-cannot-say",
            ]
            for key in keys:
                assert "正常" not in chinese(key), key
                assert "normal" not in english(key), key
            values = {
                f"{name}_percent_predicted": Quantity(found.decided_by[f"{name}_percent_predicted"], "%")
                for name in ("fev1", "fvc", "fev1fvc")
            }
            context = {"pattern": found.shown_class, "prism": "yes" if found.prism else "no", "grade": "A"}
            said = evaluate("spirometry", values, context)
            assert said
            for finding in said:
                assert finding.urgency is not Urgency.GREEN
                assert "正常" not in rule(finding.rule_id).label.zh


def test_where_the_two_rules_of_the_ratio_disagree_prism_is_not_claimed() -> None:
    person = reference("gli2012", sex="M", age_years=85, height_cm=168, ethnicity="Caucasian")
    fvc_l = person["FVC"].predicted * 0.82
    found = interpret(references=person, fev1_l=0.695 * fvc_l, fvc_l=fvc_l)
    assert found.decided_by["fev1fvc_percent_predicted"] >= 92 > 80 > found.decided_by["fev1_percent_predicted"]
    assert not found.prism
    assert found.shown_class == "unclassified-ratio"
    said = evaluate("spirometry", {}, {"pattern": found.shown_class, "grade": "A"})
    assert [(f.rule_id, f.urgency) for f in said] == [("SP30", Urgency.BLUE)]


def test_dysanapsis_is_suggested_only_beside_a_normal_fvc() -> None:
    person = reference("gli2022", sex="M", age_years=25, height_cm=178)
    large = interpret(references=person, fev1_l=person["FEV1"].predicted * 0.95, fvc_l=person["FVC"].predicted * 1.3)
    assert large.dysanapsis
    assert "dysanapsis" in large.notes
    low = interpret(references=person, fev1_l=person["FEV1"].predicted * 0.5, fvc_l=person["FVC"].predicted)
    assert not low.dysanapsis
    assert "dysanapsis" not in low.notes


@pytest.mark.parametrize(("ratio", "near"), [(0.595, False), (0.60, True), (0.70, True), (0.80, True), (0.805, False)])
def test_a_ratio_near_its_limit_is_measured_again(ratio: float, near: bool) -> None:
    person = reference("gli2022", sex="M", age_years=60, height_cm=170)
    found = interpret(references=person, fev1_l=3.0 * ratio, fvc_l=3.0, post_bronchodilator=True)
    assert ("ratio-near-limit" in found.notes) is near
    assert "ratio-near-limit" not in interpret(references=person, fev1_l=3.0 * ratio, fvc_l=3.0).notes


def test_nothing_is_interpreted_from_no_volume_or_from_two_equations() -> None:
    jian = reference("jian2017", sex="F", age_years=60, height_cm=158)
    gli = reference("gli2022", sex="F", age_years=60, height_cm=158)
    for fev1_l, fvc_l in ((0.0, 3.0), (2.0, 0.0), (float("nan"), 3.0)):
        with pytest.raises(ValueError, match="above zero"):
            interpret(references=jian, fev1_l=fev1_l, fvc_l=fvc_l)
    with pytest.raises(ValueError, match="different equations"):
        interpret(references={**jian, "FVC": gli["FVC"]}, fev1_l=2.0, fvc_l=3.0)


def test_jian_counts_its_ratio_in_percent_and_gli_as_a_fraction() -> None:
    values = {"fev1_l": 2.0, "fvc_l": 3.2}
    for equation in EQUATIONS:
        person = reference(equation, sex="F", age_years=60, height_cm=158)
        found = interpret(references=person, **values)
        assert found.decided_by["fev1_fvc"] == pytest.approx(0.625)
        assert 70 < found.decided_by["fev1fvc_percent_predicted"] < 90


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"equation": "knudson"}, "reference-equation"),
        ({"sex": "male?"}, "reference-sex"),
        ({"age_years": 3.9}, "reference-age"),
        ({"age_years": 81.0}, "reference-age"),
        ({"age_years": float("nan")}, "reference-age"),
        ({"height_cm": 1.7}, "reference-height"),
    ],
)
def test_what_cannot_be_right_is_refused(change: dict[str, object], code: str) -> None:
    asked = {"equation": "jian2017", "sex": "M", "age_years": 50.0, "height_cm": 170.0, **change}
    with pytest.raises(InputError) as caught:
        reference(**asked)
    assert caught.value.code == code


def test_an_unknown_group_is_refused_and_none_means_other() -> None:
    who = {"sex": "M", "age_years": 50.0, "height_cm": 170.0}
    with pytest.raises(InputError):
        reference("gli2012", ethnicity="Martian", **who)
    assert reference("gli2012", **who) == reference("gli2012", ethnicity="Other", **who)


def test_flows_have_references_to_90_years_only() -> None:
    who = {"sex": "F", "height_cm": 150.0}
    assert "FEF75" in reference("gli2012", age_years=90.0, **who)
    assert set(reference("gli2012", age_years=90.5, **who)) == {"FEV1", "FVC", "FEV1FVC"}


def test_a_response_needs_values_to_compare() -> None:
    for pre, predicted in ((0.0, 3.0), (2.0, 0.0)):
        with pytest.raises(ValueError, match="above zero"):
            bronchodilator_response(pre, 2.5, predicted)


def test_btps_at_body_temperature_is_one_and_refuses_the_absurd() -> None:
    assert btps_factor(37.0) == pytest.approx(1.0, abs=3e-4)
    assert btps_factor(20.0, 74.0) > btps_factor(20.0)
    with pytest.raises(ValueError, match="no BTPS"):
        btps_factor(20.0, 760.0)


@pytest.mark.parametrize(
    ("altitude_m", "pressure_kpa"),
    # ISO 2533:1975, table of the standard atmosphere by geometric altitude.
    [(0, 101.325), (500, 95.461), (1000, 89.876), (2000, 79.501), (3000, 70.121), (4000, 61.660), (5000, 54.048)],
)
def test_btps_from_the_altitude_of_the_village(altitude_m: float, pressure_kpa: float) -> None:
    assert btps_factor(20.0, altitude_m=altitude_m) == pytest.approx(btps_factor(20.0, pressure_kpa), abs=5e-6)


def test_btps_takes_a_pressure_or_an_altitude() -> None:
    assert btps_factor(25.0, altitude_m=0) == btps_factor(25.0)
    with pytest.raises(ValueError, match="not both"):
        btps_factor(20.0, 74.0, altitude_m=2600)
    for absurd in (8848.0, -600.0, float("nan")):
        with pytest.raises(ValueError, match="nobody lives"):
            btps_factor(20.0, altitude_m=absurd)


def test_a_response_names_the_equation_of_its_predicted_value() -> None:
    person = reference("jian2017", sex="F", age_years=60, height_cm=158)
    found = bronchodilator_response(1.5, 1.8, person["FEV1"])
    assert found.equation == "jian2017"
    assert found.percent_of_predicted == pytest.approx(30 / person["FEV1"].predicted)

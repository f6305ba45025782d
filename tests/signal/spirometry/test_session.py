"""Sessions: what is reported, graded and refused; and the whole way from curves to findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency, most_urgent
from zhenbao.model.identity import Sex
from zhenbao.model.spirometry import Blow, Reference, SpirometryAnalysis
from zhenbao.signal.spirometry import (
    EQUATIONS,
    analyse_blow,
    analyse_session,
    bronchodilator_response,
    btps_factor,
    grade_session,
    interpret,
    largest_fvc,
    reference,
)

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
    assert set(found.limits) == {"small-airway-cannot-say", "before-bronchodilator", "screening-only"}


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
    assert all(f.status != "present" for f in found.findings)


def test_one_blow_is_no_session(bench: Bench) -> None:
    found = session_of(bench, obstructed(bench))
    assert found.session.fev1_grade == "E"
    assert found.interpretation is not None
    assert found.interpretation.cn5_class == "not-graded"
    assert found.interpretation.ats2021_pattern == "not-graded"
    assert "quality-too-low" in found.limits
    assert {f.rule_id for f in found.findings} == {"SP23"}


def test_a_normal_person_is_normal_but_the_small_airways_stay_unsaid(bench: Bench) -> None:
    healthy = bench.blow(pef=9.0, share=0.85, fast_s=0.40, slow_s=0.9)
    found = session_of(bench, *[healthy] * 3, age_years=40, height_cm=172)
    assert found.interpretation is not None
    assert found.interpretation.cn5_class == "normal"
    assert found.interpretation.cn5_severity is None
    assert found.interpretation.small_airway == "cannot-say"


def values_of(person: dict[str, Reference], fev1: float, fvc: float) -> dict[str, float]:
    return {"fev1_l": person["FEV1"].predicted * fev1 / 100, "fvc_l": person["FVC"].predicted * fvc / 100}


def test_two_of_three_flows_decide_on_the_small_airways() -> None:
    person = reference("gli2012", sex="F", age_years=50, height_cm=160, ethnicity="NEAsia")
    mmef, fef75 = person["FEF2575"].predicted, person["FEF75"].predicted
    good = values_of(person, 100, 100)
    for part_mmef, part_fef75, said in ((0.60, 0.60, "yes"), (0.70, 0.70, "no"), (0.60, 0.70, "cannot-say")):
        found = interpret(references=person, mmef_l_s=mmef * part_mmef, fef75_l_s=fef75 * part_fef75, **good)
        assert found.small_airway == said
        assert found.cn5_class == ("small-airway" if said == "yes" else "normal")


def test_an_fev1_below_80_percent_is_never_called_normal() -> None:
    person = reference("jian2017", sex="F", age_years=50, height_cm=160)
    found = interpret(references=person, **values_of(person, 79.5, 84))
    assert found.cn5_class == "unclassified"
    assert found.prism


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

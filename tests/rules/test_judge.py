"""Three-valued facts, HI and LO, units, evidence, order."""

import math
from collections.abc import Mapping
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zhenbao import rules
from zhenbao.model.finding import Finding, Urgency, most_urgent
from zhenbao.model.quantity import Quantity
from zhenbao.rules.judge import domain_conditions
from zhenbao.rules.language import Fact, leaves
from zhenbao.words import LANGUAGES, Words


def glucose(value: float, unit: str = "mmol/L", **context: str) -> dict[str, Finding]:
    reading = Quantity(value, unit)
    return {f.rule_id: f for f in rules.evaluate("glucose", {"glucose_capillary": reading}, context)}


def pressure(systolic: float, diastolic: float, **context: str) -> dict[str, Finding]:
    values = {"bp_systolic": Quantity(systolic, "mm[Hg]"), "bp_diastolic": Quantity(diastolic, "mm[Hg]")}
    return {f.rule_id: f for f in rules.evaluate("bp", values, context)}


def states(found: Mapping[str, Finding]) -> dict[str, str]:
    return {rule_id: f.status for rule_id, f in found.items()}


@pytest.mark.parametrize(
    ("value", "known_diabetes", "expected"),
    [
        pytest.param(3.5, "unknown", {"GL08": "present", "GL07": "undetermined", "GL10": "undetermined"}, id="3.5 ?"),
        pytest.param(3.5, "no", {"GL08": "present"}, id="3.5 no"),
        pytest.param(3.5, "yes", {"GL07": "present", "GL10": "present"}, id="3.5 yes"),
        pytest.param(3.9, "yes", {"GL07": "present"}, id="3.9 yes"),
        pytest.param(2.5, "unknown", {"GL09": "present", "GL11": "undetermined", "GL07": "undetermined"}, id="2.5 ?"),
        pytest.param(2.5, "no", {"GL09": "present"}, id="2.5 no"),
        pytest.param(2.5, "yes", {"GL11": "present", "GL07": "present"}, id="2.5 yes"),
    ],
)
def test_low_glucose_asks_for_known_diabetes_before_it_alarms(
    value: float, known_diabetes: str, expected: dict[str, str]
) -> None:
    found = glucose(value, known_diabetes=known_diabetes)
    assert states(found) == expected
    assert {f.needs for f in found.values() if f.status == "undetermined"} <= {("known_diabetes",)}


def test_a_villager_with_a_normal_low_glucose_is_not_critical() -> None:
    assert most_urgent(tuple(glucose(3.7).values())) is Urgency.BLUE


def test_without_the_meal_no_diabetes_cut_off_is_judged() -> None:
    found = glucose(12.0, known_diabetes="no")
    assert "present" not in states(found).values()
    assert found["GL01"].needs == ("meal",)
    assert found["GL05"].needs == ("meal", "diabetes_symptoms")


def test_random_glucose_needs_symptoms_for_the_cut_off() -> None:
    assert states(glucose(12.0, meal="random", diabetes_symptoms="no")) == {}
    assert states(glucose(12.0, meal="random", diabetes_symptoms="yes")) == {"GL05": "present"}
    assert states(glucose(12.0, meal="random")) == {"GL05": "undetermined"}


def test_a_value_outside_a_facts_list_counts_as_unknown() -> None:
    assert states(glucose(3.5, known_diabetes="maybe")) == states(glucose(3.5))


def test_300_mg_per_dl_is_compared_in_its_own_unit() -> None:
    assert 300 / 18.0156 < 16.7
    assert "GL13" in glucose(300, "mg/dL")
    assert "GL13" not in glucose(299, "mg/dL")


def test_float_noise_of_a_scaled_meter_value_does_not_move_a_bound() -> None:
    for grams_per_litre_scaled in (0.0167 * 1e3, 16.7 + 2e-12, 16.7 - 2e-12):
        assert "GL13" in glucose(grams_per_litre_scaled)


@pytest.mark.parametrize(
    "limit", [Quantity(33.3, "mmol/L", ">"), Quantity(27.8, "mmol/L", ">"), Quantity(500, "mg/dL", ">")]
)
def test_hi_is_critical_whatever_the_meters_limit(limit: Quantity) -> None:
    found = rules.evaluate("glucose", {"glucose_capillary": limit}, {"known_diabetes": "no", "meal": "fasting"})
    assert found[0].rule_id == "GL15"
    assert found[0].urgency is Urgency.RED
    assert {"GL13", "GL01"} <= {f.rule_id for f in found if f.status == "present"}
    assert not {"GL02", "GL08", "GL16"} & {f.rule_id for f in found}
    assert found[0].evidence[0].quantity == limit


@pytest.mark.parametrize(
    "limit", [Quantity(1.1, "mmol/L", "<"), Quantity(0.6, "mmol/L", "<"), Quantity(20, "mg/dL", "<")]
)
def test_lo_is_critical_whatever_the_meters_limit(limit: Quantity) -> None:
    found = rules.evaluate("glucose", {"glucose_capillary": limit}, {"known_diabetes": "no"})
    assert (found[0].rule_id, found[0].urgency) == ("GL16", Urgency.RED)
    assert {f.rule_id for f in found} == {"GL16", "GL09"}


@pytest.mark.parametrize(
    ("longest", "rule_ids"),
    [
        pytest.param(Quantity(1.2, "s", ">"), [], id="cut off by the end of the recording"),
        pytest.param(Quantity(2.999, "s", ">"), [], id="just short"),
        pytest.param(Quantity(3.0, "s", ">"), ["EC16"], id="at least the bound"),
        pytest.param(Quantity(9.0, "s", "<"), [], id="an upper limit proves no pause"),
    ],
)
def test_a_limit_that_is_not_a_meters_says_only_what_is_sure(longest: Quantity, rule_ids: list[str]) -> None:
    assert [f.rule_id for f in rules.evaluate("ecg", {"ecg_rr_max": longest})] == rule_ids


def test_a_rate_below_a_limit_is_slow_for_sure() -> None:
    assert rules.evaluate("ecg", {"heart_rate_ecg": Quantity(30, "/min", "<")})[0].rule_id == "EC19"
    assert rules.evaluate("ecg", {"heart_rate_ecg": Quantity(45, "/min", "<")}) == ()


def test_altered_consciousness_makes_low_glucose_more_urgent() -> None:
    assert glucose(2.5, known_diabetes="no", altered_consciousness="yes")["GL09"].urgency is Urgency.RED
    assert glucose(3.5, known_diabetes="no", altered_consciousness="yes")["GL08"].urgency is Urgency.ORANGE
    assert glucose(3.5, known_diabetes="yes", altered_consciousness="yes")["GL12"].status == "present"


def test_symptoms_below_the_critical_numbers_are_not_missed() -> None:
    assert glucose(12.0, dka_symptoms="yes")["GL27"].urgency is Urgency.RED
    assert glucose(8.0, dka_symptoms="yes", known_diabetes="yes")["GL28"].urgency is Urgency.ORANGE
    assert pressure(150, 90, symptoms="yes")["BP39"].urgency is Urgency.ORANGE


def test_severe_pressure_asks_for_symptoms_and_pregnancy() -> None:
    found = pressure(186, 112)
    assert states(found) == {"BP05": "present", "BP33": "present", "BP09": "undetermined", "BP11": "undetermined"}
    assert (found["BP09"].needs, found["BP11"].needs) == (("symptoms",), ("pregnant",))
    assert states(pressure(186, 112, symptoms="no", pregnant="no")) == {"BP05": "present", "BP33": "present"}
    assert pressure(186, 112, symptoms="yes")["BP09"].status == "present"


def test_chest_pain_told_at_the_visit_is_a_symptom_and_needs_no_second_question() -> None:
    assert pressure(186, 112, chest_pain="yes")["BP09"].status == "present"
    assert "BP09" not in pressure(186, 112, chest_pain="unknown", symptoms="no")


def test_low_pressure_with_a_fast_pulse_is_suspected_shock_without_a_question() -> None:
    values = {"bp_systolic": Quantity(84, "mm[Hg]"), "bp_diastolic": Quantity(50, "mm[Hg]")}
    slow, fast = ({**values, "pulse_rate_nibp": Quantity(n, "/min")} for n in (80, 118))
    assert {f.rule_id: f.status for f in rules.evaluate("bp", slow)}["BP13"] == "undetermined"
    assert rules.evaluate("bp", fast)[0].rule_id == "BP13"
    assert "BP01" not in {f.rule_id for f in (*rules.evaluate("bp", slow), *rules.evaluate("bp", fast))}


def test_an_implausible_reading_is_not_classified() -> None:
    assert states(pressure(300, 150)) == {"BP34": "present"}
    assert states(pressure(120, 115, pregnant="yes")) == {"BP34": "present"}


def test_a_child_is_never_called_normal_by_an_adults_limit() -> None:
    assert states(pressure(100, 60, adult="no")) == {}
    assert "BP05" in pressure(182, 100, adult="no")


def test_a_mean_is_judged_as_it_is_shown() -> None:
    assert "BP05" in pressure(179.5, 90)
    assert "BP04" in pressure(179.4, 90)


def test_a_second_diagnosis_is_not_offered_to_a_known_patient() -> None:
    assert "BP33" not in pressure(150, 95, known_hypertension="yes")
    assert states(glucose(8.0, meal="fasting", known_diabetes="yes")) == {"GL21": "present"}


def test_ecg_flags_fire_only_when_given() -> None:
    rate = {"heart_rate_ecg": Quantity(75, "/min")}
    assert [f.rule_id for f in rules.evaluate("ecg", rate)] == ["EC38"]
    found = rules.evaluate("ecg", rate, {"ecg.st_elevation_limb_v4_v6": "yes"})
    assert [(f.rule_id, f.urgency) for f in found] == [("EC01", Urgency.RED), ("EC38", Urgency.GREEN)]


def test_chest_pain_raises_st_changes_and_keeps_a_normal_ecg_urgent() -> None:
    flag = {"ecg.st_depression": "yes"}
    assert rules.evaluate("ecg", {}, flag)[0].urgency is Urgency.ORANGE
    assert rules.evaluate("ecg", {}, {**flag, "chest_pain": "yes"})[0].urgency is Urgency.RED
    normal = rules.evaluate("ecg", {"heart_rate_ecg": Quantity(75, "/min")}, {"chest_pain": "yes"})
    assert most_urgent(normal) is Urgency.ORANGE


def test_qtc_asks_for_the_sex_only_where_it_decides() -> None:
    def found(ms: float, **context: str) -> dict[str, str]:
        values = {"ecg_qtc_fridericia": Quantity(ms, "ms")}
        return {f.rule_id: f.status for f in rules.evaluate("ecg", values, context)}

    assert found(455) == {"EC26": "undetermined"}
    assert found(455, sex="female") == {}
    assert found(465) == {"EC26": "present"}
    assert found(520, sex="male") == {"EC25": "present"}


def test_poor_spirometry_gets_no_class() -> None:
    values = {
        "fev1fvc_percent_predicted": Quantity(60, "%"),
        "fvc_percent_predicted": Quantity(90, "%"),
        "fev1_percent_predicted": Quantity(40, "%"),
    }
    assert [f.rule_id for f in rules.evaluate("spirometry", values, {"grade": "D"})] == ["SP23"]
    assert [f.rule_id for f in rules.evaluate("spirometry", values, {"grade": "B"})] == ["SP13", "SP03"]


def test_gold_needs_a_bronchodilator() -> None:
    values = {
        "fev1": Quantity(1.0, "L"),
        "fvc": Quantity(2.0, "L"),
        "fev1_percent_predicted": Quantity(45, "%"),
    }

    def found(**context: str) -> dict[str, str]:
        pattern = {"pattern": "normal", **context}
        return {f.rule_id: f.status for f in rules.evaluate("spirometry", values, pattern)}

    assert found(post_bronchodilator="no") == {}
    assert found(post_bronchodilator="yes") == {"SP09": "present", "SP17": "present"}
    assert found() == {"SP09": "undetermined", "SP17": "undetermined"}


def test_altitude_decides_what_is_low() -> None:
    def found(percent: float, **context: str) -> dict[str, Urgency]:
        return {f.rule_id: f.urgency for f in rules.evaluate("spo2", {"spo2": Quantity(percent, "%")}, context)}

    assert found(84) == {"OX04": Urgency.RED}
    assert found(84, altitude="3500-4500") == {}
    assert found(82, altitude="3500-4500") == {"OX08": Urgency.ORANGE}
    assert found(82, altitude="3500-4500", dyspnoea="yes") == {"OX08": Urgency.RED}
    assert found(89, dyspnoea="yes") == {"OX03": Urgency.RED}


def test_evidence_is_what_decided() -> None:
    (found,) = (f for f in rules.evaluate("bp", {
        "bp_systolic": Quantity(185, "mm[Hg]"),
        "bp_diastolic": Quantity(95, "mm[Hg]"),
        "bp_mean": Quantity(125, "mm[Hg]"),
    }) if f.rule_id == "BP05")  # fmt: skip
    assert [(e.name, e.quantity.value) for e in found.evidence] == [("bp_systolic", 185)]
    assert found.source == rules.rule("BP05").source


def test_a_raised_finding_names_both_sources() -> None:
    (found,) = rules.evaluate("ecg", {"heart_rate_ecg": Quantity(190, "/min")})
    assert found.source.startswith(rules.rule("EC32").source)
    assert rules.rule("EC10").source in found.source


def test_an_unknown_unit_is_refused_and_not_guessed() -> None:
    with pytest.raises(ValueError, match="kPa"):
        rules.evaluate("bp", {"bp_systolic": Quantity(24, "kPa")})
    with pytest.raises(ValueError, match="no rules for"):
        rules.evaluate("urine", {})


def test_what_is_not_a_number_decides_nothing() -> None:
    assert rules.evaluate("ecg", {"heart_rate_ecg": Quantity(math.nan, "/min")}) == ()
    assert rules.evaluate("bp", {"bp_systolic": Quantity(math.inf, "mm[Hg]")}) == ()


@st.composite
def readings(draw: st.DrawFn) -> tuple[str, dict[str, Quantity], dict[str, str]]:
    domain = draw(st.sampled_from(rules.DOMAINS))
    known = domain_conditions(domain)
    values = {}
    for name in draw(st.sets(st.sampled_from(sorted(known.quantities))) if known.quantities else st.just(set())):
        number = draw(st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 400))
        comparators: list[Literal["<", ">"] | None] = [None, "<", ">"]
        comparator = draw(st.sampled_from(comparators))
        values[name] = Quantity(number, draw(st.sampled_from(sorted(known.quantities[name]))), comparator)
    context = {name: draw(st.sampled_from([*allowed, "unknown"])) for name, allowed in known.facts.items()}
    return domain, values, context


@given(readings())
def test_any_reading_gives_ordered_findings_with_a_source(
    reading: tuple[str, dict[str, Quantity], dict[str, str]],
) -> None:
    found = rules.evaluate(*reading)
    ranks = [(f.status != "present", f.urgency.rank) for f in found]
    assert ranks == sorted(ranks)
    assert len({f.rule_id for f in found}) == len(found)
    for finding in found:
        assert finding.source
        assert (finding.status == "undetermined") == bool(finding.needs)
        assert all(e.quantity == reading[1][e.name] for e in finding.evidence)


@given(readings())
def test_an_answer_settles_a_question(
    reading: tuple[str, dict[str, Quantity], dict[str, str]],
) -> None:
    """Present or gone, never still open for the same reason."""
    domain, values, context = reading
    for finding in rules.evaluate(domain, values, context):
        for need in finding.needs:
            for answer in rules.facts(domain)[need]:
                again = {f.rule_id: f for f in rules.evaluate(domain, values, {**context, need: answer})}
                assert finding.rule_id not in again or need not in again[finding.rule_id].needs


@given(st.integers(90, 278), st.integers(30, 200))
def test_a_higher_systolic_pressure_is_never_less_urgent(systolic: int, diastolic: int) -> None:
    assume(diastolic <= systolic - 12)
    facts = {"symptoms": "no", "pregnant": "no"}
    lower, higher = (
        most_urgent(tuple(pressure(s, diastolic, **facts).values())).rank for s in (systolic, systolic + 1)
    )
    assert higher <= lower


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_and_every_number_has_words(language: str) -> None:
    words = Words(language)
    for domain in rules.DOMAINS:
        known = domain_conditions(domain)
        for quantity in known.quantities:
            assert f"quantity.{quantity}" in words
        for entry in known.rules.values():
            for leaf in leaves(entry.requires):
                if isinstance(leaf, Fact) and leaf.asked:
                    assert f"context.{leaf.name}" in words

"""A county's changes: they are checked as a whole, name what they replace, and never lose a finding."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from zhenbao import rules
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Device, Observation
from zhenbao.model.quantity import Quantity
from zhenbao.rules.judge import domain_conditions, emitted_urgencies
from zhenbao.rules.ruleset import RuleSet, build, profiles


def reading(code: str, values: dict[str, Quantity], **context: str) -> Observation:
    return Observation(
        id=UUID(int=1),
        patient_id=UUID(int=2),
        encounter_id=UUID(int=3),
        kit_id="kit-001",
        code=code,
        status="preliminary",
        effective_ms=0,
        device=Device("bp-gatt", "示例厂", "B1", "SN1"),
        values=values,
        context=context,
        findings=rules.evaluate(code, values, context),
    )


def ecg(rate: float, *flags: str, **context: str) -> Observation:
    facts = {**context, **dict.fromkeys(flags, "yes")}
    found = rules.evaluate("ecg", {"heart_rate_ecg": Quantity(rate, "/min")}, facts)
    return replace(reading("ecg", {"heart_rate_ecg": Quantity(rate, "/min")}, **context), findings=found)


def urgency(chosen: RuleSet, *readings: Observation, chest_pain: str = "no") -> Urgency:
    found = [finding for each in readings for finding in chosen.findings(each)]
    lowered = chosen.lowered(readings) if chest_pain != "yes" else ()
    return rules.route_for(found, chest_pain=chest_pain, table=chosen.table, lowered=lowered).urgency


def test_without_changes_it_is_the_program() -> None:
    assert build(0, "").table is rules.program_table()
    assert build(0, "").profile.key == "kit"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ('[[route]]\nid="R47"\nif_chest_pain="yes"', "rules-table", "R02 and R47 both take EC03, EC05, EC35"),
        ('[[route]]\nid="R47"\nif_chest_pain=""', "rules-table", "R02 and R47 both take"),
        ('[[route]]\nid="R20"\ntrigger_rules="BP04;BP99"', "rules-table", "R20 names BP99, which is no rule"),
        ('[[route]]\nid="R20"\nfirst_specialty="dentistry"', "rules-table", "dentistry"),
        ('[[route]]\nid="R99"\nurgency="RED"', "rules-table", "R99"),
        ('[[route]]\nid="R20"\nurgency="PINK"', "rules-file", "PINK"),
        ('[[route]]\nid="R20"\nack_min=1', "rules-file", "ack_min"),
        ('[[route]]\nid="R08"\ntrigger_rules="EC19"', "rules-table", "EC16, EC17, EC22: no route"),
        ('[[threshold]]\nrule="ZZ01"\nquantity="x"\nbound="below"\nfrom=1\nto=2', "rules-table", "ZZ01"),
        (
            '[[threshold]]\nrule="BP05"\nquantity="bp_systolic"\nbound="at_least"\nfrom=181\nto=170',
            "rules-table",
            "181",
        ),
        ('[[threshold]]\nrule="BP05"\nquantity="bp_systolic"\nbound="at_least"\nfrom=180', "rules-file", "BP05"),
        (
            '[[threshold]]\nrule="BP05"\nquantity="bp_systolic"\nbound="at_least"\nfrom=180\nto="low"',
            "rules-file",
            "from, to",
        ),
        (
            '[[threshold]]\nrule="EC20"\nquantity="heart_rate_ecg"\nbound="at_most"\nfrom=39\nto=30',
            "rules-table",
            "EC20",
        ),
        ('profile="mars"', "rules-file", "mars"),
        ('profiles="zhejiang"', "rules-file", "profiles"),
        ("profile=1", "rules-file", "profile"),
        ("[route]\nid='R20'", "rules-file", "route"),
        ("profile =", "rules-file", "Invalid value"),
    ],
)
def test_what_cannot_be_is_refused_whole_and_says_why(content: str, code: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        build(1, content)
    assert raised.value.code == code
    assert message in str(raised.value.facts["reason"])


def test_a_route_that_becomes_urgent_gets_the_clocks_of_its_urgency() -> None:
    changed = build(1, '[[route]]\nid="R20"\nurgency="ORANGE"\nfirst_specialty="cardiology"')
    grade_2 = reading("bp", {"bp_systolic": Quantity(165, "mm[Hg]"), "bp_diastolic": Quantity(95, "mm[Hg]")})
    routing = rules.route_for(grade_2.findings, table=changed.table)
    assert (routing.urgency, routing.specialty, routing.clocks.ack_min) == (Urgency.ORANGE, "cardiology", 15)
    assert routing.route.ack_min == 15
    assert rules.route_for(grade_2.findings).urgency is Urgency.YELLOW, "the program's own table is untouched"


@pytest.mark.parametrize(
    ("systolic", "expected"), [(169, Urgency.YELLOW), (170, Urgency.ORANGE), (180, Urgency.ORANGE)]
)
def test_a_stricter_threshold_acts_on_what_a_kit_did_not_find(systolic: float, expected: Urgency) -> None:
    content = '[[threshold]]\nrule="BP05"\nquantity="bp_systolic"\nbound="at_least"\nfrom=180\nto=170'
    taken = reading("bp", {"bp_systolic": Quantity(systolic, "mm[Hg]"), "bp_diastolic": Quantity(95, "mm[Hg]")})
    assert urgency(build(1, content), taken) is expected


def test_a_looser_threshold_takes_nothing_back() -> None:
    content = '[[threshold]]\nrule="BP05"\nquantity="bp_systolic"\nbound="at_least"\nfrom=180\nto=200'
    taken = reading("bp", {"bp_systolic": Quantity(185, "mm[Hg]"), "bp_diastolic": Quantity(95, "mm[Hg]")})
    assert urgency(build(1, content), taken) is Urgency.ORANGE


# From the lists side by side: the rate from which a supraventricular tachycardia, and down to which a bradycardia, is
# a critical value.
@pytest.mark.parametrize(
    ("profile", "svt", "slow"),
    [("kit", 180, 35), ("zhejiang", 230, 34), ("shanxi", 180, 35), ("province-c", 200, 35)],
)
def test_a_province_s_critical_values(profile: str, svt: int, slow: int) -> None:
    chosen = build(1, f'profile="{profile}"')
    assert urgency(chosen, ecg(svt, "ecg.svt")) is Urgency.RED
    assert urgency(chosen, ecg(slow)) is Urgency.RED
    if svt > 180:
        assert urgency(chosen, ecg(svt - 1, "ecg.svt")) is Urgency.ORANGE
        assert urgency(chosen, ecg(180, "ecg.svt")) is Urgency.ORANGE
    if slow < 35:
        assert urgency(chosen, ecg(35)) is Urgency.ORANGE


def test_a_profile_lowers_nothing_beside_a_symptom_or_another_critical_finding() -> None:
    chosen = build(1, 'profile="zhejiang"')
    for symptom in ("syncope", "hypotension", "altered_consciousness"):
        assert urgency(chosen, ecg(190, "ecg.svt", **{symptom: "yes"})) is Urgency.RED
    assert urgency(chosen, ecg(190, "ecg.svt"), chest_pain="yes") is Urgency.RED
    assert urgency(chosen, ecg(190, "ecg.svt"), ecg(240, "ecg.svt")) is Urgency.RED
    assert urgency(chosen, ecg(190, "ecg.svt", "ecg.ventricular_fibrillation")) is Urgency.RED


def test_a_value_that_was_not_measured_stays_critical() -> None:
    found = replace(ecg(190, "ecg.svt"), values={})
    assert urgency(build(1, 'profile="zhejiang"'), found) is Urgency.RED


def test_a_fast_rate_of_an_unknown_kind_stays_critical() -> None:
    assert urgency(build(1, 'profile="zhejiang"'), ecg(190)) is Urgency.RED


def test_every_profile_has_a_source_and_rules_that_can_be_red() -> None:
    for profile in profiles().values():
        assert profile.source
        for row in profile.critical:
            assert Urgency.RED in emitted_urgencies(domain_conditions("ecg").rules[row.rule])

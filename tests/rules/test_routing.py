"""Who gets a case: one routing for a whole visit, and a table that refuses to contradict itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao import rules
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.quantity import Quantity
from zhenbao.rules.judge import domain_conditions, emitted_urgencies
from zhenbao.rules.routes import parse_routes
from zhenbao.rules.table import read_csv, rules_by_id
from zhenbao.rules.terms import specialties


def found(rule_id: str, urgency: Urgency | None = None, status: str = "present") -> Finding:
    own = urgency or rules.rule(rule_id).urgency
    assert own is not None
    needs = () if status == "present" else ("known_diabetes",)
    return Finding(rule_id, own, status=status, needs=needs)  # type: ignore[arg-type]


@pytest.mark.parametrize("chest_pain", ["yes", "no", "unknown"])
def test_whatever_the_kit_can_emit_reaches_a_route(chest_pain: str) -> None:
    emitted = {
        (entry.rule_id, urgency)
        for domain in rules.DOMAINS
        for entry in domain_conditions(domain).rules.values()
        for urgency in emitted_urgencies(entry)
        if urgency is not Urgency.GREEN
    }
    assert len(emitted) > 70
    for rule_id, urgency in emitted:
        routing = rules.route_for([found(rule_id, urgency)], chest_pain=chest_pain)
        taken = (routing.route, *routing.others)
        assert any(rule_id in route.trigger.rules for route in taken), (rule_id, urgency)
        assert routing.urgency.rank <= urgency.rank
        assert routing.specialty in rules.specialties()
        assert not routing.archive


@pytest.mark.parametrize(
    ("chest_pain", "route", "urgency"),
    [("yes", "R02", Urgency.RED), ("no", "R47", Urgency.ORANGE), ("unknown", "R02", Urgency.RED)],
)
@pytest.mark.parametrize("rule_id", ["EC03", "EC05", "EC35"])
def test_chest_pain_decides_between_two_routes_of_one_finding(
    rule_id: str, chest_pain: str, route: str, urgency: Urgency
) -> None:
    routing = rules.route_for([found(rule_id)], chest_pain=chest_pain)
    assert (routing.route.route_id, routing.urgency, routing.specialty) == (route, urgency, "cardiology")


def test_symptoms_decide_between_two_routes_of_low_oxygen() -> None:
    severe = rules.route_for(rules.evaluate("spo2", {"spo2": Quantity(88, "%")}, {"dyspnoea": "yes"}))
    plain = rules.route_for(rules.evaluate("spo2", {"spo2": Quantity(88, "%")}, {"dyspnoea": "no"}))
    assert (severe.route.route_id, severe.specialty) == ("R32", "emergency")
    assert (plain.route.route_id, plain.specialty) == ("R33", "respiratory")


def test_the_most_urgent_finding_names_the_specialty_and_the_rest_stay_listed() -> None:
    routing = rules.route_for([found("BP04"), found("GL13"), found("EC16"), found("EC38")])
    assert (routing.urgency, routing.route.route_id, routing.specialty) == (Urgency.RED, "R08", "cardiology")
    assert [r.route_id for r in routing.others] == ["R27", "R20"]
    assert [f.rule_id for f in routing.findings] == ["EC16"]
    assert (routing.clocks.ack_min, routing.clocks.report_min) == (5, 10)


def test_a_raised_finding_sets_the_clock_of_its_route() -> None:
    routing = rules.route_for([found("BP11", Urgency.RED)])
    assert (routing.route.route_id, routing.route.urgency) == ("R18", Urgency.ORANGE)
    assert (routing.urgency, routing.specialty, routing.clocks.report_min) == (Urgency.RED, "obstetrics", 10)


def test_among_equals_the_route_further_up_goes_first() -> None:
    for order in (["EC16", "EC01"], ["EC01", "EC16"]):
        routing = rules.route_for([found(rule_id) for rule_id in order])
        assert (routing.route.route_id, [r.route_id for r in routing.others]) == ("R01", ["R08"])


@pytest.mark.parametrize(("minutes", "late"), [(0, False), (30, False), (30.1, True), (600, True)])
def test_a_red_case_that_arrives_late_is_flagged(minutes: float, late: bool) -> None:
    routing = rules.route_for([found("EC01")], now_late_min=minutes)
    assert (routing.late is not None) is late
    assert (routing.route.route_id, routing.specialty) == ("R01", "cardiology")
    if routing.late:
        assert routing.late.route_id == "R43"


def test_only_red_cases_are_late() -> None:
    assert rules.route_for([found("BP05")], now_late_min=600).late is None


@pytest.mark.parametrize(
    ("age", "rule_ids", "route"),
    [
        pytest.param(65, ["BP04", "GL01"], "R41", id="65, two systems"),
        pytest.param(64, ["BP04", "GL01"], "R20", id="64"),
        pytest.param(None, ["BP04", "GL01"], "R20", id="age unknown"),
        pytest.param(80, ["BP04"], "R20", id="one system"),
        pytest.param(80, ["SP03", "SP11"], "R35", id="two rules of one route are one system"),
    ],
)
def test_an_older_patient_with_several_priorities_gets_one_joint_request(
    age: int | None, rule_ids: list[str], route: str
) -> None:
    routing = rules.route_for([found(rule_id) for rule_id in rule_ids], age_years=age)
    assert (routing.route.route_id, routing.urgency) == (route, Urgency.YELLOW)


def test_the_joint_request_never_goes_before_something_urgent() -> None:
    routing = rules.route_for([found("BP04"), found("GL01"), found("EC20")], age_years=80)
    assert routing.route.route_id == "R49"
    assert [r.route_id for r in routing.others] == ["R41", "R20", "R29"]


def test_all_normal_goes_to_the_archive() -> None:
    routing = rules.route_for([found("BP01"), found("EC38"), found("SP02")])
    assert (routing.route.route_id, routing.archive, routing.specialty) == ("R44", True, None)
    assert routing.clocks.ack_min is None
    assert rules.route_for([]).archive


def test_chest_pain_is_never_archived() -> None:
    routing = rules.route_for([found("BP01"), found("EC38")], chest_pain="yes")
    assert (routing.route.route_id, routing.urgency, routing.specialty) == ("R03", Urgency.ORANGE, "emergency")
    assert rules.route_for([found("EC01")], chest_pain="yes").route.route_id == "R01"


def test_an_undetermined_finding_is_not_routed_as_present_and_not_archived() -> None:
    open_question = found("GL11", status="undetermined")
    routing = rules.route_for([open_question, found("GL08")])
    assert (routing.route.route_id, routing.urgency, routing.needs) == ("R53", Urgency.BLUE, ("known_diabetes",))
    alone = rules.route_for([open_question, found("BP01")])
    assert (alone.route.route_id, alone.archive) == ("R62", False)


def test_a_rule_of_a_newer_kit_still_reaches_a_person_at_its_urgency() -> None:
    routing = rules.route_for([Finding("ZZ99", Urgency.RED)])
    assert (routing.route.route_id, routing.urgency, routing.specialty) == ("R63", Urgency.RED, "emergency")


@given(st.permutations(["BP05", "GL08", "EC21", "SP03", "BP37"]), st.integers(0, 5))
def test_the_order_of_findings_does_not_matter(order: list[str], count: int) -> None:
    some = order[:count]
    assert rules.route_for([found(r) for r in some]).route == rules.route_for([found(r) for r in sorted(some)]).route


def test_every_route_has_words_clocks_and_a_source() -> None:
    for route in rules.routes():
        clocks = rules.clocks(route.urgency)
        assert (route.ack_min, route.report_min) == (clocks.ack_min, clocks.report_min)
        assert route.source
        for text in (route.finding, route.village_action, route.escalation_chain, route.notify):
            assert text.zh
            assert text.en
            assert text.en.isascii() or "→" in text.en
    assert len({r.route_id for r in rules.routes()}) == 65


def test_requests_are_never_taken_by_findings() -> None:
    requests = {r.trigger.request: r.route_id for r in rules.routes() if r.trigger.kind == "by-request"}
    assert requests == {"flag:3C": "R42", "hub:request": "R45", "hub:discharge": "R46"}
    assert not any(r.trigger.rules for r in rules.routes() if r.trigger.kind == "by-request")


def test_a_routes_urgency_is_its_rules_urgency_unless_a_condition_says_more() -> None:
    conditional = {"R02", "R32", "R33"}
    for route in rules.routes():
        for rule_id in route.trigger.rules:
            own = rules.rule(rule_id).urgency
            if own is not None and route.route_id not in conditional:
                assert own is route.urgency, (route.route_id, rule_id)


def altered(route_id: str, **cells: str) -> list[dict[str, str]]:
    return [{**row, **cells} if row["route_id"] == route_id else row for row in read_csv("routing.csv")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (altered("R47", if_chest_pain="yes"), "R02 and R47 both take EC03, EC05, EC35"),
        (altered("R47", if_chest_pain=""), "R02 and R47 both take"),
        (altered("R20", trigger_rules="BP04;BP05"), "R17 and R20 both take BP05"),
        (altered("R20", trigger_rules="BP04;BP99"), "R20 names BP99, which is no rule"),
        (altered("R20", source=""), "R20 has no source"),
        (altered("R20", trigger_rules=""), "R20 is rules without rules"),
        (altered("R20", first_specialty="dentistry"), "R20 names dentistry, which is no specialty"),
        (altered("R45", request="hub:discharge"), "R45 and R46 are both by-request"),
        (altered("R62", trigger_kind="normal"), "R44 and R62 are both normal"),
        (altered("R62", trigger_kind="sometimes"), "R62: no trigger 'sometimes'"),
        ([*read_csv("routing.csv"), {**read_csv("routing.csv")[0], "trigger_rules": "BP14"}], "R01 stands twice"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(rows: list[dict[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_routes(rows, rules_by_id(), specialties())


def test_the_table_as_it_stands_is_accepted() -> None:
    assert parse_routes(read_csv("routing.csv"), rules_by_id(), specialties()) == rules.routes()

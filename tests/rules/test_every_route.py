"""Every row of the routing table at every edge of its condition, against a second reading of the file itself.

The reading here knows the file's columns and nothing of the program: which rules, whether chest pain is yes, no or
unknown, at which urgency, from which age, from how many YELLOW routes, after how many minutes.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from itertools import pairwise, product

import pytest

from zhenbao import rules
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.quantity import Quantity
from zhenbao.rules.judge import domain_conditions, emitted_urgencies

ROWS = list(csv.DictReader(files("zhenbao.rules").joinpath("routing.csv").read_text(encoding="utf-8").splitlines()))
RANK = {"RED": 0, "ORANGE": 1, "YELLOW": 2, "BLUE": 3, "GREEN": 4}
PAIN = ("yes", "no", "unknown")
NAMED = [(row["route_id"], rule) for row in ROWS for rule in filter(None, row["trigger_rules"].split(";"))]
(ELDERLY,) = (row for row in ROWS if row["trigger_kind"] == "elderly")
(LATE,) = (row for row in ROWS if row["trigger_kind"] == "late")


def expected(rule: str, urgency: str, pain: str) -> set[str]:
    """The routes of one finding, as the file says. An unknown chest pain counts as one where it decides."""
    taken = {
        row["route_id"]
        for row in ROWS
        if rule in row["trigger_rules"].split(";")
        and row["if_urgency"] in ("", urgency)
        and row["if_chest_pain"] in ("", "no" if pain == "no" else "yes")
    }
    taken = taken or {row["route_id"] for row in ROWS if row["trigger_kind"] == "unknown-rule"}
    return taken | {row["route_id"] for row in ROWS if row["trigger_kind"] == "chest-pain" and pain == "yes"}


def taken(*findings: Finding, **more: object) -> set[str]:
    routing = rules.route_for(findings, **more)  # type: ignore[arg-type]
    return {route.route_id for route in (routing.route, *routing.others)}


@pytest.mark.parametrize(("route_id", "rule"), NAMED, ids=["-".join(pair) for pair in NAMED])
def test_each_rule_of_each_row_at_each_urgency_with_and_without_chest_pain(route_id: str, rule: str) -> None:
    reached = False
    for pain, urgency in product(PAIN, ("RED", "ORANGE", "YELLOW", "BLUE")):
        found = taken(Finding(rule, Urgency(urgency)), chest_pain=pain)
        assert found == expected(rule, urgency, pain), (rule, urgency, pain)
        reached = reached or route_id in found
    assert reached, f"nothing reaches {route_id} by {rule}"


def test_every_row_is_tried() -> None:
    assert len(ROWS) == len(rules.routes()) == 65
    tried = {route_id for route_id, _ in NAMED}
    special = {row["route_id"]: row["trigger_kind"] for row in ROWS if row["route_id"] not in tried}
    assert sorted(special.values()) == sorted(
        ["elderly", "late", "normal", "undetermined", "unknown-rule", "by-request", "by-request", "by-request"]
    )


def test_what_kits_can_find_takes_exactly_the_rows_that_name_it() -> None:
    seen = 0
    for domain in rules.DOMAINS:
        for entry in domain_conditions(domain).rules.values():
            for urgency, pain in product(emitted_urgencies(entry) - {Urgency.GREEN}, PAIN):
                seen += 1
                assert taken(Finding(entry.rule_id, urgency), chest_pain=pain) == expected(
                    entry.rule_id, urgency.value, pain
                )
    assert seen > 250


@pytest.mark.parametrize("row", [r for r in ROWS if r["trigger_kind"] == "rules"], ids=lambda row: row["route_id"])
def test_any_of_a_row_s_rules_takes_it_and_all_of_them_take_it_once(row: dict[str, str]) -> None:
    urgency, pain = row["if_urgency"] or row["urgency"], row["if_chest_pain"] or "no"
    names = row["trigger_rules"].split(";")
    everything = rules.route_for([Finding(rule, Urgency(urgency)) for rule in names], chest_pain=pain)
    listed = [route.route_id for route in (everything.route, *everything.others)]
    assert listed.count(row["route_id"]) == 1
    assert set(listed) == set().union(*(expected(rule, urgency, pain) for rule in names))
    undetermined = [Finding(rule, Urgency(urgency), status="undetermined") for rule in names]
    assert row["route_id"] not in taken(*undetermined, chest_pain=pain)
    green = [Finding(rule, Urgency.GREEN) for rule in names]
    assert row["route_id"] not in taken(*green, chest_pain=pain)


def test_of_any_two_rows_the_more_urgent_leads_and_of_equals_the_one_further_up() -> None:
    plain = [r for r in ROWS if r["trigger_kind"] == "rules" and not r["if_chest_pain"] and not r["if_urgency"]]
    order = {row["route_id"]: number for number, row in enumerate(ROWS)}
    for one, other in pairwise([*plain, *plain[::-1], *plain[::7]]):
        if one is other:
            continue
        pair = [Finding(row["trigger_rules"].split(";")[0], Urgency(row["urgency"])) for row in (one, other)]
        first = min((one, other), key=lambda row: (RANK[row["urgency"]], order[row["route_id"]]))
        routing = rules.route_for(pair, chest_pain="no")
        assert routing.route.route_id == first["route_id"], (one["route_id"], other["route_id"])
        assert routing.specialty == (first["first_specialty"] or None)
        assert routing.second_specialty == (first["second_specialty"] or None)
        assert (routing.clocks.ack_min, routing.clocks.report_min) == (int(first["ack_min"]), int(first["report_min"]))


@pytest.mark.parametrize("years", [-1, 0, 1])
@pytest.mark.parametrize("fewer", [-1, 0, 1])
def test_the_joint_request_of_the_old_at_both_its_edges(years: int, fewer: int) -> None:
    age, count = int(ELDERLY["age_from_years"]) + years, int(ELDERLY["yellow_from"]) + fewer
    yellow = [r for r in ROWS if r["urgency"] == "YELLOW" and r["trigger_kind"] == "rules"][:count]
    found = [Finding(row["trigger_rules"].split(";")[0], Urgency.YELLOW) for row in yellow]
    assert (ELDERLY["route_id"] in taken(*found, age_years=age, chest_pain="no")) is (years >= 0 and fewer >= 0)
    assert ELDERLY["route_id"] not in taken(*found, age_years=None, chest_pain="no")


@pytest.mark.parametrize(("more", "late"), [(-0.1, False), (0, False), (0.1, True)])
def test_lateness_at_its_edge(more: float, late: bool) -> None:
    minutes = float(LATE["late_above_min"]) + more
    assert (rules.route_for([Finding("EC01", Urgency.RED)], now_late_min=minutes).late is not None) is late
    assert rules.route_for([Finding("EC20", Urgency.ORANGE)], now_late_min=minutes).late is None


# By hand: the highest saturation (%) that takes each route, without and with breathlessness, at each altitude (m).
SATURATION = [
    ("below-1500", {"R57": 94, "R33": 90, "R32": 84}, {"R57": 94, "R32": 90}),
    (None, {"R57": 94, "R33": 90, "R32": 84}, {"R57": 94, "R32": 90}),
    ("1500-2500", {"R33": 89, "R32": 84}, {"R32": 89}),
    ("2500-3500", {"R33": 86, "R32": 84}, {"R32": 86}),
    ("3500-4500", {"R33": 82}, {"R32": 82}),
]


@pytest.mark.parametrize(("altitude", "plain", "breathless"), SATURATION)
@pytest.mark.parametrize("dyspnoea", PAIN)
def test_a_saturation_at_every_altitude(
    altitude: str | None, plain: dict[str, int], breathless: dict[str, int], dyspnoea: str
) -> None:
    edges = breathless if dyspnoea == "yes" else plain
    for percent in range(70, 101):
        context = {"dyspnoea": dyspnoea} | ({"altitude": altitude} if altitude else {})
        found = rules.evaluate("spo2", {"spo2": Quantity(percent, "%")}, context)
        route = rules.route_for(found, chest_pain="no").route.route_id
        reached = [name for name, highest in edges.items() if percent <= highest]
        assert route == (reached[-1] if reached else "R44"), percent

"""Who answers, by when; and the roster that says who is on duty."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhenbao.hub.roster import Desk, Duty, Roster, load_roster
from zhenbao.hub.routing import Placement, place
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.rules import specialties

NOON_MS = 1_795_320_000_000
"""2026-11-22 12:00 in Beijing."""
HOUR_MS = 3_600_000


def route(*findings: Finding, roster: Roster, at_ms: int = NOON_MS, late_min: float = 0, **more: object) -> Placement:
    facts: dict[str, object] = {"age_years": 50, "chest_pain": "no"} | more
    return place(findings, late_min=late_min, roster=roster, at_ms=at_ms, **facts)


@pytest.fixture
def roster() -> Roster:
    return Roster(
        Desk("0994-0000000", "emergency"),
        (
            Duty("cardiology", "heart", "0994-0000011", hours="08:00-20:00"),
            Duty("cardiology", "night-heart", "0994-0000012", hours="20:00-00:30"),
            Duty("emergency", "rescue", "0994-0000021"),
        ),
    )


def test_a_critical_finding_goes_to_the_first_line_on_duty_with_its_clocks(roster: Roster) -> None:
    placed = route(Finding("EC19", Urgency.RED), roster=roster)
    assert (placed.urgency, placed.specialty, placed.second_specialty) == (Urgency.RED, "cardiology", "emergency")
    assert (placed.owner, placed.owner_phone, placed.fallback) == ("heart", "0994-0000011", False)
    assert (placed.ack_min, placed.report_min) == (5, 10)  # RULES 2.5
    assert placed.lead_rule == "EC19"


@pytest.mark.parametrize(
    ("hours_later", "owner", "fallback"),
    [
        pytest.param(7.99, "heart", False, id="19:59"),
        pytest.param(8, "night-heart", False, id="20:00"),
        pytest.param(12.4, "night-heart", False, id="00:24, over midnight"),
        pytest.param(12.5, "rescue", True, id="00:30, nobody of the specialty"),
        pytest.param(20, "heart", False, id="08:00"),
    ],
)
def test_duty_follows_the_clock_of_beijing(roster: Roster, hours_later: float, owner: str, fallback: bool) -> None:
    placed = route(Finding("EC19", Urgency.RED), roster=roster, at_ms=NOON_MS + round(hours_later * HOUR_MS))
    assert (placed.owner, placed.fallback) == (owner, fallback)


def test_what_can_wait_wakes_nobody_but_the_desk(roster: Roster) -> None:
    placed = route(Finding("SP03", Urgency.YELLOW), roster=roster)
    assert (placed.specialty, placed.owner, placed.owner_phone) == ("respiratory", None, "0994-0000000")
    assert placed.fallback


def test_without_any_duty_the_desk_remains() -> None:
    placed = route(Finding("EC19", Urgency.RED), roster=Roster(Desk("0994-0000000", "emergency")))
    assert (placed.owner, placed.owner_phone, placed.fallback) == (None, "0994-0000000", True)


@pytest.mark.parametrize(("late_min", "late"), [(30, False), (31, True)])
def test_a_critical_result_is_late_after_half_an_hour(roster: Roster, late_min: float, late: bool) -> None:
    assert route(Finding("EC19", Urgency.RED), roster=roster, late_min=late_min).late is late


def test_only_a_critical_result_is_late(roster: Roster) -> None:
    assert not route(Finding("BP04", Urgency.YELLOW), roster=roster, late_min=600).late


def test_one_visit_is_one_case_and_the_most_urgent_leads(roster: Roster) -> None:
    placed = route(
        Finding("BP03", Urgency.BLUE), Finding("EC19", Urgency.RED), Finding("SP03", Urgency.YELLOW), roster=roster
    )
    assert (placed.route_id, placed.lead_rule) == ("R08", "EC19")
    assert set(placed.other_routes) == {"R21", "R35"}


def test_normal_readings_go_to_the_archive(roster: Roster) -> None:
    placed = route(Finding("BP01", Urgency.GREEN), roster=roster)
    assert (placed.urgency, placed.specialty, placed.report_min) == (Urgency.GREEN, None, None)


def test_the_example_roster_names_known_specialties_and_no_number_that_can_be_dialled() -> None:
    roster = load_roster()
    assert {duty.specialty for duty in roster.duty} <= set(specialties())
    assert roster.desk.emergency in {duty.specialty for duty in roster.duty}
    phones = [roster.desk.phone, *(p for d in roster.duty for p in (d.first_phone, d.second_phone) if p)]
    assert all(phone.startswith("0994-0000") for phone in phones)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[desk]\nphone = '1'", id="a field is missing"),
        pytest.param("[desk]\nphone='1'\nemergency='e'\n[[duty]]\nspeciality='e'\nfirst='a'", id="a misspelt key"),
        pytest.param("[desk]\nphone='1'\nemergency='e'\n[[dutys]]\nspecialty='e'", id="a misspelt table"),
        pytest.param(
            "[desk]\nphone='1'\nemergency='e'\n[[duty]]\nspecialty='e'\nfirst='a'\nhours='8-20'", id="strange hours"
        ),
        pytest.param("[desk", id="no TOML"),
    ],
)
def test_a_roster_that_is_not_understood_is_refused_whole(tmp_path: Path, text: str) -> None:
    file = tmp_path / "roster.toml"
    file.write_text(text)
    with pytest.raises(InputError) as raised:
        load_roster(file)
    assert raised.value.code == "roster"

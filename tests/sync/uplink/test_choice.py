"""Which road, over time: the better one once it is proved, the working one while it works, none left in haste."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zhenbao.sync.uplink.choice import Choice, Road, asked, choose
from zhenbao.sync.uplink.policy import policy
from zhenbao.sync.uplink.state import Kind, Miss, Outcome, Uplink

WIFI, SIM = Road(Uplink(Kind.WIFI, "wlan0", up=True)), Road(Uplink(Kind.CELLULAR, "wwan0", up=True))


def answered(road: Road, times: int, since_s: float = 0.0) -> Road:
    for _ in range(times):
        road = asked(road, Outcome(0.1), since_s)
    return road


def missed(road: Road, times: int) -> Road:
    for _ in range(times):
        road = asked(road, Outcome(miss=Miss.SILENT), 0)
    return road


def test_no_road() -> None:
    assert choose(Choice(), (), 5) == Choice()
    assert choose(Choice("wlan0"), (replace(WIFI, uplink=replace(WIFI.uplink, up=False)),), 5) == Choice(None, 5)


def test_a_road_that_was_not_asked_is_there_for_what_is_critical() -> None:
    assert choose(Choice(), (SIM, WIFI), 5) == Choice("wlan0", 5)


def test_the_one_that_answers_is_taken_before_the_preferred_one() -> None:
    assert choose(Choice(), (missed(WIFI, 1), answered(SIM, 1)), 5).name == "wwan0"


def test_a_captive_wifi_is_left_for_the_sim_that_answers() -> None:
    assert choose(Choice("wlan0"), (missed(WIFI, 1), answered(SIM, 1)), 5).name == "wlan0"
    assert choose(Choice("wlan0"), (missed(WIFI, 2), answered(SIM, 1)), 5).name == "wwan0"


def test_a_better_road_takes_over_only_when_it_has_answered_twice_over_a_while() -> None:
    now = Choice("wwan0")
    sim = answered(SIM, 9)
    assert choose(now, (sim, answered(WIFI, 1)), 100).name == "wwan0"
    assert choose(now, (sim, answered(WIFI, 2)), 19.9).name == "wwan0"
    assert choose(now, (sim, answered(WIFI, 2)), 20).name == "wlan0"


def test_a_worse_road_never_takes_over_from_one_that_works() -> None:
    assert choose(Choice("wlan0"), (answered(SIM, 9), answered(WIFI, 1)), 500).name == "wlan0"


def test_where_nothing_answers_the_road_stays_as_it_is() -> None:
    assert choose(Choice("wwan0"), (missed(WIFI, 1), missed(SIM, 9)), 500).name == "wwan0"


def test_a_road_that_is_gone_is_left_at_once() -> None:
    assert choose(Choice("wlan0"), (answered(SIM, 1),), 5) == Choice("wwan0", 5)


@given(st.lists(st.booleans(), min_size=50, max_size=50))
def test_it_never_flaps(answers: list[bool]) -> None:
    """A Wi-Fi that comes and goes, a SIM that works: two changes are never nearer than the settling time."""
    wifi, sim, choice = WIFI, answered(SIM, 1), Choice("wwan0")
    changed_s = [0.0]
    for step, answer in enumerate(answers):
        now_s = 5.0 * step
        wifi = asked(wifi, Outcome(0.1) if answer else Outcome(miss=Miss.OTHER), now_s)
        after = choose(choice, (wifi, sim), now_s)
        if after != choice:
            changed_s.append(now_s)
            assert (after.name == "wlan0") is answer
        choice = after
    to_wifi = changed_s[1::2]
    assert all(later - earlier >= policy().settle_s for earlier, later in pairwise(to_wifi))

"""The table at each of its bounds, and what must hold whatever its numbers are."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.sync.envelope import Lane
from zhenbao.sync.uplink.policy import Decision, Reason, Situation, decide, policy, strength
from zhenbao.sync.uplink.state import Kind, Radio, Reach, Registration, Signal, Uplink

ROWS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("policy_boundaries.toml").read_text("utf-8"))["row"]
GOOD = Situation(
    Uplink(
        Kind.CELLULAR,
        "wwan0",
        up=True,
        radio=Radio.SA,
        registration=Registration.HOME,
        plmn="46000",
        signal=Signal(-90, -10, 15),
    ),
    answered=True,
    budget_used=0.1,
)


def situation(values: dict[str, Any]) -> Situation:
    now = GOOD
    for name, value in values.items():
        assert now.uplink is not None and now.uplink.signal is not None
        if name in ("rsrp_dbm", "sinr_db"):
            now = replace(now, uplink=replace(now.uplink, signal=replace(now.uplink.signal, **{name: value})))
        elif name == "answered":
            now = replace(now, answered=value if isinstance(value, bool) else None)
        elif name in ("budget_used", "local_time"):
            now = replace(now, **{name: value})
        else:
            types: dict[str, Any] = {"kind": Kind, "reach": Reach, "registration": Registration}
            now = replace(now, uplink=replace(now.uplink, **{name: types.get(name, lambda v: v)(value)}))
    return now


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['vary']}={row['value']}-{row.get('with', '')}")
@pytest.mark.parametrize("lane", Lane, ids=lambda lane: lane.name)
def test_each_bound(row: dict[str, Any], lane: Lane) -> None:
    name = lane.name.lower()
    decision = decide(lane, situation(row.get("with", {}) | {row["vary"]: row["value"]}))
    assert decision.allowed is (name in row["go"])
    if not decision.allowed:
        assert decision.reason == row.get("reasons", {}).get(name, row.get("waits"))


def test_every_limit_of_the_table_has_a_row_at_its_bound() -> None:
    table = policy()
    bounds = {("rsrp_dbm", row.weakest_rsrp_dbm) for row in table.lanes.values()}
    bounds |= {("sinr_db", row.weakest_sinr_db) for row in table.lanes.values()}
    bounds |= {("budget_used", row.most_of_budget) for row in table.lanes.values()}
    bounds |= {("local_time", moment) for moment in table.night}
    wanted = {(name, value) for name, value in bounds if value is not None}
    assert wanted <= {(row["vary"], row["value"]) for row in ROWS}


SIGNALS = st.one_of(
    st.none(),
    st.builds(
        Signal,
        st.none() | st.integers(-156, -31),
        st.none() | st.integers(-43, 20),
        st.none() | st.integers(-23, 40),
    ),
)
UPLINKS = st.builds(
    Uplink,
    st.sampled_from(Kind),
    up=st.none() | st.booleans(),
    metered=st.none() | st.booleans(),
    reach=st.none() | st.sampled_from(Reach),
    registration=st.none() | st.sampled_from(Registration),
    plmn=st.sampled_from(["", "46000", "45701"]),
    signal=SIGNALS,
)
SITUATIONS = st.builds(Situation, st.none() | UPLINKS, st.none() | st.booleans(), st.floats(0, 3), st.times())


@given(SITUATIONS, st.sampled_from(Lane), st.sampled_from(Lane), st.booleans())
def test_a_lower_lane_never_goes_where_a_higher_one_waits(now: Situation, one: Lane, other: Lane, wish: bool) -> None:
    higher, lower = min(one, other), max(one, other)
    if decide(lower, now, wish=wish).allowed:
        assert decide(higher, now, wish=wish).allowed


@given(SITUATIONS, st.sampled_from(Lane))
def test_critical_goes_over_anything_that_may_be_a_road(now: Situation, lane: Lane) -> None:
    is_road = now.uplink is not None and now.uplink.up is not False
    expected = Decision(is_road, Reason.CRITICAL if is_road else Reason.NO_ROAD)
    assert decide(Lane.CRITICAL, now) == expected
    assert decide(lane, now, critical_case=True) == expected


@given(SITUATIONS, st.sampled_from([Lane.WAVEFORMS, Lane.BULK]))
def test_nothing_large_goes_before_the_hub_has_answered(now: Situation, lane: Lane) -> None:
    assert not decide(lane, replace(now, answered=None)).allowed
    assert not decide(lane, replace(now, answered=False)).allowed


@given(SITUATIONS, st.sampled_from([Lane.RESULTS, Lane.REPORTS]))
def test_a_probe_that_never_answers_keeps_no_result_from_the_hub(now: Situation, lane: Lane) -> None:
    assert decide(lane, now).allowed is (now.uplink is not None and now.uplink.up is not False)


@given(SITUATIONS, st.sampled_from(Lane))
def test_the_doctors_wish_is_enough_wherever_there_is_a_road(now: Situation, lane: Lane) -> None:
    assert decide(lane, now, wish=True).allowed is (now.uplink is not None and now.uplink.up is not False)


def test_an_unknown_signal_holds_nothing_back() -> None:
    assert GOOD.uplink is not None
    now = replace(GOOD, uplink=replace(GOOD.uplink, signal=None))
    assert decide(Lane.WAVEFORMS, now) == Decision(True, Reason.OPEN)


def test_every_table_has_its_reason() -> None:
    text = (Path(__file__).parents[3] / "zhenbao" / "sync" / "uplink" / "policy.toml").read_text("utf-8")
    table = tomllib.loads(text)
    lanes = table.pop("lane")
    assert {name for name, part in (table | lanes).items() if len(part.get("reason", "")) < 20} == set()


@pytest.mark.parametrize(
    ("rsrp", "word"),
    [(-95, "strong"), (-96, "fair"), (-105, "fair"), (-106, "weak"), (-115, "weak"), (-116, "very-weak"), (None, None)],
)
def test_a_signal_in_a_word(rsrp: float | None, word: str | None) -> None:
    assert strength(Signal(rsrp)) == word

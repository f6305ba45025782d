"""Instants of three kinds of clocks: what is said of an interval is never more than the facts say."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.hub.chest_pain.chain import Ecg, Facts, KitTime, Written, between, chain
from zhenbao.hub.chest_pain.table import table
from zhenbao.hub.chest_pain.targets import judge

MIN = 60_000
T = 1_795_312_800_000
"""A true instant: the hub's clock is right."""
BOOT_MS = 5_000_000
"""The tablet was started so long before ``T``."""


def kit_time(
    milestone: str,
    true_ms: int,
    *,
    wrong_ms: int = 0,
    received_ms: int | None = None,
    ahead_ms: int | None = None,
    **more: object,
) -> KitTime:
    """As a kit whose clock is ``wrong_ms`` ahead notes it, sent at once unless ``received_ms`` says otherwise."""
    received = true_ms + 800 if received_ms is None else received_ms
    ahead = wrong_ms if ahead_ms is None else ahead_ms
    at = true_ms + wrong_ms
    plain = KitTime(milestone, at, at, "boot-1", true_ms - T + BOOT_MS, False, received, ahead)
    return replace(plain, **more)  # type: ignore[arg-type]


def verdicts(facts: Facts, now_ms: int) -> dict[str, str]:
    return {judged.target.key: judged.verdict for judged in judge(chain(facts), now_ms)}


def test_the_targets_are_the_rows_of_the_rules_with_their_sources() -> None:
    found = {t.rule_id: (t.limit_ms // MIN, t.strict) for t in table().targets}
    assert found == {
        "CP01": (10, False),
        "CP02": (10, False),
        "CP04": (90, False),
        "CP05": (30, True),
        "CP06": (30, False),
        "CP07": (90, False),
        "CP08": (120, False),
        "CP09": (30, False),
        "CP10": (30, True),
        "CP12": (20, False),
    }
    assert all(t.source for t in table().targets)


@pytest.mark.parametrize("wrong_min", [0, 20, -20, 525_600])
def test_a_wrong_clock_that_took_both_ends_bends_no_interval(wrong_min: int) -> None:
    times = (
        kit_time("first-contact", T, wrong_ms=wrong_min * MIN),
        kit_time("ecg-end", T + 4 * MIN, wrong_ms=wrong_min * MIN),
    )
    found = chain(Facts("kit-1", kit_times=times))
    interval = between(found["first-contact"][0], found["ecg-end"][0])
    assert (interval.value_ms, interval.error_ms, interval.two_clocks) == (4 * MIN, 0, False)
    assert verdicts(Facts("kit-1", kit_times=times), T + 60 * MIN)["fmc-ecg"] == "met"


def test_a_clock_that_is_put_right_between_two_instants_bends_no_interval() -> None:
    """The wall clock says minus sixteen minutes; the time since the tablet's start says four."""
    times = (
        kit_time("first-contact", T, wrong_ms=20 * MIN, received_ms=T + 60 * MIN, ahead_ms=0),
        kit_time("ecg-end", T + 4 * MIN, wrong_ms=0, received_ms=T + 60 * MIN, ahead_ms=0),
    )
    assert times[1].at_ms - times[0].at_ms == -16 * MIN
    found = chain(Facts("kit-1", kit_times=times))
    assert between(found["first-contact"][0], found["ecg-end"][0]).value_ms == 4 * MIN


def test_across_two_clocks_nothing_is_judged_before_the_kits_clock_is_known() -> None:
    """Twenty minutes ahead, an hour without a network, put right before it was sent: nobody can see that from there."""
    held = tuple(
        kit_time(name, T + n * MIN, wrong_ms=20 * MIN, received_ms=T + 61 * MIN, ahead_ms=0)
        for n, name in ((0, "first-contact"), (3, "ecg-start"), (4, "ecg-end"))
    )
    facts = Facts("kit-1", kit_times=held, signed_ms=T + 65 * MIN)
    stamp = chain(facts)["ecg-end"][0]
    assert stamp.error_ms is None
    assert verdicts(facts, T + 70 * MIN)["ecg-diagnosis"] == "unsure"
    # One instant that is sent at once tells how the time since the start stands to the hub's clock.
    facts = replace(facts, kit_times=(*held, kit_time("village-read", T + 66 * MIN, wrong_ms=0)))
    stamp = chain(facts)["ecg-end"][0]
    assert stamp.at_ms == T + 24 * MIN, "what the kit's clock showed stays on the page"
    assert stamp.error_ms is not None
    assert abs(stamp.hub_ms - (T + 4 * MIN)) <= stamp.error_ms <= 10_000
    interval = between(stamp, chain(facts)["diagnosed"][0])
    assert interval.two_clocks
    assert abs(interval.value_ms - 61 * MIN) <= (interval.error_ms or 0)
    assert verdicts(facts, T + 70 * MIN)["ecg-diagnosis"] == "missed"


def test_a_wrong_clock_that_sent_at_once_is_converted_with_its_error() -> None:
    facts = Facts("kit-1", kit_times=(kit_time("ecg-end", T, wrong_ms=20 * MIN),), signed_ms=T + 8 * MIN)
    interval = between(chain(facts)["ecg-end"][0], chain(facts)["diagnosed"][0])
    assert interval.two_clocks
    assert interval.error_ms is not None
    assert abs(interval.value_ms - 8 * MIN) <= interval.error_ms
    assert verdicts(facts, T + 9 * MIN)["ecg-diagnosis"] == "met"


@given(
    st.integers(-40 * MIN, 40 * MIN),
    st.integers(0, 90 * MIN),
    st.integers(0, 4000),
    st.integers(1, 30 * MIN),
)
def test_whatever_the_clock_does_the_truth_lies_within_the_error(
    wrong_ms: int, wait_ms: int, transit_ms: int, later_ms: int
) -> None:
    """A clock that is wrong and stays so: the true interval is within what is said, or nothing is said."""
    taken = kit_time("ecg-end", T, wrong_ms=wrong_ms, received_ms=T + wait_ms + transit_ms, ahead_ms=wrong_ms)
    facts = Facts("kit-1", kit_times=(taken,), signed_ms=T + wait_ms + transit_ms + later_ms)
    interval = between(chain(facts)["ecg-end"][0], chain(facts)["diagnosed"][0])
    if interval.error_ms is not None:
        assert abs(interval.value_ms - (wait_ms + transit_ms + later_ms)) <= interval.error_ms


def test_a_visit_without_the_key_has_the_times_of_its_record() -> None:
    facts = Facts("kit-1", started_ms=T, ecg=Ecg(T + 2 * MIN, T + 3 * MIN, 0, 10_000))
    found = chain(facts)
    assert list(found) == ["first-contact", "ecg-start", "ecg-end", "uploaded", "hub-received"]
    assert between(found["first-contact"][0], found["ecg-end"][0]).value_ms == 2 * MIN + 10_000
    assert "ecg-end" not in chain(replace(facts, ecg=Ecg(T, T, 0, None))), "no waveform, no end"


def written(milestone: str, at_ms: int, noted_ms: int, login: str = "desk", number: int = 0) -> Written:
    return Written(UUID(int=number), milestone, at_ms, noted_ms, login, "某医师", "")


def test_a_correction_counts_and_what_was_there_stays() -> None:
    facts = Facts(
        "kit-1",
        kit_times=(kit_time("first-contact", T),),
        written=(written("first-contact", T - 9 * MIN, T + MIN), written("first-contact", T - 6 * MIN, T + 20 * MIN)),
    )
    first, *others = chain(facts)["first-contact"]
    assert (first.at_ms, first.clock, first.written_later_ms) == (T - 6 * MIN, "person", 26 * MIN)
    assert [(o.at_ms, o.clock) for o in others] == [(T - 9 * MIN, "person"), (T, "kit")]


def test_the_first_ecg_counts_and_the_last_word_of_the_village() -> None:
    times = (
        kit_time("ecg-end", T + 4 * MIN),
        kit_time("ecg-end", T + 30 * MIN),
        kit_time("called-120", T + 5 * MIN, told=True),
        kit_time("called-120", T + 6 * MIN, told=True, at_ms=T + 2 * MIN),
    )
    found = chain(Facts("kit-1", kit_times=times))
    assert found["ecg-end"][0].at_ms == T + 4 * MIN
    assert found["called-120"][0].at_ms == T + 2 * MIN


@pytest.mark.parametrize(
    ("minutes", "verdict"),
    [(28, "met"), (29, "unsure"), (30, "unsure"), (31.9, "unsure"), (32.1, "missed"), (-3, "order"), (-1, "met")],
)
def test_what_two_people_wrote_is_judged_with_the_error_of_their_watches(minutes: float, verdict: str) -> None:
    """Door in to door out, at most 30 minutes; each watch may be a minute wrong."""
    facts = Facts(
        "kit-1",
        written=(
            written("door-in", T, T, "receiver-1"),
            written("door-out", T + round(minutes * MIN), T + 60 * MIN, "receiver-2"),
        ),
    )
    assert verdicts(facts, T + 90 * MIN)["door-in-door-out"] == verdict


def test_what_is_not_known_is_never_met_and_never_nought() -> None:
    assert verdicts(Facts("kit-1"), T) == {"fmc-ecg": "unknown", "ecg-diagnosis": "unknown"}
    begun = Facts("kit-1", kit_times=(kit_time("first-contact", T),))
    assert verdicts(begun, T + 9 * MIN)["fmc-ecg"] == "running"
    assert verdicts(begun, T + 11 * MIN)["fmc-ecg"] == "overdue"
    assert all(judged.interval is None for judged in judge(chain(begun), T))


def test_the_way_of_the_patient_chooses_the_target() -> None:
    direct = Facts("kit-1", kit_times=(kit_time("first-contact", T),), written=(written("wire", T + 80 * MIN, T),))
    assert "fmc-wire-direct" in verdicts(direct, T)
    assert "fmc-wire-transfer" not in verdicts(direct, T)
    by_way = replace(direct, written=(*direct.written, written("door-in", T + 20 * MIN, T)))
    assert verdicts(by_way, T)["fmc-wire-transfer"] == "met"
    assert "fmc-wire-direct" not in verdicts(by_way, T)


def test_milestones_of_a_newer_kit_are_left_alone() -> None:
    assert chain(Facts("kit-1", kit_times=(kit_time("something-new", T),))) == {}

"""Clocks that are wrong or jump: the order is (kit, boot, sequence), nothing waits, and what is late looks late."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from reliability import rig
from reliability.export import export
from reliability.history import Fact, History, check
from reliability.machine import DAY_MS, Side
from reliability.rig import HUB_ID, KIT_ID, START_MS, Visit
from reliability.road import Road

HOUR_MS = 3_600_000
WRONG = {"in 1970": 5_000 - START_MS, "3 days behind": -3 * DAY_MS, "3 days ahead": 3 * DAY_MS}
STEP_S = 0.25


class Pair:
    """A kit, a hub, and the road between."""

    def __init__(self, folder: Path) -> None:
        self.road = Road(random.Random(1))
        self.kit = Side(folder / "kit", KIT_ID, rig.open_kit, self.road)
        self.hub = Side(folder / "hub", HUB_ID, rig.open_hub, self.road)

    def steps(self, n: int = 1) -> None:
        for _ in range(n):
            for side in (self.kit, self.hub):
                side.clock.pass_s(STEP_S)
                side.step()
            self.road.carry()

    def steps_until_all_is_there(self, most: int = 200) -> int:
        for n in range(most):
            if not self.kit.store.queue().total:
                return n
            self.steps()
        pytest.fail(f"not within {most * STEP_S} s")

    def facts(self) -> list[Fact]:
        return export(self.kit.folder, self.hub.folder)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    both = Pair(tmp_path)
    yield both
    both.kit.store.close()
    both.hub.store.close()


def _busy_day(pair: Pair, jumps: dict[int, int]) -> list[str]:
    """Twelve readings, and a name corrected between them; returns the subjects in order of saving."""
    visit, saved = Visit(), []
    saved += visit.begin(pair.kit.store)
    for n in range(12):
        pair.kit.clock.wall_ms += jumps.get(n, 0)
        saved += visit.save(pair.kit.store, visit.reading(at_ms=max(0, pair.kit.clock.now_ms())))
        if n % 4 == 3:
            visit.patient = replace(visit.patient, name=f"演示患者{n}")
            pair.kit.store.save_patient(visit.patient)
            saved.append(visit.patient.id)
        pair.kit.clock.pass_s(30)
    return [str(id_) for id_ in saved]


@pytest.mark.parametrize("offset_ms", WRONG.values(), ids=WRONG)
def test_with_a_wrong_clock_the_order_is_that_of_saving(pair: Pair, offset_ms: int) -> None:
    pair.kit.clock.wall_ms += offset_ms
    saved = _busy_day(pair, {})
    pair.road.up()
    pair.steps_until_all_is_there()
    arrived = [f for f in pair.facts() if f["what"] == "arrived"]
    assert [f["subject"] for f in sorted(arrived, key=lambda f: f["sequence"])] == saved
    assert check(History(pair.facts()), settled=True) == []


def test_jumps_between_readings_and_restarts_do_not_change_the_order(pair: Pair) -> None:
    saved = _busy_day(pair, {2: -3 * DAY_MS, 5: 6 * DAY_MS, 7: 5_000 - START_MS, 9: START_MS})
    pair.kit.restart()
    saved += _busy_day(pair, {1: -2 * DAY_MS})
    pair.road.up()
    pair.steps_until_all_is_there()
    arrived = [f for f in pair.facts() if f["what"] == "arrived"]
    assert len({f["series"] for f in arrived}) == 1, "numbers go on over a restart"
    assert [f["subject"] for f in sorted(arrived, key=lambda f: f["sequence"])] == saved
    assert check(History(pair.facts()), settled=True) == []


@pytest.mark.parametrize("offset_ms", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("side", ["kit", "hub"])
def test_a_jump_while_sending_delays_nothing(pair: Pair, tmp_path: Path, offset_ms: int, side: str) -> None:
    """Measured against the same sending without a jump, losses included."""
    counts = []
    for jumps in (False, True):
        both = pair if jumps else Pair(tmp_path / "without")
        _busy_day(both, {})
        both.road.up()
        both.steps(1)
        both.road.lose(1.0)  # so that retries are under way when the clock jumps
        both.steps(1)
        if jumps:
            clock = getattr(both, side).clock
            clock.wall_ms = max(0, clock.wall_ms + offset_ms)
        counts.append(both.steps_until_all_is_there())
        assert check(History(both.facts()), settled=True) == []
    # The two sides' jitter is drawn anew: within the longest first retry, not within days.
    assert abs(counts[0] - counts[1]) * STEP_S <= 6.0
    both = Pair(tmp_path / "without")
    both.kit.store.close()
    both.hub.store.close()


def _critical_case(pair: Pair, *, kit_offset_ms: int, away_ms: int) -> tuple[Fact, int]:
    """A critical reading taken by a kit whose clock is off, delivered so much later; its case, and the rule's limit."""
    pair.kit.clock.wall_ms += kit_offset_ms
    visit = Visit(at_ms=pair.kit.clock.now_ms())
    visit.begin(pair.kit.store)
    visit.save(pair.kit.store, visit.reading(critical=True, at_ms=pair.kit.clock.now_ms()))
    for side in (pair.kit, pair.hub):
        side.clock.pass_s(away_ms / 1000)
    pair.road.up()
    pair.steps_until_all_is_there()
    (case,) = [f for f in pair.facts() if f["what"] == "case"]
    return case, rig.late_above_min()


@pytest.mark.parametrize("away_ms", [9 * HOUR_MS, 3 * DAY_MS], ids=["9 h", "3 days"])
def test_what_comes_late_looks_late(pair: Pair, away_ms: int) -> None:
    case, limit_min = _critical_case(pair, kit_offset_ms=0, away_ms=away_ms)
    assert case["late"]
    assert case["received_ms"] - case["effective_ms"] >= away_ms > limit_min * 60_000


def test_what_comes_at_once_does_not(pair: Pair) -> None:
    case, _ = _critical_case(pair, kit_offset_ms=0, away_ms=0)
    assert not case["late"]


def test_a_kit_in_1970_looks_late_rather_than_fresh(pair: Pair) -> None:
    """Wrong on the safe side: somebody telephones."""
    case, _ = _critical_case(pair, kit_offset_ms=5_000 - START_MS, away_ms=0)
    assert case["late"]


def test_a_kit_ahead_by_days_is_shown_as_such(pair: Pair) -> None:
    case, _ = _critical_case(pair, kit_offset_ms=3 * DAY_MS, away_ms=9 * HOUR_MS)
    assert rig.shown_as_clock_ahead(case["effective_ms"], case["received_ms"])


def test_a_kit_ahead_by_hours_does_not_hide_that_its_result_is_late(pair: Pair) -> None:
    """Nine hours late, by a clock that is ten minutes less ahead: it must not look ten minutes old."""
    case, _ = _critical_case(pair, kit_offset_ms=9 * HOUR_MS - 600_000, away_ms=9 * HOUR_MS)
    assert case["late"] or rig.shown_as_clock_ahead(case["effective_ms"], case["received_ms"])

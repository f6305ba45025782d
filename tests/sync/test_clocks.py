"""A packet shows its sender's clock: a kit that is ahead cannot make an old result look fresh."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import Rejected
from zhenbao.model.finding import Finding, Urgency
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Lane
from zhenbao.sync.messages import LATEST_MS, ClockShown, Hello, decode, encode
from zhenbao.sync.parts import PART_BYTES

HOUR_MS = 3_600_000
RED = (Finding("EC19", Urgency.RED, (), "a source"),)


class Pair:
    """A kit and a hub, each with a clock of its own; they agree at first."""

    def __init__(self, place: Path, clocks: list[Any], road: Any) -> None:
        pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
        hub_store = importlib.import_module("zhenbao.hub.store.hub_store").HubStore
        self.road, (self.kit_clock, self.hub_clock) = road, clocks
        self.kit = KitStore.open(place / "kit", kit_id="kit-1", clock=self.kit_clock, ballast_bytes=1 << 20, key=KEY)
        self.hub = hub_store(f"sqlite:///{place}/hub.db", self.hub_clock)
        self.engines = [
            Engine(store, road.end(store.name), clock, road.keyring_of(store.name), rng=random.Random(1))
            for store, clock in ((self.kit, self.kit_clock), (self.hub, self.hub_clock))
        ]

    def connect(self) -> None:
        for end in self.road.ends.values():
            end.start()

    def pass_s(self, seconds: float) -> None:
        for clock in (self.kit_clock, self.hub_clock):
            clock.pass_s(seconds)

    def until_all_is_there(self) -> None:
        for _ in range(400):
            if not self.kit.queue().total:
                return
            for engine in self.engines:
                engine.step()
            self.road.deliver()
            self.pass_s(0.25)
        pytest.fail("not within 100 s")

    def case(self) -> Any:
        tables = importlib.import_module("zhenbao.hub.store.tables")
        with self.hub.reading() as connection:
            return connection.execute(tables.work_items.select()).one()


@pytest.fixture
def pair(tmp_path: Path, faulty_road: Any) -> Iterator[Pair]:
    from tests.sync.conftest import HandClock

    made = Pair(tmp_path, [HandClock(), HandClock()], faulty_road())
    yield made
    made.kit.close()
    made.hub.close()


def critical(pair: Pair, ward: Any, **changes: object) -> Any:
    ward.admit(pair.kit)
    reading = ward.reading("ecg", effective_ms=pair.kit_clock.now_ms(), findings=RED, **changes)
    pair.kit.save_observation(reading, lane=Lane.CRITICAL)
    return reading


def test_a_kit_ahead_does_not_hide_that_its_result_is_late(pair: Pair, ward: Any) -> None:
    pair.kit_clock.wall_ms += 9 * HOUR_MS - 600_000
    critical(pair, ward)
    pair.pass_s(9 * 3600)
    pair.connect()
    pair.until_all_is_there()
    case = pair.case()
    assert case.received_ms - case.effective_ms < HOUR_MS, "by the kit's word it is minutes old"
    assert case.late
    assert case.clock_ahead_ms == pytest.approx(9 * HOUR_MS - 600_000, abs=5000)


@pytest.mark.parametrize("offset_ms", [0, 9 * HOUR_MS, -HOUR_MS // 12])
def test_what_comes_at_once_is_not_late_whatever_the_clock(pair: Pair, ward: Any, offset_ms: int) -> None:
    pair.kit_clock.wall_ms += offset_ms
    critical(pair, ward)
    pair.connect()
    pair.until_all_is_there()
    case = pair.case()
    assert not case.late
    assert case.clock_ahead_ms == pytest.approx(offset_ms, abs=5000)


def test_a_kit_behind_looks_late_rather_than_fresh(pair: Pair, ward: Any) -> None:
    """Wrong on the safe side: its clock may have been set back only after the taking. The hub keeps what it saw."""
    pair.kit_clock.wall_ms -= 9 * HOUR_MS
    critical(pair, ward)
    pair.connect()
    pair.until_all_is_there()
    case = pair.case()
    assert case.late
    assert case.clock_ahead_ms == pytest.approx(-9 * HOUR_MS, abs=5000)


def test_a_clock_that_was_put_right_before_sending_does_not_make_a_late_result_fresh(pair: Pair, ward: Any) -> None:
    """Taken in 1970 by its clock; when it sends, the clock is right. It looks late, rightly or not."""
    right_ms = pair.kit_clock.wall_ms
    pair.kit_clock.wall_ms = 5000
    critical(pair, ward)
    pair.kit_clock.wall_ms = right_ms
    pair.connect()
    pair.until_all_is_there()
    assert pair.case().late


def test_a_reading_in_parts_is_judged_by_the_clock_of_the_day_not_of_its_sealing(pair: Pair, ward: Any) -> None:
    """It was sealed by a right clock; the kit is ahead when it goes on, and has said so since."""
    pair.connect()
    noise = {f"k{n}": random.Random(n).randbytes(60).hex() for n in range(400)}
    critical(pair, ward, context=noise)
    for _ in range(3):
        for engine in pair.engines:
            engine.step()
        pair.road.deliver()
    assert pair.kit.queue().total > 0
    for end in pair.road.ends.values():
        end.stop()
    pair.kit_clock.wall_ms += 2 * HOUR_MS
    pair.pass_s(60)
    pair.connect()
    pair.until_all_is_there()
    assert pair.case().clock_ahead_ms == pytest.approx(2 * HOUR_MS, abs=5000)
    assert any(len(data) > PART_BYTES for to, data in pair.road.carried if to == "hub")


def test_only_a_clock_there_may_be_is_believed() -> None:
    for now_ms in (0, 1_800_000_000_000, LATEST_MS - 1):
        shown = [Hello(), ClockShown(now_ms)]
        assert decode(encode(shown), "kit-1", "hub", None) == shown
    for now_ms in (-1, LATEST_MS, 1 << 70):
        with pytest.raises(Rejected, match="packet-body"):
            decode(encode([ClockShown(now_ms)]), "kit-1", "hub", None)

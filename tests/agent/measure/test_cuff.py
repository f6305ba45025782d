"""The cuff on a cable: what was not there before is what it measured; where nothing new comes, that is told."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from bedside import give_pin

from zhenbao.agent.kit import Kit
from zhenbao.agent.measure import cuff
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.store import KitStore
from zhenbao.drivers.bp_beurer.driver import BeurerCuff
from zhenbao.firmware_sim.serial_cuff import SerialCuff, StoredReading
from zhenbao.model.errors import DeviceError
from zhenbao.model.time import SystemClock
from zhenbao.words import Words

OLD = StoredReading(128, 80, 72, datetime(2026, 11, 22, 7, 5))
NEW = StoredReading(151, 95, 66, datetime(2026, 11, 22, 10, 30))


@pytest.fixture
def table() -> Iterator[SerialCuff]:
    with SerialCuff([OLD]) as simulated:
        yield simulated


@pytest.fixture
def kit(tmp_path: Path, table: SerialCuff) -> Iterator[Kit]:
    home, clock = tmp_path / "kit", SystemClock()
    give_pin(home)
    store = KitStore.open(home, kit_id="kit-test", clock=clock)
    screen = Screen(Words("zh_CN"), out=io.StringIO())
    yield Kit(home, KitSettings("kit-test", cuff_port=table.port), store, clock, screen)
    store.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuff, "FIND_S", 1.5)
    monkeypatch.setattr(cuff, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(BeurerCuff, "ANSWER_S", 0.1)


@pytest.mark.slow
async def test_a_cuff_that_stored_nothing_new_is_told_and_its_old_record_taken_for_nothing(kit: Kit) -> None:
    async with cuff.open_cuff(kit) as ready:
        with pytest.raises(DeviceError) as error:
            await ready.take(lambda _: None)
    assert error.value.code == "cuff-cable-nothing"


@pytest.mark.slow
async def test_what_it_stored_meanwhile_is_taken_alone(kit: Kit, table: SerialCuff) -> None:
    async with cuff.open_cuff(kit) as ready:
        table.measure(NEW)
        taken = await ready.take(lambda _: None)
    assert [(r.systolic and r.systolic.value, r.diastolic and r.diastolic.value) for r in taken.readings] == [(151, 95)]
    assert taken.surely_new

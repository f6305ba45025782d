"""Pruning beside the service, and what the doctor sees of it."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from store_key import KEY

from zhenbao.agent import files_cli
from zhenbao.agent.export import export_spirometry
from zhenbao.agent.kit import Kit
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.store import KitStore
from zhenbao.agent.tidying import tidying
from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt
from zhenbao.words import Words

DAY_MS = 86_400_000


class HandClock:
    def __init__(self) -> None:
        self.wall_ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.wall_ms / 1000

    def sleep(self, seconds: float) -> None:
        self.wall_ms += round(1000 * seconds)

    def wait_s(self, seconds: float) -> float:
        return seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[KitStore]:
    with KitStore.open(tmp_path / "kit", kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY) as opened:
        yield opened


def settle(store: KitStore, clock: HandClock) -> None:
    for item in store.due(1 << 60, 100):
        assert store.receipted([Receipt(item.id, item.body_sha256, "hub-1", clock.now_ms())]) == [True]


@pytest.fixture
def session(store: KitStore, clock: HandClock) -> Observation:
    """A spirometry, half a year ago, in which nothing was found; its patient is back today."""
    patient = Patient(uuid4(), "演示患者甲", Sex.FEMALE, None)
    visit = Encounter(uuid4(), patient.id, "kit-1", clock.now_ms())
    store.save_patient(patient)
    store.save_encounter(visit)
    blow = uuid4()
    made = Observation(
        uuid4(), patient.id, visit.id, "kit-1", "spirometry", "preliminary", 1, Device("x"), {}, recordings=(blow,)
    )
    store.save_observation(
        made, [Recording(blow, made.id, "flow", 100.0, ("flow",), "L/s", 0.001, clock.now_ms(), bytes(2000))]
    )
    settle(store, clock)
    clock.wall_ms += 181 * DAY_MS
    store.save_encounter(replace(visit, id=uuid4(), started_ms=clock.now_ms()))
    settle(store, clock)
    return made


def test_the_service_prunes_beside_its_work_and_stops_at_once(
    store: KitStore, clock: HandClock, session: Observation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pruned = threading.Event()
    tidy = store.tidy

    class Watched(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "pruned 1 waveforms" in record.getMessage():
                pruned.set()

    logger = logging.getLogger("zhenbao.agent.tidying")
    handler = Watched()
    logger.addHandler(handler)
    try:
        with tidying(store, threading.Event(), first_s=0.01):
            assert pruned.wait(20)
    finally:
        logger.removeHandler(handler)
    assert not [t for t in threading.enumerate() if t.name == "zhenbao-tidy"]
    assert store.recordings_of(session.id) == []
    assert not tidy().any
    assert "演示" not in caplog.text


def test_a_service_that_stops_before_its_first_round_prunes_nothing(store: KitStore, session: Observation) -> None:
    with tidying(store, threading.Event(), first_s=60):
        pass
    assert len(store.recordings_of(session.id)) == 1


def test_what_was_cleared_is_said_on_the_screen_and_by_the_export(
    store: KitStore, clock: HandClock, session: Observation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.tidy()
    said = io.StringIO()
    kit = Kit(tmp_path / "kit", KitSettings("kit-1"), store, clock, Screen(Words("zh_CN"), out=said))
    files_cli.show_pruned(kit, session.id)
    assert "原始波形已上传枢纽，本机已清理（1 份）" in said.getvalue()
    # Its visit is the last one begun, as on a kit whose doctor looks at it once more.
    monkeypatch.setattr(KitStore, "last_encounter", lambda self: self.encounter(session.encounter_id))
    with pytest.raises(InputError, match="export-pruned"):
        export_spirometry(store, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()

"""Ultrasound from the device's file to the case page, over the real road; and again after the hub was restored."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

pytest.importorskip("pydicom")

import pictures
from bedside import KitCommand, enrol, set_up

from zhenbao.hub import backup as backups
from zhenbao.hub.roster import load_roster
from zhenbao.hub.server import DATABASE, Hub
from zhenbao.hub.store import HubStore, files
from zhenbao.hub.web.pictures import picture
from zhenbao.model.finding import Urgency
from zhenbao.model.time import SystemClock

pytestmark = pytest.mark.slow


def held(store: HubStore) -> set[bytes]:
    """The content of every attachment that the hub has."""
    with store.reading() as connection:
        visits = connection.exec_driver_sql("select distinct encounter_id from attachments").scalars().all()
        found = set()
        for raw in visits:
            encounter = UUID(hex=raw)
            for file in files.of_encounter(connection, encounter):
                whole = files.find(connection, encounter, file.id)
                assert whole is not None
                found.add(whole.content)
        return found


def until(condition: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)


@pytest.fixture
def hubs(tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    running: list[Hub] = []

    def start(port: int = 0) -> Hub:
        hub = Hub(tmp_path / "hub", mqtt_port=port)
        running.append(hub)
        hub.start()
        return hub

    yield start
    for hub in running:
        hub.close()


def attach(kit: KitCommand, *paths: Path) -> None:
    done = kit("measure", "ultrasound", *map(str, paths), "--confirm", "0019")
    assert done.code == 0, done.said


def test_from_the_device_to_the_page_and_back_after_a_restore(tmp_path: Path, hubs: Callable[..., Hub]) -> None:
    hub = hubs()
    kit = set_up(tmp_path / "kit", None, hub_port=hub.mqtt_port)
    enrol(kit.home, hub)
    first = pictures.dicom(tmp_path / "IM1", frames=6, jpeg=True, PatientName="演示患者甲")
    attach(kit, first)
    assert kit("sync", "--timeout", "40").of("synced")[0]["waiting"] == 0
    assert held(hub.store) == {first.read_bytes()}
    (case,) = hub.open_cases()
    assert (case.urgency, case.specialty) == (Urgency.BLUE, "general-practice")
    with hub.store.reading() as connection:
        (stored,) = files.of_encounter(connection, case.encounter_id)
        whole = files.find(connection, case.encounter_id, stored.id)
    assert whole is not None and stored.frames == 6
    assert picture(whole, 5)[1] == "image/png"

    made = backups.backup(hub.store, tmp_path / "backup.db")
    second = pictures.dicom(tmp_path / "IM2", seed=2, PatientName="演示患者甲")
    attach(kit, second)
    assert kit("sync", "--timeout", "40").of("synced")[0]["waiting"] == 0
    port = hub.mqtt_port
    hub.close()
    done = backups.restore(made.place, tmp_path / "hub" / DATABASE, SystemClock(), load_roster())
    assert done.told >= 1

    again = hubs(port)
    assert held(again.store) == {first.read_bytes()}
    # Nobody measures anything: the kit's service hears of the restore and sends what is missing.
    service = kit.start("service")
    try:
        until(lambda: held(again.store) == {first.read_bytes(), second.read_bytes()})
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=30)
    until(lambda: kit("queue").of("queue")[0]["waiting"] == 0, 20)
    assert again.store.quarantined() == []
    assert len(again.open_cases()) == 1

"""From the emergency key of a locked tablet to the hub's list: a real kit, a real service, a real hub."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bedside import KitCommand, enrol, set_up

from tests.bad_line import BadLine, Quality
from zhenbao.agent.emergency import spool
from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.agent.vault import unlocked
from zhenbao.agent.vault.unlocked import forget, hold, unlocked_key
from zhenbao.demo.devices import ecg_source
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.hub.rows import Row
from zhenbao.hub.server import Hub
from zhenbao.hub.worklist import Worklist
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Urgency

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    folder = Path(os.environ["XDG_RUNTIME_DIR"]) / tmp_path.name
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield
    shutil.rmtree(folder)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    try:
        made.start()
    except StorageError as error:
        if error.code == "hub-vendor":
            pytest.skip("the page's files are not there: run make")
        raise
    yield made
    made.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench(front_end=FrontEnd(ecg_source(None), speed=20)) as made:
        yield made


def known_kit(place: Path, bench: Bench, hub: Hub) -> KitCommand:
    kit = set_up(place / "kit", bench, hub_port=hub.mqtt_port)
    enrol(kit.home, hub)
    return kit


def record(kit: KitCommand) -> None:
    ended = kit("emergency", "ecg", "--sex", "male", "--chest-pain", "yes")
    assert ended.code == 0, ended.said
    assert ended.of("sealed")[0]["readings"] == 2


def until(true: Callable[[], object], timeout_s: float = 60.0) -> None:
    ends_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < ends_s, "it never came to that"
        time.sleep(0.2)


def stopped(service: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> str:
    service.send_signal(by)
    return "".join(service.communicate(timeout=30))


def emergencies(hub: Hub) -> list[Row]:
    return [row for row in Worklist(hub.store).rows() if row.patient is not None and row.patient.temporary]


def done(kit: KitCommand) -> int:
    """How many the hub has received; -1 while any waits."""
    now = spool.account(kit.home)
    return now.received if not now.waiting else -1


def account(kit: KitCommand) -> tuple[int, int]:
    (status,) = kit("emergency", "status").of("emergency")
    return status["waiting"], status["received"]


def test_a_locked_kit_sends_its_emergency_and_nothing_else_and_goes_on_when_it_is_unlocked(
    tmp_path: Path, bench: Bench, hub: Hub
) -> None:
    kit = known_kit(tmp_path, bench, hub)
    key = unlocked_key(kit.home)
    assert kit("queue").of("queue")[0]["waiting"] == 2  # the patient and the visit of before
    forget(kit.home)
    record(kit)
    assert account(kit) == (2, 0)
    service = kit.start("service")
    try:
        until(lambda: done(kit) == 2)
        assert account(kit) == (0, 2)
        (row,) = emergencies(hub)
        assert (row.item.urgency, row.item.status) == (Urgency.RED, "open")
        assert hub.counters.accepted == 2, "of the locked store nothing has gone"
        assert not [place for place in (kit.home / "emergency").iterdir() if place.suffix == ".sealed"]
        with pytest.raises(StorageError, match="vault-locked"):
            unlocked_key(kit.home)
        # The next one, while it runs and is still locked: another person, another case.
        record(kit)
        until(lambda: done(kit) == 4)
        assert len(emergencies(hub)) == 2
        hold(kit.home, key)
        until(lambda: kit("queue").of("queue")[0]["waiting"] == 0)
        assert hub.counters.accepted == 6
    finally:
        said = stopped(service)
    assert service.returncode == 0, said
    assert len(emergencies(hub)) == 2
    (told,) = kit("queue").of("emergency")
    assert (told["waiting"], told["received"]) == (0, 4)


def test_a_kill_between_sending_and_receipt_doubles_nothing(tmp_path: Path, bench: Bench, hub: Hub) -> None:
    """The answers take a second: the hub has both when the kit, which cannot know it yet, is killed."""
    kit = known_kit(tmp_path, bench, hub)
    forget(kit.home)
    record(kit)
    with BadLine(hub.mqtt_port, Quality(one_way_s=1.0)) as line:
        save_settings(kit.home, replace(load_settings(kit.home), hub_port=line.port))
        service = kit.start("service")
        while hub.counters.accepted < 2:
            assert service.poll() is None
            time.sleep(0.005)
        stopped(service, signal.SIGKILL)
        before = account(kit)
        assert sum(before) == 2
        assert before[0] > 0
        line.quality.one_way_s = 0.0
        again = kit.start("service")
        try:
            until(lambda: done(kit) == 2)
        finally:
            stopped(again)
    assert hub.counters.accepted == 2
    assert len(emergencies(hub)) == 1


def test_what_began_locked_goes_through_the_store_once_it_is_unlocked(tmp_path: Path, bench: Bench, hub: Hub) -> None:
    kit = known_kit(tmp_path, bench, hub)
    key = unlocked_key(kit.home)
    forget(kit.home)
    record(kit)
    hold(kit.home, key)
    queue = kit("queue")
    assert queue.of("queue")[0]["critical"] == 2
    (told,) = queue.of("emergency")
    assert (told["waiting"], told["received"]) == (2, 0)
    # Locked again before there was a road: the emergency is not locked in with the rest.
    forget(kit.home)
    service = kit.start("service")
    try:
        until(lambda: done(kit) == 2)
        assert hub.counters.accepted == 2
        hold(kit.home, key)
        until(lambda: kit("queue").of("queue")[0]["waiting"] == 0)
    finally:
        stopped(service)
    assert hub.counters.accepted == 4
    assert len(emergencies(hub)) == 1
    assert len(spool.kept(kit.home)) == 0


def test_an_unlocked_kit_sends_its_emergency_by_the_command(tmp_path: Path, bench: Bench, hub: Hub) -> None:
    kit = known_kit(tmp_path, bench, hub)
    record(kit)
    assert kit("sync", "--timeout", "60").of("synced")[0]["waiting"] == 0
    assert account(kit) == (0, 2)
    assert len(emergencies(hub)) == 1


def test_a_revoked_kit_raises_no_alarm_and_keeps_the_record(tmp_path: Path, bench: Bench, hub: Hub) -> None:
    from zhenbao.hub.keys import revoke_kit

    kit = known_kit(tmp_path, bench, hub)
    revoke_kit(hub.store, "kit-test")
    forget(kit.home)
    record(kit)
    service = kit.start("service")
    assert service.stdout is not None
    try:
        assert any("packet-revoked" in line for line in service.stdout)
    finally:
        stopped(service)
    assert account(kit) == (2, 0)
    assert emergencies(hub) == []
    assert unlocked.is_unlocked(kit.home) is False

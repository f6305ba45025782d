"""The doctor's view of the roads, with the real commands: the queue, the progress, and what holds things up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bedside import RESIDENT, KitCommand, enrol, set_up

from tests.bad_line import BadLine, Quality
from tests.hub.county import County
from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.hub.server import Hub
from zhenbao.model.errors import StorageError
from zhenbao.words import Words

pytestmark = pytest.mark.slow
FOLLOW = ["-m", "zhenbao", "--json", "sync", "--watch", "--timeout", "5"]


@pytest.fixture
def kit(tmp_path: Path) -> KitCommand:
    made = set_up(tmp_path / "kit", None)
    for _ in range(2):
        assert made("measure", "bp", "--typed", "152/94", "--confirm", RESIDENT[-4:]).code == 0
    return made


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


def point_at(kit: KitCommand, **changes: object) -> None:
    save_settings(kit.home, replace(load_settings(kit.home), **changes))  # type: ignore[arg-type]


def test_the_queue_says_lane_by_lane_what_waits_and_why(kit: KitCommand) -> None:
    ended = kit("queue")
    lanes = ended.of("lane")
    assert sum(lane["items"] for lane in lanes) == ended.of("queue")[0]["waiting"] == 4
    assert all(lane["size_bytes"] > 0 and lane["oldest_ms"] > 0 for lane in lanes)
    assert [e["code"] for e in ended.of("holdup")] == ["no-service"]
    plain = subprocess.run(
        [sys.executable, "-m", "zhenbao", "--home", kit.home, "queue"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ZHENBAO_LANG": "zh_CN"},
    ).stdout
    assert "受阻：后台服务没有运行" in plain
    assert "演示患者甲" not in plain


def test_with_the_service_running_the_commands_show_its_roads_and_follow_it(kit: KitCommand, hub: Hub) -> None:
    enrol(kit.home, hub)
    with BadLine(hub.mqtt_port, Quality(down=True)) as line:
        point_at(kit, hub_port=line.port)
        service = kit.start("service")
        try:
            for _ in range(12):
                ended = kit("queue")
                if ended.of("road-state") and [e["code"] for e in ended.of("holdup")] == ["link-nobody"]:
                    break
            else:
                pytest.fail("the service never said that nobody answers")
            (road,) = ended.of("road-state")
            assert (road["name"], road["connected"], road["trouble"]) == ("mqtt", False, "link-nobody")
            assert "kit-test" not in (kit.home / "roads.json").read_text()
            second = kit("service")
            assert second.code != 0
            assert "service-runs" in second.said
            threading.Timer(1.0, lambda: setattr(line.quality, "down", False)).start()
            followed = kit("sync", "--watch", "--timeout", "90")
            progress = followed.of("progress")
            assert (progress[0]["waiting"], progress[-1]["waiting"]) == (4, 0)
            assert progress[-1]["done"] == 4
            assert followed.of("synced") == [{"event": "synced", "waiting": 0}]
            assert hub.counters.accepted == 4
            assert line.connections > 0
        finally:
            service.send_signal(signal.SIGTERM)
            service.communicate(timeout=30)


def test_without_the_service_sync_sends_by_itself_and_gives_up_in_time(kit: KitCommand, hub: Hub) -> None:
    enrol(kit.home, hub)
    began_s = time.monotonic()
    late = kit("sync", "--watch", "--timeout", "3")  # nobody at port 1
    assert time.monotonic() - began_s < 20
    assert late.of("synced")[0]["waiting"] == 5, "what was measured, and how the kit itself is"
    assert "link-nobody" in [e["code"] for e in late.of("holdup")]
    point_at(kit, hub_port=hub.mqtt_port)
    assert kit("sync", "--timeout", "60").of("synced")[0]["waiting"] == 0
    assert hub.counters.accepted == 5


def test_a_tablet_that_believes_it_is_1970_says_so(kit: KitCommand, tmp_path: Path) -> None:
    """The certificate is not yet valid by this clock: waiting would help nobody."""
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed (Debian package faketime)")
    enrol(kit.home)
    county = County(tmp_path / "county")
    try:
        folder = county.enrol("kit-test")
        county.start()
        for name in ("road.pem", "road.key", "county-ca.pem"):
            shutil.copy(folder / name, kit.home / name)
        point_at(kit, hub_host="localhost", hub_port=county.port, hub_tls=True)
        ended = subprocess.run(
            ["faketime", "-f", "@1970-01-02 00:00:00", sys.executable, *FOLLOW],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ZHENBAO_HOME": str(kit.home)},
        )
        events = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
        assert "tls-clock" in [e["code"] for e in events if e["event"] == "holdup"], ended.stderr
        words = Words("zh_CN")
        assert "1970" in words("error.tls-clock.what", now="1970-01-02 08:00")
    finally:
        county.close()

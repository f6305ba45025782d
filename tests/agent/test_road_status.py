"""What the service tells the commands, and what they make of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from zhenbao.agent.holdups import holdups
from zhenbao.agent.road_status import (
    FILE,
    RoadLook,
    RoadStatus,
    Speed,
    ask_to_hurry,
    read_status,
    report,
    running,
    service_runs,
)
from zhenbao.agent.roads import open_roads
from zhenbao.agent.settings import KitSettings, load_settings, save_settings
from zhenbao.agent.store.queue_look import LaneLook
from zhenbao.model.errors import InputError, LinkDown
from zhenbao.sync.envelope import Lane
from zhenbao.sync.links.several import SeveralRoads
from zhenbao.words import Words

NOW_MS = 1_800_000_000_000
WAITING = [LaneLook(Lane.RESULTS, 3, 2, 4000, NOW_MS - 3_600_000)]


def codes(status: RoadStatus | None, lanes: list[LaneLook] = WAITING, refused: int = 0, last_ms: int = NOW_MS) -> Any:
    return [(h.code, h.road) for h in holdups(lanes, status, refused, last_ms, NOW_MS)]


def road(name: str = "mqtt", **more: Any) -> RoadLook:
    return RoadLook(name, **{"connected": True, "stalled": False, "backlog_bytes": 0, **more})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, [("no-service", "")]),
        (RoadStatus(()), [("connecting", "")]),
        (RoadStatus((road(),)), []),
        (RoadStatus((road(backlog_bytes=9000),)), [("slow", "")]),
        (RoadStatus((road(stalled=True, backlog_bytes=9000),)), [("stalled", "mqtt")]),
        (RoadStatus((road(stalled=True, backlog_bytes=9000), road("https"))), [("stalled", "mqtt")]),
        (RoadStatus((road(connected=False, trouble="tls-clock"),)), [("tls-clock", "mqtt")]),
        (
            RoadStatus((road(connected=False, trouble="link-nobody"), road("https", connected=False))),
            [("link-nobody", "mqtt")],
        ),
    ],
)
def test_what_holds_things_up_is_named(status: RoadStatus | None, expected: list[tuple[str, str]]) -> None:
    assert codes(status) == expected


def test_a_hub_that_confirms_nothing_is_told_from_a_road_that_is_down() -> None:
    up = RoadStatus((road(),))
    assert codes(up, last_ms=NOW_MS - 30_000) == []
    assert codes(up, last_ms=NOW_MS - 600_000) == [("unanswered", "")]
    untried = [LaneLook(Lane.RESULTS, 3, 0, 4000, NOW_MS - 3_600_000)]
    assert codes(up, untried, last_ms=NOW_MS - 600_000) == []


def test_an_empty_queue_is_held_up_by_nothing_but_what_was_refused() -> None:
    assert codes(None, []) == []
    assert codes(None, [], refused=2) == [("refused", "")]


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_reason_has_words(language: str) -> None:
    words = Words(language)
    for code, facts in {
        "no-service": {},
        "connecting": {},
        "stalled": {},
        "slow": {"kilobytes": 1.0},
        "unanswered": {"minutes": 3},
        "refused": {"count": 1},
    }.items():
        assert words(f"holdup.{code}", **facts)
    for error in (LinkDown("tls-own-expired", ended="?", now="x"), LinkDown("tls-peer-unknown", reason=20)):
        assert all(words.error(error))


def test_speed_counts_only_the_time_in_which_there_was_something_to_send() -> None:
    speed = Speed()
    assert speed.look(0.0, 0, 0) is None
    assert speed.look(100.0, 0, 0) is None  # idle is not slow
    assert speed.look(102.0, 0, 16_000) is None
    assert speed.look(104.0, 8_000, 8_000) == 4000
    assert speed.look(106.0, 16_000, 0) == 4000
    assert speed.look(500.0, 16_000, 0) == 4000
    assert speed.look(502.0, 16_000, 5_000) == 4000
    assert speed.look(504.0, 16_000, 5_000) == pytest.approx(16_000 / 6)  # stuck: slower


def test_whether_a_service_runs_is_known_by_its_lock_even_after_a_kill(tmp_path: Path) -> None:
    assert not service_runs(tmp_path)
    assert read_status(tmp_path) is None
    hold = "import sys, time, pathlib\nfrom zhenbao.agent.road_status import running\n"
    hold += "with running(pathlib.Path(sys.argv[1])) as alone:\n print(alone, flush=True)\n time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "True\n"
        assert service_runs(tmp_path)
        with running(tmp_path) as alone:
            assert not alone
        assert read_status(tmp_path) == RoadStatus(())
        (tmp_path / FILE).write_text("{ half of a")
        assert read_status(tmp_path) == RoadStatus(())
        service.kill()
    assert not service_runs(tmp_path)


class Down:
    """A road that cannot connect."""

    connected, backlog_bytes = False, 0

    def __init__(self) -> None:
        self.on_message = self.on_up = self.on_down = None
        self.trouble: LinkDown | None = LinkDown("tls-clock", now="1970-01-01 08:00")

        self.hurried = 0

    def start(self) -> None: ...

    def hurry(self) -> None:
        self.hurried += 1

    def stop(self) -> None: ...

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        raise LinkDown("link-down")


def test_the_service_writes_what_changes_and_tells_a_trouble_once(tmp_path: Path, wait_until: Any) -> None:
    down, stop, told = Down(), threading.Event(), []
    ticks = iter(float(n) for n in range(10_000))
    arguments = (tmp_path, SeveralRoads({"mqtt": down}), lambda: next(ticks), stop, lambda e: told.append(e.code))
    with running(tmp_path):
        thread = threading.Thread(target=report, args=arguments)
        thread.start()
        try:
            wait_until(lambda: (tmp_path / FILE).exists())
            found = read_status(tmp_path)
            assert found is not None
            assert found.roads == (RoadLook("mqtt", False, False, 0, "tls-clock", {"now": "1970-01-01 08:00"}),)
            assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
            before = (tmp_path / FILE).stat().st_mtime_ns
            down.trouble = LinkDown("link-nobody", reason="test")
            wait_until(lambda: told == ["tls-clock", "link-nobody"])
            assert (tmp_path / FILE).stat().st_mtime_ns > before
            ask_to_hurry(tmp_path)
            wait_until(lambda: down.hurried == 1)
        finally:
            stop.set()
            thread.join(10)


@pytest.fixture
def wait_until() -> Any:
    def wait(happened: Any) -> None:
        pause = threading.Event()
        for _ in range(500):
            if happened():
                return
            pause.wait(0.02)
        pytest.fail("not within 10 s")

    return wait


# Settings


def test_the_roads_of_a_kit_are_kept_and_checked(tmp_path: Path) -> None:
    settings = KitSettings(
        "kit-0007", hub_host="hub.example", hub_port=8883, hub_tls=True, hub_https="https://hub.example"
    )
    save_settings(tmp_path, settings)
    assert "hub_tls = true" in (tmp_path / "kit.toml").read_text()
    assert load_settings(tmp_path) == settings
    for line, code in (
        ('hub_https = "http://hub.example"', "link-url"),
        ('hub_https = "hub.example"', "link-url"),
        ('hub_host = ""', "link-address"),
        ("hub_port = 0", "link-address"),
        ('hub_tls = "yes"', "settings-type"),
        ("hub_tsl = true", "settings-key"),
    ):
        (tmp_path / "kit.toml").write_text(f'kit_id = "kit-0007"\n{line}\n')
        with pytest.raises(InputError, match=code):
            load_settings(tmp_path)


def test_a_road_without_its_certificate_is_said_and_not_tried(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tls-file"):
        open_roads(tmp_path, KitSettings("kit-0007", hub_tls=True))
    with pytest.raises(InputError, match="tls-file"):
        open_roads(tmp_path, KitSettings("kit-0007", hub_https="https://hub.example"))
    assert [s.name for s in open_roads(tmp_path, KitSettings("kit-0007")).states()] == ["mqtt"]

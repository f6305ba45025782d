"""The gate of the service, as the kit's settings make it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from zhenbao.agent.settings import KitSettings
from zhenbao.agent.uplink import asker, follow, gate
from zhenbao.model.errors import InputError
from zhenbao.sync.envelope import Envelope, Lane
from zhenbao.sync.links.several import SeveralRoads
from zhenbao.sync.uplink.look import View
from zhenbao.sync.uplink.picture import FRESH_MS
from zhenbao.sync.uplink.state import Kind, Miss, Outcome, Uplink
from zhenbao.sync.uplink.watch import Watch


@dataclass
class HandClock:
    at_ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000

    def sleep(self, seconds: float) -> None:
        self.at_ms += round(1000 * seconds)

    def wait_s(self, seconds: float) -> float:
        return seconds


ITEM = Envelope(uuid4(), "kit-1", "hub", "boot", 1, "recording", Lane.WAVEFORMS, uuid4(), 1, b"")


def test_the_gate_follows_the_watch_and_opens_when_the_watch_has_stopped(tmp_path: Path) -> None:
    clock, outcomes = HandClock(), [Outcome(miss=Miss.SILENT), Outcome(0.1)]
    watch = Watch(lambda: View((Uplink(Kind.WIFI, "wlan0"),)), lambda _: outcomes.pop(0), clock, tmp_path)
    may_go = gate(watch, clock)
    watch.step()
    assert not may_go(ITEM)
    assert may_go(replace(ITEM, lane=Lane.RESULTS))
    clock.at_ms += FRESH_MS + 1
    assert may_go(ITEM)
    watch.step()
    assert watch.picture.answered is True
    assert may_go(ITEM)


class Told(SeveralRoads):
    """Roads that note by which interface they were told to leave."""

    def __init__(self) -> None:
        super().__init__({})
        self.told: list[str] = []

    def via(self, interface: str) -> None:
        self.told.append(interface)


def test_roads_leave_by_the_interface_on_which_the_hub_answers_and_by_none_before(tmp_path: Path) -> None:
    clock = HandClock()
    wifi, mobile = Uplink(Kind.WIFI, "wlan0", up=True), Uplink(Kind.CELLULAR, "wwan0", up=True)
    uplinks, dead = [wifi, mobile], {"wlan0"}

    def ask(uplink: Uplink) -> Outcome:
        return Outcome(miss=Miss.SILENT) if uplink.interface in dead else Outcome(0.1)

    watch = Watch(lambda: View(tuple(uplinks)), ask, clock, tmp_path)
    roads = follow(watch, Told())
    assert roads.told == [""]
    for _ in range(3):  # two misses, and the other one it is
        watch.step()
        clock.sleep(10)
    assert watch.picture.choice.name == "wwan0"
    assert roads.told[-1] == "wwan0"
    dead.clear()
    for _ in range(40):
        clock.sleep(30)
        watch.step()
    assert roads.told[-1] == "wlan0"
    dead.update(("wlan0", "wwan0"))
    roads.on_stalled()  # wakes the watch
    watch.step()
    assert roads.told[-1] == ""
    assert [*dict.fromkeys(roads.told)] == ["", "wwan0", "wlan0"]
    told = len(roads.told)
    newer = follow(watch, Told())
    dead.clear()
    watch.wake()
    watch.step()
    assert (len(roads.told), newer.told) == (told, ["", "wlan0"])


def test_a_kit_without_the_hubs_address_asks_nobody(tmp_path: Path) -> None:
    assert asker(KitSettings("kit-1"), tmp_path) is None


@pytest.mark.parametrize(
    ("url", "key", "code"),
    [
        ("https://hub.example", "", "probe-key"),
        ("https://hub.example", "12" * 31, "probe-key"),
        ("https://hub.example", "zz" * 32, "probe-key"),
        ("", "12" * 32, "link-address"),
        ("hub.example", "12" * 32, "link-address"),
    ],
)
def test_half_an_address_is_refused(url: str, key: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        asker(KitSettings("kit-1", probe_url=url, probe_key=key), tmp_path)
    assert refused.value.code == code

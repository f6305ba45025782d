"""The watch over hours of hand-made time, then over a real bus, a real modem's port and a real page that lies."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zhenbao.firmware_sim.modem import Modem
from zhenbao.model.errors import DeviceError
from zhenbao.model.time import SystemClock
from zhenbao.sync.envelope import Lane
from zhenbao.sync.uplink.look import UNKNOWN, View, look, together
from zhenbao.sync.uplink.network_manager import Connection
from zhenbao.sync.uplink.picture import FILE, FRESH_MS, Picture, load_picture
from zhenbao.sync.uplink.policy import decide, policy
from zhenbao.sync.uplink.state import Kind, Miss, Outcome, Radio, Reach, Registration, Uplink
from zhenbao.sync.uplink.usage import load_usage
from zhenbao.sync.uplink.watch import Counters, Watch

if TYPE_CHECKING:
    from conftest import PrivateBus

WIFI = Uplink(Kind.WIFI, "wlan0", up=True, metered=False)
SIM = Uplink(Kind.CELLULAR, "wwan0", up=True)


@dataclass
class Village:
    """What the kit sees and who answers, by interface; and a note of every question."""

    clock: Any
    folder: Path
    uplinks: tuple[Uplink, ...] = (WIFI, SIM)
    answering: set[str] = field(default_factory=lambda: {"wlan0", "wwan0"})
    questions: list[tuple[float, str]] = field(default_factory=list)
    changes: list[Picture] = field(default_factory=list)
    seed: int = 1

    def watch(self, **options: Any) -> Watch:
        return Watch(
            lambda: View(self.uplinks), self.ask, self.clock, self.folder, on_change=self.changes.append,
            rng=random.Random(self.seed), **options,
        )  # fmt: skip

    def ask(self, uplink: Uplink) -> Outcome:
        self.questions.append((self.clock.monotonic_s(), uplink.interface))
        return Outcome(0.2) if uplink.interface in self.answering else Outcome(miss=Miss.OTHER)

    def live(self, watch: Watch, seconds: float) -> None:
        end_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end_s:
            self.clock.pass_s(watch.step())

    def asked(self, interface: str) -> list[float]:
        return [at_s for at_s, name in self.questions if name == interface]


@pytest.fixture
def village(clock: Any, tmp_path: Path) -> Village:
    return Village(clock, tmp_path)


def test_a_quiet_day_costs_little(village: Village) -> None:
    watch = village.watch()
    village.live(watch, 86_400)
    assert watch.picture.choice.name == "wlan0"
    assert village.asked("wwan0") == []
    assert len(village.asked("wlan0")) <= 97
    assert len(village.changes) == 1


def test_a_captive_portal_is_not_online_however_full_the_bars(village: Village) -> None:
    village.answering = {"wwan0"}
    watch = village.watch()
    village.live(watch, 60)
    assert (watch.picture.choice.name, watch.picture.answered) == ("wwan0", True)
    wifi = next(road for road in watch.picture.roads if road.name == "wlan0")
    assert (wifi.answered, wifi.miss) == (False, Miss.OTHER)


def test_a_cable_that_is_pulled_and_put_back(village: Village) -> None:
    watch = village.watch()
    village.live(watch, 100)
    village.uplinks = (SIM,)
    village.live(watch, 20)
    assert (watch.picture.choice.name, watch.picture.answered) == ("wwan0", True)
    village.uplinks = (WIFI, SIM)
    village.live(watch, 15)
    assert watch.picture.choice.name == "wwan0"
    village.live(watch, 60)
    assert (watch.picture.choice.name, watch.picture.answered) == ("wlan0", True)


def test_no_answer_is_asked_again_soon_and_then_less_often(village: Village) -> None:
    village.uplinks, village.answering = (SIM,), set()
    watch = village.watch()
    village.live(watch, 3600)
    times = village.asked("wwan0")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] <= 7
    assert all(gap <= 1.2 * policy().probe_last_retry_s + policy().look_s for gap in gaps)
    assert len(times) < 22
    assert watch.picture.answered is False
    village.answering = {"wwan0"}
    watch.wake()
    watch.step()
    assert watch.picture.answered is True


def test_a_login_page_that_was_passed_is_asked_again_at_once(village: Village) -> None:
    village.uplinks, village.answering = (replace(WIFI, reach=Reach.PORTAL),), set()
    watch = village.watch()
    village.live(watch, 1000)
    village.uplinks, village.answering = (replace(WIFI, reach=Reach.FULL),), {"wlan0"}
    watch.step()
    assert watch.picture.answered is True


def test_the_kits_of_a_county_do_not_ask_in_step(clock: Any, tmp_path: Path) -> None:
    firsts = set()
    for seed in range(30):
        village = Village(clock, tmp_path, (SIM,), set(), seed=seed)
        village.live(village.watch(), 60)
        firsts.add(round(village.asked("wwan0")[2] - village.asked("wwan0")[0], 2))
    assert len(firsts) > 20


def test_the_months_bytes_are_kept_over_a_restart(village: Village, tmp_path: Path) -> None:
    def carried(name: str, count: int) -> None:
        folder = tmp_path / "net" / name / "statistics"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rx_bytes").write_text(str(count))
        (folder / "tx_bytes").write_text("0")

    (tmp_path / "boot").write_text("one")
    counters = Counters(tmp_path / "net", tmp_path / "boot")
    carried("wwan0", 500)
    carried("wlan0", 900_000_000)
    watch = village.watch(counters=counters)
    watch.step()
    carried("wwan0", 200_500)
    carried("wlan0", 990_000_000)
    watch.step()
    assert watch.picture.used_bytes == 200_000
    again = village.watch(counters=counters)
    carried("wwan0", 300_500)
    again.step()
    assert again.picture.used_bytes == 300_000
    assert load_usage(tmp_path).used_bytes == 300_000


def test_the_picture_is_there_for_other_processes_while_it_holds(village: Village) -> None:
    watch = village.watch()
    watch.step()
    now_ms = village.clock.now_ms()
    assert load_picture(village.folder, now_ms) == watch.picture
    assert load_picture(village.folder, now_ms + FRESH_MS + 1) is None
    (village.folder / FILE).write_text("{")
    assert load_picture(village.folder, now_ms) is None


def test_a_disk_that_takes_nothing_does_not_end_the_watch(village: Village) -> None:
    village.folder = village.folder / "gone"
    watch = village.watch()
    village.live(watch, 60)
    assert watch.picture.answered is True


def test_connections_and_modems_are_put_together() -> None:
    connection = Connection(Uplink(Kind.CELLULAR, "wwan0", up=True, metered=True), primary=True, modem_path="/m/0")
    modem = Uplink(Kind.CELLULAR, "", up=False, radio=Radio.NSA, registration=Registration.HOME)
    spare = Uplink(Kind.CELLULAR, "", up=False, registration=Registration.SEARCHING)
    wifi = Connection(WIFI, primary=False)
    assert together([connection, wifi], {"/m/1": spare, "/m/0": modem}) == (
        replace(modem, interface="wwan0", up=True, metered=True),
        WIFI,
        spare,
    )
    assert together([], {"/m/0": modem}) == (modem,)


def test_without_any_bus_a_modem_on_its_port_is_read(tmp_path: Path) -> None:
    nowhere = f"unix:path={tmp_path}/none"
    with Modem("nsa") as modem:
        view = look(bus_address=nowhere, modem_port=modem.port)
    assert [(uplink.kind, uplink.radio, uplink.up) for uplink in view.uplinks] == [(Kind.CELLULAR, Radio.NSA, True)]
    assert [error.code for error in view.trouble] == ["bus-absent"]
    gone = look(bus_address=nowhere, modem_port=str(tmp_path / "none"))
    assert gone.uplinks == (UNKNOWN,)
    assert [error.code for error in gone.trouble] == ["bus-absent", "modem-absent"]


@pytest.mark.slow
def test_an_idle_watch_costs_less_than_a_hundredth_of_a_processor(network_bus: PrivateBus, tmp_path: Path) -> None:
    with Modem("sa") as modem:
        watch = Watch(
            lambda: look(bus_address=network_bus.address, modem_port=modem.port),
            lambda _: Outcome(0.1),
            SystemClock(),
            tmp_path,
        )
        watch.step()
        began_s = time.process_time()
        for _ in range(20):
            watch.step()
        # The modem's own thread is counted along: the true cost is less.
        a_look_s = (time.process_time() - began_s) / 20
    print(f"one look: {1000 * a_look_s:.1f} ms of processor time, {100 * a_look_s / policy().look_s:.3f} %")
    assert a_look_s / policy().look_s < 0.01


def test_it_sleeps_and_can_be_woken_and_stopped(village: Village) -> None:
    village.clock = SystemClock()
    watch, stop = village.watch(), threading.Event()
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    until_s = time.monotonic() + 10
    while len(village.questions) < 1 and time.monotonic() < until_s:
        time.sleep(0.01)
    watch.wake()
    while len(village.questions) < 2 and time.monotonic() < until_s:
        time.sleep(0.01)
    stop.set()
    watch.wake()
    thread.join(5)
    assert not thread.is_alive()
    assert 2 <= len(village.questions) <= 4


def test_what_is_critical_waits_for_no_probe(village: Village) -> None:
    seen: list[bool] = []
    watch = village.watch()

    def slow(_: Uplink) -> Outcome:
        now = watch.picture.situation(village.clock.now_ms())
        seen.append(decide(Lane.CRITICAL, now).allowed)
        return Outcome(miss=Miss.SILENT)

    watch._ask = slow
    before = watch.picture.situation(village.clock.now_ms())
    assert [decide(lane, before).allowed for lane in Lane] == [True, True, True, False, False]
    watch.step()
    assert seen == [True, True]


def test_trouble_is_told(clock: Any, tmp_path: Path) -> None:
    view = View((SIM,), (DeviceError("modem-silent", port="/dev/ttyUSB2"),))
    watch = Watch(lambda: view, lambda _: Outcome(0.1), clock, tmp_path)
    watch.step()
    assert watch.picture.trouble == ("modem-silent",)

"""A kit whose commands run as processes, with simulated devices on its table."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zhenbao.agent.keys import pin_hub, set_up_keys
from zhenbao.agent.settings import KitSettings, save_settings
from zhenbao.agent.vault.file import Cost
from zhenbao.agent.vault.unlocked import hold
from zhenbao.agent.vault.vault import create
from zhenbao.firmware_sim.bench import Bench
from zhenbao.model.time import SystemClock
from zhenbao.sync.keys import card_of, make_keys

RESIDENT = "999999195602290019"
PASSPHRASE = "5273 8041 9962 1408"
CHEAP = Cost(memory_kib=1024, iterations=1, lanes=1)
"""Of a try of the passphrase: what is tested here is not its cost."""
Event = dict[str, Any]


@dataclass
class Ended:
    """A command that ended."""

    code: int
    events: list[Event]
    said: str

    def of(self, name: str) -> list[Event]:
        return [e for e in self.events if e["event"] == name]


@dataclass
class KitCommand:
    """Runs the real command as a process."""

    home: Path

    def __call__(self, *arguments: str, on_event: Callable[[Event], None] = lambda _: None) -> Ended:
        process = self.start(*arguments)
        events = []
        for line in process.stdout or ():
            if line.startswith("{"):
                events.append(json.loads(line))
                on_event(events[-1])
        said = (process.stderr or sys.stderr).read()
        return Ended(process.wait(timeout=60), events, said)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "zhenbao", "--home", self.home, "--json", "--time-factor", "600", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self.home.parent,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "ZHENBAO_LANG": "zh_CN"},
        )


def give_pin(home: Path, kit_id: str = "kit-test") -> None:
    """What the doctor does once: a passphrase is set, and the kit is unlocked."""
    hold(home, create(home, kit_id, PASSPHRASE, cost=CHEAP))


def enrol(home: Path, hub: Any = None, kit_id: str = "kit-test") -> None:
    """Cards are exchanged with a hub, as a technician does; without one, with a hub that nobody will ever meet."""
    card = set_up_keys(home, kit_id, SystemClock().now_ms())
    if hub is None:
        pin_hub(home, card_of(make_keys("hub", SystemClock().now_ms())).text)
    else:
        hub.add_kit(card.text)
        pin_hub(home, hub.keyring.card.text)


def set_up(home: Path, bench: Bench | None, *, hub_port: int = 1) -> KitCommand:
    """A kit with its settings, its meters paired, one patient and an open visit."""
    bluetooth = bench.hci if bench else ""
    front_end = bench.serial_port if bench else "/dev/null-front-end"
    key = _with_a_visit(home)
    hold(home, key)
    save_settings(home, KitSettings("kit-test", "测试村", "127.0.0.1", hub_port, bluetooth, front_end))
    return KitCommand(home)


def _with_a_visit(home: Path) -> Any:
    """Copies a kit whose patient and visit were taken in once in this process; returns its key."""
    made, key = _first_kit()
    shutil.copytree(made, home)
    return key


@cache
def _first_kit() -> tuple[Path, Any]:
    folder = Path(tempfile.mkdtemp(prefix="zhenbao-kit-"))
    atexit.register(shutil.rmtree, folder)
    home = folder / "kit"
    save_settings(home, KitSettings("kit-test", "测试村", "127.0.0.1", 1, "", "/dev/null-front-end"))
    key = create(home, "kit-test", PASSPHRASE, cost=CHEAP)
    hold(home, key)
    kit = KitCommand(home)
    patient = kit("patient", "add", "--name", "演示患者甲", "--number", RESIDENT, "--height", "168")
    assert patient.code == 0, patient.said
    assert kit("visit", "start", "0019", "--chest-pain", "no").code == 0
    return home, key


def pair(kit: KitCommand, bench: Bench, *devices: str) -> None:
    """What the technician does once."""
    bench.pairing_mode(True)
    for device in devices:
        paired = kit("tech", "pair", device)
        assert paired.code == 0, paired.said
    bench.pairing_mode(False)

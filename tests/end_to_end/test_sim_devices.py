"""Every simulated device from one program, and a kit in other processes: pairing, faults by option, a slow link."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, Event, KitCommand, give_pin

from zhenbao.agent.settings import KitSettings, load_settings, save_settings

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


@dataclass
class Devices:
    """``zhenbao sim devices`` as a process."""

    process: subprocess.Popen[str]
    where: dict[str, str]

    def press(self, button: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(button + "\n")
        self.process.stdin.flush()


@contextmanager
def devices(*options: str) -> Iterator[Devices]:
    process = subprocess.Popen(
        [sys.executable, "-m", "zhenbao", "sim", "devices", "--json", "--speed", "60", *options],
        env={**os.environ, "ZHENBAO_LANG": "en", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Devices(process, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate(timeout=20)


@dataclass
class RemoteKit:
    """A kit whose settings name no Bluetooth: each command is told where it is."""

    command: KitCommand
    table: Devices

    def __call__(self, *arguments: str, button: str = "") -> Ended:
        def react(event: Event) -> None:
            if event["event"] in ("press-start", "oximeter-wanted", "measure-now") and button:
                self.table.press(button)

        return self.command("--ble", self.table.where["hci"], *arguments, on_event=react)


def kit_beside(table: Devices, tmp_path: Path) -> RemoteKit:
    home = tmp_path / "kit"
    save_settings(home, KitSettings("kit-test", front_end_port=table.where["serial"]))
    give_pin(home)
    kit = RemoteKit(KitCommand(home), table)
    assert kit("patient", "add", "--name", "演示患者甲", "--number", RESIDENT, "--height", "168").code == 0
    assert kit("visit", "start", "0019", "--chest-pain", "no").code == 0
    return kit


def pressures(ended: Ended) -> list[float]:
    return [e["values"]["bp_systolic"]["value"] for e in ended.of("reading")]


def test_a_cuff_that_shows_digits_is_paired_once_and_read_again_without_them(tmp_path: Path) -> None:
    """And a kit that has no bond, or typed the wrong digits, reads nothing."""
    with devices("--passkey", "271828", "--pairing") as table:
        kit = kit_beside(table, tmp_path)
        wrong = kit("tech", "pair", "bp", "--passkey", "314159")
        assert wrong.code == 1
        assert "pairing-failed" in wrong.said
        right = kit("tech", "pair", "bp", "--passkey", "271828")
        assert right.code == 0, right.said
        table.press("pair off")
        for _ in range(2):
            ended = kit("measure", "bp", *CONFIRM, button="bp 148 92 76")
            assert ended.code == 0, ended.said
            assert pressures(ended) == [148, 148]


def test_every_device_of_the_table_from_one_program(tmp_path: Path) -> None:
    with devices("--cable", "all", "--pairing", "--patient", "hypoxaemia", "--seed", "3") as table:
        assert set(table.where) == {
            "hci", "serial", "cuff", "spirometer", "onetouch", "contour", "oximeter", "healthypi",
        }  # fmt: skip
        kit = kit_beside(table, tmp_path)
        for device in ("spo2", "temperature", "weight"):
            paired = kit("tech", "pair", device)
            assert paired.code == 0, paired.said
        assert kit("measure", "spo2", *CONFIRM, button="spo2 82 90").of("alarm")
        assert kit("measure", "temperature", *CONFIRM, button="temp 38.4").of("observation")
        assert kit("measure", "weight", *CONFIRM, button="weight 65.2").of("observation")
        home = kit.command.home
        save_settings(
            home,
            replace(load_settings(home), cuff_port=table.where["cuff"], spirometer_port=table.where["spirometer"]),
        )
        assert pressures(kit("measure", "bp", *CONFIRM, button="bp 150 94 70")) == [150, 150]
        table.press("blow")
        assert len(kit("measure", "spirometry", *CONFIRM).of("observation")) == 1
        for meter in ("onetouch", "contour"):
            assert kit("tech", "pair", meter, "--port", table.where[meter]).code == 0
            table.press("glu 7.8")
            values = [e["observation"]["values"] for e in kit("measure", "glucose", *CONFIRM).of("observation")]
            shown = [v["glucose_capillary"]["value"] for v in values]
            assert shown and set(shown) <= {140, 141}, "mg/dL on both displays: 7.8 mmol/L is 140.5"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--fault", "cuff.early-indication"), id="sends its stored result at once"),
        pytest.param(("--fault", "cuff.hangs-up-after-sending"), id="hangs up after sending"),
        pytest.param(("--fault", "cuff.forgets-subscriptions"), id="forgets the subscription"),
        pytest.param(("--fault", "cuff.big-endian"), id="high byte first"),
        pytest.param(("--delay-ms", "30"), id="a slow link"),
    ],
)
def test_what_a_cuff_does_costs_no_reading(tmp_path: Path, options: tuple[str, ...]) -> None:
    with devices("--pairing", *options) as table:
        kit = kit_beside(table, tmp_path)
        assert kit("tech", "pair", "bp").code == 0
        ended = kit("measure", "bp", *CONFIRM, button="bp 148 84 76")
        assert ended.code == 0, ended.said
        assert pressures(ended) == [148, 148]


def test_all_faults_are_listed_and_a_wrong_one_is_told() -> None:
    def sim(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zhenbao", "--lang", "en", "sim", "devices", *options],
            capture_output=True,
            text=True,
            check=False,
        )

    listed = sim("--faults").stdout.split()
    assert {"cuff.early-indication", "front-end.line.drop-every", "ecg.motion-mv"} <= set(listed)
    wrong = sim("--fault", "cuff.early")
    assert wrong.returncode == 2
    assert "early-indication" in wrong.stderr

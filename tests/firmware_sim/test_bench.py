"""The bench of all devices, its buttons, and the commands that start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zhenbao.firmware_sim import console
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.cuff import Reading
from zhenbao.model.errors import InputError
from zhenbao.words import Words, catalogue

IDENTIFY, IDENTITY = 0x81, 0x01
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
async def test_a_bench_beside_an_event_loop(kit, open_port) -> None:
    with Bench(speed=300.0) as bench:
        host = open_port(bench.serial_port)
        host.send(IDENTIFY)
        assert host.collect(IDENTITY)[-1].payload[1] == 3, "ECG and flow"
        bench.pairing_mode(True)
        central = await kit.run(bench.hci)
        await central.connect(bench.cuff.address)
        await central.pair()
        values = await central.subscribe(0x2A35)
        bench.press_start(Reading(150, 92, 111, 66, None), seconds=30)
        assert (await values.get())[1:7] == bytes.fromhex("9600 5c00 6f00")
        assert bench.test_blood(7.8).sequence == 1
        assert bench.measured(120, 80, 93, 60).systolic == 120


@pytest.mark.parametrize(
    ("line", "button"),
    [
        ("bp 148 92 76", console.PressCuff(148, 92, 76)),
        ("BP 148 92", console.PressCuff(148, 92)),
        ("glu 7.8", console.DropOfBlood(7.8)),
        ("spo2 96", console.PutFinger(96)),
        ("spo2 81 118", console.PutFinger(81, 118)),
        ("finger out", console.PutFinger(None)),
        ("temp 38.4", console.TakeTemperature(38.4)),
        ("weight 65.2", console.StandOnScale(65.2)),
        ("pair on", console.Pairing(True)),
        ("pair off", console.Pairing(False)),
        ("ecg block", console.PutElectrodes("block")),
        ("blow", console.NextPatientBlows()),
        ("  \n", None),
    ],
)
def test_buttons(line: str, button: console.Button | None) -> None:
    assert console.parse(line) == button


NO_BUTTONS = (
    "bp;bp 92 148;bp 148 x;bp 148 92 0;bp 400 92;glu;glu x;glu nan;glu -1;"
    "spo2;spo2 101;spo2 0;spo2 96 0;spo2 x;finger;finger in;"
    "temp;temp x;temp 370;weight 0;weight nan;pair;ecg;ecg x;stop"
)


@pytest.mark.parametrize("line", NO_BUTTONS.split(";"))
def test_what_is_no_button(line: str) -> None:
    with pytest.raises(InputError) as error:
        console.parse(line)
    assert error.value.code == "sim-command"
    for language in ("zh_CN", "en"):
        assert all(Words(language).error(error.value))


def test_mean_pressure() -> None:
    assert console.PressCuff(148, 92).mean == 111


def test_both_languages_have_the_same_words() -> None:
    def ours(language: str) -> set[str]:
        return {key for key in catalogue(language) if key.startswith(("sim.", "error.sim-"))}

    assert ours("zh_CN") == ours("en")
    assert len(ours("en")) > 15


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_it_is_stopped(stop: signal.Signals, tmp_path: Path, open_port) -> None:
    link = tmp_path / "ttyZB0"
    code = "from zhenbao.firmware_sim.cli import app; app()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "devices", "--json", "--speed", "50", "--link", str(link)],
        cwd=ROOT,
        env={**os.environ, "ZHENBAO_LANG": "en"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        where = json.loads(process.stdout.readline())
        assert where["serial"] == str(link)
        assert where["hci"].startswith("hci:tcp-client:127.0.0.1:")
        assert open_port(where["serial"]).ask(IDENTIFY) == 0
        process.stdin.write("glu 7.8\nwrong\n")
        process.stdin.flush()
        assert process.stdout.readline() == "Pressed.\n"
        process.send_signal(stop)
        _, complaint = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert complaint.strip() in ("", " ".join(Words("en").error(InputError("sim-command"))))
    assert not link.is_symlink()


def test_the_command_imports_nothing_heavy() -> None:
    heavy = "numpy", "scipy", "bumble", "bleak", "serial"
    code = f"import sys, zhenbao.firmware_sim.cli; print([m for m in {heavy} if m in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"

"""``zhenbao tech syringe`` as the technician runs it: the real command, the simulated front-end, a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bedside import give_pin

from zhenbao.agent.settings import KitSettings, save_settings
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.front_end.device import Air
from zhenbao.firmware_sim.waveforms.syringe import SyringeStrokes

pytestmark = pytest.mark.slow
SETTINGS = KitSettings("kit-test", "测试村")


def tech(home: Path, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhenbao", "--home", str(home), *before, "tech", "syringe", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "ZHENBAO_LANG": "zh_CN"}
    )


def table(path: Path, syringe: SyringeStrokes) -> Path:
    """Ambient strokes: the source gives BTPS."""
    from zhenbao.firmware_sim.waveforms.spirometry import btps_factor

    flow = syringe.flow_l_s(100) / btps_factor(syringe.temperature_c, syringe.pressure_pa)
    rows = [f"{i / 100:.2f},{value:.4f}" for i, value in enumerate(flow.tolist())]
    path.write_text("\n".join(["time_s,flow_l_s", *rows]), encoding="utf-8")
    return path


@pytest.mark.parametrize("air", [Air(), Air(btps=False, temperature_c=30.0)], ids=["converts itself", "raw"])
def test_strokes_through_the_front_end_pass_and_are_logged(tmp_path: Path, air: Air) -> None:
    strokes = SyringeStrokes(gain=1.01, temperature_c=air.temperature_c)
    with FrontEnd(blows=[strokes], speed=25, air=air) as board:
        save_settings(tmp_path, replace(SETTINGS, front_end_port=board.port))
        give_pin(tmp_path)
        done = tech(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("3.030 L  +1.0 %") == 6
    assert "✓ 通过" in done.stdout
    assert ("已除去其系数" in done.stdout) is air.btps
    log = tech(tmp_path, "--list").stdout
    assert "FE1-SIM-0001  通过  平均+1.0 %" in log
    assert "传感器FE1-SIM-0001：" in log and "!" not in log


def test_a_sensor_that_reads_wrong_fails_and_the_next_measurement_says_so(tmp_path: Path) -> None:
    with FrontEnd(blows=[SyringeStrokes(gain=0.95)], speed=25) as board:
        save_settings(tmp_path, replace(SETTINGS, front_end_port=board.port))
        give_pin(tmp_path)
        done = tech(tmp_path, before=("--json",))
        assert done.returncode == 1, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        (check,) = [e["check"] for e in events if e["event"] == "syringe"]
        assert check["verdict"] == "failed" and len(check["strokes"]) == 6
        assert [e["code"] for e in events if e["event"] == "sensor-warning"] == ["failed"]


def test_an_old_recording_of_strokes_is_logged_at_its_own_day(tmp_path: Path) -> None:
    save_settings(tmp_path, SETTINGS)
    give_pin(tmp_path)
    file = table(tmp_path / "strokes.csv", SyringeStrokes())
    done = tech(tmp_path, "--file", str(file), "--sensor", "S-17", "--taken", "2026-01-02 08:30")
    assert done.returncode == 0, done.stderr
    assert "2026-01-02 08:30" in done.stdout and "室温空气" in done.stdout
    assert "天前；应每天使用前校验" in done.stdout, "a pass of last winter is not fresh"
    assert "S-17  通过" in tech(tmp_path, "--list", "--sensor", "S-17").stdout
    assert "还没有校验记录" in tech(tmp_path, "--list", "--sensor", "S-18").stdout


def test_a_front_end_that_is_lost_leaves_nothing_in_the_log(tmp_path: Path) -> None:
    save_settings(tmp_path, replace(SETTINGS, front_end_port=str(tmp_path / "nothing")))
    give_pin(tmp_path)
    done = tech(tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "还没有校验记录" in tech(tmp_path, "--list").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--volume", "0.1"), "syringe-volume"),
        (("--file", "strokes.csv", "--taken", "2026-01-02"), "syringe-sensor"),
        (("--file", "strokes.csv", "--sensor", "S"), "syringe-taken"),
        (("--file", "strokes.csv", "--sensor", "S", "--taken", "2199-01-01"), "syringe-taken"),
        (("--file", "nowhere.csv", "--sensor", "S", "--taken", "2026-01-02"), "flow-table-absent"),
        ((), "front-end-unset"),
    ],
)
def test_mistakes_are_named_and_nothing_is_logged(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    save_settings(tmp_path, SETTINGS)
    give_pin(tmp_path)
    done = tech(tmp_path, *arguments)
    assert done.returncode == 2 and code in done.stderr
    assert "还没有校验记录" in tech(tmp_path, "--list").stdout

"""Setting a kit up: the county's choice of reference values is checked at once, and its absence is said."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from zhenbao.agent.settings import load_settings, save_settings

ROOT = Path(__file__).resolve().parents[2]


def set_up(home: Path, *chosen: str) -> subprocess.CompletedProcess[str]:
    command = [
        "-m",
        "zhenbao",
        "--home",
        str(home),
        "tech",
        "setup",
        "--kit-id",
        "kit-0007",
        "--hub",
        "hub.example:1883",
    ]
    return subprocess.run(
        [sys.executable, *command, *chosen],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "ZHENBAO_LANG": "zh_CN"},
        check=False,
    )


def test_what_nobody_chose_is_said_and_left_open(tmp_path: Path) -> None:
    ended = set_up(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "县里尚未选定肺功能预计值方程" in ended.stdout
    assert load_settings(tmp_path).spirometry_equation == ""


@pytest.mark.parametrize(
    ("chosen", "equation", "group", "warned"),
    [
        (("--spirometry-equation", "jian2017"), "jian2017", "", False),
        (("--spirometry-equation", "gli2012"), "gli2012", "", True),
        (("--spirometry-equation", "gli2012", "--spirometry-group", "NEAsia"), "gli2012", "NEAsia", False),
    ],
)
def test_the_choice_is_kept(tmp_path: Path, chosen: tuple[str, ...], equation: str, group: str, warned: bool) -> None:
    ended = set_up(tmp_path, *chosen)
    assert ended.returncode == 0, ended.stderr
    kept = load_settings(tmp_path)
    assert (kept.spirometry_equation, kept.spirometry_group) == (equation, group)
    assert ("没有选定 GLI-2012 的人群" in ended.stdout) is warned
    assert "尚未选定肺功能" not in ended.stdout


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (("--spirometry-equation", "jian2018"), "gli2012, gli2022, jian2017"),
        (("--spirometry-group", "NEAsia"), "gli2012"),
        (("--spirometry-equation", "gli2012", "--spirometry-group", "Asia"), "NEAsia"),
    ],
)
def test_a_mistake_is_told_at_once_and_writes_nothing(tmp_path: Path, chosen: tuple[str, ...], said: str) -> None:
    ended = set_up(tmp_path, *chosen)
    assert ended.returncode == 2
    assert said in ended.stdout + ended.stderr
    assert not (tmp_path / "kit.toml").exists()


def test_setting_up_again_keeps_the_meter_on_a_cable(tmp_path: Path) -> None:
    set_up(tmp_path)
    save_settings(tmp_path, replace(load_settings(tmp_path), glucose_meter="contour", glucose_port="/dev/ttyUSB0"))
    assert set_up(tmp_path, "--village", "东湾村").returncode == 0
    kept = load_settings(tmp_path)
    assert (kept.village, kept.glucose_meter, kept.glucose_port) == ("东湾村", "contour", "/dev/ttyUSB0")


def test_the_uplink_is_set_once_and_stays(tmp_path: Path) -> None:
    given = ("--probe-url", "https://hub.example", "--probe-key", "12" * 32, "--modem-port", "/dev/ttyUSB2")
    assert set_up(tmp_path, *given).returncode == 0
    assert set_up(tmp_path, "--village", "测试村").returncode == 0
    kept = load_settings(tmp_path)
    assert (kept.probe_url, kept.probe_key, kept.modem_port) == ("https://hub.example", "12" * 32, "/dev/ttyUSB2")
    ended = set_up(tmp_path, "--probe-url", "https://hub.example", "--probe-key", "12")
    assert (ended.returncode, "probe_key" in ended.stderr) == (2, True)
    assert load_settings(tmp_path) == kept

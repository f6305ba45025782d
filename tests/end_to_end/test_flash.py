"""The technician's flash: written, read back and verified, or the old settings stay in force, whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside import KitCommand

from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.front_end.device import FrontEndFaults
from zhenbao.firmware_sim.front_end.frames import Answer
from zhenbao.firmware_sim.front_end.line import LineFaults
from zhenbao.firmware_sim.front_end.settings import SettingsStore, Step

pytestmark = pytest.mark.slow
CONFIG = """
mains_hz = 60
ecg_rate_hz = 1000
flow_rate_hz = 200
language = "en"
village_code = "999999001101"
village_name = "测试村"
"""


def settings(folder: Path) -> tuple[int, int, str]:
    """What is in force on a board that powers up with this memory, as the board itself reads it."""
    in_force = SettingsStore(folder).settings
    return in_force.mains_hz, in_force.ecg_rate_hz, in_force.village_name


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_settings_are_written_read_back_and_verified(tmp_path: Path, config: Path) -> None:
    flash = KitCommand(tmp_path / "kit")
    memory = tmp_path / "memory"
    with FrontEnd(settings_dir=memory) as board:
        first = flash("tech", "flash", str(config), "--port", board.port)
        again = flash("tech", "flash", str(config), "--port", board.port)
    assert (first.code, again.code) == (0, 0), first.said + again.said
    assert settings(memory) == (60, 1000, "测试村")


@pytest.mark.parametrize("step", list(Step), ids=lambda s: s.name)
def test_a_power_cut_at_any_step_leaves_old_or_new_whole(tmp_path: Path, config: Path, step: Step) -> None:
    flash = KitCommand(tmp_path / "kit")
    memory = tmp_path / "memory"
    before = settings(memory)
    with FrontEnd(settings_dir=memory, faults=FrontEndFaults(power_cut=step)) as board:
        cut = flash("tech", "flash", str(config), "--port", board.port)
    assert cut.code == 1
    assert "怎么办" in cut.said
    assert settings(memory) in (before, (60, 1000, "测试村"))
    with FrontEnd(settings_dir=memory) as board:
        assert flash("tech", "flash", str(config), "--port", board.port).code == 0
    assert settings(memory) == (60, 1000, "测试村")


def test_a_cable_pulled_while_flashing_leaves_old_or_new_whole(tmp_path: Path, config: Path) -> None:
    memory = tmp_path / "memory"
    before = settings(memory)
    with FrontEnd(settings_dir=memory) as board:
        flash = KitCommand(tmp_path / "kit").start("tech", "flash", str(config), "--port", board.port)
        assert flash.stdout is not None
        assert "ZB-FE1" in flash.stdout.readline()
        board.pull_cable()
        flash.communicate(timeout=60)
    after = settings(memory)
    assert after in (before, (60, 1000, "测试村"))
    assert flash.returncode == 1 or after != before


def test_lost_answers_are_asked_for_again(tmp_path: Path, config: Path) -> None:
    memory = tmp_path / "memory"
    faults = FrontEndFaults(line=LineFaults(drop_types=(Answer.ACK, Answer.CONFIG)))
    with FrontEnd(settings_dir=memory, faults=faults) as board:
        flashed = KitCommand(tmp_path / "kit")("tech", "flash", str(config), "--port", board.port)
    assert flashed.code == 0, flashed.said
    assert settings(memory) == (60, 1000, "测试村")


def test_memory_that_does_not_read_back_keeps_the_old_settings(tmp_path: Path, config: Path) -> None:
    flash = KitCommand(tmp_path / "kit")
    memory = tmp_path / "memory"
    before = settings(memory)
    with FrontEnd(settings_dir=memory, faults=FrontEndFaults(worn_storage=True)) as board:
        worn = flash("tech", "flash", str(config), "--port", board.port)
    assert worn.code == 1
    assert "settings-not-stored" in worn.said
    assert settings(memory) == before


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("mains_hz = 60", "mains_hz = 55", "config-choice"),
        ("ecg_rate_hz", "ecg_rate", "config-key"),
        ("mains_hz = 60", "", "config-missing"),
    ],
)
def test_a_wrong_document_is_refused_before_the_port_is_opened(
    tmp_path: Path, right: str, wrong: str, code: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace(right, wrong), encoding="utf-8")
    refused = KitCommand(tmp_path / "kit")("tech", "flash", str(path), "--port", "/dev/nothing-here")
    assert refused.code == 2
    assert code in refused.said


def test_a_port_that_is_not_there_says_so(tmp_path: Path, config: Path) -> None:
    absent = KitCommand(tmp_path / "kit")("tech", "flash", str(config), "--port", "/dev/nothing-here")
    assert absent.code == 1
    assert "serial-absent" in absent.said

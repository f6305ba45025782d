"""Blows measured by the kit leave it as a file, and are read again to the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bedside import set_up

from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.front_end.device import Air, FrontEnd
from zhenbao.firmware_sim.waveforms.spirometry import demo_blows
from zhenbao.model.time import SystemClock

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", "0019")


def analyse(file: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "zhenbao", "analyse", "spirometry", str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_what_the_kit_measured_is_what_the_export_says(tmp_path: Path) -> None:
    """In a cold room, where the sensor's litres are converted."""
    with Bench(front_end=FrontEnd(None, demo_blows(), speed=20, air=Air(btps=False, temperature_c=10.0))) as bench:
        kit = set_up(tmp_path / "kit", bench)
        assert "export-none" in kit("visit", "export", str(tmp_path / "early.json")).said
        measured = kit("measure", "spirometry", *CONFIRM, "--contraindications", "no")
    assert measured.code == 0, measured.said
    file = tmp_path / "blows.json"
    ended = kit("visit", "export", str(file))
    assert ended.code == 0, ended.said
    with KitStore.open(tmp_path / "kit", kit_id="kit-test", clock=SystemClock()) as store:
        (kept,) = store.observations()
    assert kept.spirometry is not None and kept.spirometry.interpretation is not None
    found = analyse(file)
    session = found["analysis"]["session"]  # type: ignore[index]
    for key in ("fev1_l", "fvc_l", "fev1_fvc"):
        assert session[key] == pytest.approx(getattr(kept.spirometry.session, key), abs=5e-4)
    assert session["fev1_grade"] == kept.spirometry.session.fev1_grade
    assert found["analysis"]["interpretation"]["cn5_class"] == kept.spirometry.interpretation.cn5_class  # type: ignore[index]
    assert found["file"]["btps"] == "yes" and found["person"]["height_cm"] == 168  # type: ignore[index]
    text = file.read_text("utf-8")
    assert "演示患者甲" not in text and "999999" not in text and "0019" not in text
    assert not (tmp_path / "early.json").exists()
    assert "analyse-write" in kit("visit", "export", "/nowhere/blows.json").said

"""Another program holds the port: every command that reads a device on a cable says so, and reads once it is let go."""

from __future__ import annotations

import fcntl
import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bedside import RESIDENT, set_up

from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.firmware_sim.contec import ContecSpirometer
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.healthypi import HealthyPi
from zhenbao.firmware_sim.oximeter import Finger
from zhenbao.firmware_sim.serial_cuff import SerialCuff
from zhenbao.firmware_sim.serial_meters.onetouch import OneTouchUltra2
from zhenbao.firmware_sim.serial_oximeter import SerialOximeter
from zhenbao.firmware_sim.waveforms.ecg import EcgModel

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


@pytest.mark.parametrize(
    ("device", "settings", "command"),
    [
        pytest.param(lambda: SerialCuff(), {"cuff_port": "{port}"}, "bp", id="cuff"),
        pytest.param(
            lambda: OneTouchUltra2(), {"glucose_port": "{port}", "glucose_meter": "onetouch"}, "glucose", id="meter"
        ),
        pytest.param(lambda: SerialOximeter(Finger(97, 70)), {"oximeter_port": "{port}"}, "spo2", id="oximeter"),
        pytest.param(lambda: ContecSpirometer(), {"spirometer_port": "{port}"}, "spirometry", id="spirometer"),
        pytest.param(lambda: FrontEnd(EcgModel().render(5)), {"front_end_port": "{port}"}, "ecg", id="front-end"),
        pytest.param(
            lambda: HealthyPi([0, 1]),
            {
                "healthypi_port": "{port}",
                "healthypi_rate_hz": 125,
                "healthypi_nv_per_count": 1,
                "ecg_device": "healthypi5",
            },
            "ecg",
            id="healthypi",
        ),
    ],
)
def test_the_port_and_what_to_do_are_named(tmp_path: Path, device: Any, settings: dict[str, Any], command: str) -> None:
    kit = set_up(tmp_path / "kit", None)
    table: AbstractContextManager[Any] = device()
    with table as held:
        chosen = {k: v.format(port=held.port) if isinstance(v, str) else v for k, v in settings.items()}
        save_settings(kit.home, replace(load_settings(kit.home), **chosen))
        holder = os.open(held.port, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ended = kit("measure", command, *CONFIRM)
        finally:
            os.close(holder)
    assert ended.code == 1
    assert "serial-busy" in ended.said
    assert held.port in ended.said
    assert "怎么办" in ended.said
    assert ended.of("observation") == []

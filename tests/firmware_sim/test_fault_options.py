"""Faults by option: each field of a simulator's faults is one, and nothing else is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from zhenbao.firmware_sim.contec import ContecFaults
from zhenbao.firmware_sim.cuff import CuffFaults
from zhenbao.firmware_sim.fault_options import FAULTS, every_fault, faults_of, parse_faults
from zhenbao.firmware_sim.front_end import Answer, FrontEndFaults, LineFaults, Step
from zhenbao.firmware_sim.glucose_meter import GlucoseFaults
from zhenbao.firmware_sim.waveforms.ecg import EcgNoise
from zhenbao.model.errors import InputError

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulators.md"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["cuff.early-indication"], {"cuff": CuffFaults(early_indication=True)}),
        (["cuff.early-indication=no"], {"cuff": CuffFaults()}),
        (["cuff.clock-offset=-3600"], {"cuff": CuffFaults(clock_offset=timedelta(hours=-1))}),
        (
            ["glucose.drops-link-after=3", "glucose.sends-twice"],
            {"glucose": GlucoseFaults(sends_twice=True, drops_link_after=3)},
        ),
        (["spirometer.cut-after-bytes=40"], {"spirometer": ContecFaults(cut_after_bytes=40)}),
        (["ecg.mains-mv=0.4", "ecg.motion-mv=2"], {"ecg": EcgNoise(mains_mv=0.4, motion_mv=2.0)}),
        (
            ["front-end.line.drop-every=13", "front-end.line.drop-types=ack,end"],
            {"front-end": FrontEndFaults(line=LineFaults(drop_every=13, drop_types=(Answer.ACK, Answer.END)))},
        ),
        (
            ["front-end.electrode-off=LA:0:500", "front-end.electrode-off=v6:7:9", "front-end.power-cut=half-written"],
            {"front-end": FrontEndFaults(electrode_off={"LA": (0, 500), "V6": (7, 9)}, power_cut=Step.HALF_WRITTEN)},
        ),
    ],
)  # fmt: skip
def test_options_become_faults(options: list[str], expected: dict[str, Any]) -> None:
    assert parse_faults(options) == expected


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ("toaster.silent", "sim-fault-device"),
        ("cuff", "sim-fault-name"),
        ("cuff.early-indicaton", "sim-fault-name"),
        ("cuff.truncated", "sim-fault-value"),
        ("cuff.truncated=many", "sim-fault-value"),
        ("cuff.silent=perhaps", "sim-fault-value"),
        ("healthypi.lead-off=3", "sim-fault-value"),
        ("front-end.power-cut=never", "sim-fault-value"),
        ("front-end.line=3", "sim-fault-value"),
    ],
)
def test_what_is_no_fault_is_told(option: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_faults([option])
    assert refused.value.code == code


def test_the_nearest_name_is_told() -> None:
    with pytest.raises(InputError) as refused:
        parse_faults(["cuff.early-indicaton"])
    assert refused.value.facts["nearest"] == "early-indication"


@pytest.mark.parametrize("device", FAULTS)
def test_every_fault_of_every_device_is_in_the_document(device: str) -> None:
    names = list(every_fault(device))
    assert names
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("device", FAULTS)
def test_a_healthy_device_has_no_fault(device: str) -> None:
    assert parse_faults([]) == {}
    assert faults_of(device) == faults_of(device)

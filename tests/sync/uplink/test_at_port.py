"""A modem on a cable in every state, and the ways in which a cable fails."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from zhenbao.firmware_sim.modem import SCENARIOS, Modem, ModemFaults
from zhenbao.model.errors import DeviceError
from zhenbao.sync.uplink.at_port import read_modem
from zhenbao.sync.uplink.state import Kind, Radio, Registration, Signal, Sim, Uplink


def attached(radio: Radio, registration: Registration, plmn: str, band: str, *signals: Signal) -> Uplink:
    uplink = Uplink(Kind.CELLULAR, up=True, radio=radio, registration=registration, sim=Sim.READY, plmn=plmn, band=band)
    return replace(uplink, signal=signals[0], nr_signal=signals[1] if signals[1:] else None)


HOME, ROAMING = Registration.HOME, Registration.ROAMING
LTE = attached(Radio.LTE, HOME, "46000", "B3", Signal(-93, -11, 11))
EXPECTED = {
    "sa": attached(Radio.SA, HOME, "46000", "n41", Signal(-92, -11, 18)),
    "nsa": attached(Radio.NSA, HOME, "46000", "n78", Signal(-99, -14, 7), Signal(-96, -10, 18)),
    "nsa-unmeasured": attached(Radio.LTE, HOME, "46000", "B3", Signal(-99, -14, 7)),
    "lte": LTE,
    "weak": replace(LTE, signal=Signal(-121, -18, -6)),
    "no-service": Uplink(Kind.CELLULAR, up=False, sim=Sim.READY, registration=Registration.SEARCHING),
    "no-sim": Uplink(Kind.CELLULAR, up=False, sim=Sim.MISSING, registration=Registration.NONE),
    "locked": Uplink(Kind.CELLULAR, up=False, sim=Sim.LOCKED, registration=Registration.SEARCHING),
    "denied": Uplink(Kind.CELLULAR, up=False, sim=Sim.READY, registration=Registration.DENIED),
    "roaming": attached(Radio.LTE, ROAMING, "45701", "B3", Signal(-97, -12, 8)),
    "roaming-home-country": attached(Radio.SA, ROAMING, "46000", "n41", Signal(-101, -12, 9)),
    "detached": replace(LTE, up=False),
}


def test_every_scenario_is_expected_here() -> None:
    assert set(EXPECTED) == set(SCENARIOS)


@pytest.mark.parametrize("scenario", sorted(EXPECTED))
@pytest.mark.parametrize("chunk_bytes", [1, 7, 4096])
def test_a_modem_in_every_state(scenario: str, chunk_bytes: int) -> None:
    with Modem(scenario, faults=ModemFaults(chunk_bytes=chunk_bytes)) as modem:
        assert read_modem(modem.port) == EXPECTED[scenario]
        assert read_modem(modem.port) == EXPECTED[scenario]


def test_it_asks_and_sets_nothing() -> None:
    with Modem("sa") as modem:
        read_modem(modem.port)
    assert modem.commands == ["AT+CPIN?", 'AT+QENG="servingcell"', "AT+C5GREG?", "AT+CEREG?", "AT+CGPADDR"]


def test_another_makers_modem_tells_less() -> None:
    with Modem("sa", faults=ModemFaults(unknown=frozenset({'AT+QENG="servingcell"'}))) as modem:
        found = read_modem(modem.port)
    assert (found.radio, found.registration, found.up) == (Radio.SA, Registration.HOME, True)
    assert (found.signal, found.plmn) == (None, "")


def test_noise_before_an_answer_harms_nothing() -> None:
    with Modem("nsa", faults=ModemFaults(garbage=b"\x00\xff\xfe~~\r\n+QENG\r\n\x1b[2J")) as modem:
        assert read_modem(modem.port) == EXPECTED["nsa"]


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (ModemFaults(silent=True), "modem-silent"),
        (ModemFaults(garbage=b"x" * 3000), "modem-noise"),
        (ModemFaults(garbage=b'\r\n+QENG: "servingcell"\r\n'), "modem-noise"),
        (ModemFaults(vanishes_at="AT+CPIN?"), "modem-lost"),
        (ModemFaults(vanishes_at="AT+CEREG?"), "modem-lost"),
        (ModemFaults(answer_s=0.6), "modem-silent"),
    ],
)
def test_a_port_that_fails_is_told_in_time(faults: ModemFaults, code: str) -> None:
    began_s = time.monotonic()
    with Modem("sa", faults=faults) as modem, pytest.raises(DeviceError) as failed:
        read_modem(modem.port, answer_s=0.4)
    assert failed.value.code == code
    assert time.monotonic() - began_s < 3


def test_a_port_that_another_program_has_is_left_alone() -> None:
    with Modem("sa") as modem, serial.Serial(modem.port, exclusive=True), pytest.raises(DeviceError) as failed:
        read_modem(modem.port)
    assert failed.value.code == "modem-busy"
    assert modem.commands == []


def test_no_port(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as failed:
        read_modem(str(tmp_path / "ttyUSB2"))
    assert failed.value.code == "modem-absent"

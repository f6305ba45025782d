"""Every cell of docs/devices/faults.md for devices on a cable, at the driver: simulated devices on pseudo-terminals."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import tty
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fault_table import BATTERY, HELD, OTHER, UNPLUGGED, Cell

from zhenbao.drivers.bp_beurer.driver import BAUD, BeurerCuff
from zhenbao.drivers.contec import driver as contec
from zhenbao.drivers.ecg.driver import FrontEndEcg
from zhenbao.drivers.frontend import session
from zhenbao.drivers.glucose.contour.driver import ContourMeter
from zhenbao.drivers.glucose.onetouch.driver import OneTouchUltra2
from zhenbao.drivers.healthypi.driver import HealthyPi5
from zhenbao.drivers.links.serial import SerialLink, open_serial
from zhenbao.drivers.oximeter.driver import SerialOximeter
from zhenbao.firmware_sim import contec as simulated_contec
from zhenbao.firmware_sim import serial_oximeter as simulated_oximeter
from zhenbao.firmware_sim.contec import ContecFaults
from zhenbao.firmware_sim.front_end import FrontEnd, FrontEndFaults, LineFaults
from zhenbao.firmware_sim.healthypi import HealthyPi, HealthyPiFaults
from zhenbao.firmware_sim.oximeter import Finger
from zhenbao.firmware_sim.serial_cuff import SerialCuff, SerialCuffFaults, StoredReading
from zhenbao.firmware_sim.serial_meters import contour as simulated_contour
from zhenbao.firmware_sim.serial_meters import onetouch as simulated_onetouch
from zhenbao.firmware_sim.serial_meters.contour import ContourFaults
from zhenbao.firmware_sim.serial_meters.onetouch import OneTouchFaults
from zhenbao.firmware_sim.serial_oximeter import SerialOximeterFaults
from zhenbao.firmware_sim.waveforms.ecg import EcgModel
from zhenbao.model.errors import DeviceError

pytestmark = pytest.mark.slow
AT = datetime(2026, 11, 22, 7, 5, 9)
COUNTS = [100 * (n % 7) for n in range(1000)]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: how its port is opened and how it is read."""

    row: str
    settings: tuple[Any, ...]
    read: Callable[[SerialLink], AsyncGenerator[Any, None]]


OXIMETER = SerialOximeter()
KINDS = {
    "cuff": Kind("cuff on a cable", (BAUD,), lambda link: BeurerCuff().read(link)),
    "onetouch": Kind("meter on a cable", (OneTouchUltra2.baud,), lambda link: OneTouchUltra2().read(link)),
    "contour": Kind("meter on a cable", (ContourMeter.baud,), lambda link: ContourMeter().read(link)),
    "oximeter": Kind(
        "oximeter on a cable",
        (OXIMETER.baudrate, OXIMETER.parity),
        lambda link: SerialOximeter().read(link, timeout_s=0.5),
    ),
    "front-end": Kind("front-end", (), lambda link: FrontEndEcg().read(link, duration_s=10)),
    "healthypi": Kind("HealthyPi", (), lambda link: HealthyPi5(125, 1000).read(link, duration_s=10)),
    "contec": Kind("Contec spirometer", (), lambda link: contec.ContecSpirometer().read(link)),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drivers wait as they do, for less long."""
    monkeypatch.setattr(BeurerCuff, "ANSWER_S", 0.1)
    monkeypatch.setattr(OneTouchUltra2, "PATIENCE_S", 0.3)
    monkeypatch.setattr(ContourMeter, "OFFER_S", 0.05)
    monkeypatch.setattr(ContourMeter, "PATIENCE_S", 0.3)
    monkeypatch.setattr(HealthyPi5, "SILENCE_S", 0.4)
    monkeypatch.setattr(contec.ContecSpirometer, "ANSWER_S", 0.4)
    monkeypatch.setattr(session, "ACK_S", 0.1)
    monkeypatch.setattr(session, "SILENCE_S", 0.4)


async def outcome(name: str, port: str) -> tuple[int, str]:
    """How many things came, and the code of the error that ended it."""
    kind, came = KINDS[name], 0
    try:
        async with asyncio.timeout(30), open_serial(port, *kind.settings) as link:
            async for _ in kind.read(link):
                came += 1
    except DeviceError as error:
        return came, error.code
    return came, ""


def cells(fault: str, *shown: tuple[str, str] | tuple[str, str, Any]) -> tuple[list[Cell], Any]:
    """The cells that a test shows, and its parameters: the device, its code, and what else the test wants."""
    names = ("name", "code", "made")[: len(shown[0])]
    parameters = pytest.mark.parametrize(names, [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in shown])
    return [Cell(KINDS[one[0]].row, fault, one[1]) for one in shown], parameters


@contextmanager
def mute_line() -> Iterator[str]:
    """A cable that is in, with nobody who answers behind it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        yield os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


def cuff(**faults: Any) -> SerialCuff:
    return SerialCuff([StoredReading(128, 80, 72, AT), StoredReading(151, 95, 66, AT)], SerialCuffFaults(**faults))


def onetouch(**faults: Any) -> Any:
    stored = [simulated_onetouch.Stored(AT + timedelta(hours=h), 107) for h in range(5)]
    return simulated_onetouch.OneTouchUltra2(stored, faults=OneTouchFaults(**faults))


def contour(**faults: Any) -> Any:
    stored = [simulated_contour.Stored(AT + timedelta(hours=h), 107) for h in range(5)]
    return simulated_contour.ContourMeter(stored, faults=ContourFaults(**faults))


def oximeter(**faults: Any) -> Any:
    return simulated_oximeter.SerialOximeter(Finger(97, 72), speed=20, faults=SerialOximeterFaults(**faults))


def front_end(line: LineFaults) -> FrontEnd:
    return FrontEnd(EcgModel().render(12), speed=20, faults=FrontEndFaults(line=line))


def healthypi(**faults: Any) -> HealthyPi:
    return HealthyPi(COUNTS, speed=20, faults=HealthyPiFaults(**faults))


def spirometer(**faults: Any) -> Any:
    device = simulated_contec.ContecSpirometer(faults=ContecFaults(**faults))
    device.blow({"fvc": 305, "fev1": 210})
    return device


ABSENT, absent = cells(UNPLUGGED, *((name, "serial-absent") for name in KINDS))


@absent
async def test_a_cable_that_is_not_in(tmp_path: Path, name: str, code: str) -> None:
    assert await outcome(name, str(tmp_path / "ttyUSB0")) == (0, code)


PULLED, pulled = cells(
    UNPLUGGED,
    ("cuff", "serial-lost", lambda: cuff(pulled_at=2)),
    ("onetouch", "serial-lost", lambda: onetouch(cut_after_bytes=150)),
    ("contour", "serial-lost", lambda: contour(cut_after_bytes=200)),
    ("oximeter", "serial-lost", lambda: oximeter(cut_after_bytes=301)),
    ("front-end", "front-end-lost", lambda: front_end(LineFaults(cut_after_bytes=30_000))),
    ("healthypi", "serial-lost", lambda: healthypi(cut_after_bytes=2801)),
    ("contec", "serial-lost", lambda: spirometer(cut_after_bytes=60)),
)


@pulled
async def test_a_cable_that_is_pulled_out(name: str, code: str, made: Callable[[], Any]) -> None:
    with made() as device:
        _, ended = await outcome(name, device.port)
    assert ended == code


SILENT, silent = cells(
    BATTERY,
    ("cuff", "cuff-cable-silent", lambda: cuff(silent=True)),
    ("cuff", "cuff-cable-broke-off", lambda: cuff(silent_from=2)),
    ("onetouch", "meter-silent", lambda: onetouch(dead=True)),
    ("contour", "meter-silent", lambda: contour(dead=True)),
    ("oximeter", "oximeter-silent", lambda: oximeter(silent=True)),
    ("healthypi", "healthypi-silent", lambda: healthypi(silent_after=50)),
    ("contec", "spirometer-silent", lambda: spirometer(silent=True)),
)


@silent
async def test_a_device_that_falls_silent(name: str, code: str, made: Callable[[], Any]) -> None:
    with made() as device:
        _, ended = await outcome(name, device.port)
    assert ended == code


MUTE, mute = cells(
    BATTERY,
    ("cuff", "cuff-cable-silent"),
    ("onetouch", "meter-silent"),
    ("contour", "meter-silent"),
    ("oximeter", "oximeter-silent"),
    ("front-end", "front-end-silent"),
    ("healthypi", "healthypi-silent"),
    ("contec", "spirometer-silent"),
)


@mute
async def test_a_device_without_power_behind_a_good_cable(name: str, code: str) -> None:
    with mute_line() as port:
        assert await outcome(name, port) == (0, code)


BUSY, busy = cells(HELD, *((name, "serial-busy") for name in KINDS))


@busy
async def test_a_port_that_another_program_holds(name: str, code: str) -> None:
    with mute_line() as port:
        holder = os.open(port, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert await outcome(name, port) == (0, code)
        finally:
            os.close(holder)


STRANGER, stranger = cells(
    OTHER,
    ("cuff", "cuff-cable-other", lambda: cuff(greeting=0x06)),
    ("onetouch", "meter-silent", contour),
    ("contour", "meter-silent", onetouch),
    ("oximeter", "oximeter-silent", cuff),
    ("front-end", "front-end-silent", oximeter),
    ("healthypi", "healthypi-silent", oximeter),
    ("contec", "spirometer-dialogue", lambda: spirometer(foreign_answer=True)),
)


@stranger
async def test_another_kind_of_device_on_the_port(name: str, code: str, made: Callable[[], Any]) -> None:
    with made() as device:
        assert await outcome(name, device.port) == (0, code)


CELLS = [*ABSENT, *PULLED, *SILENT, *MUTE, *BUSY, *STRANGER]
"""What is shown here."""

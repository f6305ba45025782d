"""A cable pulled at any byte, whatever hangs on it: the kit's driver ends with a word, never in a traceback."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from zhenbao.drivers.healthypi.driver import HealthyPi5
from zhenbao.drivers.links.serial import open_serial
from zhenbao.drivers.oximeter.driver import SerialOximeter as OximeterDriver
from zhenbao.firmware_sim.front_end import FrontEnd, FrontEndFaults, LineFaults
from zhenbao.firmware_sim.healthypi import HealthyPi, HealthyPiFaults
from zhenbao.firmware_sim.oximeter import Finger
from zhenbao.firmware_sim.serial_oximeter import SerialOximeter, SerialOximeterFaults
from zhenbao.model.errors import DeviceError

pytestmark = pytest.mark.slow
COUNTS = [100 * (n % 7) for n in range(1000)]


async def until_the_end(
    device: Any, settings: tuple[Any, ...], read: Callable[[Any], AsyncGenerator[Any, None]]
) -> str:
    """How the driver ended: the error's code, or nothing where it ended in order."""
    with device:
        async with open_serial(device.port, *settings) as link:
            try:
                async for _ in read(link):
                    pass
            except DeviceError as error:
                return error.code
    return ""


@pytest.mark.parametrize("cut", [1, 27, 28, 1000, 2801])
async def test_a_healthypi(cut: int) -> None:
    board = HealthyPi(COUNTS, speed=50, faults=HealthyPiFaults(cut_after_bytes=cut))
    driver = HealthyPi5(125, 1000)
    ended = await until_the_end(board, (), lambda link: driver.read(link, duration_s=10))
    assert ended in ("serial-lost", "healthypi-silent", "")
    assert board.sent_bytes == cut


@pytest.mark.parametrize("cut", [1, 4, 5, 301, 1502])
async def test_a_serial_oximeter(cut: int) -> None:
    oximeter = SerialOximeter(Finger(97, 72), speed=20, faults=SerialOximeterFaults(cut_after_bytes=cut))
    driver = OximeterDriver()
    ended = await until_the_end(oximeter, (driver.baudrate, driver.parity), lambda link: driver.read(link, timeout_s=5))
    assert ended in ("serial-lost", "oximeter-silent", "")


@pytest.mark.parametrize("cut", [1, 200, 1001, 30_000])
async def test_the_front_end(cut: int) -> None:
    from zhenbao.drivers.ecg.driver import FrontEndEcg
    from zhenbao.firmware_sim.waveforms.ecg import EcgModel

    faults = FrontEndFaults(line=LineFaults(cut_after_bytes=cut))
    board = FrontEnd(EcgModel().render(12), speed=20, faults=faults)
    ended = await until_the_end(board, (), lambda link: FrontEndEcg().read(link, duration_s=10))
    assert ended in ("front-end-lost", "front-end-silent", "serial-lost")

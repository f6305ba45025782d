"""Which oximeter this kit has, and its messages: a serial port where the technician set one, else Bluetooth."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from zhenbao.agent.kit import BONDS, Kit
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.links.serial import open_serial
from zhenbao.drivers.oximeter.driver import NoninOximeter, PulseOximeter, SerialOximeter
from zhenbao.drivers.oximeter.reading import Oximetry

FIND_S = 60.0
FIRST_S = 30.0
"""How long the first message is awaited: the finger is put in now."""


@dataclass(frozen=True, slots=True)
class Source:
    """An oximeter that is connected."""

    driver: PulseOximeter | SerialOximeter
    messages: AsyncGenerator[Oximetry, None]


@asynccontextmanager
async def open_oximeter(kit: Kit) -> AsyncIterator[Source]:
    """Connect; disconnected on leaving.

    Raises:
        DeviceError: the oximeter is absent or not paired.
    """
    if kit.settings.oximeter_port:
        serial = SerialOximeter()
        async with (
            open_serial(kit.settings.oximeter_port, serial.baudrate, serial.parity) as port,
            aclosing(serial.read(port, timeout_s=FIRST_S)) as messages,
        ):
            yield Source(serial, messages)
        return
    async with open_radio(kit.settings.bluetooth or None, kit.home / BONDS) as radio:
        found = await radio.find(NoninOximeter.service, PulseOximeter.service, timeout_s=FIND_S, own=True)
        async with radio.connect(found) as link:
            # A Nonin has both services; its own one tells when the number is good.
            own = link.has(NoninOximeter.protected[0])
            driver = NoninOximeter(kit.clock) if own else PulseOximeter(kit.clock)
            async with aclosing(driver.read(link, timeout_s=FIRST_S)) as messages:
                yield Source(driver, messages)

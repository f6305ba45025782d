"""Fetching from whichever glucose meter the technician enrolled: by Bluetooth, or on a cable."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from zhenbao.agent.kit import BONDS, Kit
from zhenbao.drivers.glucose.codec import GlucoseReading, numbers_follow_time
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.glucose.serial_meters import SERIAL_METERS
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.links.serial import open_serial
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device

FIND_S = 60.0


class Meter(Protocol):
    """What is known of a meter once it was read."""

    @property
    def name(self) -> str: ...
    @property
    def device(self) -> Device: ...
    @property
    def device_offset_s(self) -> float | None: ...


@dataclass(slots=True)
class Fetched:
    """What a meter gave."""

    meter: Meter
    readings: list[GlucoseReading] = field(default_factory=list)
    broke_off: DeviceError | FrameError | None = None
    """What ended it early; the readings before it are good."""
    address: str | None = None
    """Bluetooth only: where the highest number is remembered."""

    def remember(self, kit: Kit) -> None:
        """Ask only for newer results next time, where the meter's numbers allow that."""
        if self.address is not None and self.readings and numbers_follow_time(self.readings):
            kit.store.set_device_sequence(self.address, max(r.sequence for r in self.readings))


async def fetch(kit: Kit) -> Fetched:
    """Everything that the enrolled meter has and the kit may not have.

    Raises:
        DeviceError: the meter, its port or its radio is absent, it is not paired, or it is not the enrolled one
            (``meter-other``). What breaks off later is kept in the result.
    """
    if kit.settings.glucose_meter:
        return await _over_the_cable(kit)
    meter = GlucoseMeter(kit.clock)
    kit.screen.say("agent.glucose_connect")
    kit.screen.event("meter-wanted")
    async with open_radio(kit.settings.bluetooth or None, kit.home / BONDS) as radio:
        found = await radio.find(GlucoseMeter.service, timeout_s=FIND_S, own=True)
        fetched = Fetched(meter, address=found.address)
        async with radio.connect(found) as link:
            await _take(fetched, meter.read(link, after_sequence=kit.store.device_sequence(found.address)))
    return fetched


async def _over_the_cable(kit: Kit) -> Fetched:
    meter = SERIAL_METERS[kit.settings.glucose_meter](kit.clock)
    kit.screen.say("agent.glucose_connect_cable")
    kit.screen.event("meter-wanted")
    fetched = Fetched(meter)
    async with open_serial(kit.settings.glucose_port, meter.baud) as link:
        await _take(fetched, meter.read(link))
    enrolled, found = kit.settings.glucose_serial, meter.device.serial
    if enrolled and found and enrolled != found:
        # Its memory stays its own: who else uses that meter, nobody here knows.
        raise DeviceError("meter-other", found=found, enrolled=enrolled)
    return fetched


async def _take(fetched: Fetched, results: AsyncGenerator[GlucoseReading, None]) -> None:
    try:
        async for reading in results:
            fetched.readings.append(reading)
    except (DeviceError, FrameError) as error:
        fetched.broke_off = error

"""Enrolling a glucose meter on a cable, and setting the clock of the enrolled meter. Sees no patient and no result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.agent.kit import BONDS
from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.model.errors import DeviceError, InputError

if TYPE_CHECKING:
    from zhenbao.model.observation import Device


async def enrol_on_cable(home: Path, meter: str, port: str) -> Device:
    """Ask the meter on a port who it is and, where it answers, make it the kit's glucose meter.

    Args:
        meter: ``onetouch`` or ``contour``.
        port: serial port, best as ``/dev/serial/by-id/...``.

    Raises:
        InputError: ``meter-port``, no port was named.
        DeviceError, FrameError: the port or the meter does not answer; the old settings stay.
    """
    from zhenbao.drivers.glucose.serial_meters import SERIAL_METERS
    from zhenbao.drivers.links.serial import open_serial

    settings = load_settings(home)
    if not port:
        raise InputError("meter-port")
    driver = SERIAL_METERS[meter]()
    async with open_serial(port, driver.baud) as link:
        device = await driver.identify(link)
    save_settings(home, replace(settings, glucose_meter=meter, glucose_port=port, glucose_serial=device.serial))
    return device


def enrol_by_radio(home: Path) -> None:
    """The kit's glucose meter is the paired one from now on, not one on a cable."""
    settings = load_settings(home)
    if settings.glucose_meter:
        save_settings(home, replace(settings, glucose_meter="", glucose_port="", glucose_serial=""))


async def set_clock(home: Path, bluetooth: str | None, timeout_s: float) -> tuple[Device, float | None]:
    """Set the clock of the enrolled meter; give what it was off by before, in seconds, None where it cannot be read.

    Args:
        bluetooth: an HCI address, or None for the tablet's own; used where the meter is not one on a cable.
        timeout_s: how long a Bluetooth meter is looked for.

    Raises:
        DeviceError: ``meter-clock-closed``, ``meter-clock``, or the meter is absent, not paired, or another kit's.
    """
    from zhenbao.drivers.glucose.driver import GlucoseMeter
    from zhenbao.drivers.glucose.onetouch.driver import OneTouchUltra2
    from zhenbao.drivers.links.ble import open_radio
    from zhenbao.drivers.links.serial import open_serial

    settings = load_settings(home)
    if settings.glucose_meter == "onetouch":
        cabled = OneTouchUltra2()
        async with open_serial(settings.glucose_port, cabled.baud) as link:
            before_s = await cabled.set_clock(link)
        return cabled.device, before_s
    if settings.glucose_meter:
        raise DeviceError("meter-clock-closed", model=settings.glucose_meter)
    meter = GlucoseMeter()
    async with open_radio(bluetooth, home / BONDS) as radio:
        found = await radio.find(GlucoseMeter.service, timeout_s=timeout_s, own=True)
        async with radio.connect(found) as gatt:
            before_s_or_none = await meter.set_clock(gatt)
    return meter.device, before_s_or_none

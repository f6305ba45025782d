"""What any Bluetooth device may tell of itself: maker, model, serial, firmware, and its clock.

Source: Device Information Service 1.1 (180A), Current Time Service 1.1 (2A2B), Date Time (2A08).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from zhenbao.drivers.gatt_time import decode_current_time, decode_date_time
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.time import BEIJING, Clock, local_time

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink

MAKER, MODEL, SERIAL, FIRMWARE = (sig_uuid(number) for number in (0x2A29, 0x2A24, 0x2A25, 0x2A26))
CURRENT_TIME, DATE_TIME = sig_uuid(0x2A2B), sig_uuid(0x2A08)
_PATIENCE_S = 5.0


async def device_information(link: GattLink, driver: str) -> Device:
    """Who the device says it is. What it does not tell, or cannot tell any more, is empty; this never fails a reading.

    Where it tells no serial number its Bluetooth address stands for it: results must be told apart by device.
    """
    told = dict.fromkeys((MAKER, MODEL, SERIAL, FIRMWARE), "")
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            for uuid in told:
                if link.has(uuid):
                    with suppress(DeviceError):
                        told[uuid] = (await link.read(uuid)).decode("utf-8", "replace").strip("\0 ")
    return Device(driver, told[MAKER], told[MODEL], told[SERIAL] or link.address, told[FIRMWARE])


async def clock_offset_s(link: GattLink, clock: Clock) -> float | None:
    """The device's clock minus the kit's, in seconds; None where the device has no clock, or does not know the time."""
    for uuid, decode in ((CURRENT_TIME, decode_current_time), (DATE_TIME, decode_date_time)):
        if link.has(uuid):
            with suppress(DeviceError, FrameError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    told = decode(await link.read(uuid))
                if told is not None:
                    device_time = datetime.fromisoformat(told).replace(tzinfo=BEIJING)
                    return (device_time - local_time(clock.now_ms())).total_seconds()
    return None

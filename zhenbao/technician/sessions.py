"""What is near and what would drive it; a device's session recorded, and played back to its driver."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from zhenbao.model.errors import DeviceError, FrameError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from zhenbao.drivers.links.ble import Found
    from zhenbao.model.time import Clock

GROUP = "zhenbao.drivers"
_FIND_S = 60.0
_WAIT_S = 60.0
_PLAYED_WAIT_S = 1.0
_RECORD_S = 15.0


@dataclass(frozen=True, slots=True)
class Near:
    """A device that was seen."""

    place: str
    """Bluetooth address, or port."""
    name: str
    drivers: tuple[str, ...]
    """Names of the drivers that know it; empty: none."""


def drivers() -> dict[str, Any]:
    """The driver classes by name."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


async def near_by_radio(address: str | None, keys: Path, seconds: float) -> list[Near]:
    """What advertises within ``seconds``.

    Raises:
        DeviceError: as :func:`open_radio`.
    """
    from zhenbao.drivers.links.ble import open_radio

    known = {name: driver.service for name, driver in drivers().items() if hasattr(driver, "service")}
    async with open_radio(address, keys) as radio:
        return [_near(found, known) for found in await radio.around(seconds)]


def _near(found: Found, known: dict[str, str]) -> Near:
    return Near(
        found.address, found.name, tuple(sorted(n for n, service in known.items() if service in found.services))
    )


def near_by_cable() -> list[Near]:
    """The serial ports, with the drivers that name their USB identity."""
    from zhenbao.drivers.links.serial import list_ports

    usb = {name: getattr(driver, "usb_ids", ()) for name, driver in drivers().items()}
    return [
        Near(
            port.path,
            " ".join(word for word in (port.product, port.serial, port.usb_id) if word),
            tuple(sorted(name for name, ids in usb.items() if port.usb_id and port.usb_id in ids)),
        )
        for port in list_ports()
    ]


async def capture(
    driver_name: str, file: Path, *, address: str | None, keys: Path, port: str, clock: Clock
) -> list[object]:
    """Read a device with its driver and write the session down; what its driver yields.

    The session is in the file whatever goes wrong.

    Args:
        port: of a serial device; empty for Bluetooth.

    Raises:
        InputError: ``driver-unknown``.
        DeviceError, FrameError: of the driver.
    """
    from zhenbao.drivers.links.tap import SessionWriter

    driver = _driver(driver_name)
    if port:
        from zhenbao.drivers.links.serial import open_serial

        with SessionWriter(file, link="serial", driver=driver_name, device=port, seconds=clock.monotonic_s) as tap:
            async with open_serial(port, tap=tap) as link:
                return await _read(driver, link, _WAIT_S)
    from zhenbao.drivers.links.ble import open_radio

    async with open_radio(address, keys) as radio:
        found = await radio.find(driver.service, timeout_s=_FIND_S)
        seconds = clock.monotonic_s
        with SessionWriter(file, link="gatt", driver=driver_name, device=found.address, seconds=seconds) as tap:
            async with radio.connect(found, tap=tap) as link:
                return await _read(driver, link, _WAIT_S)


async def replay(file: Path) -> tuple[str, list[object], str]:
    """Play a session to its driver: the driver's name, what it yields, and the code of the error that ended it.

    Raises:
        InputError: as :func:`read_session`, ``driver-unknown``.
    """
    from zhenbao.drivers.links.playback import SerialPlayback, gatt_playback
    from zhenbao.drivers.links.tap import read_session

    session = read_session(file)
    driver = _driver(session.driver)
    values: list[object] = []
    link = gatt_playback(session) if session.link == "gatt" else SerialPlayback(session)
    try:
        await _read(driver, link, _PLAYED_WAIT_S, values)
    except DeviceError as error:
        return session.driver, values, error.code
    except FrameError as error:
        return session.driver, values, str(error)
    return session.driver, values, ""


def _driver(name: str) -> Any:
    known = drivers()
    if name not in known:
        raise InputError("driver-unknown", name=name[:40], known=" ".join(sorted(known)))
    return known[name]


async def _read(driver: Any, link: Any, wait_s: float, values: list[object] | None = None) -> list[object]:
    """All that a driver yields, whatever it asks to be told."""
    wanted = inspect.signature(driver.read).parameters
    told = {name: value for name, value in (("timeout_s", wait_s), ("duration_s", _RECORD_S)) if name in wanted}
    taken: list[object] = [] if values is None else values
    async for value in driver().read(link, **told):
        taken.append(value)
    return taken

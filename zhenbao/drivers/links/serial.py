"""A serial port as an asynchronous byte stream. Linux: the port's file descriptor is watched by the event loop."""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.model.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import serial

    from zhenbao.drivers.links.tap import Tap

_FULL_BYTES = 1 << 20
"""Above this the port is no longer read: a reader that stopped must not fill the memory (it holds 80 s of ECG)."""
_CHUNK_BYTES = 4096
_WRITE_S = 2.0
_CODES = {
    errno.ENOENT: "serial-absent",
    errno.ENODEV: "serial-absent",
    errno.ENXIO: "serial-absent",
    errno.EACCES: "serial-denied",
    errno.EPERM: "serial-denied",
    errno.EBUSY: "serial-busy",
    errno.EAGAIN: "serial-busy",
}


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the system knows."""

    path: str
    """For instance ``/dev/ttyACM0``."""
    product: str = ""
    serial: str = ""
    usb_id: str = ""
    """``vvvv:pppp`` in hex; empty for a port that is not USB."""


def list_ports() -> list[Port]:
    """The serial ports of this machine, USB ones first."""
    from serial.tools.list_ports import comports

    ports = [
        Port(
            found.device,
            found.product or "",
            found.serial_number or "",
            "" if found.vid is None or found.pid is None else f"{found.vid:04x}:{found.pid:04x}",
        )
        for found in comports()
    ]
    return sorted(ports, key=lambda port: (not port.usb_id, port.path))


@asynccontextmanager
async def open_serial(
    path: str, baudrate: int = 115200, parity: str = "N", *, tap: Tap | None = None
) -> AsyncIterator[SerialLink]:
    """Open a port for this process alone, raw, 8 data bits, one stop bit; closed on leaving.

    Args:
        parity: ``N`` none, ``O`` odd, ``E`` even.
        tap: is told of everything that passes.

    Raises:
        DeviceError: ``serial-absent``, ``serial-denied``, ``serial-busy`` (another program has it), each with ``port``.
    """
    import serial

    try:
        port = serial.Serial(path, baudrate, parity=parity, timeout=0, write_timeout=_WRITE_S, exclusive=True)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise DeviceError(_CODES.get(_errno(error), "serial-absent"), port=path) from error
    link = SerialLink(port, tap)
    try:
        yield link
    finally:
        link.close()


def _errno(error: BaseException) -> int:
    """pyserial hides the number of a failed lock in the exception's cause or context."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and isinstance(seen.errno, int):
            return seen.errno
        seen = seen.__cause__ or seen.__context__
    return 0


class SerialLink:
    """An open port. Made by ``open_serial``. One reader at a time."""

    def __init__(self, port: serial.Serial, tap: Tap | None = None) -> None:
        self._port = port
        self._tap: Tap = tap or (lambda *_: None)
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._watching = False
        self._lost = False
        self._watch()

    async def read(self, timeout_s: float) -> bytes:
        """All that has arrived; waits for at least one byte. Empty after ``timeout_s`` of silence.

        Raises:
            DeviceError: ``serial-lost``: the port vanished, after everything received before was returned.
        """
        if not self._received and not self._lost:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return b""
        if self._received:
            data = bytes(self._received)
            self._received.clear()
            self._tap("in", "", data)
            if not self._lost:
                self._watch()
            return data
        raise DeviceError("serial-lost", port=self._port.port)

    async def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            DeviceError: ``serial-lost``: the port vanished, or takes nothing for 2 s.
        """
        if self._lost:
            raise DeviceError("serial-lost", port=self._port.port)
        self._tap("out", "", data)
        try:
            await asyncio.to_thread(self._port.write, data)
        except (OSError, TypeError) as error:  # pyserial: TypeError when the port was closed meanwhile
            raise DeviceError("serial-lost", port=self._port.port) from error

    def close(self) -> None:
        """Give the port back. Harmless when repeated."""
        self._unwatch()
        self._lost = True
        self._arrived.set()
        self._port.close()

    def _watch(self) -> None:
        if not self._watching:
            self._loop.add_reader(self._port.fileno(), self._readable)
            self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_reader(self._port.fileno())
            self._watching = False

    def _readable(self) -> None:
        try:
            data = self._port.read(_CHUNK_BYTES)
        except (OSError, TypeError):
            # A pulled cable: SerialException; the end of a pty: errno 5.
            self._unwatch()
            self._lost = True
        else:
            self._received += data
            if len(self._received) > _FULL_BYTES:
                self._unwatch()
        self._arrived.set()

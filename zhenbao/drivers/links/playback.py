"""A recorded session in the place of a device: drivers run on it unchanged."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from zhenbao.drivers.links.gatt import GattLink
from zhenbao.model.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from zhenbao.drivers.links.tap import Session


def gatt_playback(session: Session) -> GattLink:
    """A connected device that answers as it did; what it sent by itself comes after the step it came after."""
    client = _Client(session)
    link = GattLink(client)  # type: ignore[arg-type]
    client.gone = link.disconnected
    return link


class _Client:
    """As much of bleak's client as a ``GattLink`` uses."""

    def __init__(self, session: Session) -> None:
        self.address = session.device
        self.is_connected = True
        self.gone: Callable[[], None] = lambda: None
        self.services = self
        self._left = deque(session.steps)
        self._has = {step.uuid for step in session.steps if step.uuid and step.value != b"\x00"} - {
            step.uuid for step in session.steps if step.operation == "has" and step.value == b"\x00"
        }
        self._heard: dict[str, Callable[[Any, bytearray], Awaitable[None] | None]] = {}
        self._kept: list[tuple[str, bytes]] = []

    def get_characteristic(self, uuid: str) -> str | None:
        return uuid if uuid in self._has else None

    async def read_gatt_char(self, uuid: str) -> bytes:
        return self._until("read", uuid)

    async def write_gatt_char(self, uuid: str, _data: bytes, *, response: bool) -> None:
        self._until("write", uuid)

    async def start_notify(self, uuid: str, heard: Callable[[Any, bytearray], None]) -> None:
        self._heard[uuid] = heard
        self._until("subscribe", uuid)

    async def stop_notify(self, uuid: str) -> None:
        self._heard.pop(uuid, None)

    async def pair(self) -> None:
        return None

    def _until(self, operation: str, uuid: str) -> bytes:
        """Go to the next such step, and tell what the device sent by itself on the way and right after it."""
        from bleak.exc import BleakCharacteristicNotFoundError

        if not any(step.operation == operation and step.uuid == uuid for step in self._left):
            raise BleakCharacteristicNotFoundError(uuid)
        value = b""
        while self._left:
            step = self._left.popleft()
            if step.operation == "heard":
                self._send(step.uuid, step.value)
            elif step.operation == operation and step.uuid == uuid:
                value = step.value
                break
        while self._left and self._left[0].operation in ("heard", "gone", "clear"):
            step = self._left.popleft()
            if step.operation == "heard":
                self._send(step.uuid, step.value)
            elif step.operation == "gone":
                asyncio.get_running_loop().call_soon(self._hang_up)
        return value

    def _send(self, uuid: str, value: bytes) -> None:
        heard = self._heard.get(uuid)
        if heard is not None:
            asyncio.get_running_loop().call_soon(heard, _Characteristic(uuid), bytearray(value))

    def _hang_up(self) -> None:
        self.is_connected = False
        self.gone()


class _Characteristic:
    def __init__(self, uuid: str) -> None:
        self.uuid = uuid


class SerialPlayback:
    """A port that says what it said: after each write what came after it, however the writes are cut."""

    def __init__(self, session: Session) -> None:
        self._left = deque(step for step in session.steps if step.operation in ("in", "out"))
        self._written = 0

    async def read(self, timeout_s: float) -> bytes:
        """All that came before the next write; empty where nothing did.

        Raises:
            DeviceError: ``serial-lost``: the session ends here.
        """
        if not self._left:
            raise DeviceError("serial-lost", port="")
        found = bytearray()
        while self._left and self._left[0].operation == "in":
            found += self._left.popleft().value
        if not found:
            # The driver waits where it once wrote on: let its patience end.
            await asyncio.sleep(min(timeout_s, 0.01))
            while self._left and self._left[0].operation == "out":
                self._left.popleft()
        return bytes(found)

    async def write(self, data: bytes) -> None:
        """Taken as it is; the next answer follows."""
        self._written += len(data)
        while self._left and self._left[0].operation == "out" and self._written >= len(self._left[0].value):
            self._written -= len(self._left.popleft().value)

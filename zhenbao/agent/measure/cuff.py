"""Which cuff this kit has, and its readings: on a serial cable where the technician set its port, else by Bluetooth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zhenbao.agent.kit import BONDS, Kit
from zhenbao.drivers.bp.codec import BloodPressure, CuffPressure
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.bp_beurer.driver import BAUD, BeurerCuff
from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.drivers.links.serial import open_serial
from zhenbao.model.errors import DeviceError, FrameError

FIND_S = 120.0
"""A cuff has something to tell only after a measurement: this long the doctor has to press its button and let it
measure."""
SILENT_S = 15.0
"""A connected cuff that sends nothing for this long has nothing, or has lost it."""
LOOK_EVERY_S = 2.0
_NEEDS_SOMEBODY = ("serial-busy", "serial-denied", "cuff-cable-other")
"""What does not pass by waiting; a cuff that is unplugged to measure does."""
_LOOKS = 3

Pressures = Callable[[CuffPressure], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a cuff gave after it was asked to measure."""

    readings: tuple[BloodPressure, ...]
    clock_offset_s: float | None = None
    """Its clock minus the kit's, where that clock could be read."""
    surely_new: bool = False
    """They were not there before it measured: no clock is needed to know that they are of now."""
    impossible: tuple[bytes, ...] = ()
    """New records that are no measurement."""


class Cuff(Protocol):
    """A cuff of either kind."""

    async def get_ready(self) -> None:
        """Before the doctor presses START. DeviceError: there is no use in pressing it."""

    async def take(self, on_pressure: Pressures) -> Taken:
        """Wait for what it measures. DeviceError: nothing came."""


@asynccontextmanager
async def open_cuff(kit: Kit) -> AsyncIterator[Cuff]:
    """The cuff of this kit.

    Raises:
        DeviceError: the radio is absent; a cuff on a cable does not answer, is another device, or its port is absent,
            denied or held by another program.
    """
    if kit.settings.cuff_port:
        cabled = _CabledCuff(kit)
        await cabled.get_ready()  # before five minutes of rest, not after them
        yield cabled
        return
    async with open_radio(kit.settings.bluetooth or None, kit.home / BONDS) as radio:
        yield _RadioCuff(kit, radio)


@dataclass(slots=True)
class _RadioCuff:
    """It shows itself when it has a result (or while it inflates), and sends it once."""

    kit: Kit
    radio: Radio

    async def get_ready(self) -> None:
        """Nothing: what it holds is told by its clock."""

    async def take(self, on_pressure: Pressures) -> Taken:
        cuff = BloodPressureCuff(self.kit.clock, on_pressure=on_pressure)
        found = await self.radio.find(BloodPressureCuff.service, timeout_s=FIND_S, own=True)
        readings: list[BloodPressure] = []
        async with self.radio.connect(found) as link:
            try:
                async for measured in cuff.read(link, timeout_s=SILENT_S):
                    readings.append(measured)
            except (DeviceError, FrameError) as error:
                if not readings:
                    raise
                # The cuff has forgotten what it sent: what came before the fault counts.
                self.kit.screen.trouble(error)
        return Taken(tuple(readings), cuff.device_offset_s)


@dataclass(slots=True)
class _Memory:
    """All records of a cuff on a cable."""

    readings: list[BloodPressure]
    impossible: list[bytes]
    doubtful: bool
    """Some could not be read: what is missing here may be old, and look new next time."""

    @property
    def records(self) -> Counter[bytes]:
        return Counter([*(r.raw for r in self.readings), *self.impossible])


@dataclass(slots=True)
class _CabledCuff:
    """It keeps everything and has a clock that nobody can read: what was not there before is what it measured."""

    kit: Kit
    known: Counter[bytes] = field(default_factory=Counter)

    async def get_ready(self) -> None:
        for _ in range(_LOOKS):
            memory = await self._look()
            if not memory.doubtful:
                self.known = memory.records
                return
        raise DeviceError("cuff-cable-disturbed")

    async def take(self, on_pressure: Pressures) -> Taken:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + FIND_S
        while True:
            await asyncio.sleep(self.kit.clock.wait_s(LOOK_EVERY_S))
            trouble = DeviceError("cuff-cable-nothing", seconds=round(FIND_S))
            try:
                memory = await self._look()
            except DeviceError as error:
                if error.code in _NEEDS_SOMEBODY:
                    raise
                trouble = error
            else:
                new = memory.records - self.known
                if new:
                    return _taken(memory, new)
            if loop.time() > until_s:
                raise trouble

    async def _look(self) -> _Memory:
        port = self.kit.settings.cuff_port
        cuff = BeurerCuff(Path(port).name)
        async with open_serial(port, BAUD) as link:
            readings = [reading async for reading in cuff.read(link)]
        impossible = [record.raw[0] for record in cuff.set_aside if record.reason == "impossible"]
        return _Memory(readings, impossible, doubtful=len(impossible) < len(cuff.set_aside))


def _taken(memory: _Memory, new: Counter[bytes]) -> Taken:
    readings = []
    left = new.copy()
    for reading in sorted(memory.readings, key=lambda r: r.device_time or ""):
        if left[reading.raw] > 0:
            left[reading.raw] -= 1
            readings.append(reading)
    impossible = tuple(raw for raw in memory.impossible if left[raw] > 0)
    return Taken(tuple(readings), surely_new=True, impossible=impossible)

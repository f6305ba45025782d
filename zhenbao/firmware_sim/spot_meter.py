"""What a simulated thermometer and a simulated scale have in common: finished results wait until a host takes them.

Such a meter shows itself only when it holds a result (or in pairing mode), indicates once the host has subscribed on
an encrypted link, and forgets a result when its indication was confirmed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bumble import core, gatt

from zhenbao.firmware_sim.peripheral import PERMIT, PROPERTY, Identity, Peripheral

if TYPE_CHECKING:
    from bumble.device import Connection


@dataclass(frozen=True, slots=True)
class SpotFaults:
    """What may be wrong with it."""

    silent: bool = False
    """It measures, shows itself, accepts the link and never indicates."""
    forgets_subscriptions: bool = False
    """It drops the CCCDs of a bonded host when the link ends (against the specification)."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time."""
    hangs_up_after_sending: bool = False
    hangs_up_before_sending: bool = False
    """It ends the link when the host has subscribed, before the result is out; the result stays."""
    sends_twice: bool = False
    """Each result is indicated twice."""
    truncated: int | None = None
    """Only the first so many bytes of a result are sent."""
    never_advertises: bool = False


HEALTHY = SpotFaults()


class SpotMeter(Peripheral):
    """A meter of single results. Subclasses make the bytes; `waiting` and `delivered` hold them."""

    MEASUREMENT: int
    """16-bit number of the characteristic that indicates."""
    FEATURES: tuple[tuple[int, bytes], ...] = ()
    """Further characteristics that can be read by anybody: number and value."""

    def __init__(self, name: str, address: str, service: int, identity: Identity, faults: SpotFaults) -> None:
        super().__init__(name, address, service, identity)
        self._own_service = service
        self.waiting: deque[bytes] = deque()
        self.delivered: list[bytes] = []
        """Results whose indication was confirmed; the meter itself has forgotten them."""
        self.faults = faults

    @property
    def faults(self) -> SpotFaults:
        """What is wrong with it; may be changed at any time."""
        return self._faults

    @faults.setter
    def faults(self, faults: SpotFaults) -> None:
        self._faults = faults
        self.never_advertises = faults.never_advertises
        self.forgets_subscriptions = faults.forgets_subscriptions
        self.changed()

    def hold(self, value: bytes) -> None:
        """A finished result waits to be fetched."""
        self.waiting.append(value)
        self.changed()

    def wants_to_advertise(self) -> bool:
        return bool(self.waiting)

    def services(self) -> list[gatt.Service]:
        self._measurement = self.secure_characteristic(self.MEASUREMENT, PROPERTY.INDICATE)
        features = [
            gatt.Characteristic(core.UUID.from_16_bits(number), PROPERTY.READ, PERMIT.READABLE, value)
            for number, value in self.FEATURES
        ]
        return [gatt.Service(core.UUID.from_16_bits(self._own_service), [self._measurement, *features])]

    async def serve(self, connection: Connection) -> None:
        while self.waiting and not self.faults.silent and self.connection is connection:
            if not (connection.is_encrypted and self.subscribed(connection, self._measurement, 2)):
                return
            if self.faults.hangs_up_before_sending:
                await self.hang_up()
                return
            value = self.waiting[0][: self.faults.truncated]
            for _ in range(2 if self.faults.sends_twice else 1):
                if not await self.indicate(connection, self._measurement, value):
                    return
            self.delivered.append(self.waiting.popleft())
            if self.faults.hangs_up_after_sending and not self.waiting:
                await self.hang_up()

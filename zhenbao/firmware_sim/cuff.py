"""A simulated upper-arm blood-pressure meter (Blood Pressure Service 1810), as an A&D or Beurer BLE cuff behaves.

It shows itself only when it holds a reading (or in pairing mode), indicates once the host has subscribed on an
encrypted link, and forgets a reading when its indication was confirmed: whoever confirms and does not keep it has
lost it. A bonded host's subscription is remembered, so the reading comes as soon as the link is encrypted.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bumble import att, core, gatt

from zhenbao.firmware_sim import layouts
from zhenbao.firmware_sim.layouts import NAN, Sfloat
from zhenbao.firmware_sim.peripheral import PERMIT, PROPERTY, Identity, Peripheral

if TYPE_CHECKING:
    from bumble.device import Connection

MMHG_PER_KPA = 7.50062
"""1 mmHg = 133.322 Pa (BIPM SI Brochure, 8th edition, table 8)."""
INFLATION_STEPS = 10
_FEATURES = 0b0000_1111
"""2A49: movement, cuff fit, irregular pulse, pulse range."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement as the cuff shows it. Pressures in mmHg, or None where the cuff failed to measure (sent as NaN).

    ``at`` is the wall time of the measurement; None for a meter without a clock. ``status`` are bits of
    `layouts.BloodPressureStatus`. ``user`` is the meter's user button, 255 unknown.
    """

    systolic: int | None
    diastolic: int | None
    mean: int | None
    pulse: int | None
    at: datetime | None
    status: int | None = 0
    user: int | None = 1


@dataclass(frozen=True, slots=True)
class CuffFaults:
    """What may be wrong with the cuff."""

    silent: bool = False
    """It measures, shows itself, accepts the link and never indicates."""
    early_indication: bool = False
    """It indicates as soon as the link is encrypted, whether or not the host has subscribed."""
    forgets_subscriptions: bool = False
    """It drops the CCCDs of a bonded host when the link ends (against the specification)."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time."""
    kilopascal: bool = False
    big_endian: bool = False
    """It is a Beurer BM85: flags 56, mean 0, the user always there, pulse and status with their high byte first."""
    hangs_up_after_sending: bool = False
    hangs_up_before_sending: bool = False
    """It ends the link when the host has subscribed, before the reading is out; the reading stays."""
    truncated: int | None = None
    """Only the first so many bytes of the measurement are sent."""
    never_advertises: bool = False
    live_refused: bool = False
    """Its live pressure cannot be subscribed (ATT error 0x80); looked at when it is powered on."""
    live_garbled: bool = False
    """Every second frame of its live pressure is cut short."""
    hangs_up_inflating: bool = False
    """It ends the link in the middle of the inflation; the reading waits for the next link."""


_PLAIN = Identity(model="BP-SIM", serial="BP-0001")
_BM85 = Identity("Beurer", "BM85", "BP-0085", "1.0")


class BloodPressureMeter(Peripheral):
    """The cuff. ``speed`` > 1 shortens inflation; ``live_pressure`` makes it show itself while it inflates (2A36)."""

    def __init__(
        self,
        *,
        name: str = "ZB-BP-SIM",
        address: str = "F0:00:00:00:18:10",
        identity: Identity | None = None,
        faults: CuffFaults = CuffFaults(),
        speed: float = 1.0,
        live_pressure: bool = False,
    ) -> None:
        super().__init__(name, address, 0x1810, identity or (_BM85 if faults.big_endian else _PLAIN))
        self.speed = speed
        self.faults = faults
        self.live_pressure = live_pressure
        self.waiting: deque[Reading] = deque()
        self.delivered: list[Reading] = []
        """Readings whose indication was confirmed; the cuff itself has forgotten them."""
        self.inflating = False

    @property
    def faults(self) -> CuffFaults:
        """What is wrong with it; may be changed at any time."""
        return self._faults

    @faults.setter
    def faults(self, faults: CuffFaults) -> None:
        self._faults = faults
        self.never_advertises = faults.never_advertises
        self.forgets_subscriptions = faults.forgets_subscriptions
        self.changed()

    def measure(
        self,
        systolic: int | None,
        diastolic: int | None,
        mean: int | None,
        pulse: int | None,
        at: datetime | None,
        status: int | None = 0,
        user: int | None = 1,
    ) -> Reading:
        """A finished measurement waits to be fetched."""
        reading = Reading(systolic, diastolic, mean, pulse, at, status, user)
        self.waiting.append(reading)
        self.changed()
        return reading

    def press_start(self, reading: Reading, seconds: float = 35.0) -> None:
        """The doctor presses START: the cuff inflates, and has ``reading`` after ``seconds`` / ``speed``."""
        self.spawn(self._inflate(reading, seconds))

    def wants_to_advertise(self) -> bool:
        return bool(self.waiting) or (self.inflating and self.live_pressure)

    def services(self) -> list[gatt.Service]:
        self._measurement = self.secure_characteristic(0x2A35, PROPERTY.INDICATE)
        self._cuff_pressure = self.secure_characteristic(0x2A36, PROPERTY.NOTIFY)
        if self.faults.live_refused:
            self._cuff_pressure.descriptors[0].value = gatt.CharacteristicValue(read=lambda _: b"\0\0", write=_refuse)
        feature = gatt.Characteristic(
            core.UUID.from_16_bits(0x2A49), PROPERTY.READ, PERMIT.READABLE, _FEATURES.to_bytes(2, "little")
        )
        return [gatt.Service(core.UUID.from_16_bits(0x1810), [self._measurement, self._cuff_pressure, feature])]

    def frame(self, reading: Reading) -> bytes:
        """The bytes of 2A35 for a reading, faults included."""
        if self.faults.big_endian:
            at = None if reading.at is None else reading.at + self.faults.clock_offset
            return layouts.blood_pressure_bm85(
                reading.systolic or 0,
                reading.diastolic or 0,
                at,
                reading.pulse or 0,
                reading.user or 0,
                reading.status or 0,
            )[: self.faults.truncated]
        whole = layouts.blood_pressure(
            self._pressure(reading.systolic),
            self._pressure(reading.diastolic),
            self._pressure(reading.mean),
            kilopascal=self.faults.kilopascal,
            at=None if reading.at is None else reading.at + self.faults.clock_offset,
            pulse=NAN if reading.pulse is None else Sfloat(reading.pulse),
            user=reading.user,
            status=reading.status,
        )
        return whole[: self.faults.truncated]

    async def serve(self, connection: Connection) -> None:
        early = self.faults.early_indication and connection.is_encrypted
        while self.waiting and not self.faults.silent and self.connection is connection:
            if not (early or (connection.is_encrypted and self.subscribed(connection, self._measurement, 2))):
                return
            if self.faults.hangs_up_before_sending:
                await self.hang_up()
                return
            if not await self.indicate(connection, self._measurement, self.frame(self.waiting[0]), force=early):
                return
            self.delivered.append(self.waiting.popleft())
            if self.faults.hangs_up_after_sending and not self.waiting:
                await self.hang_up()

    def _pressure(self, mmhg: int | None) -> Sfloat:
        if mmhg is None:
            return NAN
        return Sfloat(round(mmhg / MMHG_PER_KPA * 10), -1) if self.faults.kilopascal else Sfloat(mmhg)

    async def _inflate(self, reading: Reading, seconds: float) -> None:
        self.inflating = True
        self.changed()
        top = (reading.systolic or 160) + 30
        for step in range(1, INFLATION_STEPS + 1):
            await asyncio.sleep(seconds / INFLATION_STEPS / self.speed)
            # Up in the first third, then slowly down.
            pressure = top * math.sin(math.pi * (step / INFLATION_STEPS) ** 0.6)
            if self.connection is not None:
                frame = layouts.cuff_pressure(
                    self._pressure(round(max(pressure, 0))), kilopascal=self.faults.kilopascal
                )
                if self.faults.live_garbled and step % 2 == 0:
                    frame = frame[:4]
                await self.notify(self.connection, self._cuff_pressure, frame)
                if self.faults.hangs_up_inflating and step > INFLATION_STEPS // 2:
                    await self.hang_up()
        self.inflating = False
        self.waiting.append(reading)
        self.changed()


def _refuse(_connection: Connection, _value: bytes) -> None:
    raise att.ATT_Error(att.ErrorCode(0x80))

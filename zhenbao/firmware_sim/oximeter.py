"""Simulated Bluetooth pulse oximeters: one with the Pulse Oximeter Service (1822), and a Nonin 3230 with its own.

They show themselves while a finger is in them or a stored result waits, stream once a second, and call a number good
after some seconds: by a spot-check indication, or by SmartPoint.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bumble import core, gatt

from zhenbao.firmware_sim import oximeter_layouts as layouts
from zhenbao.firmware_sim.layouts import NAN, Sfloat
from zhenbao.firmware_sim.oximeter_layouts import MeasurementStatus, NoninStatus, SensorStatus
from zhenbao.firmware_sim.peripheral import PERMIT, PROPERTY, Identity, Peripheral, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bumble.device import Connection

NONIN_SERVICE = "46A970E0-0D5F-11E2-8B5E-0002A5D5C51B"
NONIN_CONTINUOUS = "0AAD7EA0-0D60-11E2-8E3C-0002A5D5C51B"
_FEATURES = 0b0101_1111
"""2A60: measurement status, sensor status, storage, time, fast, perfusion."""
_PATIENT_S = 5.0
_WRONG_BYTES = bytes.fromhex("ff0102")


@dataclass(frozen=True, slots=True)
class Finger:
    """What the oximeter would measure. ``perfusion_tenths`` in tenths of a per cent."""

    saturation: int
    pulse: int
    perfusion_tenths: int = 42


@dataclass(frozen=True, slots=True)
class OximeterFaults:
    """What may be wrong with the oximeter or with how it is used."""

    silent: bool = False
    """It accepts the link and never sends."""
    not_a_number: bool = False
    """It streams, but NaN (127 and 511 with a Nonin) in place of numbers."""
    moving: bool = False
    """The number jumps by two per cent every second: nothing ever stands still."""
    low_perfusion: bool = False
    """The amplitude is 0.2 %, and the sensor status says so."""
    questionable: bool = False
    """Results are marked questionable."""
    demo: bool = False
    """Results are marked as demonstration data."""
    wrong_every: int = 0
    """Every k-th message has bytes that mean nothing."""
    hangs_up_after: int = 0
    """The link ends after so many messages of the stream; 0 is never."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time."""


class _Oximeter(Peripheral):
    """What both have in common: a finger, a stream, faults."""

    def __init__(
        self,
        name: str,
        address: str,
        service: int | str,
        identity: Identity,
        faults: OximeterFaults,
        speed: float,
        good_after: int,
    ) -> None:
        super().__init__(name, address, service, identity)
        self.speed = speed
        self.faults = faults
        self.good_after = good_after
        self.finger: Finger | None = None
        self.sent = 0
        """Messages of the stream so far."""
        self.since_finger = 0
        self._streaming: asyncio.Task[None] | None = None

    def put_in(self, finger: Finger) -> None:
        """The patient's finger goes in."""
        self.finger = finger
        self.since_finger = 0
        self.changed()

    def take_out(self) -> None:
        """The finger comes out; the oximeter goes on for a connected host, without numbers."""
        self.finger = None
        self.since_finger = 0
        self.changed()

    def wants_to_advertise(self) -> bool:
        return self.finger is not None

    async def serve(self, connection: Connection) -> None:
        if self._streaming is None or self._streaming.done():
            self._streaming = self.spawn(self._stream(connection))

    async def _stream(self, connection: Connection) -> None:
        while self.connection is connection:
            if connection.is_encrypted and not self.faults.silent:
                await self._second(connection)
                if self.faults.hangs_up_after and self.sent >= self.faults.hangs_up_after:
                    await self.hang_up()
                    return
            await asyncio.sleep(1 / self.speed)

    @abstractmethod
    async def _second(self, connection: Connection) -> None:
        """Send what belongs to one second."""

    def _shown(self) -> tuple[int, int]:
        """Saturation and pulse rate of this second."""
        assert self.finger is not None
        jump = 2 * (self.sent % 2) if self.faults.moving else 0
        return self.finger.saturation - jump, self.finger.pulse + jump

    def _spoilt(self, value: bytes) -> bytes:
        every = self.faults.wrong_every
        return _WRONG_BYTES if every and self.sent % every == 0 else value


class PulseOximeter(_Oximeter):
    """An oximeter with the Pulse Oximeter Service.

    Args:
        streams: has the continuous characteristic (2A5F).
        spot_after: seconds after which it indicates its finished result (2A5E); None: it has no such characteristic.
        now: the wall clock of its results; None: they carry no time.
    """

    def __init__(
        self,
        *,
        name: str = "ZB-OX-SIM",
        address: str = "F0:00:00:00:18:22",
        identity: Identity = Identity(model="OX-SIM", serial="OX-0001"),  # noqa: B008 - frozen
        faults: OximeterFaults = OximeterFaults(),
        speed: float = 1.0,
        streams: bool = True,
        spot_after: int | None = 10,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        super().__init__(name, address, 0x1822, identity, faults, speed, spot_after or 0)
        self.streams = streams
        self.has_spot = spot_after is not None
        self.now = now
        self.waiting: deque[bytes] = deque()
        """Finished results that no host has confirmed."""

    def store(self, finger: Finger, at: datetime | None) -> None:
        """A result of an earlier time waits in its memory."""
        self.waiting.append(self._result(finger.saturation, finger.pulse, finger, at, MeasurementStatus.FROM_STORAGE))
        self.changed()

    def wants_to_advertise(self) -> bool:
        return bool(self.waiting) or super().wants_to_advertise()

    def services(self) -> list[gatt.Service]:
        self._spot = self.secure_characteristic(0x2A5E, PROPERTY.INDICATE)
        self._continuous = self.secure_characteristic(0x2A5F, PROPERTY.NOTIFY)
        features = _FEATURES.to_bytes(2, "little") + (0xFFE0).to_bytes(2, "little") + (0xFFFF).to_bytes(3, "little")
        feature = gatt.Characteristic(core.UUID.from_16_bits(0x2A60), PROPERTY.READ, PERMIT.READABLE, features)
        offered = [self._spot] * self.has_spot + [self._continuous] * self.streams
        return [gatt.Service(core.UUID.from_16_bits(0x1822), [*offered, feature])]

    async def _second(self, connection: Connection) -> None:
        while self.waiting and self.has_spot and self.subscribed(connection, self._spot, 2):
            if not await self.indicate(connection, self._spot, self.waiting[0]):
                return
            self.waiting.popleft()
        if self.finger is not None:
            self.since_finger += 1
            if self.has_spot and self.since_finger == self.good_after:
                at = None if self.now is None else self.now() + self.faults.clock_offset
                self.waiting.append(self._result(*self._shown(), self.finger, at, MeasurementStatus.FULLY_QUALIFIED))
        if self.streams and self.subscribed(connection, self._continuous, 1):
            self.sent += 1
            await self.notify(connection, self._continuous, self._spoilt(self.moment()))

    def moment(self) -> bytes:
        """The bytes of 2A5F now."""
        if self.finger is None:
            return layouts.moment(NAN, NAN, status=MeasurementStatus.ONGOING, sensor=SensorStatus.UNCONNECTED_TO_USER)
        saturation, pulse = self._shown()
        early = MeasurementStatus.EARLY_ESTIMATE if self.since_finger <= _PATIENT_S else MeasurementStatus.VALIDATED
        return layouts.moment(
            NAN if self.faults.not_a_number else Sfloat(saturation),
            NAN if self.faults.not_a_number else Sfloat(pulse),
            status=MeasurementStatus.ONGOING | early | self._marks(),
            sensor=self._sensor(),
            perfusion=self._perfusion(self.finger),
        )

    def _result(
        self, saturation: int, pulse: int, finger: Finger, at: datetime | None, status: MeasurementStatus
    ) -> bytes:
        number = NAN if self.faults.not_a_number else Sfloat(saturation)
        return layouts.spot_check(
            number,
            Sfloat(pulse),
            at=at,
            status=status | self._marks(),
            sensor=self._sensor(),
            perfusion=self._perfusion(finger),
        )

    def _marks(self) -> MeasurementStatus:
        marks = MeasurementStatus(0)
        if self.faults.questionable:
            marks |= MeasurementStatus.QUESTIONABLE
        return marks | MeasurementStatus.DEMO if self.faults.demo else marks

    def _sensor(self) -> int:
        return SensorStatus.LOW_PERFUSION if self.faults.low_perfusion else 0

    def _perfusion(self, finger: Finger) -> Sfloat:
        return Sfloat(2 if self.faults.low_perfusion else finger.perfusion_tenths, -1)


class NoninOximeter(_Oximeter):
    """A Nonin 3230: ten bytes a second; SmartPoint from ``smart_point_after`` seconds on (None: never)."""

    def __init__(
        self,
        *,
        name: str = "NON3230",
        address: str = "F0:00:00:00:32:30",
        identity: Identity = Identity(maker="Nonin Medical, Inc.", model="Model 3230", serial="NON-0001"),  # noqa: B008
        faults: OximeterFaults = OximeterFaults(),
        speed: float = 1.0,
        smart_point_after: int | None = 8,
    ) -> None:
        super().__init__(name, address, NONIN_SERVICE, identity, faults, speed, smart_point_after or 0)
        self.has_smart_point = smart_point_after is not None

    def services(self) -> list[gatt.Service]:
        self._continuous = self.secure_characteristic(NONIN_CONTINUOUS, PROPERTY.NOTIFY)
        return [gatt.Service(uuid_of(NONIN_SERVICE), [self._continuous])]

    async def _second(self, connection: Connection) -> None:
        if self.finger is not None:
            self.since_finger += 1
        if self.subscribed(connection, self._continuous, 1):
            self.sent += 1
            await self.notify(connection, self._continuous, self._spoilt(self.message()))

    def message(self) -> bytes:
        """The ten bytes of this second."""
        status = NoninStatus.DISPLAY | NoninStatus.ENCRYPTED
        if self.finger is None:
            return layouts.nonin(status, 0, self.sent, layouts.NONIN_NO_SATURATION, layouts.NONIN_NO_PULSE)
        status |= NoninStatus.ON_FINGER
        saturation, pulse = self._shown()
        if self.faults.not_a_number:
            searching = status | NoninStatus.SEARCHING
            return layouts.nonin(searching, 0, self.sent, layouts.NONIN_NO_SATURATION, layouts.NONIN_NO_PULSE)
        if self.faults.low_perfusion:
            status |= NoninStatus.WEAK
        elif self.has_smart_point and not self.faults.moving and self.since_finger >= self.good_after:
            status |= NoninStatus.SMART_POINT
        perfusion = 20 if self.faults.low_perfusion else 10 * self.finger.perfusion_tenths
        return layouts.nonin(status, perfusion, self.sent, saturation, pulse)

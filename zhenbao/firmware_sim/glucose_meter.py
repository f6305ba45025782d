"""A simulated glucose meter (Glucose Service 1808 with record access, Current Time Service 1805).

The meter keeps its records for ever and refuses to delete them. Concentrations, sample types and flags are as the
Glucose Service 1.0.1 defines them; the record access control point follows its section 3.5.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from bumble import att, core, gatt

from zhenbao.firmware_sim import layouts
from zhenbao.firmware_sim.layouts import Meal, SampleLocation, SampleType, SensorStatus, Sfloat
from zhenbao.firmware_sim.peripheral import PERMIT, PROPERTY, Identity, Peripheral
from zhenbao.firmware_sim.record_access import OPERATOR_UNSUPPORTED, Answer, answer
from zhenbao.model.time import SystemClock, local_time

if TYPE_CHECKING:
    from bumble.device import Connection

    from zhenbao.model.time import Clock

CCCD_NOT_CONFIGURED = 0xFD
PROCEDURE_IN_PROGRESS = 0xFE
VALUE_NOT_ALLOWED = 0x13
_FEATURES = 0x07FF
"""2A51: every status bit is supported."""


@dataclass(frozen=True, slots=True)
class GlucoseRecord:
    """One stored result; exactly what 2A18 and 2A34 carry.

    ``concentration`` None: the meter stored an error (see ``status``). ``base_time`` is the meter's own wall time.
    """

    sequence: int
    base_time: datetime
    concentration: Sfloat | None
    mole_per_litre: bool = True
    sample: SampleType = SampleType.CAPILLARY_WHOLE_BLOOD
    location: SampleLocation = SampleLocation.FINGER
    status: SensorStatus | None = None
    offset_min: int | None = None
    meal: Meal | None = None

    @staticmethod
    def mmol_l(sequence: int, at: datetime, value: float) -> GlucoseRecord:
        """A result of a meter that counts in mmol/L, to 0.1 mmol/L: 7.8 mmol/L is sent as 78e-4 mol/L."""
        return GlucoseRecord(sequence, at, Sfloat(round(value * 10), -4))

    @staticmethod
    def mg_dl(sequence: int, at: datetime, value: int) -> GlucoseRecord:
        """A result of a meter that counts in mg/dL: 140 mg/dL is sent as 140e-5 kg/L."""
        return GlucoseRecord(sequence, at, Sfloat(value, -5), mole_per_litre=False)

    @staticmethod
    def too_high(sequence: int, at: datetime, limit_mmol_l: float = 33.3) -> GlucoseRecord:
        """HI: the display's limit with the flag "result higher than the meter can process"."""
        return replace(GlucoseRecord.mmol_l(sequence, at, limit_mmol_l), status=SensorStatus.RESULT_TOO_HIGH)

    @staticmethod
    def too_low(sequence: int, at: datetime, limit_mmol_l: float = 0.6) -> GlucoseRecord:
        """LO, likewise."""
        return replace(GlucoseRecord.mmol_l(sequence, at, limit_mmol_l), status=SensorStatus.RESULT_TOO_LOW)

    @staticmethod
    def control_solution(sequence: int, at: datetime, value: float) -> GlucoseRecord:
        """A check of the meter with control solution: no patient's blood."""
        return replace(
            GlucoseRecord.mmol_l(sequence, at, value),
            sample=SampleType.CONTROL_SOLUTION,
            location=SampleLocation.CONTROL_SOLUTION,
        )


@dataclass(frozen=True, slots=True)
class GlucoseFaults:
    """What may be wrong with the meter."""

    reversed_sequence: bool = False
    """The numbers run backwards in time (seen on CareSens and Diamond Mini meters)."""
    duplicate_sequence: bool = False
    """Two neighbouring records share a number."""
    sends_twice: bool = False
    """Each notification is sent twice."""
    hangs_after: int | None = None
    """After so many records of one transfer nothing more comes, not even a response; the link stays."""
    drops_link_after: int | None = None
    """After so many records of one transfer the meter ends the link."""
    only_newer: bool = False
    """A request for all records is not supported; it must be asked for those from a number on."""
    never_advertises: bool = False
    forgets_subscriptions: bool = False
    """It drops the CCCDs of a bonded host when the link ends (against the specification)."""
    clock_offset: timedelta = field(default_factory=timedelta)
    """Its clock minus the true time, beside ``clock_offset_s``."""


ClockKind = Literal["current-time", "date-time", "contour", "none"]
"""Where the clock is: 2A2B in a service of its own, 2A08 in the Glucose Service, the Contour's own characteristic (it
can only be written), or nowhere."""
CONTOUR_SERVICE = "00000000-0002-11E2-9E96-0800200C9A66"
CONTOUR_CLOCK = "00001026-0002-11E2-9E96-0800200C9A66"


class GlucoseMeter(Peripheral):
    """The meter. ``clock_offset_s`` is its clock minus the true (Beijing) time; `add_record` stores what is given."""

    def __init__(
        self,
        records: Iterable[GlucoseRecord] = (),
        *,
        clock_offset_s: float = 0.0,
        clock: Clock | None = None,
        name: str = "ZB-GLU-SIM",
        address: str = "F0:00:00:00:18:08",
        identity: Identity = Identity(model="GLU-SIM", serial="GLU-0001"),  # noqa: B008 - frozen
        faults: GlucoseFaults = GlucoseFaults(),
        record_interval_s: float = 0.0,
        clock_kind: ClockKind = "current-time",
    ) -> None:
        super().__init__(name, address, 0x1808, identity)
        self.records = list(records)
        self.faults = faults
        self.clock_offset_s = clock_offset_s
        self.record_interval_s = record_interval_s
        self.clock_kind = clock_kind
        self.requests: list[bytes] = []
        """Every record access request received, accepted or not."""
        self._clock = clock or SystemClock()
        self._transfer: asyncio.Task[None] | None = None

    @property
    def faults(self) -> GlucoseFaults:
        """What is wrong with it; may be changed at any time."""
        return self._faults

    @faults.setter
    def faults(self, faults: GlucoseFaults) -> None:
        self._faults = faults
        self.never_advertises = faults.never_advertises
        self.forgets_subscriptions = faults.forgets_subscriptions
        self.changed()

    def now(self) -> datetime:
        """The meter's own wall time, naive."""
        true = local_time(self._clock.now_ms()).replace(tzinfo=None)
        return true + timedelta(seconds=self.clock_offset_s) + self.faults.clock_offset

    def add_record(self, record: GlucoseRecord) -> None:
        """A new result is stored. Its sequence number is the caller's affair."""
        self.records.append(record)

    def test_blood(self, mmol_l: float, meal: Meal | None = None) -> GlucoseRecord:
        """A drop of blood now: stores a result under the next number and the meter's own time."""
        sequence = max((record.sequence for record in self.records), default=0) + 1
        record = replace(GlucoseRecord.mmol_l(sequence, self.now(), mmol_l), meal=meal)
        self.add_record(record)
        return record

    def numbered(self) -> list[GlucoseRecord]:
        """The records with the sequence numbers that the meter tells, in the order it sends them."""
        told = list(self.records)
        if self.faults.reversed_sequence:
            numbers = sorted((record.sequence for record in told), reverse=True)
            told = [replace(record, sequence=number) for record, number in zip(told, numbers, strict=True)]
        if self.faults.duplicate_sequence:
            told = [replace(record, sequence=math.ceil(record.sequence / 2)) for record in told]
        return told

    def frames(self, record: GlucoseRecord) -> tuple[bytes, bytes | None]:
        """The bytes of 2A18, and of 2A34 where the record has a meal."""
        measurement = layouts.glucose(
            record.sequence,
            record.base_time,
            offset_min=record.offset_min,
            concentration=record.concentration,
            mole_per_litre=record.mole_per_litre,
            sample=record.sample,
            location=record.location,
            status=record.status,
            context_follows=record.meal is not None,
        )
        context = None if record.meal is None else layouts.glucose_context(record.sequence, meal=record.meal)
        return measurement, context

    def wants_to_advertise(self) -> bool:
        return True

    def services(self) -> list[gatt.Service]:
        self._measurement = self.secure_characteristic(0x2A18, PROPERTY.NOTIFY)
        self._context = self.secure_characteristic(0x2A34, PROPERTY.NOTIFY)
        self._control = self.secure_characteristic(
            0x2A52, PROPERTY.WRITE | PROPERTY.INDICATE, gatt.CharacteristicValue(write=self._on_request)
        )
        feature = gatt.Characteristic(
            core.UUID.from_16_bits(0x2A51), PROPERTY.READ, PERMIT.READABLE, _FEATURES.to_bytes(2, "little")
        )
        in_service, beside = self._clock_characteristics()
        glucose = [self._measurement, self._context, feature, self._control, *in_service]
        return [gatt.Service(core.UUID.from_16_bits(0x1808), glucose), *beside]

    def _clock_characteristics(self) -> tuple[list[gatt.Characteristic[bytes]], list[gatt.Service]]:
        """What belongs into the Glucose Service, and the services beside it."""
        if self.clock_kind == "date-time":
            value = gatt.CharacteristicValue(read=lambda _: layouts.date_time(self.now()), write=self._on_set_clock)
            return [self.secure_characteristic(0x2A08, PROPERTY.READ | PROPERTY.WRITE, value)], []
        if self.clock_kind == "contour":
            own = self.secure_characteristic(
                CONTOUR_CLOCK, PROPERTY.WRITE | PROPERTY.INDICATE, gatt.CharacteristicValue(write=self._on_set_contour)
            )
            return [], [gatt.Service(core.UUID(CONTOUR_SERVICE), [own])]
        if self.clock_kind == "none":
            return [], []
        time = self.secure_characteristic(
            0x2A2B,
            PROPERTY.READ | PROPERTY.WRITE | PROPERTY.NOTIFY,
            gatt.CharacteristicValue(read=lambda _: layouts.current_time(self.now()), write=self._on_set_clock),
        )
        return [], [gatt.Service(core.UUID.from_16_bits(0x1805), [time])]

    async def serve(self, connection: Connection) -> None:
        """Nothing is sent unasked."""

    def _on_set_clock(self, _connection: Connection, value: bytes) -> None:
        """A host sets the clock: later records carry the new time, stored ones stay as they are."""
        try:
            year = int.from_bytes(value[:2], "little")
            told = datetime(year, *value[2:7])  # noqa: DTZ001 - a meter's clock has no zone
        except (TypeError, ValueError):
            raise att.ATT_Error(VALUE_NOT_ALLOWED) from None
        self.clock_offset_s += (told - self.now()).total_seconds()

    def _on_set_contour(self, _connection: Connection, value: bytes) -> None:
        """1, the time in UTC, minutes to local time."""
        if len(value) != 10 or value[0] != 1:
            raise att.ATT_Error(VALUE_NOT_ALLOWED)
        minutes = int.from_bytes(value[8:], "little", signed=True)
        utc = datetime(int.from_bytes(value[1:3], "little"), *value[3:8])  # noqa: DTZ001 - a meter's clock has no zone
        self.clock_offset_s += (utc + timedelta(minutes=minutes) - self.now()).total_seconds()

    def _on_request(self, connection: Connection, value: bytes) -> None:
        self.requests.append(bytes(value))
        abort = value[:1] == b"\x03"
        if not self.subscribed(connection, self._control, 2):
            raise att.ATT_Error(CCCD_NOT_CONFIGURED)
        if self._transfer is not None and not abort:
            raise att.ATT_Error(PROCEDURE_IN_PROGRESS)
        if value[:1] == b"\x01" and not self.subscribed(connection, self._measurement, 1):
            raise att.ATT_Error(CCCD_NOT_CONFIGURED)
        if self._transfer is not None:
            self._transfer.cancel()
        told = self.numbered()
        result = answer(bytes(value), [record.sequence for record in told])
        if self.faults.only_newer and value[:2] == b"\x01\x01":
            result = Answer(bytes([6, 0, 1, OPERATOR_UNSUPPORTED]))
        self._transfer = self.spawn(self._carry_out(connection, result, told))

    async def _carry_out(self, connection: Connection, result: Answer, told: list[GlucoseRecord]) -> None:
        this = self._transfer
        try:
            await self._report(connection, result, told)
        finally:
            # The procedure is over with its response: a host may ask again as soon as it has confirmed.
            if self._transfer is this:
                self._transfer = None
        if self.connection is connection:
            await self.indicate(connection, self._control, result.response)

    async def _report(self, connection: Connection, result: Answer, told: list[GlucoseRecord]) -> None:
        # The response to the write goes out first.
        await asyncio.sleep(0)
        for sent, index in enumerate(result.report):
            if self.connection is not connection:
                return
            if sent == self.faults.drops_link_after:
                await self.hang_up()
                return
            if sent == self.faults.hangs_after:
                await self.until_gone(connection)
                return
            measurement, context = self.frames(told[index])
            for _ in range(2 if self.faults.sends_twice else 1):
                await self.notify(connection, self._measurement, measurement)
                if context is not None:
                    await self.notify(connection, self._context, context)
            await asyncio.sleep(self.record_interval_s)

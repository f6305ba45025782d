"""Bluetooth SIG characteristic values as a device sends them. Little-endian throughout.

Sources: Blood Pressure Service 1.1.1, Glucose Service 1.0.1, Current Time Service 1.1, GATT Specification Supplement,
IEEE 11073-20601 (SFLOAT).
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, IntFlag


@dataclass(frozen=True, slots=True)
class Sfloat:
    """An IEEE 11073 16-bit float by its two printed parts, so that a device may be as odd as real ones (120, 12e1)."""

    mantissa: int
    exponent: int = 0

    def __post_init__(self) -> None:
        if not (-2048 <= self.mantissa <= 2047 and -8 <= self.exponent <= 7):
            raise ValueError(f"{self.mantissa}e{self.exponent} does not fit an SFLOAT")

    def __bytes__(self) -> bytes:
        return struct.pack("<H", (self.exponent & 0xF) << 12 | self.mantissa & 0xFFF)


NAN = Sfloat(0x7FF)
NOT_AT_THIS_RESOLUTION = Sfloat(-0x800)
PLUS_INFINITY = Sfloat(0x7FE)
MINUS_INFINITY = Sfloat(-0x7FE)


def date_time(at: datetime) -> bytes:
    """Date Time (2A08), 7 bytes: year u16, month, day, hours, minutes, seconds. The zone, if any, is not sent."""
    return struct.pack("<HBBBBB", at.year, at.month, at.day, at.hour, at.minute, at.second)


def current_time(at: datetime, adjust_reason: int = 0) -> bytes:
    """Current Time (2A2B), 10 bytes: Date Time, day of week (1 Monday), 1/256 s, adjust reason."""
    return date_time(at) + bytes([at.isoweekday(), at.microsecond * 256 // 1_000_000, adjust_reason])


class BloodPressureStatus(IntFlag):
    """Measurement Status of 2A35."""

    BODY_MOVEMENT = 1 << 0
    CUFF_LOOSE = 1 << 1
    IRREGULAR_PULSE = 1 << 2
    PULSE_ABOVE_RANGE = 1 << 3
    PULSE_BELOW_RANGE = 2 << 3
    IMPROPER_POSITION = 1 << 5


def blood_pressure(
    systolic: Sfloat,
    diastolic: Sfloat,
    mean: Sfloat,
    *,
    kilopascal: bool = False,
    at: datetime | None = None,
    pulse: Sfloat | None = None,
    user: int | None = None,
    status: int | None = None,
) -> bytes:
    """Blood Pressure Measurement (2A35), 7 to 19 bytes; optional fields are left out when None."""
    flags = (
        kilopascal
        | (at is not None) << 1
        | (pulse is not None) << 2
        | (user is not None) << 3
        | (status is not None) << 4
    )
    value = bytes([flags]) + bytes(systolic) + bytes(diastolic) + bytes(mean)
    value += b"" if at is None else date_time(at)
    value += b"" if pulse is None else bytes(pulse)
    value += b"" if user is None else bytes([user])
    return value + (b"" if status is None else struct.pack("<H", status))


def blood_pressure_bm85(
    systolic: int, diastolic: int, at: datetime | None, pulse: int, user: int, status: int
) -> bytes:
    """2A35 as a Beurer BM85 sends it (captures of another project): flags 56, mean 0, user always, and pulse and status
    with their high byte first. mmHg and per minute."""
    value = bytes([0x56]) + bytes(Sfloat(systolic)) + bytes(Sfloat(diastolic)) + bytes(Sfloat(0))
    value += bytes(7) if at is None else date_time(at)
    return value + struct.pack(">HBH", pulse, user, status)


def cuff_pressure(pressure: Sfloat, *, kilopascal: bool = False) -> bytes:
    """Intermediate Cuff Pressure (2A36): the pressure now; diastolic and mean are NaN."""
    return blood_pressure(pressure, NAN, NAN, kilopascal=kilopascal)


class SampleType(IntEnum):
    """Type of 2A18."""

    CAPILLARY_WHOLE_BLOOD = 1
    CAPILLARY_PLASMA = 2
    VENOUS_WHOLE_BLOOD = 3
    VENOUS_PLASMA = 4
    ARTERIAL_WHOLE_BLOOD = 5
    ARTERIAL_PLASMA = 6
    UNDETERMINED_WHOLE_BLOOD = 7
    UNDETERMINED_PLASMA = 8
    INTERSTITIAL_FLUID = 9
    CONTROL_SOLUTION = 10


class SampleLocation(IntEnum):
    """Sample Location of 2A18."""

    FINGER = 1
    ALTERNATE_SITE = 2
    EARLOBE = 3
    CONTROL_SOLUTION = 4
    NOT_AVAILABLE = 15


class SensorStatus(IntFlag):
    """Sensor Status Annunciation of 2A18."""

    BATTERY_LOW = 1 << 0
    MALFUNCTION = 1 << 1
    SAMPLE_SIZE = 1 << 2
    STRIP_INSERTION = 1 << 3
    STRIP_TYPE = 1 << 4
    RESULT_TOO_HIGH = 1 << 5
    RESULT_TOO_LOW = 1 << 6
    TEMPERATURE_TOO_HIGH = 1 << 7
    TEMPERATURE_TOO_LOW = 1 << 8
    STRIP_PULLED = 1 << 9
    FAULT = 1 << 10
    TIME_FAULT = 1 << 11


class Meal(IntEnum):
    """Meal of 2A34."""

    BEFORE = 1
    AFTER = 2
    FASTING = 3
    CASUAL = 4
    BEDTIME = 5


def glucose(
    sequence: int,
    base_time: datetime,
    *,
    offset_min: int | None = None,
    concentration: Sfloat | None = None,
    mole_per_litre: bool = False,
    sample: SampleType = SampleType.CAPILLARY_WHOLE_BLOOD,
    location: SampleLocation = SampleLocation.FINGER,
    status: int | None = None,
    context_follows: bool = False,
) -> bytes:
    """Glucose Measurement (2A18), 10 to 17 bytes. The concentration is in kg/L, or in mol/L.

    ``offset_min`` is the time offset in minutes as sent: 0x7FFF overrun, -0x8000 underrun.
    """
    flags = (
        (offset_min is not None)
        | (concentration is not None) << 1
        | mole_per_litre << 2
        | (status is not None) << 3
        | context_follows << 4
    )
    value = struct.pack("<BH", flags, sequence) + date_time(base_time)
    value += b"" if offset_min is None else struct.pack("<h", offset_min)
    value += b"" if concentration is None else bytes(concentration) + bytes([location << 4 | sample])
    return value + (b"" if status is None else struct.pack("<H", status))


def glucose_context(sequence: int, *, meal: Meal) -> bytes:
    """Glucose Measurement Context (2A34) that tells the meal only: 4 bytes."""
    return struct.pack("<BHB", 1 << 1, sequence, meal)

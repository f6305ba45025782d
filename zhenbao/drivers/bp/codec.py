"""Blood Pressure Measurement (2A35) and Intermediate Cuff Pressure (2A36): bytes to values.

Source: Bluetooth Blood Pressure Service 1.1.1, sections 3.1 and 3.2, and the GATT Specification Supplement. Pressures
stay in the device's own unit (mm[Hg] or kPa). Bytes that no flag announces are refused: on a cuff that departs from the
specification they are the only sign that every field before them was read wrongly.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from zhenbao.drivers.gatt_time import read_date_time
from zhenbao.drivers.medfloat import Special
from zhenbao.drivers.quirks import PLAIN_CUFF, CuffQuirk
from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

_KPA, _TIME, _PULSE, _USER, _STATUS = 0x01, 0x02, 0x04, 0x08, 0x10
_UNKNOWN_USER = 0xFF
_UNKNOWN_CUFF = Device("bp-gatt")
_STATUS_BITS = {
    0: "body-movement",
    1: "cuff-loose",
    2: "irregular-pulse",
    5: "improper-position",
}
_PULSE_RANGE = {0: None, 1: "pulse-above-range", 2: "pulse-below-range", 3: "unknown-status"}
_RESERVED_STATUS = 0xFFC0
"""Bits to which the specification gives no meaning; a cuff that sets one says something that nobody here knows."""


@dataclass(frozen=True, slots=True)
class BloodPressure:
    """One measurement of a cuff. A pressure is None where the cuff sent no number (NaN: the measurement failed)."""

    systolic: Quantity | None
    diastolic: Quantity | None
    mean: Quantity | None
    pulse: Quantity | None = None
    """In ``/min``."""
    user: int | None = None
    status: frozenset[str] = frozenset()
    """``body-movement cuff-loose irregular-pulse pulse-above-range pulse-below-range improper-position``, and
    ``unknown-status`` where a bit is set that the specification does not define."""
    device_time: str | None = None
    """The cuff's own time, naive ISO text."""
    raw: bytes = b""
    device: Device = _UNKNOWN_CUFF
    """Which cuff; filled in by the driver."""

    @property
    def serial(self) -> str:
        """The cuff's serial number; empty if it does not tell."""
        return self.device.serial

    @property
    def measured(self) -> bool:
        """Whether both pressures are numbers."""
        return self.systolic is not None and self.diastolic is not None

    @property
    def device_key(self) -> str | None:
        """Names this result on its device for ever; None without a time, where two equal readings look the same."""
        if self.device_time is None:
            return None
        return f"{self.serial}|{self.device_time}|{hashlib.sha256(self.raw).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class CuffPressure:
    """The pressure in the cuff while it measures; not a result."""

    pressure: Quantity | None
    pulse: Quantity | None = None
    user: int | None = None
    status: frozenset[str] = frozenset()
    device_time: str | None = None


def decode(frame: bytes, quirk: CuffQuirk = PLAIN_CUFF) -> BloodPressure:
    """The value of characteristic 2A35.

    Args:
        frame: as indicated by the cuff.
        quirk: how this product departs from the specification.

    Raises:
        FrameError: a field that a flag announces is missing, bytes are left over, or a time does not exist.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    unit: Literal["kPa", "mm[Hg]"] = "kPa" if flags & _KPA else "mm[Hg]"
    systolic, diastolic, mean = (
        _quantity(reader.sfloat(name), unit) for name in ("systolic", "diastolic", "mean arterial pressure")
    )
    device_time = read_date_time(reader) if flags & _TIME else None
    if quirk.tail == "beurer-bm85":
        pulse, user, status = _beurer_tail(reader)
        mean = None if mean is not None and mean.value == 0 else mean
    else:
        pulse, user, status = _tail(reader, flags)
    reader.end()
    return BloodPressure(systolic, diastolic, mean, pulse, user, status, device_time, frame)


def decode_cuff_pressure(frame: bytes) -> CuffPressure:
    """The value of characteristic 2A36: same flags; the second and third number are unused.

    Raises:
        FrameError: as for ``decode``.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    pressure = _quantity(reader.sfloat("cuff pressure"), "kPa" if flags & _KPA else "mm[Hg]")
    reader.take(4, "two unused numbers")
    device_time = read_date_time(reader) if flags & _TIME else None
    pulse, user, status = _tail(reader, flags)
    reader.end()
    return CuffPressure(pressure, pulse, user, status, device_time)


def _tail(reader: Reader, flags: int) -> tuple[Quantity | None, int | None, frozenset[str]]:
    pulse = _quantity(reader.sfloat("pulse rate"), "/min") if flags & _PULSE else None
    user = reader.u8("user") if flags & _USER else None
    status = _status(reader.u16("measurement status")) if flags & _STATUS else frozenset[str]()
    return pulse, None if user == _UNKNOWN_USER else user, status


def _beurer_tail(reader: Reader) -> tuple[Quantity | None, int | None, frozenset[str]]:
    pulse = int.from_bytes(reader.take(2, "pulse rate"), "big")
    user = reader.u8("user")
    status = _status(int.from_bytes(reader.take(2, "measurement status"), "big"))
    if pulse > 300:
        raise FrameError(reader.frame, reader.offset - 5, "a pulse rate of at most 300 per minute")
    return Quantity(float(pulse), "/min"), None if user == _UNKNOWN_USER else user, status


def _status(bits: int) -> frozenset[str]:
    names = {name for bit, name in _STATUS_BITS.items() if bits >> bit & 1}
    pulse_range = _PULSE_RANGE[bits >> 3 & 3]
    if pulse_range:
        names.add(pulse_range)
    if bits & _RESERVED_STATUS:
        names.add("unknown-status")
    return frozenset(names)


def _quantity(number: Decimal | Special, unit: str) -> Quantity | None:
    # An infinity is no limit that a cuff could name, so it is no value either.
    return None if isinstance(number, Special) else Quantity(float(number), unit)

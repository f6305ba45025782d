"""Temperature Measurement (2A1C) and Weight Measurement (2A9D) as a device sends them. Little-endian throughout.

Sources: Health Thermometer Service 1.0, Weight Scale Service 1.0.1, GATT Specification Supplement, IEEE 11073-20601
(FLOAT).
"""

import struct
from dataclasses import dataclass
from datetime import datetime

from zhenbao.firmware_sim.layouts import date_time


@dataclass(frozen=True, slots=True)
class Float32:
    """An IEEE 11073 32-bit float by its two printed parts, so that a device may be odd (376e-1, 3760e-2)."""

    mantissa: int
    exponent: int = 0

    def __post_init__(self) -> None:
        if not (-(1 << 23) <= self.mantissa < 1 << 23 and -128 <= self.exponent <= 127):
            raise ValueError(f"{self.mantissa}e{self.exponent} does not fit a FLOAT")

    def __bytes__(self) -> bytes:
        return struct.pack("<I", (self.exponent & 0xFF) << 24 | self.mantissa & 0xFFFFFF)


NAN32 = Float32(0x7FFFFF)
WEIGHT_UNSUCCESSFUL = 0xFFFF


def temperature(
    value: Float32, *, fahrenheit: bool = False, at: datetime | None = None, site: int | None = None
) -> bytes:
    """Temperature Measurement (2A1C), 5 to 13 bytes; ``site`` is the Temperature Type, 1 armpit to 9 tympanum."""
    flags = fahrenheit | (at is not None) << 1 | (site is not None) << 2
    whole = bytes([flags]) + bytes(value) + (b"" if at is None else date_time(at))
    return whole + (b"" if site is None else bytes([site]))


def weight(
    steps: int,
    *,
    pounds: bool = False,
    at: datetime | None = None,
    user: int | None = None,
    bmi_and_height: tuple[int, int] | None = None,
) -> bytes:
    """Weight Measurement (2A9D), 3 to 15 bytes.

    Args:
        steps: the weight as counted: 0.005 kg, or 0.01 lb; FFFF unsuccessful.
        bmi_and_height: in 0.1 kg/m2, and in mm (or 0.1 inch with ``pounds``).
    """
    flags = pounds | (at is not None) << 1 | (user is not None) << 2 | (bmi_and_height is not None) << 3
    whole = struct.pack("<BH", flags, steps) + (b"" if at is None else date_time(at))
    whole += b"" if user is None else bytes([user])
    return whole + (b"" if bmi_and_height is None else struct.pack("<HH", *bmi_and_height))

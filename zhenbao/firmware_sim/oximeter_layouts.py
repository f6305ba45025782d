"""Bytes as pulse oximeters send them.

Sources: Bluetooth Pulse Oximeter Service 1.0.1 (little-endian, SFLOAT); Nonin 113142-000-02 rev. B (big-endian); the
serial CMS50D+ up to firmware 4.4 as atbrask/CMS50Dplus tells it (bit 7 in the first of five bytes alone).
"""

import struct
from datetime import datetime
from enum import IntFlag

from zhenbao.firmware_sim.layouts import Sfloat, date_time


class MeasurementStatus(IntFlag):
    """Measurement Status of 2A5E and 2A5F."""

    ONGOING = 1 << 5
    EARLY_ESTIMATE = 1 << 6
    VALIDATED = 1 << 7
    FULLY_QUALIFIED = 1 << 8
    FROM_STORAGE = 1 << 9
    DEMO = 1 << 10
    TEST = 1 << 11
    CALIBRATING = 1 << 12
    UNAVAILABLE = 1 << 13
    QUESTIONABLE = 1 << 14
    INVALID = 1 << 15


class SensorStatus(IntFlag):
    """Device and Sensor Status of 2A5E and 2A5F (24 bits)."""

    POOR_SIGNAL = 1 << 4
    LOW_PERFUSION = 1 << 5
    ERRATIC_SIGNAL = 1 << 6
    UNCONNECTED_TO_USER = 1 << 11
    MALFUNCTIONING = 1 << 14


class NoninStatus(IntFlag):
    """Second byte of a Nonin message."""

    DISPLAY = 1 << 0
    WEAK = 1 << 1
    SMART_POINT = 1 << 2
    SEARCHING = 1 << 3
    ON_FINGER = 1 << 4
    LOW_BATTERY = 1 << 5
    ENCRYPTED = 1 << 6


NONIN_NO_SATURATION, NONIN_NO_PULSE = 127, 511


def spot_check(
    saturation: Sfloat,
    pulse: Sfloat,
    *,
    at: datetime | None = None,
    status: int | None = None,
    sensor: int | None = None,
    perfusion: Sfloat | None = None,
) -> bytes:
    """PLX Spot-Check Measurement (2A5E); optional fields are left out when None."""
    flags = (at is not None) | (status is not None) << 1 | (sensor is not None) << 2 | (perfusion is not None) << 3
    value = bytes([flags]) + bytes(saturation) + bytes(pulse)
    value += b"" if at is None else date_time(at)
    return value + _statuses(status, sensor, perfusion)


def moment(
    saturation: Sfloat,
    pulse: Sfloat,
    *,
    status: int | None = None,
    sensor: int | None = None,
    perfusion: Sfloat | None = None,
) -> bytes:
    """PLX Continuous Measurement (2A5F) with the normal average alone."""
    flags = (status is not None) << 2 | (sensor is not None) << 3 | (perfusion is not None) << 4
    return bytes([flags]) + bytes(saturation) + bytes(pulse) + _statuses(status, sensor, perfusion)


def _statuses(status: int | None, sensor: int | None, perfusion: Sfloat | None) -> bytes:
    value = b"" if status is None else struct.pack("<H", status)
    value += b"" if sensor is None else struct.pack("<I", sensor)[:3]
    return value + (b"" if perfusion is None else bytes(perfusion))


def nonin(status: int, perfusion_hundredths: int, counter: int, saturation: int, pulse: int) -> bytes:
    """A message of Nonin's continuous characteristic, ten bytes; the battery is at 3.0 V."""
    return struct.pack(">BBBHHBH", 10, status, 30, perfusion_hundredths, counter & 0xFFFF, saturation, pulse)


def cms50d_plus(
    saturation: int, pulse: int, pleth: int, *, finger_out: bool = False, searching: bool = False, probe: bool = False
) -> bytes:
    """A packet of the serial CMS50D+: five bytes, the first alone with bit 7."""
    return bytes(
        [
            0x80 | 0x06 | finger_out << 4,
            pleth & 0x7F,
            pleth >> 4 & 0x0F | probe << 4 | searching << 5 | (pulse >> 7 & 1) << 6,
            pulse & 0x7F,
            saturation & 0x7F,
        ]
    )

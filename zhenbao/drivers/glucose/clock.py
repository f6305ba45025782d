"""The bytes that set the clock of a Bluetooth glucose meter.

Source: Current Time (2A2B) and Date Time (2A08) of the GATT Specification Supplement; the Contour's own characteristic
as blessed-android (MIT) writes it: 1, Date Time in UTC, offset to local time in minutes.
"""

import struct
from datetime import UTC, datetime

CONTOUR_CLOCK = "00001026-0002-11e2-9e96-0800200c9a66"
_SET_BY_A_HOST = 0x02
"""Reason of adjustment: external reference time."""


def date_time(moment: datetime) -> bytes:
    """Seven bytes of Date Time."""
    return struct.pack("<H5B", moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


def current_time(moment: datetime) -> bytes:
    """Ten bytes of Current Time; Monday is 1."""
    fractions = moment.microsecond * 256 // 1_000_000
    return date_time(moment) + bytes([moment.isoweekday(), fractions, _SET_BY_A_HOST])


def contour_time(moment: datetime) -> bytes:
    """Ten bytes for the Contour's own clock.

    Raises:
        ValueError: the moment has no zone.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a moment without a zone")
    return b"\x01" + date_time(moment.astimezone(UTC)) + struct.pack("<h", int(offset.total_seconds() // 60))

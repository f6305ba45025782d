"""Times as Bluetooth devices tell them: naive local time, kept as text.

Source: Bluetooth GATT Specification Supplement, Date Time (2A08) and Current Time (2A2B). A device's time is a fact
about the device, not an instant; it is None where the device does not know it.
"""

from datetime import datetime

from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError

DATE_TIME_BYTES = 7


def decode_date_time(frame: bytes) -> str | None:
    """The value of characteristic 2A08 as ISO text without zone; None if year, month or day is unknown (0).

    Raises:
        FrameError: not seven bytes, or a date or time that does not exist.
    """
    reader = Reader(frame)
    text = read_date_time(reader)
    reader.end()
    return text


def decode_current_time(frame: bytes) -> str | None:
    """The value of characteristic 2A2B as ISO text; its day of week, 1/256 s and reason of change are only checked.

    Raises:
        FrameError: not ten bytes, or a date, time or day of week that does not exist.
    """
    reader = Reader(frame)
    text = read_date_time(reader)
    if reader.u8("day of week") > 7:
        raise FrameError(frame, DATE_TIME_BYTES, "a day of week from 0 to 7")
    reader.u8("fractions of a second")
    reader.u8("reason of adjustment")
    reader.end()
    return text


def read_date_time(reader: Reader) -> str | None:
    """Take seven bytes of Date Time from a frame; used inside other characteristics."""
    start = reader.offset
    year, month, day = reader.u16("year"), reader.u8("month"), reader.u8("day")
    hour, minute, second = reader.u8("hour"), reader.u8("minute"), reader.u8("second")
    try:
        # Unknown parts are replaced only to check the known ones: hour 18 of no year is "unknown", hour 25 is damage.
        moment = datetime(year or 2000, month or 1, day or 1, hour, minute, second)  # noqa: DTZ001 - a device knows no zone
    except ValueError:
        raise FrameError(reader.frame, start, "a date and time that exist") from None
    if year and not 1582 <= year <= 9999:
        raise FrameError(reader.frame, start, "a year from 1582 to 9999, or 0")
    return moment.isoformat() if year and month and day else None

"""Records of a Beurer BM65: nine bytes to a measurement.

Source: the notes of atbrask (BM65DataDownloader): header, systolic - 25, diastolic - 25, pulse, month, day, hour,
minute, year - 2000. No sum protects a record, so what cannot be is refused here, and the driver reads each one twice.
What the header's bits mean is not known; it is kept with the bytes and not read.
"""

from datetime import datetime

from zhenbao.drivers.bp.codec import BloodPressure
from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError
from zhenbao.model.quantity import Quantity

HELLO, HELLO_ANSWER = b"\xaa", b"\x55"
DESCRIBE, DESCRIPTION_BYTES = b"\xa4", 32
COUNT = b"\xa2"
RECORD, RECORD_BYTES = b"\xa3", 9
_PRESSURE_FROM = 25
_FIRST_YEAR = 2000


def decode(frame: bytes) -> BloodPressure:
    """One record.

    Raises:
        FrameError: not nine bytes, a time that does not exist, no pulse, or a diastolic pressure that is not below the
            systolic one.
    """
    reader = Reader(frame)
    reader.u8("header")
    systolic, diastolic = (reader.u8(name) + _PRESSURE_FROM for name in ("systolic", "diastolic"))
    pulse = reader.u8("pulse rate")
    month, day, hour, minute, year = (reader.u8(name) for name in ("month", "day", "hour", "minute", "year"))
    reader.end()
    if diastolic >= systolic:
        raise FrameError(frame, 2, "a diastolic pressure below the systolic one")
    if pulse == 0:
        raise FrameError(frame, 3, "a pulse rate")
    try:
        at = datetime(_FIRST_YEAR + year, month, day, hour, minute)  # noqa: DTZ001 - the cuff's own time
    except ValueError:
        raise FrameError(frame, 4, "a time that exists") from None
    return BloodPressure(
        Quantity(float(systolic), "mm[Hg]"),
        Quantity(float(diastolic), "mm[Hg]"),
        None,
        Quantity(float(pulse), "/min"),
        device_time=at.isoformat(),
        raw=frame,
    )


def description(answer: bytes) -> str:
    """What the cuff says of itself, as text; unprintable bytes are left out."""
    text = answer.decode("ascii", "replace").replace("\ufffd", "")
    return "".join(c for c in text if c.isprintable()).strip()

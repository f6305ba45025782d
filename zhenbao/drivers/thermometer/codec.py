"""Temperature Measurement (2A1C), Intermediate Temperature (2A1E) and Temperature Type (2A1D): bytes to values.

Source: Bluetooth Health Thermometer Service 1.0, sections 3.1 to 3.3, and the GATT Specification Supplement. The
temperature stays in the thermometer's own unit (``Cel`` or ``[degF]``). Bytes that no flag announces are refused: they
are the only sign that every field before them was read wrongly.
"""

import hashlib
from dataclasses import dataclass

from zhenbao.drivers.gatt_time import read_date_time
from zhenbao.drivers.medfloat import Special, medfloat32
from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

_FAHRENHEIT, _TIME, _SITE = 0x01, 0x02, 0x04
_UNKNOWN_THERMOMETER = Device("thermometer-gatt")
SITES = {
    1: "armpit",
    2: "body",
    3: "ear",
    4: "finger",
    5: "gastro-intestinal",
    6: "mouth",
    7: "rectum",
    8: "toe",
    9: "tympanum",
}
"""Temperature Type: where it was measured. Numbers that are not listed are reserved and mean an unknown place."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """One measurement. ``temperature`` is None where the thermometer sent no number (NaN: the measurement failed)."""

    temperature: Quantity | None
    """In ``Cel`` or ``[degF]``, as the thermometer sends it."""
    site: str | None = None
    """A value of `SITES`; None where the thermometer does not tell, or tells one that is not defined."""
    device_time: str | None = None
    """The thermometer's own time, naive ISO text."""
    raw: bytes = b""
    device: Device = _UNKNOWN_THERMOMETER
    """Which thermometer; filled in by the driver."""

    @property
    def device_key(self) -> str | None:
        """Names this result on its device for ever; None without a time, where two equal readings look the same."""
        if self.device_time is None:
            return None
        return f"{self.device.serial}|{self.device_time}|{hashlib.sha256(self.raw).hexdigest()[:16]}"


def decode(frame: bytes) -> Temperature:
    """The value of characteristic 2A1C, or of 2A1E, which has the same layout and is no result.

    Raises:
        FrameError: a field that a flag announces is missing, bytes are left over, or a time does not exist.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    number = medfloat32(reader.u32("temperature"))
    device_time = read_date_time(reader) if flags & _TIME else None
    site = SITES.get(reader.u8("temperature type")) if flags & _SITE else None
    reader.end()
    unit = "[degF]" if flags & _FAHRENHEIT else "Cel"
    temperature = None if isinstance(number, Special) else Quantity(_finite(float(number), frame), unit)
    return Temperature(temperature, site, device_time, frame)


def decode_site(frame: bytes) -> str | None:
    """The value of characteristic 2A1D: the place of every measurement of a thermometer that has only one.

    Raises:
        FrameError: not one byte.
    """
    reader = Reader(frame)
    site = SITES.get(reader.u8("temperature type"))
    reader.end()
    return site


def _finite(value: float, frame: bytes) -> float:
    # 8388605e127 is a valid FLOAT and no temperature; a number that nobody can print is damage.
    if abs(value) > 1e6:
        raise FrameError(frame, 1, "a temperature of less than a million degrees")
    return value

"""Weight Measurement (2A9D): bytes to values.

Source: Bluetooth Weight Scale Service 1.0.1, section 3.2, and the GATT Specification Supplement. Weight and height
stay in the scale's own units (``kg`` and ``m``, or ``[lb_av]`` and ``[in_i]``). The steps in which they are counted
are the specification's; scales that count otherwise stand in ``quirks.toml``. Bytes that no flag announces are refused.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from zhenbao.drivers.gatt_time import read_date_time
from zhenbao.drivers.quirks import PLAIN_SCALE, ScaleQuirk
from zhenbao.drivers.reader import Reader
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

_IMPERIAL, _TIME, _USER, _BODY = 0x01, 0x02, 0x04, 0x08
_UNSUCCESSFUL = 0xFFFF
_UNKNOWN_USER = 0xFF
_UNKNOWN_SCALE = Device("scale-gatt")
_KG_STEP, _M_STEP, _INCH_STEP, _BMI_STEP = Decimal("0.005"), Decimal("0.001"), Decimal("0.1"), Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Weight:
    """One weighing. ``weight`` is None where the scale says that it was unsuccessful (FFFF)."""

    weight: Quantity | None
    """In ``kg`` or ``[lb_av]``, as the scale sends it."""
    user: int | None = None
    """The scale's own user number; whose it is, nobody but the scale's settings know."""
    bmi: Quantity | None = None
    """In ``kg/m2``, computed by the scale from the height in its user's profile."""
    height: Quantity | None = None
    """In ``m`` or ``[in_i]``: that profile's height, not a measured one."""
    device_time: str | None = None
    """The scale's own time, naive ISO text."""
    raw: bytes = b""
    device: Device = _UNKNOWN_SCALE
    """Which scale; filled in by the driver."""

    @property
    def device_key(self) -> str | None:
        """Names this result on its device for ever; None without a time, where two equal readings look the same."""
        if self.device_time is None:
            return None
        return f"{self.device.serial}|{self.device_time}|{hashlib.sha256(self.raw).hexdigest()[:16]}"


def decode(frame: bytes, quirk: ScaleQuirk = PLAIN_SCALE) -> Weight:
    """The value of characteristic 2A9D.

    Args:
        frame: as indicated by the scale.
        quirk: how this product departs from the specification.

    Raises:
        FrameError: a field that a flag announces is missing, bytes are left over, or a time does not exist.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    imperial = bool(flags & _IMPERIAL)
    steps = reader.u16("weight")
    device_time = read_date_time(reader) if flags & _TIME else None
    user = reader.u8("user") if flags & _USER else None
    bmi = height = None
    if flags & _BODY:
        bmi = _counted(reader.u16("body mass index"), _BMI_STEP, "kg/m2")
        tall = reader.u16("height")
        height = _counted(tall, _INCH_STEP, "[in_i]") if imperial else _counted(tall, _M_STEP, "m")
    reader.end()
    weight = None
    if steps != _UNSUCCESSFUL:
        weight = _counted(steps, quirk.pound_step_lb, "[lb_av]") if imperial else _counted(steps, _KG_STEP, "kg")
    return Weight(weight, None if user == _UNKNOWN_USER else user, bmi, height, device_time, frame)


def _counted(steps: int, step: Decimal, unit: str) -> Quantity:
    return Quantity(float(steps * step), unit)

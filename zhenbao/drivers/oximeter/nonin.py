"""The continuous oximetry characteristic of Nonin's 3230 and 3150: bytes to values.

Source: Nonin's specification 113142-000-02 rev. B as other projects decode it (maurovm/swift-async_pulse_ox;
andreasdri/nonin-3230-ble). Ten bytes once a second, big-endian, the first of them their count.
"""

from zhenbao.drivers.oximeter.reading import Oximetry
from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError
from zhenbao.model.quantity import Quantity

SERVICE = "46a970e0-0d5f-11e2-8b5e-0002a5d5c51b"
CONTINUOUS = "0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b"
_BYTES = 10
_WEAK, _SMART_POINT, _SEARCHING, _ON_FINGER, _BATTERY_LOW = 0x02, 0x04, 0x08, 0x10, 0x20
_NO_SATURATION, _NO_PULSE = 127, 511
_PERFUSION_STEPS_PER_PERCENT = 100


def decode(frame: bytes) -> Oximetry:
    """One message. With SmartPoint set the oximeter has judged its own number good: a finished result.

    Raises:
        FrameError: it is not ten bytes, or does not say that it is.
    """
    reader = Reader(frame)
    if reader.u8("count of bytes") != _BYTES:
        raise FrameError(frame, 0, f"a count of {_BYTES} bytes")
    bits = reader.u8("status")
    reader.u8("battery voltage")
    perfusion = int.from_bytes(reader.take(2, "pulse amplitude index"), "big")
    reader.take(2, "counter")
    saturation = reader.u8("saturation")
    pulse = int.from_bytes(reader.take(2, "pulse rate"), "big")
    reader.end()
    status = {
        name
        for name, holds in (
            ("sensor-off", not bits & _ON_FINGER),
            ("searching", bits & _SEARCHING),
            ("poor-signal", bits & _WEAK),
            ("battery-low", bits & _BATTERY_LOW),
        )
        if holds
    }
    return Oximetry(
        None if saturation == _NO_SATURATION else Quantity(float(saturation), "%"),
        None if pulse == _NO_PULSE else Quantity(float(pulse), "/min"),
        Quantity(perfusion / _PERFUSION_STEPS_PER_PERCENT, "%"),
        frozenset(status),
        spot=bool(bits & _SMART_POINT),
        raw=frame,
    )

"""PLX Spot-Check (2A5E), Continuous Measurement (2A5F) and Features (2A60): bytes to values.

Source: Bluetooth Pulse Oximeter Service 1.0.1, sections 3.1 to 3.3, and the GATT Specification Supplement. Bytes that
no flag announces are refused: they are the only sign that every field before them was read wrongly.
"""

from dataclasses import dataclass
from decimal import Decimal

from zhenbao.drivers.gatt_time import read_date_time
from zhenbao.drivers.medfloat import Special
from zhenbao.drivers.oximeter.reading import Oximetry
from zhenbao.drivers.reader import Reader
from zhenbao.model.quantity import Quantity

_SPOT_TIME, _SPOT_STATUS, _SPOT_SENSOR, _SPOT_PAI, _SPOT_CLOCK_NOT_SET = 0x01, 0x02, 0x04, 0x08, 0x10
_FAST, _SLOW, _STATUS, _SENSOR, _PAI = 0x01, 0x02, 0x04, 0x08, 0x10

MEASUREMENT_STATUS = {
    5: "ongoing",
    6: "early-estimate",
    7: "validated",
    8: "fully-qualified",
    9: "from-storage",
    10: "demo-data",
    11: "test-data",
    12: "calibrating",
    13: "unavailable",
    14: "questionable",
    15: "invalid",
}
SENSOR_STATUS = {
    0: "display-updating",
    1: "equipment-malfunction",
    2: "processing-irregularity",
    3: "inadequate-signal",
    4: "poor-signal",
    5: "low-perfusion",
    6: "erratic-signal",
    7: "nonpulsatile-signal",
    8: "questionable-pulse",
    9: "analysis-ongoing",
    10: "sensor-interference",
    11: "sensor-off",
    12: "sensor-unknown",
    13: "sensor-displaced",
    14: "sensor-malfunction",
    15: "sensor-disconnected",
}
FEATURES = (
    "measurement-status",
    "sensor-status",
    "spot-storage",
    "spot-time",
    "fast",
    "slow",
    "perfusion",
    "multiple-bonds",
)


@dataclass(frozen=True, slots=True)
class Features:
    """What an oximeter says it can tell."""

    supported: frozenset[str]
    """Names of ``FEATURES``."""
    measurement_status: frozenset[str] = frozenset()
    """Which of ``MEASUREMENT_STATUS`` it can set."""
    sensor_status: frozenset[str] = frozenset()
    """Which of ``SENSOR_STATUS`` it can set."""


def decode_spot(frame: bytes) -> Oximetry:
    """The value of characteristic 2A5E.

    Raises:
        FrameError: a field that a flag announces is missing, bytes are left over, or a time does not exist.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    spo2, pulse = _pair(reader, "")
    device_time = read_date_time(reader) if flags & _SPOT_TIME else None
    status = _named(MEASUREMENT_STATUS, reader.u16("measurement status")) if flags & _SPOT_STATUS else frozenset[str]()
    status |= _sensor(reader) if flags & _SPOT_SENSOR else frozenset()
    perfusion = _quantity(reader.sfloat("pulse amplitude index"), "%") if flags & _SPOT_PAI else None
    reader.end()
    told_time = None if flags & _SPOT_CLOCK_NOT_SET else device_time
    return Oximetry(spo2, pulse, perfusion, status, True, told_time, frame)


def decode_continuous(frame: bytes) -> Oximetry:
    """The value of characteristic 2A5F: of its three averages the normal one; fast and slow are only read over.

    Raises:
        FrameError: as for ``decode_spot``.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    spo2, pulse = _pair(reader, "")
    for bit, name in ((_FAST, "fast "), (_SLOW, "slow ")):
        if flags & bit:
            _pair(reader, name)
    status = _named(MEASUREMENT_STATUS, reader.u16("measurement status")) if flags & _STATUS else frozenset[str]()
    status |= _sensor(reader) if flags & _SENSOR else frozenset()
    perfusion = _quantity(reader.sfloat("pulse amplitude index"), "%") if flags & _PAI else None
    reader.end()
    return Oximetry(spo2, pulse, perfusion, status, raw=frame)


def decode_features(frame: bytes) -> Features:
    """The value of characteristic 2A60.

    Raises:
        FrameError: a field that the first two bytes announce is missing, or bytes are left over.
    """
    reader = Reader(frame)
    supported = _named(dict(enumerate(FEATURES)), reader.u16("supported features"))
    measurement = frozenset[str]()
    if "measurement-status" in supported:
        measurement = _named(MEASUREMENT_STATUS, reader.u16("measurement status support"))
    sensor = _sensor(reader) if "sensor-status" in supported else frozenset[str]()
    reader.end()
    return Features(supported, measurement, sensor)


def _pair(reader: Reader, average: str) -> tuple[Quantity | None, Quantity | None]:
    spo2 = _quantity(reader.sfloat(f"{average}saturation"), "%")
    return spo2, _quantity(reader.sfloat(f"{average}pulse rate"), "/min")


def _sensor(reader: Reader) -> frozenset[str]:
    return _named(SENSOR_STATUS, int.from_bytes(reader.take(3, "device and sensor status"), "little"))


def _named(names: dict[int, str], bits: int) -> frozenset[str]:
    return frozenset(name for bit, name in names.items() if bits >> bit & 1)


def _quantity(number: Decimal | Special, unit: str) -> Quantity | None:
    return None if isinstance(number, Special) else Quantity(float(number), unit)

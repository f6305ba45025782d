"""Glucose Measurement (2A18), Measurement Context (2A34) and Feature (2A51): bytes to values.

Source: Bluetooth Glucose Service 1.0.1, sections 3.1 to 3.3, and the GATT Specification Supplement. Concentrations stay
in the meter's own unit, written as people read it: kg/L as mg/dL (times 100 000), mol/L as mmol/L (times 1000), both
in exact decimal arithmetic.
"""

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from zhenbao.drivers.gatt_time import read_date_time
from zhenbao.drivers.glucose.context import GlucoseContext
from zhenbao.drivers.medfloat import Special
from zhenbao.drivers.quirks import PLAIN_METER, MeterFacts
from zhenbao.drivers.reader import Reader
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

_OFFSET, _CONCENTRATION, _MOL, _STATUS, _CONTEXT = 0x01, 0x02, 0x04, 0x08, 0x10
_OVERRUN, _UNDERRUN = 0x7FFF, -0x8000
_UNKNOWN_METER = Device("glucose-gatt")

FLUIDS = {
    1: "capillary-whole-blood",
    2: "capillary-plasma",
    3: "venous-whole-blood",
    4: "venous-plasma",
    5: "arterial-whole-blood",
    6: "arterial-plasma",
    7: "undetermined-whole-blood",
    8: "undetermined-plasma",
    9: "interstitial-fluid",
    10: "control-solution",
}
SITES = {1: "finger", 2: "alternate-site", 3: "earlobe", 4: "control-solution"}
STATUS_BITS = (
    "battery-low",
    "malfunction",
    "sample-insufficient",
    "strip-insertion-error",
    "strip-type-incorrect",
    "too-high",
    "too-low",
    "temperature-too-high",
    "temperature-too-low",
    "strip-pulled",
    "general-fault",
    "time-fault",
)
SERIAL_STATUS = ("record-damaged", "unknown-mark")
"""What only meters on a cable tell: the meter's own memory check failed; a mark that no document at hand explains."""
_QUARANTINE_STATUS = tuple(s for s in STATUS_BITS if s not in ("battery-low", "too-high", "too-low")) + SERIAL_STATUS
_MG_DL_IN_MMOL_L = Decimal("18.0156")
"""Glucose, C6H12O6, is 180.156 g/mol (rule GL23); used only to write a meter's limit in its other unit."""

Verdict = Literal["chart", "quarantine"]


@dataclass(frozen=True, slots=True)
class GlucoseReading:
    """One stored result of a meter, and whether it may be charted."""

    sequence: int
    """The meter's number. A meter on a cable tells none that lasts: 0 for the first record of its memory, and so on."""
    concentration: Quantity | None
    """``mg/dL`` or ``mmol/L``; HI and LO as comparator. None: the meter sent no number and its limits are unknown."""
    device_time: str | None
    """Base time plus offset, naive ISO text of the meter's clock."""
    base_time: str | None = None
    offset_min: int | None = None
    """User-facing minus base time; None where absent, or beyond what the field can hold."""
    fluid: str | None = None
    site: str | None = None
    status: frozenset[str] = frozenset()
    """Names of ``STATUS_BITS`` and ``SERIAL_STATUS``, and ``time-offset-unknown`` for an offset beyond its field."""
    context_follows: bool = False
    raw: bytes = b""
    """As received."""
    lasting: bytes = b""
    """What of ``raw`` never changes, where its number may; empty: number and all bytes last."""
    display_unit: Literal["mmol/L", "mg/dL"] | None = None
    """What the meter's display counts in, where that may differ from what it sends."""
    device: Device = _UNKNOWN_METER
    """Which meter; filled in by the driver."""
    context: GlucoseContext | None = None

    @property
    def serial(self) -> str:
        """The meter's serial number; empty if it does not tell."""
        return self.device.serial

    @property
    def control_solution(self) -> bool:
        """A test of the meter, not of a person."""
        return "control-solution" in (self.fluid, self.site)

    @property
    def reason(self) -> str | None:
        """Why it must not be charted: a key of the ``quarantine`` words; None if it may be."""
        if self.control_solution:
            return "control-solution"
        for status in _QUARANTINE_STATUS:
            if status in self.status:
                return status
        if "time-offset-unknown" in self.status:
            return "time-fault"
        if self.fluid == "interstitial-fluid":
            return "not-blood"
        if self.concentration is None:
            beyond = {"too-high": "high-without-limit", "too-low": "low-without-limit"}
            return next((beyond[s] for s in sorted(self.status) if s in beyond), "no-concentration")
        return None

    @property
    def verdict(self) -> Verdict:
        return "chart" if self.reason is None else "quarantine"

    @property
    def device_key(self) -> str:
        """Names this result on its meter for ever; survives a reset of the sequence and a change of the clock."""
        number = "" if self.lasting else self.sequence
        return f"{self.serial}|{number}|{hashlib.sha256(self.lasting or self.raw).hexdigest()[:16]}"


def on_display(reading: GlucoseReading) -> Quantity | None:
    """About what the meter's display shows, where it counts in another unit than it sends; None where it does not."""
    sent = reading.concentration
    if sent is None or sent.unit != "mg/dL" or reading.display_unit != "mmol/L":
        return None
    shown = (Decimal(str(sent.value)) / _MG_DL_IN_MMOL_L).quantize(Decimal("0.1"))
    return Quantity(float(shown), "mmol/L", sent.comparator)


def numbers_follow_time(readings: Sequence[GlucoseReading]) -> bool:
    """Whether a later result has a higher number, so that "newer than" can be asked by number."""
    timed = sorted((r for r in readings if r.base_time is not None), key=lambda r: r.sequence)
    times = [r.base_time or "" for r in timed]
    return len({r.sequence for r in timed}) == len(timed) and not (len(times) > 1 and times[0] > times[-1])


def decode_measurement(frame: bytes, facts: MeterFacts = PLAIN_METER) -> GlucoseReading:
    """The value of characteristic 2A18.

    Args:
        frame: as notified by the meter.
        facts: the limits behind HI and LO, where its manual tells them.

    Raises:
        FrameError: a field that a flag announces is missing, bytes are left over, or a time does not exist.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    sequence = reader.u16("sequence number")
    base_time = read_date_time(reader)
    offset_min = reader.s16("time offset") if flags & _OFFSET else None
    number: Decimal | Special | None = None
    fluid = site = None
    if flags & _CONCENTRATION:
        number = reader.sfloat("concentration")
        type_and_location = reader.u8("type and sample location")
        fluid, site = FLUIDS.get(type_and_location & 0xF), SITES.get(type_and_location >> 4)
    bits = reader.u16("sensor status") if flags & _STATUS else 0
    reader.end()
    status = {name for bit, name in enumerate(STATUS_BITS) if bits >> bit & 1}
    if offset_min in (_OVERRUN, _UNDERRUN):
        status.add("time-offset-unknown")
        offset_min = None
    if number is Special.PLUS_INFINITY:
        status.add("too-high")
    if number is Special.MINUS_INFINITY:
        status.add("too-low")
    return GlucoseReading(
        sequence=sequence,
        concentration=_concentration(number, "mmol/L" if flags & _MOL else "mg/dL", status, facts),
        device_time=None if "time-offset-unknown" in status else _shifted(base_time, offset_min),
        base_time=base_time,
        offset_min=offset_min,
        fluid=fluid,
        site=site,
        status=frozenset(status),
        context_follows=bool(flags & _CONTEXT),
        raw=frame,
        lasting=b"" if facts.lasting_sequence else frame[:1] + frame[3:],
    )


def decode_feature(frame: bytes) -> frozenset[str]:
    """The value of characteristic 2A51: what the meter can tell; ``multiple-bond`` and names of its detections.

    Raises:
        FrameError: not two bytes.
    """
    names = (
        "low-battery",
        "malfunction",
        "sample-size",
        "strip-insertion",
        "strip-type",
        "high-low",
        "temperature-high-low",
        "read-interrupt",
        "general-fault",
        "time-fault",
        "multiple-bond",
    )
    reader = Reader(frame)
    bits = reader.u16("features")
    reader.end()
    return frozenset(name for bit, name in enumerate(names) if bits >> bit & 1)


def _concentration(
    number: Decimal | Special | None, unit: Literal["mmol/L", "mg/dL"], status: set[str], facts: MeterFacts
) -> Quantity | None:
    value = None if number is None or isinstance(number, Special) else number.scaleb(3 if unit == "mmol/L" else 5)
    return within_range(value, unit, status, facts)


def within_range(
    value: Decimal | None, unit: Literal["mmol/L", "mg/dL"], status: Set[str], facts: MeterFacts
) -> Quantity | None:
    """The concentration; beyond the meter's range a bound with its comparator, whatever number the meter sends for HI.

    Args:
        value: in ``unit``, as sent; None where the meter sent no number.
        status: ``too-high`` and ``too-low`` say HI and LO; a number out of range is one of them untold.
    """
    low, high = _limit(facts.low_mg_dl, unit), _limit(facts.high_mg_dl, unit)
    if "too-high" in status or (value is not None and high is not None and value > high):
        beyond = value if high is None else high
        return None if beyond is None else Quantity(float(beyond), unit, ">")
    if "too-low" in status or (value is not None and low is not None and value < low):
        beyond = value if low is None else low
        return None if beyond is None else Quantity(float(beyond), unit, "<")
    return None if value is None else Quantity(float(value), unit)


def _limit(mg_dl: int | None, unit: Literal["mmol/L", "mg/dL"]) -> Decimal | None:
    if mg_dl is None or unit == "mg/dL":
        return None if mg_dl is None else Decimal(mg_dl)
    return (mg_dl / _MG_DL_IN_MMOL_L).quantize(Decimal("0.1"))


def _shifted(base_time: str | None, offset_min: int | None) -> str | None:
    if base_time is None:
        return None
    if base_time[:4] in ("1582", "9999"):
        return None  # the ends of the calendar: no meter was made there, and the sum may not exist
    return (datetime.fromisoformat(base_time) + timedelta(minutes=offset_min or 0)).isoformat()

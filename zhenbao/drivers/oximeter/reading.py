"""One message of a pulse oximeter, of whatever make: its numbers, and whether they may be believed."""

import hashlib
from dataclasses import dataclass

from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

_UNKNOWN_OXIMETER = Device("oximeter-gatt")

NOT_A_PERSON = ("demo-data", "test-data", "calibrating")
"""Not measured on anybody."""
REFUSED = (
    "invalid",
    "questionable",
    "unavailable",
    "equipment-malfunction",
    "processing-irregularity",
    "sensor-malfunction",
    "sensor-unknown",
)
"""The oximeter itself does not stand by its number, or is broken."""
FINGER_OUT = ("sensor-off", "sensor-disconnected", "sensor-displaced")
NO_SIGNAL = (
    "searching",
    "sensor-interference",
    "low-perfusion",
    "poor-signal",
    "inadequate-signal",
    "erratic-signal",
    "nonpulsatile-signal",
    "questionable-pulse",
)
"""The finger is there; movement, cold or light spoils what is seen of it."""
UNFINISHED = ("early-estimate", "analysis-ongoing")
REASONS = (*NOT_A_PERSON, *FINGER_OUT, *REFUSED, *NO_SIGNAL, *UNFINISHED)
"""Each forbids to use the numbers beside it; the first that holds is told. Keys of the ``quarantine`` words."""
TOLD = ("battery-low",)
"""Said to the doctor, and no reason against the number."""


@dataclass(frozen=True, slots=True)
class Oximetry:
    """What an oximeter told at one moment. A number is None where it sent none (NaN, 127, 511: no reading)."""

    spo2: Quantity | None
    """In ``%``."""
    pulse: Quantity | None
    """In ``/min``."""
    perfusion: Quantity | None = None
    """Pulse amplitude (perfusion) index in ``%``, where it is sent."""
    status: frozenset[str] = frozenset()
    """Names of ``REASONS`` and ``TOLD``; also ``ongoing``, ``from-storage``, ``validated``, ``fully-qualified``."""
    spot: bool = False
    """The oximeter calls it its finished result; otherwise it is one moment of a stream that has yet to settle."""
    device_time: str | None = None
    """The oximeter's own time, naive ISO text."""
    raw: bytes = b""
    device: Device = _UNKNOWN_OXIMETER
    """Which oximeter; filled in by the driver."""

    @property
    def finger_out(self) -> bool:
        """Whether the sensor is on nobody."""
        return any(name in self.status for name in FINGER_OUT)

    @property
    def reason(self) -> str | None:
        """Why its numbers must not be used: a key of the ``quarantine`` words; None if they may be."""
        for name in REASONS:
            if name in self.status:
                return name
        # A stream is "ongoing" by nature; a result that calls itself so is none yet.
        if self.spot and "ongoing" in self.status:
            return "measurement-ongoing"
        if self.spo2 is None:
            return "no-saturation"
        if self.pulse is None:
            return "no-pulse"  # what saw no pulse cannot tell arterial blood from the rest
        if not 0 < self.spo2.value <= 100 or self.pulse.value <= 0:
            return "out-of-range"
        return None

    @property
    def device_key(self) -> str | None:
        """Names a finished result on its oximeter for ever; None without a time, where two equal ones look the same."""
        if not self.spot or self.device_time is None:
            return None
        return f"{self.device.serial}|{self.device_time}|{hashlib.sha256(self.raw).hexdigest()[:16]}"

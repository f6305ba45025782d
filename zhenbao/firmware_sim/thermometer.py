"""A simulated clinical thermometer (Health Thermometer Service 1809), as an ear thermometer with Bluetooth behaves."""

from __future__ import annotations

from datetime import datetime

from zhenbao.firmware_sim import body_layouts
from zhenbao.firmware_sim.body_layouts import NAN32, Float32
from zhenbao.firmware_sim.peripheral import Identity
from zhenbao.firmware_sim.spot_meter import HEALTHY, SpotFaults, SpotMeter

EAR = 3
"""Temperature Type of Health Thermometer Service 1.0, section 3.2."""


class ClinicalThermometer(SpotMeter):
    """The thermometer; it counts in 0.1 degree, in the unit that its switch is set to."""

    MEASUREMENT = 0x2A1C
    FEATURES = ((0x2A1D, bytes([EAR])),)

    def __init__(
        self,
        *,
        fahrenheit: bool = False,
        name: str = "ZB-TEMP-SIM",
        address: str = "F0:00:00:00:18:09",
        identity: Identity = Identity(model="TEMP-SIM", serial="TEMP-0001"),  # noqa: B008 - frozen
        faults: SpotFaults = HEALTHY,
    ) -> None:
        super().__init__(name, address, 0x1809, identity, faults)
        self.fahrenheit = fahrenheit

    def measure(self, celsius: float | None, at: datetime | None, site: int | None = EAR) -> bytes:
        """A finished measurement waits to be fetched; None is one that failed (sent as NaN). Gives its bytes."""
        if celsius is None:
            number = NAN32
        else:
            number = Float32(round((celsius * 1.8 + 32 if self.fahrenheit else celsius) * 10), -1)
        told = None if at is None else at + self.faults.clock_offset
        value = body_layouts.temperature(number, fahrenheit=self.fahrenheit, at=told, site=site)
        self.hold(value)
        return value

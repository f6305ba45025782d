"""A simulated weighing scale (Weight Scale Service 181D), as a bathroom scale with Bluetooth behaves."""

from __future__ import annotations

from datetime import datetime

from zhenbao.firmware_sim import body_layouts
from zhenbao.firmware_sim.body_layouts import WEIGHT_UNSUCCESSFUL
from zhenbao.firmware_sim.peripheral import Identity
from zhenbao.firmware_sim.spot_meter import HEALTHY, SpotFaults, SpotMeter

_FEATURES = 0b111 | 7 << 3 | 3 << 7
"""2A9E: time stamp, several users, body mass index; steps of 0.005 kg and of 0.001 m."""
LB_PER_KG = 2.20462262
"""1 / 0.45359237: the pound is 0.45359237 kg exactly (NIST Handbook 44, appendix C)."""


class BathroomScale(SpotMeter):
    """The scale. ``pounds`` is its unit switch; ``pound_steps`` how many counts a pound has (100; an A&D sends 10)."""

    MEASUREMENT = 0x2A9D
    FEATURES = ((0x2A9E, _FEATURES.to_bytes(4, "little")),)

    def __init__(
        self,
        *,
        pounds: bool = False,
        pound_steps: int = 100,
        name: str = "ZB-SCALE-SIM",
        address: str = "F0:00:00:00:18:1D",
        identity: Identity = Identity(model="SCALE-SIM", serial="SCALE-0001"),  # noqa: B008 - frozen
        faults: SpotFaults = HEALTHY,
    ) -> None:
        super().__init__(name, address, 0x181D, identity, faults)
        self.pounds = pounds
        self.pound_steps = pound_steps

    def weigh(
        self,
        kilograms: float | None,
        at: datetime | None,
        user: int | None = None,
        bmi_and_height: tuple[int, int] | None = None,
    ) -> bytes:
        """Somebody has stood on it; None is a weighing that failed (sent as FFFF). Gives its bytes."""
        if kilograms is None:
            steps = WEIGHT_UNSUCCESSFUL
        elif self.pounds:
            steps = round(kilograms * LB_PER_KG * self.pound_steps)
        else:
            steps = round(kilograms * 200)
        told = None if at is None else at + self.faults.clock_offset
        value = body_layouts.weight(steps, pounds=self.pounds, at=told, user=user, bmi_and_height=bmi_and_height)
        self.hold(value)
        return value

"""A calibration syringe at the flow sensor: strokes of known volume, and a sensor that may read wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.firmware_sim.waveforms.spirometry import FlowSensor, btps_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class SyringeStrokes:
    """A piston pushed in and drawn back, a pair of strokes for each duration; a `FlowSource` for the front-end.

    Args:
        volume_l: of the syringe.
        seconds: of each push; slow, medium and fast where not told otherwise. The way back takes as long.
        gain: what the sensor shows for a true 1.
        gain_per_l_s: added to the gain for each L/s of flow: a sensor that is not linear.
        sensor: offset, noise and steps.
        temperature_c, pressure_pa: of the room. Sources give BTPS, so a front-end that converts itself shows this
            factor more than the syringe holds.
        seed: of the sensor's noise.
    """

    volume_l: float = 3.0
    seconds: tuple[float, ...] = (4.0, 1.2, 0.45)
    gain: float = 1.0
    gain_per_l_s: float = 0.0
    sensor: FlowSensor = field(default_factory=FlowSensor)
    temperature_c: float = 22.0
    pressure_pa: int = 101_325
    seed: int = 1

    @property
    def duration_s(self) -> float:
        """From START until the last rest is over."""
        return _REST_S + sum(2 * (s + _REST_S) for s in self.seconds)

    def flow_l_s(self, rate_hz: int) -> NDArray[np.float64]:
        """Flow [n] as the sensor gives it, L/s BTPS; out of the syringe positive."""
        random = np.random.default_rng(self.seed)
        n = round(self.duration_s * rate_hz)
        t = np.arange(n) / rate_hz
        flow = np.zeros(n)
        start = _REST_S
        for seconds in self.seconds:
            for sign in (1, -1):
                inside = (t >= start) & (t <= start + seconds)
                # A raised cosine: its area is the syringe's volume, exactly.
                shape = self.volume_l / seconds * (1 - np.cos(2 * np.pi * (t - start) / seconds))
                flow = np.where(inside, sign * shape, flow)
                start += seconds + _REST_S
        shown = flow * (self.gain + self.gain_per_l_s * np.abs(flow)) + self.sensor.zero_offset_l_s
        shown = shown + self.sensor.noise_l_s * random.standard_normal(n)
        if self.sensor.step_l_s:
            shown = np.round(shown / self.sensor.step_l_s) * self.sensor.step_l_s
        return shown * btps_factor(self.temperature_c, self.pressure_pa)

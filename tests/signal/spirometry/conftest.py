"""Blows whose true values are known in closed form, and a sensor that spoils them as real ones do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrueBlow:
    """Flow 0 until time 0; a rise to ``pef`` at ``rise_s``; then a fall. Volumes by integration on paper.

    rise "sine": pef * sin(pi/2 * t/rise)^2, volume pef * rise / 2 at the peak;
    rise "ramp": pef * t / rise, volume pef * rise / 2 as well.
    fall: pef * (share * exp(-s/fast_s) + (1 - share) * exp(-s/slow_s)), s from the peak, until ``end_s``.
    ``hesitation``: a flow (L/s) that is blown for a time (s) before time 0.
    """

    pef: float = 7.0
    rise_s: float = 0.08
    share: float = 0.7
    fast_s: float = 0.35
    slow_s: float = 1.1
    end_s: float = 7.0
    rise: Literal["sine", "ramp"] = "sine"
    hesitation: tuple[float, float] = (0.0, 0.0)
    inspired_before: float = 0.0
    inspired_after: float = 0.0
    quiet_s: float = 1.0
    after_s: float = 0.0
    """Silence between the end of the blow and the breath in, or the end of the recording."""

    def flow(self, t: Floats) -> Floats:
        rising = np.clip(t / self.rise_s, 0, 1)
        up = np.sin(math.pi / 2 * rising) ** 2 if self.rise == "sine" else rising
        s = np.maximum(t - self.rise_s, 0)
        down = self.share * np.exp(-s / self.fast_s) + (1 - self.share) * np.exp(-s / self.slow_s)
        blow = np.where((t >= 0) & (t <= self.end_s), self.pef * up * down, 0.0)
        flow, lasting = self.hesitation
        blow = np.where((t >= -lasting) & (t < 0), flow, blow)
        for begin, lasts, litres in (
            (-lasting - 0.6 - 1.5, 1.5, self.inspired_before),
            (self.end_s + self.after_s, 1.2, self.inspired_after),
        ):
            inside = (t >= begin) & (t < begin + lasts)
            blow = np.where(inside, -litres * math.pi / (2 * lasts) * np.sin(math.pi * (t - begin) / lasts), blow)
        return np.asarray(blow)

    def exhaled(self, t: float) -> float:
        """From the fullest lungs to time ``t`` >= 0, until ``end_s`` at most."""
        t = min(t, self.end_s)
        before = self.hesitation[0] * self.hesitation[1]
        if t <= self.rise_s:
            x = t / self.rise_s
            if self.rise == "ramp":
                return before + self.pef * self.rise_s * x * x / 2
            return before + self.pef * self.rise_s * (x / 2 - math.sin(math.pi * x) / (2 * math.pi))
        s = t - self.rise_s
        fast = self.share * self.fast_s * (1 - math.exp(-s / self.fast_s))
        slow = (1 - self.share) * self.slow_s * (1 - math.exp(-s / self.slow_s))
        return before + self.pef * (self.rise_s / 2 + fast + slow)

    @property
    def t0(self) -> float:
        return self.rise_s - self.exhaled(self.rise_s) / self.pef

    @property
    def fvc(self) -> float:
        return self.exhaled(self.end_s)

    def fev(self, seconds: float) -> float:
        return self.exhaled(self.t0 + seconds)

    @property
    def bev(self) -> float:
        """Volume at t0, which lies before time 0 where the hesitation was long."""
        if self.t0 >= 0:
            return self.exhaled(self.t0)
        flow, lasting = self.hesitation
        return max(0.0, flow * (lasting + self.t0))

    @property
    def last_second(self) -> float:
        return self.exhaled(self.end_s) - self.exhaled(self.end_s - 1)

    def recorded(
        self, sensor: Sensor, rng: np.random.Generator, spoil: Callable[[Floats, Floats], Floats] | None = None
    ) -> tuple[Floats, Floats]:
        """(time_s, flow_l_s) as the sensor sends them; the recording starts at time 0.

        ``spoil`` is what the patient does wrong: (time, flow) -> flow, in the blow's own time.
        """
        lead = self.quiet_s + self.hesitation[1] + (2.1 if self.inspired_before else 0.0)
        stop = self.end_s + self.after_s + (1.4 if self.inspired_after else 0.0)
        t = np.arange(-lead, stop, 1 / sensor.rate_hz)
        t = t + sensor.jitter * rng.uniform(-0.5, 0.5, len(t)) / sensor.rate_hz
        true = self.flow(t) if spoil is None else spoil(t, self.flow(t))
        f = true + sensor.offset + rng.normal(0, sensor.noise, len(t))
        if sensor.step:
            f = np.round(f / sensor.step) * sensor.step
        f[rng.random(len(t)) < sensor.lost] = np.nan
        return t + lead, f

    def starts_at(self) -> float:
        """Where time 0 lies in the recording."""
        return self.quiet_s + self.hesitation[1] + (2.1 if self.inspired_before else 0.0)


@dataclass(frozen=True)
class Sensor:
    rate_hz: float = 100.0
    noise: float = 0.0
    offset: float = 0.0
    step: float = 0.0
    """Least step of the flow; an 8-bit sensor of ±14 L/s has 0.11."""
    jitter: float = 0.0
    lost: float = 0.0


@dataclass
class Bench:
    """What tests build with."""

    blow: type[TrueBlow] = TrueBlow
    sensor: type[Sensor] = Sensor
    perfect: Sensor = field(default_factory=Sensor)

    def random_blow(self, rng: np.random.Generator) -> TrueBlow:
        """An adult or a child, healthy or obstructed, who does it right."""
        while True:
            slow = rng.uniform(0.3, 1.6)
            blow = TrueBlow(
                pef=rng.uniform(2.0, 12.0),
                rise_s=rng.uniform(0.04, 0.14),
                share=rng.uniform(0.2, 0.95),
                fast_s=rng.uniform(0.15, 0.6),
                slow_s=slow,
                end_s=rng.uniform(1.5, 12.0),
                rise=("sine", "ramp")[int(rng.integers(2))],
                inspired_before=(0.0, rng.uniform(0.5, 2.5))[int(rng.integers(2))],
                inspired_after=(0.0, rng.uniform(0.3, 0.9))[int(rng.integers(2))],
                quiet_s=rng.uniform(0.6, 1.5),
            )
            blow = TrueBlow(**{**blow.__dict__, "inspired_after": blow.inspired_after * blow.fvc})
            if blow.last_second < 0.020 and 0.7 < blow.fvc < 8 and blow.bev < max(0.09, 0.045 * blow.fvc):
                return blow

    def random_sensor(self, rng: np.random.Generator) -> Sensor:
        return Sensor(
            rate_hz=float(rng.choice([50.0, 100.0, 200.0])),
            noise=float(rng.choice([0.0, 0.005, 0.02])),
            offset=float(rng.choice([0.0, 0.0, 0.02, -0.03])),
            jitter=float(rng.choice([0.0, 0.3])),
            lost=float(rng.choice([0.0, 0.0, 0.01])),
        )


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()

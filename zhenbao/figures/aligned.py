"""A recorded blow on the scales of its measured values, so that picture and numbers agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.model.spirometry import Blow

Curve = tuple["Sequence[float]", "Sequence[float]"]
"""(time_s, flow_l_s), expiration positive; NaN is a lost sample."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """One blow on its own scales: time from time zero, volume from full lungs; None where a sample was lost."""

    points: tuple[tuple[float, float, float] | None, ...]
    """(time_s, volume_l, flow_l_s)"""


def align(curve: Curve, blow: Blow) -> Aligned:
    """Put a curve on the scales of its measured values.

    The volume is integrated here by the trapezoid rule and set to BEV at time zero. What it then lacks of, or exceeds,
    the measured FVC is the sensor's zero error, which the measurement took off: it is taken off here as well.
    """
    times, flows = curve
    raw: list[tuple[float, float, float] | None] = []
    volume = 0.0
    before: tuple[float, float] | None = None
    for t, f in zip(map(float, times), map(float, flows), strict=True):
        if not (math.isfinite(t) and math.isfinite(f)) or (before is not None and t <= before[0]):
            raw.append(None)
            continue
        if before is not None:
            volume += (f + before[1]) * (t - before[0]) / 2
        raw.append((t, volume, f))
        before = (t, f)
    samples = [p for p in raw if p is not None]
    if blow.fvc_l <= 0 or not samples:
        return Aligned(())
    start = _volume_at(samples, blow.t0_s)
    end = _volume_at(samples, blow.t0_s + blow.fet_s)
    zero = (end - start - (blow.fvc_l - blow.bev_l)) / blow.fet_s if blow.fet_s > 0 else 0.0
    return Aligned(
        tuple(
            None
            if p is None
            else (p[0] - blow.t0_s, p[1] - start + blow.bev_l - zero * (p[0] - blow.t0_s), p[2] - zero)
            for p in raw
            if p is None or p[0] >= blow.t0_s - 0.5
        )
    )


def _volume_at(samples: Sequence[tuple[float, float, float]], time_s: float) -> float:
    last = samples[0]
    for sample in samples:
        if sample[0] >= time_s:
            if sample[0] == last[0]:
                return sample[1]
            return last[1] + (sample[1] - last[1]) * (time_s - last[0]) / (sample[0] - last[0])
        last = sample
    return last[1]

"""Manoeuvres drawn at random, with their truth: people and sensors as they come, for measuring an analysis.

A blow is drawn as a flow in fine steps: one of three families of shapes, what the patient does wrong, breathing before
and after. Its indices follow from the definitions of ATS/ERS 2019 (doi 10.1164/rccm.201908-1590ST) on that flow. Only
then comes the sensor: its rate, jitter, lost samples, noise, steps, zero and drift; some send volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FINE_HZ = 10_000
WRONGS = (
    "slow-start",
    "cough-first-second",
    "cough-later",
    "early-end",
    "glottic-closure-first-second",
    "glottic-closure-later",
    "leak",
    "obstructed",
    "zero-flow",
    "drift",
    "double-effort",
    "fivc-larger",
)
DEBATABLE = ("leak", "zero-flow", "drift", "double-effort")
"""Wrongs of which people differ on whether the values may be kept."""
_KEPT = {
    "": (True, True),
    "cough-first-second": (False, True),
    "cough-later": (True, True),
    "early-end": (True, False),
    "glottic-closure-later": (True, False),
}
_STEP_8_BIT_L_S = 28 / 256
_STEP_8_BIT_L = 0.03
_MARGIN_L = 0.015
"""Extrapolated volumes nearer to the limit than this are not drawn: a sensor may put them on either side."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """What a sensor adds."""

    rate_hz: float
    jitter: float
    """Of the time between samples."""
    lost: float
    noise_l_s: float
    eight_bit: bool
    zero_l_s: float
    drift_l_s2: float
    volume: bool
    """Sends volume on a base of its own instead of flow."""


@dataclass(frozen=True, slots=True)
class Manoeuvre:
    """One recording and its truth."""

    time_s: Floats
    flow_l_s: Floats | None
    volume_l: Floats | None
    wrong: str
    """One of ``WRONGS``, or empty."""
    fvc_l: float
    fev1_l: float
    bev_l: float
    fev1_acceptable: bool
    fvc_acceptable: bool
    sensor: Sensor

    @property
    def debatable(self) -> bool:
        """Whether the value may be kept is not to be judged here: neither are volumes on steps of 30 mL."""
        return self.wrong in DEBATABLE or (self.sensor.eight_bit and self.sensor.volume)


def random_manoeuvre(random: np.random.Generator, wrong: str | None = None) -> Manoeuvre:
    """Draw one; ``wrong`` None: nothing is wrong with nearly half of them."""
    while True:
        chosen = wrong if wrong is not None else str(random.choice(["", *WRONGS], p=[0.46, *[0.045] * 12]))
        if (drawn := _draw(random, chosen)) is not None:
            return drawn


def _draw(random: np.random.Generator, wrong: str) -> Manoeuvre | None:
    """None where the shape does not suit what is to go wrong."""
    blast = _blast(random)
    if blast is None or len(blast) < 1.2 * FINE_HZ:
        return None
    blast = _WRONG_BLASTS[wrong](random, blast) if wrong in _WRONG_BLASTS else blast
    if blast is None:
        return None
    size_l = float(blast.sum()) / FINE_HZ
    before = _before(random, size_l)
    limit_l = max(0.1, 0.05 * size_l)
    early_l = random.uniform(1.25, 3) * limit_l if wrong == "slow-start" else random.uniform(0, 0.02) * size_l
    creep = _smooth(np.linspace(0, 3, round(random.uniform(0.25, 0.8) * FINE_HZ)))
    expired = np.concatenate([creep * early_l * FINE_HZ / creep.sum(), blast])
    exhaled = np.cumsum(expired) / FINE_HZ
    fvc_l, peak = float(exhaled.max()), int(np.argmax(expired))
    t0_s = peak / FINE_HZ - exhaled[peak] / expired[peak]
    if (t0_s + 1) * FINE_HZ > len(exhaled) - 1:
        return None
    fine_s = np.arange(len(exhaled)) / FINE_HZ
    fev1_l, bev_l = (float(np.interp(t, fine_s, exhaled)) for t in (t0_s + 1, t0_s))
    limit_l = max(0.1, 0.05 * fvc_l)
    if (bev_l < limit_l + _MARGIN_L) if wrong == "slow-start" else (bev_l > limit_l - _MARGIN_L):
        return None
    after = _after(random, exhaled, fvc_l, wrong)
    if after is None:
        return None
    keeps = (False, False) if wrong in WRONGS and wrong not in _KEPT else _KEPT[wrong]
    sensor = _sensor(random, wrong)
    time_s, values = _sensed(random, np.concatenate([before, expired, after]), sensor)
    flow, volume = (None, values) if sensor.volume else (values, None)
    return Manoeuvre(time_s, flow, volume, wrong, fvc_l, fev1_l, bev_l, *keeps, sensor)


def _smooth(x: Floats) -> Floats:
    inside = np.clip(x, 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside))


def _blast(random: np.random.Generator) -> Floats | None:
    """Flow from its beginning to its natural end, in litres per second at ``FINE_HZ``."""
    family = (_two_compartments, _limited_by_volume, _gamma)[int(random.integers(3))]
    fvc_l = float(random.choice([random.uniform(0.6, 2), random.uniform(1.5, 4), random.uniform(3, 6.5)]))
    flow = family(random, np.arange(16 * FINE_HZ) / FINE_HZ)
    flow *= fvc_l * FINE_HZ / flow.sum()
    faint = np.flatnonzero((flow < random.uniform(0.012, 0.03)) & (np.arange(len(flow)) > 0.35 * FINE_HZ))
    if not len(faint) or faint[0] > 13 * FINE_HZ:
        return None
    return _stopped(flow, int(faint[0]), 0.25)


def _two_compartments(random: np.random.Generator, t: Floats) -> Floats:
    """A rise of one of three forms, then a fast and a slow exponential."""
    rise_s, fast_s = random.uniform(0.03, 0.11), random.uniform(0.12, 0.5)
    share, slow_s = random.uniform(0.2, 0.9), fast_s + random.uniform(0.2, 1.6)
    x, since = np.clip(t / rise_s, 0, 1), np.maximum(t - rise_s, 0)
    rises: tuple[Callable[[Floats], Floats], ...] = (lambda x: np.sin(np.pi / 2 * x) ** 2, lambda x: x, _smooth)
    fall = share * np.exp(-since / fast_s) + (1 - share) * np.exp(-since / slow_s)
    return np.asarray(rises[int(random.integers(3))](x) * fall)


def _limited_by_volume(random: np.random.Generator, t: Floats) -> Floats:
    """Flow that effort raises until the volume still inside limits it: a curved flow-volume line."""
    bend, top = random.uniform(0.9, 2.4), random.uniform(1.8, 4.5)
    effort = top / random.uniform(0.03, 0.11) * random.uniform(0.8, 1.3)
    flow, out = np.zeros_like(t), 0.0
    for i in range(len(t)):
        left = max(0.0, 1 - out)
        flow[i] = min(effort * t[i], top * left**bend + 0.25 * left)
        out += flow[i] / FINE_HZ
        if out >= 0.9995:
            break
    rounding = np.hanning(round(0.012 * FINE_HZ))
    return np.asarray(np.convolve(flow, rounding / rounding.sum())[: len(t)])


def _gamma(random: np.random.Generator, t: Floats) -> Floats:
    """A gamma curve on a slow exponential."""
    power, scale_s = random.uniform(0.6, 1.6), random.uniform(0.05, 0.12)
    share, slow_s = random.uniform(0.3, 0.8), random.uniform(0.3, 1.3)
    quick = (t / (power * scale_s)) ** power * np.exp(power - t / scale_s)
    slow = (1 - np.exp(-t / (0.6 * scale_s))) * np.exp(-t / slow_s)
    return np.asarray(share * quick + (1 - share) * slow)


def _stopped(flow: Floats, at: int, over_s: float) -> Floats:
    """The flow comes down to nothing from sample ``at`` on, and the blow ends there."""
    length = min(round(over_s * FINE_HZ), len(flow) - at)
    return np.concatenate([flow[:at], flow[at : at + length] * (1 - _smooth(np.linspace(0, 1, length)))])


def _at(flow: Floats, seconds: float) -> float:
    """Flow ``seconds`` after the beginning; 0 beyond the end."""
    i = round(seconds * FINE_HZ)
    return float(flow[i]) if i < len(flow) else 0.0


def _coughed(random: np.random.Generator, flow: Floats, first_s: float) -> Floats:
    """One to three coughs: the glottis shuts for a moment and bursts open."""
    t, out = np.arange(len(flow)) / FINE_HZ, flow.copy()
    for i in range(int(random.integers(1, 4))):
        begin, lasts = first_s + i * random.uniform(0.2, 0.35), random.uniform(0.05, 0.12)
        depth = random.uniform(0.5, 1)
        shut = 1 - depth * np.exp(-0.5 * (((t - begin) / lasts - 0.5) / 0.22) ** 2)
        burst = 0.6 * depth * np.exp(-0.5 * ((t - begin - 1.2 * lasts) / (0.25 * lasts)) ** 2)
        out = out * shut + flow * burst
    return out


def _cough_first(random: np.random.Generator, flow: Floats) -> Floats | None:
    return _coughed(random, flow, random.uniform(0.2, 0.7)) if _at(flow, 0.5) >= 0.5 else None


def _cough_later(random: np.random.Generator, flow: Floats) -> Floats | None:
    return _coughed(random, flow, random.uniform(1.15, 1.6)) if _at(flow, 1.4) >= 0.3 else None


def _ended_early(random: np.random.Generator, flow: Floats) -> Floats | None:
    whole_s = len(flow) / FINE_HZ
    at_s = random.uniform(0.5, 0.85) * whole_s if random.random() < 0.5 else random.uniform(1.2, 2.5)
    if at_s > whole_s - 0.3 or _at(flow, at_s) < 0.06:
        return None
    return _stopped(flow, round(at_s * FINE_HZ), random.uniform(0.08, 0.3))


def _closed(random: np.random.Generator, flow: Floats, at_s: float) -> Floats | None:
    if at_s > len(flow) / FINE_HZ - 0.3 or _at(flow, at_s) < 0.12:
        return None
    stopped = _stopped(flow, round(at_s * FINE_HZ), random.uniform(0.01, 0.03))
    return np.concatenate([stopped, np.zeros(round(random.uniform(0.8, 2) * FINE_HZ))])


def _closed_first(random: np.random.Generator, flow: Floats) -> Floats | None:
    return _closed(random, flow, random.uniform(0.4, 0.85))


def _closed_later(random: np.random.Generator, flow: Floats) -> Floats | None:
    return _closed(random, flow, random.uniform(1.15, max(1.2, min(2.5, 0.7 * len(flow) / FINE_HZ))))


def _throttled(random: np.random.Generator, flow: Floats) -> Floats | None:
    """A tongue in the mouthpiece for half a second to a second."""
    at_s, lasts = random.uniform(0.3, 0.9), random.uniform(0.5, 1.0)
    if _at(flow, at_s) < 0.6 or len(flow) < 2 * FINE_HZ:
        return None
    t = np.arange(len(flow)) / FINE_HZ - at_s
    return np.asarray(flow * (1 - random.uniform(0.5, 0.9) * _smooth(t / 0.05) * (1 - _smooth((t - lasts) / 0.05))))


def _twice(random: np.random.Generator, flow: Floats) -> Floats | None:
    """A short breath in during the blow, and out again."""
    at = round(random.uniform(1.0, 2.0) * FINE_HZ)
    if at > len(flow) - 0.5 * FINE_HZ:
        return None
    breath_l = random.uniform(0.15, 0.5) * float(flow.sum()) / FINE_HZ
    again = _breath(breath_l * random.uniform(0.8, 1.1), 0.6)
    return np.concatenate([flow[:at], -_breath(breath_l, 0.5), again, flow[at:]])


_WRONG_BLASTS: dict[str, Callable[[np.random.Generator, Floats], Floats | None]] = {
    "cough-first-second": _cough_first,
    "cough-later": _cough_later,
    "early-end": _ended_early,
    "glottic-closure-first-second": _closed_first,
    "glottic-closure-later": _closed_later,
    "obstructed": _throttled,
    "double-effort": _twice,
}


def _breath(litres: float, seconds: float) -> Floats:
    """Half a sine of a given volume."""
    n = round(seconds * FINE_HZ)
    return np.asarray(litres * math.pi / (2 * seconds) * np.sin(np.pi * np.arange(n) / n))


def _rest(seconds: float) -> Floats:
    return np.zeros(round(seconds * FINE_HZ))


def _before(random: np.random.Generator, size_l: float) -> Floats:
    """Rest, tidal breathing in half of the recordings, and often the full breath in."""
    parts = [_rest(random.uniform(0.3, 1.5))]
    tidal = random.random() < 0.5
    for _ in range(int(random.integers(1, 4)) if tidal else 0):
        litres, seconds = random.uniform(0.3, 0.7) * min(1, size_l / 3), random.uniform(2.5, 4.5)
        parts += [-_breath(litres, 0.4 * seconds), _breath(litres, 0.6 * seconds)]
    if tidal or random.random() < 0.5:
        parts += [
            -_breath(random.uniform(0.5, 0.9) * size_l, random.uniform(0.9, 1.8)),
            _rest(random.uniform(0.05, 0.6)),
        ]
    return np.concatenate(parts)


def _after(random: np.random.Generator, exhaled: Floats, fvc_l: float, wrong: str) -> Floats | None:
    """Stillness, and the breath in of half of the recordings."""
    if wrong == "leak":
        return np.full(round(1.5 * FINE_HZ), -random.uniform(0.06, 0.15))
    held_s = random.uniform(0, 0.4) if wrong == "early-end" else random.uniform(0.05, 1.2)
    looked_at = max(1, round((1 - held_s) * FINE_HZ))
    last_second = float(exhaled[-1] - exhaled[max(0, len(exhaled) - looked_at)])
    if wrong == "early-end" and last_second < 0.04:
        return None
    # Whoever does it right holds on until nothing comes.
    more_s = 1.1 if last_second > 0.018 and not wrong.startswith(("early", "glottic", "double")) else 0.0
    parts = [_rest(held_s + more_s)]
    if wrong == "fivc-larger" or random.random() < 0.5:
        breath_l = fvc_l * random.uniform(0.85, 1.0)
        if wrong == "fivc-larger":
            breath_l = fvc_l + random.uniform(1.4, 3) * max(0.1, 0.05 * fvc_l)
        parts += [_rest(random.uniform(0, 0.3)), -_breath(breath_l, random.uniform(0.9, 2)), _rest(0.4)]
    return np.concatenate(parts)


def _sensor(random: np.random.Generator, wrong: str) -> Sensor:
    # Only flow has a zero that can be wrong or wander, and on eight bits half a step of it is invisible at rest.
    fine = wrong in ("zero-flow", "drift")
    volume, eight_bit = random.random() < 0.35 and not fine, random.random() < 0.2 and not fine
    zero = float(random.choice([0, 0, 0, 0.01, -0.02, 0.04]))
    if wrong == "zero-flow":
        zero = float(random.choice([-1, 1]) * random.uniform(0.05, 0.25))
    elif eight_bit or volume:
        zero = 0.0
    drift = float(random.choice([-1, 1]) * random.uniform(0.001, 0.005)) if wrong == "drift" else 0.0
    return Sensor(
        rate_hz=float(random.choice([50, 60, 100, 100, 125, 200])),
        jitter=float(random.choice([0, 0, 0.2, 0.4])),
        lost=float(random.choice([0, 0, 0.01, 0.03])),
        noise_l_s=float(random.choice([0, 0.003, 0.01, 0.02])),
        eight_bit=eight_bit,
        zero_l_s=zero,
        drift_l_s2=drift,
        volume=volume,
    )


def _sensed(random: np.random.Generator, flow: Floats, sensor: Sensor) -> tuple[Floats, Floats]:
    fine_s = np.arange(len(flow)) / FINE_HZ
    n = int(fine_s[-1] * sensor.rate_hz)
    true_s = np.clip((np.arange(n) + sensor.jitter * random.uniform(-0.5, 0.5, n)) / sensor.rate_hz, 0, fine_s[-1])
    if sensor.volume:
        values = random.uniform(-2, 3) + np.interp(true_s, fine_s, np.cumsum(flow) / FINE_HZ)
        values += 0.1 * sensor.noise_l_s * random.standard_normal(n)
        step = _STEP_8_BIT_L if sensor.eight_bit else 0.001
    else:
        values = np.interp(true_s, fine_s, flow) + sensor.zero_l_s + sensor.drift_l_s2 * true_s
        values += sensor.noise_l_s * random.standard_normal(n)
        step = _STEP_8_BIT_L_S if sensor.eight_bit else 0.001
    values = np.round(values / step) * step
    kept = random.random(n) >= sensor.lost
    if random.random() < 0.3:
        return true_s[kept], values[kept]
    return true_s, np.where(kept, values, np.nan)

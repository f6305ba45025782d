"""Forced expirations whose truth is known: an analytic flow, and its indices from the definitions alone.

The undisturbed flow is ``sum a_k (exp(-t/tau_k) - exp(-t/rise))``: a quick rise, then a fast and a slow compartment
emptying. Disturbances (cough, early stop, closed glottis, leak, hesitation) act on it in continuous time. The truth is
read from that flow at `FINE_HZ` by the definitions of ATS/ERS 2019 (Graham et al., doi 10.1164/rccm.201908-1590ST):
time zero by back-extrapolation at peak flow. The sensor's own faults (offset, noise, coarse steps, jitter, lost
samples) come after the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FINE_HZ = 20_000
_MMHG_PA = 133.322
_PH2O_BODY_MMHG = 47.07


def btps_factor(temperature_c: float, pressure_pa: int) -> float:
    """Volume at BTPS over volume of saturated gas at the sensor's temperature and pressure.

    Water vapour pressure by Magnus' formula (WMO Guide to Instruments No. 8, annex 4.B).
    """
    barometric = pressure_pa / _MMHG_PA
    vapour = 611.2 * math.exp(17.62 * temperature_c / (243.12 + temperature_c)) / _MMHG_PA
    return (barometric - vapour) / (barometric - _PH2O_BODY_MMHG) * 310.15 / (273.15 + temperature_c)


@dataclass(frozen=True, slots=True)
class FlowSensor:
    """What the flow sensor adds to the truth."""

    zero_offset_l_s: float = 0.0
    noise_l_s: float = 0.0
    """Standard deviation of white noise."""
    step_l_s: float = 0.0
    """Resolution: 28 / 256 for 8 bits over -14 to 14 L/s; 0 is none."""
    jitter_s: float = 0.0
    """Standard deviation of the sampling instants."""
    lost_fraction: float = 0.0
    """Share of samples that never arrive (NaN)."""


@dataclass(frozen=True, slots=True)
class BlowTruth:
    """Indices of the flow that passed the mouthpiece. Litres, L/s, seconds from START; BTPS.

    An index that the manoeuvre is too short for is None.
    """

    fvc_l: float
    fev05_l: float | None
    fev075_l: float | None
    fev1_l: float | None
    fev3_l: float | None
    fev6_l: float | None
    pef_l_s: float
    fef25_l_s: float
    fef50_l_s: float
    fef75_l_s: float
    fef2575_l_s: float
    bev_l: float
    t0_s: float
    """Back-extrapolated time zero."""
    fet_s: float
    """From time zero to the end of expiration."""
    fivc_l: float | None


@dataclass(frozen=True)
class BlowModel:
    """Parameters of one manoeuvre; a `FlowSource` for the front-end.

    Args:
        fvc_l, fev1_fvc: of the undisturbed blow.
        rise_s: time constant of the flow's rise; the effort (0.03 is vigorous, 0.15 poor).
        fast_share, fast_tau_s: the compartment that empties fast; the slow one follows from ``fev1_fvc``.
        expiration_s: until the patient stops, from the blast's beginning.
        start_s: quiet time after START.
        hesitation_s, hesitation_l: a slow leak of breath before the blast, and its volume.
        cough_at_s: a cough so long after the blast began, or None.
        stops_at_s: the patient gives up there (the flow ends within 0.1 s), or None.
        glottis_at_s, glottis_for_s: the glottis shuts within 10 ms, for so long.
        leak_share: share of the breath that passes beside the mouthpiece.
        inspiration_before_l: full inspiration through the mouthpiece before the blow; 0: none recorded.
        fivc_l: inspiration after the blow; None: none recorded.
        sensor: what the sensor adds. seed: of its noise.

    Raises:
        ValueError: no slow compartment gives this ``fev1_fvc``.
    """

    fvc_l: float = 3.4
    fev1_fvc: float = 0.80
    rise_s: float = 0.03
    fast_share: float = 0.5
    fast_tau_s: float = 0.22
    expiration_s: float = 6.5
    start_s: float = 1.0
    hesitation_s: float = 0.0
    hesitation_l: float = 0.0
    cough_at_s: float | None = None
    stops_at_s: float | None = None
    glottis_at_s: float | None = None
    glottis_for_s: float = math.inf
    leak_share: float = 0.0
    inspiration_before_l: float = 0.0
    fivc_l: float | None = None
    sensor: FlowSensor = field(default_factory=FlowSensor)
    seed: int = 1

    @property
    def duration_s(self) -> float:
        """From START until everything is over, with 1.5 s of stillness."""
        return self._blast_s + self._expired_for_s + (2.0 if self.fivc_l else 0.0) + 1.5

    def flow_l_s(self, rate_hz: int) -> NDArray[np.float64]:
        """Flow [n] as the sensor gives it, L/s BTPS, expiration positive; NaN for a lost sample."""
        random = np.random.default_rng(self.seed)
        n = round(self.duration_s * rate_hz)
        instants = np.arange(n) / rate_hz + self.sensor.jitter_s * random.standard_normal(n)
        flow = (
            self.true_flow_l_s(instants)
            + self.sensor.zero_offset_l_s
            + self.sensor.noise_l_s * random.standard_normal(n)
        )
        if self.sensor.step_l_s:
            flow = np.round(flow / self.sensor.step_l_s) * self.sensor.step_l_s
        return np.where(random.random(n) < self.sensor.lost_fraction, np.nan, flow)

    def true_flow_l_s(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """The flow through the mouthpiece at any instants in s after START."""
        since = t - self._blast_s
        flow = self._blast(since) * self._disturbance(since)
        if self.hesitation_s:
            flow = flow + _breath(t - self.start_s - self._before_s, self.hesitation_s, self.hesitation_l)
        if self.inspiration_before_l:
            flow = flow - _breath(t - self.start_s, _INSPIRATION_S, self.inspiration_before_l)
        flow = flow * (1 - self.leak_share)
        if self.fivc_l:
            flow = flow - _breath(since - self._expired_for_s - 0.3, _INSPIRATION_S, self.fivc_l)
        return flow

    @cached_property
    def truth(self) -> BlowTruth:
        """The indices, by definition, from the flow at `FINE_HZ`."""
        first, last = self.start_s + self._before_s, self._blast_s + self._expired_for_s
        t = np.linspace(first, last, round((last - first) * FINE_HZ) + 1)
        flow = self.true_flow_l_s(t)
        volume = _integral(flow, t)
        peak = int(np.argmax(flow))
        # The tangent with slope PEF through the volume at peak flow meets the time axis at time zero.
        t0 = float(t[peak] - volume[peak] / flow[peak])
        fvc = float(volume[-1])

        def after(seconds: float) -> float | None:
            return float(np.interp(t0 + seconds, t, volume)) if t0 + seconds <= t[-1] else None

        def flow_at(share: float) -> float:
            return float(np.interp(reached(share), t, flow))

        def reached(share: float) -> float:
            return float(np.interp(share * fvc, volume, t))

        return BlowTruth(
            fvc_l=fvc,
            fev05_l=after(0.5),
            fev075_l=after(0.75),
            fev1_l=after(1.0),
            fev3_l=after(3.0),
            fev6_l=after(6.0),
            pef_l_s=float(flow[peak]),
            fef25_l_s=flow_at(0.25),
            fef50_l_s=flow_at(0.50),
            fef75_l_s=flow_at(0.75),
            fef2575_l_s=0.5 * fvc / (reached(0.75) - reached(0.25)),
            bev_l=float(np.interp(t0, t, volume)),
            t0_s=t0,
            fet_s=float(t[-1]) - t0,
            fivc_l=self.fivc_l,
        )

    @property
    def _before_s(self) -> float:
        return _INSPIRATION_S + 0.3 if self.inspiration_before_l else 0.0

    @property
    def _blast_s(self) -> float:
        """When the blast begins; the last fifth of the hesitation runs into it."""
        return self.start_s + self._before_s + 0.8 * self.hesitation_s

    @property
    def _expired_for_s(self) -> float:
        return self.expiration_s if self.stops_at_s is None else min(self.expiration_s, self.stops_at_s + _STOP_S)

    @cached_property
    def _compartments(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(volume in L, time constant in s) of the fast and the slow compartment."""

        fast, rest = self.fast_share, 1 - self.fast_share

        def volume_by(seconds: float, slow_tau: float) -> float:
            return fast * _emptied(seconds, self.fast_tau_s, self.rise_s) + rest * _emptied(
                seconds, slow_tau, self.rise_s
            )

        def ratio(slow_tau: float) -> float:
            # FEV1 is measured from back-extrapolated time zero.
            times = np.linspace(0, 1.0, 4001)
            flows = fast * _emptying(times, self.fast_tau_s, self.rise_s) + rest * _emptying(
                times, slow_tau, self.rise_s
            )
            peak = int(np.argmax(flows))
            t0 = float(times[peak]) - volume_by(float(times[peak]), slow_tau) / float(flows[peak])
            return volume_by(1 + t0, slow_tau) / volume_by(self.expiration_s, slow_tau)

        # A slower compartment would not be empty when the patient stops, and the ratio would rise again.
        slow = _bisect(lambda tau: ratio(tau) - self.fev1_fvc, self.rise_s * 1.5, self.expiration_s / 2.5)
        scale = self.fvc_l / volume_by(self.expiration_s, slow)
        return (scale * fast, self.fast_tau_s), (scale * rest, slow)

    def _blast(self, since: NDArray[np.float64]) -> NDArray[np.float64]:
        s = np.clip(since, 0, None)
        (fast, fast_tau), (slow, slow_tau) = self._compartments
        flow = fast * _emptying(s, fast_tau, self.rise_s) + slow * _emptying(s, slow_tau, self.rise_s)
        return np.where((since >= 0) & (since <= self.expiration_s), flow, 0.0)

    def _disturbance(self, since: NDArray[np.float64]) -> NDArray[np.float64]:
        """What share of the flow gets out."""
        share = np.ones_like(since)
        if self.cough_at_s is not None:
            share *= _cough(since - self.cough_at_s)
        if self.stops_at_s is not None:
            share *= _falling(since - self.stops_at_s, _STOP_S)
        if self.glottis_at_s is not None:
            shut = since - self.glottis_at_s
            share *= 1 - (1 - _falling(shut, _GLOTTIS_S)) * _falling(shut - self.glottis_for_s, _GLOTTIS_S)
        return share


_INSPIRATION_S = 1.4
_STOP_S = 0.1
_GLOTTIS_S = 0.01
_COUGH_SHUT_S = 0.08
_COUGH_OPEN_S = 0.05


def _emptying(t: NDArray[np.float64], tau_s: float, rise_s: float) -> NDArray[np.float64]:
    """Flow out of a compartment of 1 L, in L/s."""
    return (np.exp(-t / tau_s) - np.exp(-t / rise_s)) / (tau_s - rise_s)


def _emptied(seconds: float, tau_s: float, rise_s: float) -> float:
    """The integral of `_emptying` from 0, in L."""
    return (tau_s * -math.expm1(-seconds / tau_s) - rise_s * -math.expm1(-seconds / rise_s)) / (tau_s - rise_s)


def _integral(flow: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = 0.5 * (flow[1:] + flow[:-1]) * np.diff(t)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _breath(since: NDArray[np.float64], seconds: float, litres: float) -> NDArray[np.float64]:
    """A smooth breath: a raised cosine whose area is exactly ``litres``."""
    inside = (since >= 0) & (since <= seconds)
    return np.where(inside, litres / seconds * (1 - np.cos(2 * np.pi * since / seconds)), 0.0)


def _falling(since: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """1 before, 0 after, a half cosine between."""
    if math.isinf(seconds):
        return np.ones_like(since)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(since / seconds, 0, 1))


def _cough(since: NDArray[np.float64]) -> NDArray[np.float64]:
    """The glottis shuts for a moment, then bursts open to 1.6 times the flow; twice, as coughs come."""
    share = np.ones_like(since)
    for start in (0.0, 0.22):
        s = since - start
        share -= _falling(np.abs(s - _COUGH_SHUT_S / 2) - _COUGH_SHUT_S / 4, _COUGH_SHUT_S / 4)
        burst = (s >= _COUGH_SHUT_S) & (s < _COUGH_SHUT_S + _COUGH_OPEN_S)
        share += np.where(burst, 0.6 * np.sin(np.pi * np.clip((s - _COUGH_SHUT_S) / _COUGH_OPEN_S, 0, 1)), 0.0)
    return share


def _bisect(f: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses zero."""
    if not f(low) > 0 > f(high):
        raise ValueError("no slow compartment gives this FEV1/FVC: change fast_share or fast_tau_s")
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return (low + high) / 2


def demo_blows(fvc_l: float = 3.05, fev1_fvc: float = 0.58, *, inspiration: bool = True) -> tuple[BlowModel, ...]:
    """Four blows of one patient with obstruction: good, spoiled by a cough in the first second, good, good.

    The good ones agree within 0.06 L in FVC and FEV1.
    """
    good = BlowModel(
        fvc_l=fvc_l,
        fev1_fvc=fev1_fvc,
        rise_s=0.035,
        fast_share=0.32,
        fast_tau_s=0.16,
        expiration_s=11.0,
        inspiration_before_l=0.9 * fvc_l if inspiration else 0.0,
        fivc_l=0.98 * fvc_l if inspiration else None,
        sensor=FlowSensor(noise_l_s=0.004),
    )
    return (
        good,
        replace(good, fvc_l=fvc_l * 0.96, fivc_l=None, cough_at_s=0.35, seed=2),
        replace(good, fvc_l=fvc_l * 0.985, seed=3),
        replace(good, fvc_l=fvc_l * 0.992, fev1_fvc=fev1_fvc - 0.004, seed=4),
    )

"""Two independent makers of twelve leads: the simulator's, whose waves have edges, and sums of Gaussians of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

Signal = NDArray[np.float64]
INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
HEIGHTS = {  # mV of P, Q, R, S, T
    "I": (0.08, -0.05, 0.6, -0.1, 0.2),
    "II": (0.14, -0.08, 1.0, -0.15, 0.3),
    "V1": (0.04, 0.15, 0.1, -0.9, -0.05),
    "V2": (0.04, 0.2, 0.2, -1.4, 0.5),
    "V3": (0.05, 0.0, 0.7, -1.0, 0.5),
    "V4": (0.06, -0.05, 1.3, -0.6, 0.45),
    "V5": (0.06, -0.1, 1.3, -0.3, 0.35),
    "V6": (0.06, -0.1, 1.0, -0.1, 0.25),
}


@dataclass(frozen=True)
class Made:
    """Samples [12, n], beats, and the truth in ms and mm; the QRS reaches three standard deviations beyond Q and S."""

    mv: Signal
    beats: NDArray[np.int64]
    st_mm: dict[str, float]
    qrs_ms: float
    pr_ms: float
    qt_ms: float


def twelve_rows(eight: Signal) -> Signal:
    one, two = eight[0], eight[1]
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, eight[2:]])


def gaussian_ecg(
    st_mm: Mapping[str, float],
    *,
    rate_bpm: float = 70,
    fs_hz: float = 500,
    slope_mm: float = 0.0,
    noise: float = 0.0,
    seed: int = 1,
    duration_s: float = 10.0,
    narrow_s: float = 0.009,
) -> Made:
    """ST is a plateau (or a ramp of ``slope_mm`` in 60 ms) that a smooth step over the last 20 ms of QRS leads to."""
    random = np.random.default_rng(seed)
    rr = 60 / rate_bpm
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    onset, j = -2.4 * narrow_s - 3 * narrow_s, 2.4 * narrow_s + 3 * narrow_s
    pr = 0.16
    qt = min(0.39 * rr ** (1 / 3), 0.62 * rr)
    p_sd, t_sd = 0.018, 0.042 * min(1.0, rr**0.5)
    p_at, t_at = onset - pr + 2.2 * p_sd, onset + qt - 2.2 * t_sd
    r_times = np.arange(0.35 * rr, duration_s, rr)
    r_times = r_times + random.normal(0, 0.008, len(r_times))
    eight = np.zeros((8, len(t)))
    centres = (p_at, -2.4 * narrow_s, 0.0, 2.4 * narrow_s, t_at)
    widths = (p_sd, narrow_s, narrow_s, narrow_s, t_sd)
    for r in r_times:
        near = (t > r - 0.4) & (t < r + 0.9)
        u = t[near] - r
        step = np.clip((u - j + 0.02) / 0.02, 0, 1)
        ramp = np.clip((u - j) / 0.06, 0, 1)
        gone = np.clip((u - j - 0.06) / max(0.05, t_at - j - 0.06), 0, 1)
        shape = (3 * step**2 - 2 * step**3) * (1 - 3 * gone**2 + 2 * gone**3)
        for row, name in enumerate(INDEPENDENT):
            for height, centre, width in zip(HEIGHTS[name], centres, widths, strict=True):
                eight[row, near] += height * np.exp(-0.5 * ((u - centre) / width) ** 2)
            natural = sum(
                h * np.exp(-0.5 * ((j - c) / w) ** 2) for h, c, w in zip(HEIGHTS[name], centres, widths, strict=True)
            )
            eight[row, near] += shape * (st_mm.get(name, 0.0) / 10 - natural + slope_mm / 10 * ramp)
    for row in eight:
        phase, pace = random.uniform(0, 6.28, 2), random.uniform(0.15, 0.3)
        row += noise * 0.15 * np.sin(2 * np.pi * pace * t + phase[0])
        row += noise * 0.02 * np.sin(2 * np.pi * 49.97 * t + phase[1])
        rough = random.standard_normal(len(t) + 3)
        row += noise * 0.025 * (rough[3:] - rough[:-3]) / np.sqrt(2)
    wanted = np.array([[st_mm.get(name, 0.0)] for name in INDEPENDENT])
    whole = (r_times > 0.05) & (r_times < duration_s - 0.05)
    beats = np.round(r_times[whole] * fs_hz).astype(np.int64) + random.integers(-2, 3, int(whole.sum()))
    names = ("I", "II", "III", "aVR", "aVL", "aVF", *INDEPENDENT[2:])
    return Made(
        mv=twelve_rows(eight),
        beats=beats,
        st_mm=dict(zip(names, twelve_rows(wanted)[:, 0].tolist(), strict=True)),
        qrs_ms=1000 * (j - onset),
        pr_ms=1000 * pr,
        qt_ms=1000 * qt,
    )


@pytest.fixture(scope="session")
def gaussian() -> Callable[..., Made]:
    """The maker of Gaussians."""
    return gaussian_ecg

"""Synthetic ECGs with exact truth: sums of Gaussian bumps at known times, written without a look at the detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

Wave = tuple[float, float, float]
NORMAL: tuple[Wave, ...] = (
    (-0.17, 0.12, 0.022),  # P: seconds from R, millivolts, width in seconds
    (-0.026, -0.12, 0.009),
    (0.0, 1.1, 0.010),
    (0.026, -0.22, 0.010),
    (0.27, 0.28, 0.055),  # T
)

MakeEcg = Callable[..., NDArray[np.float64]]


def ecg_at(
    beats_s: Sequence[float],
    fs_hz: float,
    duration_s: float,
    waves: Sequence[Wave] = NORMAL,
    extra: Sequence[tuple[float, Wave]] = (),
) -> NDArray[np.float64]:
    """One lead in millivolts; ``extra`` adds lone waves at given times."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    signal = np.zeros(len(t))
    for at, (offset, height, width) in [(b, w) for b in beats_s for w in waves] + list(extra):
        centre = at + offset
        near = slice(max(0, int((centre - 6 * width) * fs_hz)), max(0, int((centre + 6 * width) * fs_hz) + 2))
        signal[near] += height * np.exp(-0.5 * ((t[near] - centre) / width) ** 2)
    return signal


@pytest.fixture(scope="session")
def make_ecg() -> MakeEcg:
    """The generator."""
    return ecg_at

"""A low-pass for looking at an ECG. Nothing is ever judged from what it gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zhenbao.model.recording import NO_VALUE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zhenbao.model.recording import Recording

_KERNEL_S = 0.1
"""Long enough that the pass band ends within 20 Hz of its corner."""


def lowpass_for_display(recording: Recording, cutoff_hz: float) -> Recording:
    """The recording with a symmetric low-pass (half amplitude at ``cutoff_hz``), so that no wave moves in time.

    Lost samples stay lost and nothing is drawn across them. The recording says that it was filtered.

    Raises:
        ValueError: ``cutoff_hz`` is not below half the sampling rate.
    """
    import numpy as np

    if not 0 < cutoff_hz < recording.fs_hz / 2:
        raise ValueError(f"a low-pass of {cutoff_hz} Hz at {recording.fs_hz} samples/s")
    kernel = _kernel(cutoff_hz, recording.fs_hz)
    values = recording.values()
    for channel in values:
        known = np.flatnonzero(~np.isnan(channel))
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if run.size:
                channel[run] = _smoothed(channel[run], kernel)
    raw = np.where(np.isnan(values), NO_VALUE, np.clip(np.round(values / recording.lsb), -32767, 32767))
    known_hz = recording.lowpass_hz
    return replace(
        recording,
        samples=raw.T.astype("<i2").tobytes(),
        lowpass_hz=cutoff_hz if not known_hz else min(known_hz, cutoff_hz),
    )


def _kernel(cutoff_hz: float, fs_hz: float) -> NDArray[np.float64]:
    """A windowed sinc of odd length whose weights sum to one."""
    import numpy as np

    half = round(_KERNEL_S * fs_hz / 2)
    steps = np.arange(-half, half + 1)
    weights = np.sinc(2 * cutoff_hz / fs_hz * steps) * np.hamming(2 * half + 1)
    return np.asarray(weights / weights.sum())


def _smoothed(samples: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the same length: the ends are held, so that a level stays a level up to them."""
    import numpy as np

    half = len(kernel) // 2
    return np.convolve(np.pad(samples, half, mode="edge"), kernel, mode="valid")

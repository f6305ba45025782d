"""Raw samples as recorded, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_VALUE = -32768
"""A sample that was lost, or taken with its electrode off. Never a number."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Evenly sampled channels as 16-bit integers; value = integer * ``lsb`` in ``unit``.

    ``samples`` holds little-endian int16, time-major: all channels of the first instant, then the next. Where
    ``encoding`` is not empty it holds what a codec made of them, and has to be unpacked before anything is read.
    """

    id: UUID
    observation_id: UUID
    kind: str
    """``ecg``, ``ecg-rhythm`` or ``flow``."""
    fs_hz: float
    channels: tuple[str, ...]
    unit: str
    """UCUM: ``mV`` or ``L/s``."""
    lsb: float
    started_ms: int
    samples: bytes
    absent: tuple[str, ...] = ()
    """Channels that were never connected; their samples are all ``NO_VALUE``."""
    highpass_hz: float | None = None
    lowpass_hz: float | None = None
    notch_hz: float | None = None
    complete: bool = True
    encoding: str = ""
    """Empty: plain. ``ecg-1``: the format in ``docs/ecg-codec.md``."""
    rr_1024: tuple[int, ...] = ()
    """Beat intervals that the device itself counted meanwhile, in 1/1024 s as it sent them (Heart Rate Service 1.0),
    oldest first. They stand beside the samples: which beat ends one is not told."""

    @property
    def n_samples(self) -> int:
        """Samples per channel.

        Raises:
            ValueError: the samples are packed.
        """
        if self.encoding:
            raise ValueError(f"samples are packed as {self.encoding}")
        return len(self.samples) // (2 * len(self.channels))

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.fs_hz

    def values(self) -> NDArray[np.float64]:
        """Samples as floats ``[channels, n]`` in ``unit``; NaN where there is no value."""
        import numpy as np

        if self.encoding:
            raise ValueError(f"samples are packed as {self.encoding}")
        raw = np.frombuffer(self.samples, "<i2").reshape(-1, len(self.channels)).T
        return np.where(raw == NO_VALUE, np.nan, raw * self.lsb)

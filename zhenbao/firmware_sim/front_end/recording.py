"""One running recording: samples to frames, at the pace of the device's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.firmware_sim.front_end import frames
from zhenbao.firmware_sim.front_end.frames import ELECTRODES, LEADS, NO_VALUE, Answer, Reason, Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zhenbao.firmware_sim.waveforms.ecg import EcgSource

ECG_NV = 1000
"""Nanovolts per LSB: full scale 32.767 mV."""
FLOW_UL_S = 1000
"""Microlitres per second per LSB: full scale 32.767 L/s."""
FRAME_S = 0.05
_LARGEST = 0x7FFF
_LEADS_OF = {
    "RA": {"I", "II", "aVR", "aVL", "aVF", *LEADS[6:]},
    "LA": {"I", "III", "aVR", "aVL", "aVF", *LEADS[6:]},
    "LL": {"II", "III", "aVR", "aVL", "aVF", *LEADS[6:]},
    "RL": set(LEADS),
    **{lead: {lead} for lead in LEADS[6:]},
}
"""The leads that need an electrode (section 3, type 03)."""


def digital(values: NDArray[np.float64], lsb: float) -> NDArray[np.int16]:
    """Values as 16-bit samples, clipped; NaN is "no value"."""
    scaled = np.clip(np.round(np.nan_to_num(values) / lsb), -_LARGEST, _LARGEST)
    return np.where(np.isnan(values), NO_VALUE, scaled).astype(np.int16)


def resampled(values: NDArray[np.float64], from_hz: float, to_hz: int) -> NDArray[np.float64]:
    """Values [..., n] at another rate."""
    if from_hz == to_hz:
        return values
    from fractions import Fraction

    from scipy.signal import resample_poly

    ratio = Fraction(to_hz / from_hz).limit_denominator(1000)
    result: NDArray[np.float64] = resample_poly(values, ratio.numerator, ratio.denominator, axis=-1)
    return result


@dataclass(slots=True)
class Recording:
    """Samples on their way out.

    Args:
        stream: what is recorded.
        rate_hz: samples a second.
        n_samples: how many make the duration.
        samples: [n, channels] 16-bit; ends early where there are fewer than ``n_samples``.
        started_us: device time of the first sample.
        absent: bits of leads that are not fitted.
        electrode_off: electrode to [start, stop) in samples.
        fault_at: the sample at which the amplifier or sensor fails, or None.
    """

    stream: Stream
    rate_hz: int
    n_samples: int
    samples: NDArray[np.int16]
    started_us: int
    absent: int = 0
    electrode_off: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    fault_at: int | None = None
    sent: int = 0

    @property
    def stop(self) -> int:
        """Where the recording ends, in samples."""
        return min(self.n_samples, len(self.samples), self.n_samples if self.fault_at is None else self.fault_at)

    @property
    def reason(self) -> Reason:
        """Why it ends there."""
        return Reason.FINISHED if self.stop == self.n_samples else Reason.FAULT

    @property
    def next_frame_us(self) -> int:
        """Device time at which the next frame is complete."""
        return self.time_us(min(self.sent + self._per_frame, self.stop))

    def time_us(self, sample: int) -> int:
        """Device time of a sample."""
        return self.started_us + round(sample * 1e6 / self.rate_hz)

    def take_frame(self) -> tuple[Answer, int, bytes]:
        """The next frame's type, device time and payload."""
        first, last = self.sent, min(self.sent + self._per_frame, self.stop)
        off = {name for name, (start, stop) in self.electrode_off.items() if start < last and first < stop}
        block = self.samples[first:last]
        self.sent = last
        if self.stream is Stream.FLOW:
            return Answer.FLOW, self.time_us(first), frames.flow(first, block[:, 0].tolist())
        lost = [i for i, lead in enumerate(LEADS) if any(lead in _LEADS_OF[name] for name in off)]
        block = block.copy()
        block[:, lost] = NO_VALUE
        bits = sum(1 << ELECTRODES.index(name) for name in off)
        return Answer.ECG, self.time_us(first), frames.ecg(first, bits, self.absent, block.tolist())

    @property
    def _per_frame(self) -> int:
        return min(40 if self.stream is Stream.ECG else 100, max(1, round(self.rate_hz * FRAME_S)))


def ecg_recording(
    source: EcgSource,
    rate_hz: int,
    n_samples: int,
    started_us: int,
    electrode_off: Mapping[str, tuple[int, int]],
    fault_at: int | None,
) -> Recording:
    """A recording of an ECG source from its beginning, at the device's rate."""
    samples = digital(resampled(source.mv, source.fs_hz, rate_hz), ECG_NV / 1e6)
    missing = [LEADS.index(lead) for lead in source.absent]
    samples[missing] = NO_VALUE
    bits = sum(1 << index for index in missing)
    return Recording(Stream.ECG, rate_hz, n_samples, samples.T, started_us, bits, electrode_off, fault_at)


def flow_recording(
    flow_l_s: NDArray[np.float64], rate_hz: int, n_samples: int, started_us: int, fault_at: int | None
) -> Recording:
    """A recording of a flow [n]; after its end the sensor shows no flow."""
    still = np.zeros(max(0, n_samples - len(flow_l_s)))
    samples = digital(np.concatenate([flow_l_s, still]), FLOW_UL_S / 1e6)
    return Recording(Stream.FLOW, rate_hz, n_samples, samples[:, np.newaxis], started_us, fault_at=fault_at)

"""Where the samples of a frame belong: by the strap's time stamps, over lost frames and lost connections."""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.drivers.polar.codec import NS_PER_S, EcgFrame

MOST_GAP_S = 120.0
"""A longer step is not a gap: the strap's clock was set, or it slept."""


@dataclass(slots=True)
class Placement:
    """The place of the next sample. The strap has no counter of frames, so its clock tells what was lost.

    Steps are judged from frame to frame: a real strap's rate differs from 130 Hz by about 0.13 %, which is nothing
    within one frame but seconds within hours.
    """

    fs_hz: float
    next_sample: int = 0
    refused: int = 0
    """Frames that came twice, or out of order."""
    _last_ns: int | None = None

    def place(self, frame: EcgFrame) -> int | None:
        """The index of the frame's first sample; None for a frame that cannot be placed, which is then left out."""
        n = len(frame.microvolts)
        first = self.next_sample
        if self._last_ns is not None:
            step_s = (frame.timestamp_ns - self._last_ns) / NS_PER_S
            if not 0 < step_s <= MOST_GAP_S + n / self.fs_hz:
                self.refused += 1
                return None
            lost = round(step_s * self.fs_hz) - n
            # Less than half a frame is jitter of the stamps: a lost notification is a whole one.
            first += lost if 2 * lost >= n else 0
        self._last_ns = frame.timestamp_ns
        self.next_sample = first + n
        return first

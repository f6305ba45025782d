"""Heartbeats while the recording runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.signal.ecg.causal import CausalChooser
from zhenbao.signal.ecg.envelope import Envelope
from zhenbao.signal.ecg.fusion import CausalFusion
from zhenbao.signal.ecg.locate import Locator
from zhenbao.signal.ecg.qrs import as_leads, check_rate
from zhenbao.signal.ecg.tuning import TUNING

_HOP_S = 0.12
_MEMORY_S = 3.0


class QrsStream:
    """Gives the beats of a recording as it comes; how it is cut into chunks makes no difference.

    Args:
        fs_hz: sampling rate, as for :func:`detect_qrs`.
        leads: rows of each chunk; with 1 a chunk may be one-dimensional.

    Gains, costs and levels are those of a whole recording, but learned from what came before. A clear beat is told at
    once, a doubtful one when what follows has decided about it, never later than 1.2 s after it. What was told is never
    taken back. Memory does not grow with the recording.

    Raises:
        ValueError: no such rate, or a chunk with another number of leads.
    """

    def __init__(self, fs_hz: float, leads: int = 1) -> None:
        check_rate(fs_hz)
        if leads < 1:
            raise ValueError(f"{leads} leads")
        self._fs_hz, self._leads = fs_hz, leads
        self._envelope = Envelope(fs_hz, leads)
        self._chooser = CausalChooser(self._envelope.rate_hz)
        self._fusion = CausalFusion(leads, self._chooser.bin_length)
        self._locator = Locator(fs_hz)
        step = self._envelope.step
        self._hop = max(1, round(_HOP_S * self._envelope.rate_hz)) * step
        self._keep = max(round(_MEMORY_S * fs_hz), 2 * self._hop)
        self._raw = np.empty((leads, 4 * self._keep))
        self._raw_start = 0
        """Index since the start of the recording of the first column."""
        self._filled = 0
        self._taken = 0
        self._last_peak = -1

    @property
    def latency_s(self) -> float:
        """A clear beat is told at most this long after its R peak; those of the first 2 s come when these are over."""
        ahead = (self._envelope.reach_behind + self._chooser.reach) / self._envelope.rate_hz
        return ahead + self._hop / self._fs_hz + TUNING.wait_s + TUNING.peak_reach_s

    def push(self, chunk_mv: ArrayLike) -> list[int]:
        """Add samples ``[n]`` or ``[leads, n]``; return the R peaks now certain: indices since the start, ascending."""
        chunk = as_leads(chunk_mv)
        if len(chunk) != self._leads:
            raise ValueError(f"a chunk of {len(chunk)} leads in a stream of {self._leads}")
        peaks: list[int] = []
        at, n = 0, chunk.shape[1]
        while at < n:
            if self._filled == self._raw.shape[1]:
                self._forget()
            more = min(n - at, self._raw.shape[1] - self._filled)
            self._raw[:, self._filled : self._filled + more] = chunk[:, at : at + more]
            self._filled += more
            at += more
            while self._filled - self._taken >= self._hop:
                block = self._raw[:, self._taken : self._taken + self._hop]
                self._taken += self._hop
                found = self._chooser.push(*self._fusion.push(*self._envelope.push(block)))
                if found:
                    peaks += self._locate(found)
        return peaks

    def flush(self) -> list[int]:
        """The recording has ended: the remaining beats. The stream takes no more samples that count."""
        rest = self._raw[:, self._taken : self._filled]
        self._taken = self._filled
        found = []
        for heights, sharps in (self._envelope.push(rest), self._envelope.flush()):
            found += self._chooser.push(*self._fusion.push(heights, sharps))
        found += self._chooser.push(*self._fusion.flush())
        return self._locate(found + self._chooser.flush())

    def _locate(self, found: list[int]) -> list[int]:
        step, around = self._envelope.step, self._locator.around
        fresh = []
        for centre in found:
            at = centre * step + step // 2 - self._raw_start
            first = max(0, at - around)
            piece = self._raw[:, first : min(self._filled, at + around + 1)]
            if not piece.shape[1]:
                continue
            peak = int(self._locator.locate(piece, np.array([at - first]))[0]) + first + self._raw_start
            if peak > self._last_peak:
                self._last_peak = peak
                fresh.append(peak)
        return fresh

    def _forget(self) -> None:
        drop = min(self._taken, self._filled - self._keep)
        rest = self._filled - drop
        self._raw[:, :rest] = self._raw[:, drop : self._filled].copy()
        self._raw_start += drop
        self._filled, self._taken = rest, self._taken - drop

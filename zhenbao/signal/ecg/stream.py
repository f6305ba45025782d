"""Heartbeats while the recording runs."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.signal.ecg.candidates import NO_BINS, NONE, Bins, CandidateFinder, Candidates
from zhenbao.signal.ecg.choose import choose_beats
from zhenbao.signal.ecg.envelope import Envelope
from zhenbao.signal.ecg.locate import Locator
from zhenbao.signal.ecg.qrs import as_leads, check_rate

_HOP_S = 0.2
_WAIT_S = 0.5
_WARM_UP_S = 3.0
_MEMORY_S = 12.0
_BINS = 75


class QrsStream:
    """Gives the beats of a recording as it comes; how it is cut into chunks makes no difference.

    Args:
        fs_hz: sampling rate, as for :func:`detect_qrs`.
        leads: rows of each chunk; with 1 a chunk may be one-dimensional.

    The last seconds are judged anew at every hop with the same rules as a whole recording, and a beat is told once it
    is old enough that what follows would rarely change it. What was told is never taken back, so a few beats in a
    thousand differ from :func:`detect_qrs`, which knows the future. Memory does not grow with the recording.

    Raises:
        ValueError: no such rate, or a chunk with another number of leads.
    """

    def __init__(self, fs_hz: float, leads: int = 1) -> None:
        check_rate(fs_hz)
        if leads < 1:
            raise ValueError(f"{leads} leads")
        self._fs_hz, self._leads = fs_hz, leads
        self._envelope = Envelope(fs_hz, leads)
        self._finder = CandidateFinder(self._envelope.rate_hz)
        self._locator = Locator(fs_hz)
        step = self._envelope.step
        self._hop = max(1, round(_HOP_S * self._envelope.rate_hz)) * step
        self._raw = np.empty((leads, 0))
        self._raw_start = 0
        self._taken = 0
        self._found = NONE
        self._bins = NO_BINS
        self._told: deque[int] = deque()
        self._last_peak = -1

    @property
    def latency_s(self) -> float:
        """A clear beat is told at most this long after its R peak; those of the first 3 s come when these are over."""
        envelope, finder = self._envelope, self._finder
        return _WAIT_S + 2 * _HOP_S + (envelope.reach_behind + finder.reach) / envelope.rate_hz

    def push(self, chunk_mv: ArrayLike) -> list[int]:
        """Add samples ``[n]`` or ``[leads, n]``; return the R peaks now certain: indices since the start, ascending."""
        chunk = as_leads(chunk_mv)
        if len(chunk) != self._leads:
            raise ValueError(f"a chunk of {len(chunk)} leads in a stream of {self._leads}")
        self._raw = np.concatenate([self._raw, chunk], axis=1)
        peaks: list[int] = []
        while self._raw_start + self._raw.shape[1] - self._taken >= self._hop:
            peaks += self._advance()
        return peaks

    def flush(self) -> list[int]:
        """The recording has ended: the remaining beats. The stream takes no more samples that count."""
        rest = self._raw[:, self._taken - self._raw_start :]
        self._taken += rest.shape[1]
        self._keep(*self._finder.push(*self._envelope.push(rest)))
        self._keep(*self._finder.push(*self._envelope.flush()))
        self._keep(*self._finder.flush())
        return self._tell(before=None)

    def _advance(self) -> list[int]:
        start = self._taken - self._raw_start
        self._taken += self._hop
        block = self._raw[:, start : start + self._hop]
        self._keep(*self._finder.push(*self._envelope.push(block)))
        rate = self._envelope.rate_hz
        peaks: list[int] = []
        if self._finder.done >= _WARM_UP_S * rate:
            peaks = self._tell(before=self._finder.done - round(_WAIT_S * rate))
        self._forget()
        return peaks

    def _keep(self, found: Candidates, bins: Bins) -> None:
        if len(found):
            self._found = self._found.join(found)
        if len(bins.highest):
            self._bins = self._bins.join(bins).newest(_BINS)

    def _tell(self, before: int | None) -> list[int]:
        after = self._told[-1] if self._told else -1
        if not len(self._found) or self._found.at[-1] <= after:
            return []
        chosen = choose_beats(
            self._found,
            self._bins,
            self._envelope.rate_hz,
            self._finder.bin_length,
            settled=np.array(self._told, np.int64),
        )
        new = chosen if before is None else chosen[chosen < before]
        if not len(new):
            return []
        self._told.extend(new.tolist())
        step = self._envelope.step
        peaks = self._locator.locate(self._raw, new * step + step // 2 - self._raw_start) + self._raw_start
        fresh = [p for p in np.unique(peaks).tolist() if p > self._last_peak]
        self._last_peak = max(fresh, default=self._last_peak)
        return fresh

    def _forget(self) -> None:
        oldest = self._finder.done - round(_MEMORY_S * self._envelope.rate_hz)
        if oldest <= 0:
            return
        self._found = self._found.pick(self._found.at >= oldest)
        while self._told and self._told[0] < oldest and len(self._told) > 1:
            self._told.popleft()
        drop = oldest * self._envelope.step - 2 * self._locator.around - self._raw_start
        if drop > 0:
            self._raw = self._raw[:, drop:]
            self._raw_start += drop

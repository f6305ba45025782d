"""From samples to the energy of the QRS band, block by block, with exact results however the blocks are cut.

Every filter is a finite impulse response around its own sample, so a block needs only its neighbours; nothing
has to settle and nothing is learned here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg.tuning import TUNING, Tuning

Floats = NDArray[np.float64]

_ABSURD = 1e12
"""Beyond this a sample is no voltage in any unit."""
_FLAT_S = 0.5
"""A lead that does not move for this long has no say about that time."""


def inner_step(fs_hz: float, tuning: Tuning = TUNING) -> int:
    """How many samples are averaged into one before filtering."""
    return max(1, round(fs_hz / tuning.inner_rate_hz))


def band_taps(rate_hz: float, centre_hz: float, width_hz: float) -> tuple[Floats, Floats]:
    """Even and odd taps of a Gabor filter whose pass band is a Gaussian; the even one has no response to a constant.

    The length of the two outputs as a vector is the envelope of the band: it has one maximum a QRS,
    whatever its polarity and shape (Gabor 1946).
    """
    spread = 1 / (2 * math.pi * width_hz)
    half = max(1, round(3 * spread * rate_hz))
    t = np.arange(-half, half + 1) / rate_hz
    window = np.exp(-0.5 * (t / spread) ** 2)
    even = window * np.cos(2 * math.pi * centre_hz * t)
    even -= window * (even.sum() / window.sum())
    odd = window * np.sin(2 * math.pi * centre_hz * t)
    scale = 2 / window.sum()
    return even * scale, odd * scale


class FilterBank:
    """Both bands of a stretch at once, as one product with a banded matrix: a block of outputs is a row."""

    _BLOCK = 16
    _AT_ONCE = 96
    """Rows of a product: small enough to stay in the cache and on one core."""

    def __init__(self, rate_hz: float, tuning: Tuning) -> None:
        bands = (
            *band_taps(rate_hz, tuning.band_hz, tuning.band_width_hz),
            *band_taps(rate_hz, tuning.sharp_hz, tuning.sharp_width_hz),
        )
        self.reach = max(len(taps) for taps in bands) // 2
        block = self._BLOCK
        matrix = np.zeros((block + 2 * self.reach, 4 * block))
        for band, taps in enumerate(bands):
            start = self.reach - len(taps) // 2
            for i in range(block):
                matrix[start + i : start + i + len(taps), band * block + i] = taps[::-1]
        self._matrix = matrix

    def lengths(self, row: Floats) -> tuple[Floats, Floats]:
        """Envelopes of the QRS band and of the sharp band, ``2 reach`` shorter than ``row``."""
        block = self._BLOCK
        count = len(row) - 2 * self.reach
        if count <= block:
            out = row @ self._matrix[: len(row)]
            out *= out
            short = np.sqrt(out.reshape(2, 2, block).sum(axis=1))
            return short[0, :count], short[1, :count]
        blocks = -(-count // block)
        padded = np.zeros(blocks * block + 2 * self.reach)
        padded[: len(row)] = row
        stride = padded.strides[0]
        rows = np.lib.stride_tricks.as_strided(
            padded, (blocks, block + 2 * self.reach), (block * stride, stride), writeable=False
        )
        both = np.empty((2, blocks, block))
        for start in range(0, blocks, self._AT_ONCE):
            part = slice(start, start + self._AT_ONCE)
            out = rows[part] @ self._matrix
            np.multiply(out, out, out=out)
            np.add(out[:, :block], out[:, block : 2 * block], out=both[0, part])
            np.add(out[:, 2 * block : 3 * block], out[:, 3 * block :], out=both[1, part])
        np.sqrt(both, out=both)
        return both[0].ravel()[:count], both[1].ravel()[:count]


class Envelope:
    """Turns samples of one or more leads into their envelopes at the inner rate.

    Args:
        fs_hz: sampling rate of the samples.
        leads: rows of each block.

    Gaps (NaN, infinite) are closed: the signal goes on from where it stopped, so a gap makes no step; its time counts
    as unknown.
    Among several leads one that does not move for half a second says nothing: 0.
    """

    def __init__(self, fs_hz: float, leads: int, tuning: Tuning = TUNING) -> None:
        self.step = inner_step(fs_hz, tuning)
        self.rate_hz = fs_hz / self.step
        self._bank = FilterBank(self.rate_hz, tuning)
        self._flat = max(2, round(_FLAT_S * self.rate_hz) - self._bank.reach)
        self._ahead = self._bank.reach
        # Only where leads are weighed against each other does it matter whether one is flat.
        self._past = self._ahead if leads == 1 else max(self._ahead, self._flat + 1)
        self._left = np.empty((leads, 0))
        self._inner = np.empty((leads, 0))
        self._known = np.empty((leads, 0), bool)
        self._offset = np.zeros(leads)
        self._level = np.zeros(leads)
        self._gap = np.ones(leads, bool)
        self._started = False

    @property
    def reach_behind(self) -> int:
        """Inner samples that must follow before a value is given."""
        return self._ahead

    def push(self, block: Floats) -> tuple[Floats, Floats]:
        """Add samples ``[leads, n]``; return the next values of the envelopes and of the sharp bands, ``[leads, m]``.

        NaN in an envelope: the lead is not known there.
        """
        samples = np.concatenate([self._left, block], axis=1) if self._left.shape[1] else block
        whole = samples.shape[1] // self.step
        if not whole:
            self._left = samples.copy()
            return self._nothing()
        if samples.shape[1] > whole * self.step or self._left.shape[1]:
            self._left = samples[:, whole * self.step :].copy()
            samples = samples[:, : whole * self.step]
        return self._take(samples.reshape(len(samples), whole, self.step))

    def flush(self) -> tuple[Floats, Floats]:
        """The values that only waited for what follows: the recording has ended."""
        parts = []
        if self._left.shape[1]:
            short = self.step - self._left.shape[1]
            filled = np.concatenate([self._left, np.repeat(self._left[:, -1:], short, axis=1)], axis=1)
            self._left = self._left[:, :0]
            parts.append(self._take(filled[:, None, :]))
        if self._started:
            self._append(
                np.repeat(self._inner[:, -1:], self._ahead, axis=1),
                np.repeat(self._known[:, -1:], self._ahead, axis=1),
            )
            parts.append(self._compute())
        if not parts:
            return self._nothing()
        return np.concatenate([p[0] for p in parts], axis=1), np.concatenate([p[1] for p in parts], axis=1)

    def _nothing(self) -> tuple[Floats, Floats]:
        return np.empty((len(self._inner), 0)), np.empty((len(self._inner), 0))

    def _take(self, groups: Floats) -> tuple[Floats, Floats]:
        with np.errstate(invalid="ignore", over="ignore"):
            inner = groups[:, :, 0] + groups[:, :, 1] if self.step > 1 else groups[:, :, 0].copy()
            for i in range(2, self.step):
                inner += groups[:, :, i]
            inner /= self.step
            known = np.abs(inner) < _ABSURD
        inner = self._close_gaps(inner, known)
        if not self._started:
            self._started = True
            self._append(np.repeat(inner[:, :1], self._past, axis=1), np.repeat(known[:, :1], self._past, axis=1))
        self._append(inner, known)
        return self._compute()

    def _append(self, inner: Floats, known: NDArray[np.bool_]) -> None:
        self._inner = np.concatenate([self._inner, inner], axis=1)
        self._known = np.concatenate([self._known, known], axis=1)

    def _close_gaps(self, inner: Floats, known: NDArray[np.bool_]) -> Floats:
        """Shift what follows a gap (and the first sample) to the level where the signal stopped (0 at the start)."""
        if known.all() and not self._gap.any():
            inner += self._offset[:, None]
            self._level = inner[:, -1].copy()
            return inner
        for lead, (row, sure) in enumerate(zip(inner, known, strict=True)):
            level, offset, gap = self._level[lead], self._offset[lead], self._gap[lead]
            out = np.full(len(row), level)
            edges = np.flatnonzero(np.diff(sure.astype(np.int8), prepend=0, append=0))
            for start, stop in edges.reshape(-1, 2).tolist():
                if gap or start > 0:
                    offset = level - row[start]
                out[start:stop] = row[start:stop] + offset
                level = out[stop - 1]
                out[stop:] = level
            inner[lead] = out
            self._level[lead], self._offset[lead], self._gap[lead] = level, offset, not sure[-1]
        return inner

    def _compute(self) -> tuple[Floats, Floats]:
        new = self._inner.shape[1] - self._past - self._ahead
        if new <= 0:
            return self._nothing()
        past, ahead = self._past, self._ahead
        heights, sharps = np.empty((2, len(self._inner), new))
        for lead, row in enumerate(self._inner):
            heights[lead], sharps[lead] = self._bank.lengths(row[past - ahead :])
        unknown = ~self._known[:, past : past + new]
        if len(self._inner) > 1:
            changes = np.cumsum(self._inner[:, 1:] != self._inner[:, :-1], axis=1)
            still = changes[:, past + ahead - 1 :] == changes[:, past - self._flat - 1 : past - self._flat - 1 + new]
            heights[still] = 0.0
        if unknown.any():
            heights[unknown] = np.nan
            sharps[unknown] = 0.0
        keep = self._past + self._ahead
        self._inner = self._inner[:, -keep:].copy()
        self._known = self._known[:, -keep:].copy()
        return heights, sharps

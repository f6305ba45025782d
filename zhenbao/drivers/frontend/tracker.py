"""Finds the gaps in a stream by ``first_sample`` (docs/devices/front-end.md, section 1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from zhenbao.drivers.frontend.messages import EcgSamples, End, FlowSamples


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that were lost on the way: ``n_samples`` from ``first_sample`` on."""

    first_sample: int
    n_samples: int


class Piece(Protocol):
    """Samples that know their place."""

    @property
    def first_sample(self) -> int: ...
    @property
    def n_samples(self) -> int: ...


def lost_stretches(pieces: Iterable[Piece], end_n: int = 0) -> tuple[tuple[int, int], ...]:
    """Stretches [start, stop) in samples that no piece holds, before the last one held and the device's own count.

    They were lost on the way: a device numbers every sample that it takes, whether its electrodes are on or off.
    """
    lost, at = [], 0
    for first, stop in sorted((p.first_sample, p.first_sample + p.n_samples) for p in pieces):
        if first > at:
            lost.append((at, first))
        at = max(at, stop)
    if end_n > at:
        lost.append((at, end_n))
    return tuple(lost)


@dataclass(slots=True)
class SampleTracker:
    """Where a recording stands.

    Args:
        limit: samples that the recording can have at most; what lies beyond is refused, so that a faulty device
            cannot make the kit fill its memory.
    """

    limit: int
    expected: int = 0
    """The next sample's index."""
    refused: int = 0
    """Frames whose place is impossible: repeated (the device never repeats one) or beyond the limit."""

    def take(self, samples: EcgSamples | FlowSamples) -> Iterator[Gap | EcgSamples | FlowSamples]:
        """Yield the gap before these samples, if there is one, and the samples."""
        stop = samples.first_sample + samples.n_samples
        if samples.first_sample < self.expected or stop > self.limit:
            self.refused += 1
            return
        yield from self._gap_to(samples.first_sample)
        self.expected = stop
        yield samples

    def end(self, end: End) -> Iterator[Gap | End]:
        """Yield the gap before the end, if there is one, and the end; nothing if the end cannot be true."""
        if end.n_samples > self.limit:
            self.refused += 1
            return
        yield from self._gap_to(end.n_samples)
        yield end

    def _gap_to(self, index: int) -> Iterator[Gap]:
        if index > self.expected:
            yield Gap(self.expected, index - self.expected)
            self.expected = index

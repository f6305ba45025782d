"""A rhythm strip of one lead from another maker's device: journaled pieces, and how they become one ``Recording``.

Pieces carry their place, so that what was lost between them shows as a gap, whatever the device's own frames look like.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from zhenbao.model.observation import Device
from zhenbao.model.recording import NO_VALUE, Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HIGHEST = 32767


@dataclass(frozen=True, slots=True)
class StripHead:
    """What is known before the first sample."""

    fs_hz: float
    lsb_mv: float
    """Millivolts of one step of the samples."""
    lead: str
    """A key of the ``ecg_lead`` words; never a standard lead's name where the electrodes are elsewhere."""
    device: Device


@dataclass(frozen=True, slots=True)
class StripSamples:
    """Samples one after another; little-endian int16, ``NO_VALUE`` where there is none."""

    first_sample: int
    samples: bytes

    @property
    def n_samples(self) -> int:
        return len(self.samples) // 2


@dataclass(frozen=True, slots=True)
class StripEnd:
    """The recording ran its whole length: so many samples."""

    n_samples: int


StripEvent = StripHead | StripSamples | StripEnd


def packed(values: Sequence[int]) -> bytes:
    """Samples as they are kept. One that does not fit 16 bits is no value: a clipped wave would be a wrong one."""
    kept = array("h", (value if -_HIGHEST <= value <= _HIGHEST else NO_VALUE for value in values))
    if sys.byteorder == "big":
        kept.byteswap()
    return kept.tobytes()


def assemble_strip(
    head: StripHead,
    pieces: Iterable[StripSamples],
    end: StripEnd | None,
    *,
    id: UUID,
    observation_id: UUID,
    started_ms: int,
    rr_1024: Sequence[int] = (),
) -> Recording:
    """Put the pieces in their places; what no piece holds is ``NO_VALUE``.

    Args:
        head: the strip's head.
        pieces: in any order; of overlapping ones the later stands.
        end: None if the recording broke off.
        id: the recording's id.
        rr_1024: beat intervals that the device counted itself, in 1/1024 s.

    Returns:
        Of kind ``ecg-rhythm``; ``complete`` only if it ran its length and every sample of it is here.
    """
    import numpy as np

    held = list(pieces)
    total = max((p.first_sample + p.n_samples for p in held), default=0)
    total = max(total, end.n_samples if end else 0)
    samples = np.full(total, NO_VALUE, dtype="<i2")
    for piece in held:
        samples[piece.first_sample : piece.first_sample + piece.n_samples] = np.frombuffer(piece.samples, "<i2")
    whole = end is not None and total > 0 and not bool((samples == NO_VALUE).any())
    return Recording(
        id=id,
        observation_id=observation_id,
        kind="ecg-rhythm",
        fs_hz=head.fs_hz,
        channels=(head.lead,),
        unit="mV",
        lsb=head.lsb_mv,
        started_ms=started_ms,
        samples=samples.tobytes(),
        complete=whole,
        rr_1024=tuple(rr_1024),
    )

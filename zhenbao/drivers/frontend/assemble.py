"""Journaled pieces of a recording to one ``Recording``: missing samples are "no value", never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from zhenbao.drivers.frontend.messages import EcgSamples, End, EndReason, FlowSamples, Stream, StreamHead
from zhenbao.drivers.frontend.tracker import lost_stretches
from zhenbao.model.ecg import LEADS
from zhenbao.model.recording import NO_VALUE, Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FLOW_CHANNELS = ("flow",)
_LIMB = frozenset({"aVR", "aVL", "aVF"})
_CHEST = frozenset(lead for lead in LEADS if lead.startswith("V"))
LEADS_OF_ELECTRODE: dict[str, frozenset[str]] = {
    "RA": frozenset({"I", "II"}) | _LIMB | _CHEST,
    "LA": frozenset({"I", "III"}) | _LIMB | _CHEST,
    "LL": frozenset({"II", "III"}) | _LIMB | _CHEST,
    "RL": frozenset(LEADS),
} | {lead: frozenset({lead}) for lead in _CHEST}
"""Leads that say nothing without this electrode (docs/devices/front-end.md, section 3, ECG)."""


def assemble(
    head: StreamHead,
    chunks: Iterable[EcgSamples | FlowSamples],
    end: End | None,
    *,
    id: UUID,
    observation_id: UUID,
    started_ms: int,
    kind: str | None = None,
    channels: Sequence[str] | None = None,
    notch_hz: float | None = None,
) -> Recording:
    """Put the pieces in their places.

    Every sample that no chunk holds, every sample of a lead whose electrode is off, and every sample of an absent lead
    is ``NO_VALUE``, whatever was sent for it.

    Args:
        head: the stream's head.
        chunks: in any order; of overlapping ones the later stands.
        end: None if the recording broke off.
        id: the recording's id.
        kind: ``ecg`` or ``flow`` by the stream unless told otherwise (``ecg-rhythm``).
        channels: keep only these, in this order; all unless told otherwise.
        notch_hz: the mains frequency of the front-end's settings, where known.

    Returns:
        ``complete`` only if the device said that it finished and every sample from 0 to its count is here.

    Raises:
        ValueError: a chunk's length does not fit the stream's channels, or a channel is not of this stream.
    """
    import numpy as np

    names = LEADS if head.stream is Stream.ECG else FLOW_CHANNELS
    pieces = list(chunks)
    held_to = max((p.first_sample + p.n_samples for p in pieces), default=0)
    total = max(held_to, end.n_samples if end else 0)
    samples = np.full((total, len(names)), NO_VALUE, dtype="<i2")
    absent: set[str] = set()
    for piece in pieces:
        stop = piece.first_sample + piece.n_samples
        samples[piece.first_sample : stop] = np.frombuffer(piece.samples, "<i2").reshape(-1, len(names))
        if isinstance(piece, EcgSamples):
            absent |= piece.absent
            silent = piece.absent.union(*(LEADS_OF_ELECTRODE[electrode] for electrode in piece.electrode_off))
            samples[piece.first_sample : stop, [names.index(lead) for lead in silent]] = NO_VALUE
    kept = names if channels is None else tuple(channels)
    # A lead counts as absent only if it was never there; one that was fitted later keeps its samples.
    without = {name for i, name in enumerate(names) if name in absent and bool((samples[:, i] == NO_VALUE).all())}
    finished = end is not None and end.reason is EndReason.FINISHED and end.n_samples == total
    return Recording(
        id=id,
        observation_id=observation_id,
        kind=kind or ("ecg" if head.stream is Stream.ECG else "flow"),
        fs_hz=float(head.fs_hz),
        channels=kept,
        unit="mV" if head.stream is Stream.ECG else "L/s",
        lsb=head.lsb,
        started_ms=started_ms,
        samples=samples[:, [names.index(name) for name in kept]].tobytes(),
        absent=tuple(name for name in kept if name in without),
        highpass_hz=head.highpass_hz,
        lowpass_hz=head.lowpass_hz,
        notch_hz=notch_hz,
        complete=finished and total > 0 and not lost_stretches(pieces, end.n_samples if end else 0),
    )

"""Recordings with their samples packed without loss: a third to a fifth of what they are.

The kit packs before it keeps and sends; whoever looks at samples unpacks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zhenbao.model.errors import StorageError
from zhenbao.model.recording import Recording
from zhenbao.signal.ecg.compress.parts import compress, decompress

_ECG = "ecg-1"
_SHORTEST_BYTES = 2048
"""Below, the codec's head costs more than it gains."""


def packed(recording: Recording) -> Recording:
    """An ECG packed; anything else, and what would not come back the same, as it is."""
    if not recording.kind.startswith("ecg") or recording.encoding or len(recording.samples) < _SHORTEST_BYTES:
        return recording
    if len(recording.samples) % (2 * len(recording.channels)):
        return recording
    leads = np.frombuffer(recording.samples, "<i2").reshape(-1, len(recording.channels)).T.astype(np.int16)
    made = replace(recording, samples=compress(leads, recording.channels), encoding=_ECG)
    # Looked at before the plain samples are let go: nobody can record them again.
    return made if plain(made) == recording and len(made.samples) < len(recording.samples) else recording


def plain(recording: Recording) -> Recording:
    """With the samples as they were recorded.

    Raises:
        StorageError: ``recording-packed``; they cannot be unpacked.
    """
    if not recording.encoding:
        return recording
    decoded = decompress(recording.samples) if recording.encoding == _ECG else None
    if decoded is None or not decoded.whole or not decoded.pieces:
        raise StorageError("recording-packed", encoding=recording.encoding[:32])
    samples = decoded.pieces[0].samples
    if samples.dtype != np.int16 or len(samples) != len(recording.channels):
        raise StorageError("recording-packed", encoding=recording.encoding[:32])
    return replace(recording, samples=np.ascontiguousarray(samples.T, "<i2").tobytes(), encoding="")

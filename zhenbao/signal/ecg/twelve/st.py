"""ST levels of an averaged beat, and how sure they are."""

from __future__ import annotations

import numpy as np

from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.twelve.criteria import criteria
from zhenbao.signal.ecg.twelve.delineate import MIDMEAN_VARIANCE, NORMAL_MAD

MM_PER_MV = 10.0
J60_MS = 60


def j_levels(beat: Floats, j: int) -> Floats:
    """Levels ``[..., leads]`` in mm at the J point.

    The level is that of a straight line through the beginning of the ST segment: less noisy than one sample, and not
    bent upwards by a steep segment as a mean would be.

    Args:
        beat: ``[..., leads, ms]`` in mV, 0 at QRS onset.
        j: index of the J point.
    """
    span = round(criteria()["st_fit_ms"])
    offsets = np.arange(span) - (span - 1) / 2
    # Just after J, where no tail of an S wave is left.
    at = -(span - 1) / 2 + 1
    weights = 1 / span + at * offsets / float((offsets**2).sum())
    levels: Floats = MM_PER_MV * beat[..., j : j + span] @ weights
    return levels


def j60_levels(beat: Floats, j: int) -> Floats:
    """Levels ``[..., leads]`` in mm 60 ms after the J point, a mean over 13 ms.

    Args:
        beat: ``[..., leads, ms]`` in mV, 0 at QRS onset.
        j: index of the J point.
    """
    levels: Floats = MM_PER_MV * beat[..., j + J60_MS - 6 : j + J60_MS + 7].mean(axis=-1)
    return levels


def standard_errors(beats: Floats, j: int) -> Floats:
    """One standard error in mm of the averaged J level ``[leads]``, from how the beats' own levels scatter.

    Args:
        beats: ``[beats, leads, ms]`` in mV, each 0 at QRS onset, NaN in gaps.
        j: index of the J point.
    """
    each = j_levels(beats, j)
    result = np.full(beats.shape[1], np.nan)
    for lead, levels in enumerate(each.T):
        known = levels[np.isfinite(levels)]
        if len(known) >= criteria()["least_beats"]:
            scatter = NORMAL_MAD * float(np.median(np.abs(known - np.median(known))))
            result[lead] = scatter * np.sqrt(MIDMEAN_VARIANCE / (len(known) - 1))
    return result

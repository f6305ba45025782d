"""Arm electrodes exchanged, or a heart on the right: told apart by the chest leads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zhenbao.model.finding import Confidence
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.twelve.criteria import criteria


def arms_exchanged(
    qrs: Mapping[str, Floats], p_mv: Mapping[str, float] | None
) -> tuple[str, Confidence, tuple[str, ...]] | None:
    """``reversal`` or ``dextrocardia``, how sure, and on which leads; None where neither is seen.

    Exchanged arms turn lead I over and leave the chest alone, so I and V6, which look at the same side, contradict each
    other, and P, which the sinus node sends to the left, is inverted in I and upright in aVR. In dextrocardia V6 is as
    inverted as I (Cureus 2024, https://pmc.ncbi.nlm.nih.gov/articles/PMC10902517/).

    Args:
        qrs: by lead, averaged QRS from onset to J point, mV.
        p_mv: by lead, height of P against the level around it; None where no P leads the QRS.
    """
    needed = ("I", "aVR", "V1", "V5", "V6")
    if not set(needed) <= set(qrs):
        return None
    table = criteria()
    one, right = qrs["I"], qrs["aVR"]
    if not (one.sum() < 0 and -one.min() > one.max()):
        return None
    if p_mv is None:
        upright = right.sum() > 0
    elif p_mv.get("I", 0.0) <= -table["reversal_p_mv"]:
        upright = right.sum() > 0 or p_mv.get("aVR", 0.0) > 0
    else:
        return None
    match = _correlation(one, qrs["V6"])
    heights = [float(np.ptp(qrs[name])) for name in ("V1", "V6")]
    if match <= table["reversal_match"] and qrs["V6"].sum() > 0:
        if p_mv is None:
            return ("reversal", "uncertain", ("I", "aVR", "V6")) if upright else None
        return (
            "reversal",
            "likely" if upright or match <= table["reversal_sure_match"] else "possible",
            ("I", "aVR", "V6"),
        )
    if p_mv is not None and qrs["V6"].sum() < 0 and qrs["V5"].sum() < 0:
        sure: Confidence = "possible" if heights[1] < heights[0] else "uncertain"
        return "dextrocardia", sure, ("I", "aVR", "V1", "V5", "V6")
    return ("reversal", "uncertain", ("I", "aVR")) if p_mv is not None and upright else None


def _correlation(one: Floats, other: Floats) -> float:
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0

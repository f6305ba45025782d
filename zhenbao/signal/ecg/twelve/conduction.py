"""What shape of QRS it is: a bundle branch, a pacemaker, a second pathway; and the axis."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from zhenbao.model.ecg_twelve import Conduction
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.twelve.criteria import criteria
from zhenbao.signal.ecg.twelve.delineate import slope_mv_s

Complexes = Mapping[str, Floats]
"""By lead, one averaged QRS from onset to J point, mV against its onset, a sample a millisecond."""


def axis_deg(qrs: Complexes) -> float | None:
    """Frontal axis of the QRS area; None without I and aVF, or where the area is too small to have a direction."""
    if "I" not in qrs or "aVF" not in qrs:
        return None
    x = float(qrs["I"].sum())
    y = float(qrs["aVF"].sum()) * 2 / math.sqrt(3)  # aVF is longer than I by that much in Einthoven's triangle
    moved = sum(float(np.abs(qrs[name]).sum()) for name in ("I", "aVF"))
    if math.hypot(x, y) < 0.05 * moved or moved == 0:
        return None
    return math.degrees(math.atan2(y, x))


def conduction(qrs: Complexes, pr_ms: float | None, paced: bool) -> Conduction | None:
    """Key of the shape; None where the leads that tell are missing.

    Args:
        qrs: see `Complexes`.
        pr_ms: None where no P wave leads.
        paced: a spike or the beats' class said so.
    """
    if paced:
        return "paced"
    table = criteria()
    length = len(next(iter(qrs.values()), np.zeros(0)))
    if length == 0:
        return None
    if pr_ms is not None and pr_ms < table["pr_short_ms"] and length >= table["delta_qrs_ms"] and _slow_start(qrs):
        return "preexcited"
    if length < table["wide_qrs_ms"]:
        return "normal"
    lateral = [qrs[name] for name in ("I", "V6") if name in qrs]
    if "V1" not in qrs or not lateral:
        return None
    v1 = qrs["V1"]
    late = v1[round(0.6 * length) :]
    s_waves = [_late_s(one) for one in lateral]
    if late.max(initial=0.0) > 0.1 and late.mean() > 0 and any(s_waves):
        return "rbbb"
    mostly_down = -v1.min() > 2 * max(v1.max(), 0.0) and v1.sum() < 0
    upright = all(one.sum() > 0 and one.max() > 2 * -min(one.min(), 0.0) for one in lateral)
    no_q = all(_first_q(one) < max(0.05, 0.08 * float(one.max())) for one in lateral)
    if mostly_down and upright and no_q:
        return "lbbb"
    return "wide"


def _slow_start(qrs: Complexes) -> bool:
    speed = np.sqrt((slope_mv_s(np.array(list(qrs.values())), 4) ** 2).mean(axis=0))
    return bool(speed[6:30].mean() < criteria()["delta_share"] * speed.max())


def _late_s(one: Floats) -> bool:
    """An S wave that is broad (40 ms) in the second half."""
    late = one[len(one) // 2 :]
    return bool(np.count_nonzero(late < -0.05) >= 40)


def _first_q(one: Floats) -> float:
    """Depth of a Q wave before the top, mV."""
    return float(-min(one[: int(np.argmax(one)) + 1].min(), 0.0))


def sgarbossa(qrs: Complexes, st_mm: Mapping[str, float]) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Points of Sgarbossa's criteria, and the leads with elevation and with depression that gave them.

    Args:
        qrs: see `Complexes`.
        st_mm: J level by lead.
    """
    table = criteria()
    near, far = table["sgarbossa_concordant_mm"], table["sgarbossa_discordant_mm"]
    judged = [name for name in st_mm if name in qrs and name != "aVR"]
    upright = {name for name in judged if qrs[name].sum() > 0}
    up = tuple(name for name in judged if name in upright and round(st_mm[name], 1) >= near)
    down = tuple(n for n in ("V1", "V2", "V3") if n in judged and n not in upright and round(st_mm[n], 1) <= -near)
    high = tuple(name for name in judged if name not in upright and round(st_mm[name], 1) >= far)
    return 5 * bool(up) + 3 * bool(down) + 2 * bool(high), up + high, down


def smith(qrs: Complexes, st_mm: Mapping[str, float]) -> tuple[str, ...]:
    """Leads whose elevation is at least 1 mm and a quarter of the S wave before it.

    Args:
        qrs: see `Complexes`.
        st_mm: J level by lead.
    """
    table = criteria()
    found = []
    for name, level in st_mm.items():
        if name in qrs and name != "aVR" and qrs[name].sum() < 0 and level >= table["sgarbossa_concordant_mm"]:
            depth_mm = -10 * float(qrs[name].min())
            if depth_mm > 0 and level / depth_mm >= table["smith_ratio"]:
                found.append(name)
    return tuple(found)


def left_ventricular_voltage(qrs: Complexes, sex: str | None) -> bool:
    """Sokolow and Lyon's, or Cornell's, sum; the higher limit where the sex is not known."""
    table = criteria()
    r = {name: max(float(one.max(initial=0.0)), 0.0) for name, one in qrs.items()}
    s = {name: max(-float(one.min(initial=0.0)), 0.0) for name, one in qrs.items()}
    cornell = table["lvh_cornell_female_mv" if sex == "female" else "lvh_cornell_male_mv"]
    return (
        s.get("V1", 0.0) + max(r.get("V5", 0.0), r.get("V6", 0.0)) >= table["lvh_sokolow_mv"]
        or r.get("aVL", 0.0) + s.get("V3", 0.0) > cornell
    )

"""Detectors side by side: ours, and those of other packages where they are installed (``pip install '.[peers]'``)."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from recordings import Detect, Floats

from zhenbao.signal.ecg import QrsStream, assess_quality, detect_qrs

PIECE_S = 0.02


def streamed(ecg_mv: Floats, fs_hz: float) -> list[int]:
    """Beats of a stream in pieces of 20 ms."""
    leads = np.atleast_2d(ecg_mv)
    stream, beats = QrsStream(fs_hz, leads=len(leads)), list[int]()
    piece = max(1, round(PIECE_S * fs_hz))
    for start in range(0, leads.shape[1], piece):
        beats += stream.push(leads[:, start : start + piece])
    return beats + stream.flush()


def gated(ecg_mv: Floats, fs_hz: float) -> Any:
    """Beats that lie where the quality gate says that the lead can be used."""
    beats = detect_qrs(ecg_mv, fs_hz)
    usable = assess_quality(ecg_mv[None], fs_hz, ["lead"]).usable["lead"]
    return [beat for beat in beats.tolist() if any(start <= beat < stop for start, stop in usable)]


OURS: dict[str, Detect] = {"zhenbao": detect_qrs, "zhenbao stream": streamed}


def _sleepecg() -> Detect:
    module = importlib.import_module("sleepecg")
    return lambda ecg_mv, fs_hz: module.detect_heartbeats(ecg_mv, fs_hz)


def _neurokit(method: str) -> Detect:
    module = importlib.import_module("neurokit2")

    def detect(ecg_mv: Floats, fs_hz: float) -> Any:
        rate = int(fs_hz)
        clean = module.ecg_clean(ecg_mv, sampling_rate=rate, method=method)
        return module.ecg_peaks(clean, sampling_rate=rate, method=method)[1]["ECG_R_Peaks"]

    return detect


def _xqrs() -> Detect:
    module = importlib.import_module("wfdb.processing")
    return lambda ecg_mv, fs_hz: module.xqrs_detect(ecg_mv, fs_hz, verbose=False)


def peers() -> dict[str, Detect]:
    """By name and version; empty where the extra is not installed."""
    found: dict[str, Detect] = {}
    if find_spec("sleepecg"):
        found[f"sleepecg {version('sleepecg')}"] = _sleepecg()
    if find_spec("neurokit2"):
        name = f"neurokit2 {version('neurokit2')}"
        found |= {f"{name} ({method})": _neurokit(method) for method in ("neurokit", "pantompkins1985")}
        found[f"wfdb {version('wfdb')} (xqrs)"] = _xqrs()
    return found

"""What is true of each reading, and whether what the kit kept agrees with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.firmware_sim.patients import Patient, Pressures
    from zhenbao.firmware_sim.waveforms.ecg import EcgSource
    from zhenbao.model.observation import Observation

WITHIN = {
    "bp_systolic": 0.51,
    "bp_diastolic": 0.51,
    "pulse_rate_nibp": 0.51,
    "glucose_capillary": 0.051,
    "spo2": 0.0,
    "pulse_rate_oximeter": 0.0,
    "body_temperature_tympanic": 0.051,
    "body_weight": 0.051,
    "fev1": 0.08,
    "fvc": 0.08,
}
"""A device's own rounding, in the unit of the value; blows: 2 % of the largest volume."""
_HEART_RATE_SHARE, _IRREGULAR_SHARE = 0.03, 0.08
_ST_MM = 0.6
ALARMS = {
    "hyperosmolar": "glucose",
    "hypoglycaemia": "glucose",
    "hypoxaemia": "spo2",
    "complete-block": "ecg",
    "inferior-infarction": "ecg",
}
"""Diseases that must ring, and on which reading; no other may."""
_RHYTHMS = {
    "atrial-fibrillation": ("atrial-fibrillation",),
    "complete-block": ("regular", "not-judged", "irregular"),
    "inferior-infarction": ("sinus",),
}
"""What the kit may call the rhythm. A complete block has its own finding; the word for the beat is left to it."""


def bp_truth(presses: Sequence[Pressures], skipped: int) -> dict[str, float]:
    """The mean of the two presses that count, after so many that failed or were not believed."""
    first, second = presses[skipped : skipped + 2]
    return {
        "bp_systolic": (first.systolic + second.systolic) / 2,
        "bp_diastolic": (first.diastolic + second.diastolic) / 2,
        "pulse_rate_nibp": (first.pulse + second.pulse) / 2,
    }


def ecg_truth(source: EcgSource, seconds: float) -> dict[str, Any]:
    """Rate of the beats inside the recording, the rhythm by construction, and ST of lead II."""
    truth = source.truth
    assert truth is not None
    inside = truth.beat_times_s[truth.beat_times_s < seconds]
    return {
        "heart_rate_ecg": round(60 / float(np.diff(inside).mean()), 2),
        "rhythm": truth.rhythm,
        "st_ii_mm": round(truth.st_mm["II"], 2),
    }


def spirometry_truth(patient: Patient) -> dict[str, float]:
    """The largest FEV1 and FVC of the blows without a cough."""
    truths = [blow.truth for blow in patient.blows() if blow.cough_at_s is None]
    return {
        "fev1": round(max(t.fev1_l or 0.0 for t in truths), 3),
        "fvc": round(max(t.fvc_l for t in truths), 3),
    }


def differences(patient: Patient, truth: dict[str, Any], kept: Observation) -> list[str]:
    """What the kit says otherwise than the truth; empty where it agrees."""
    wrong = [
        f"{name}: {kept.values[name].value if name in kept.values else None} for {true}"
        for name, true in truth.items()
        if name in WITHIN and (name not in kept.values or abs(kept.values[name].value - true) > WITHIN[name])
    ]
    if kept.code == "ecg":
        wrong += _ecg_differences(patient, truth, kept)
    if kept.code == "spirometry":
        wrong += _pattern_differences(patient, kept)
    return wrong


def _ecg_differences(patient: Patient, truth: dict[str, Any], kept: Observation) -> list[str]:
    assert kept.ecg is not None
    wrong = []
    share = _IRREGULAR_SHARE if truth["rhythm"] == "atrial-fibrillation" else _HEART_RATE_SHARE
    rate = kept.ecg.heart_rate_bpm
    if rate is None or abs(rate - truth["heart_rate_ecg"]) > share * truth["heart_rate_ecg"]:
        wrong.append(f"heart rate: {rate} for {truth['heart_rate_ecg']}")
    allowed = _RHYTHMS.get(patient.disease, ("sinus",))
    if not kept.ecg.rhythm.startswith(allowed):
        wrong.append(f"rhythm: {kept.ecg.rhythm} for {truth['rhythm']}")
    if patient.disease == "inferior-infarction":
        st = None if kept.ecg.st_mm is None else kept.ecg.st_mm.get("II")
        if st is None or abs(st - truth["st_ii_mm"]) > _ST_MM:
            wrong.append(f"ST in II: {st} mm for {truth['st_ii_mm']} mm")
    return wrong


def _pattern_differences(patient: Patient, kept: Observation) -> list[str]:
    """The class of the spirometry, where the kit gives one."""
    analysis = kept.spirometry
    said = analysis.interpretation.shown_class if analysis and analysis.interpretation else None
    allowed = {
        "obstruction": ("obstructive", "mixed"),
        "restriction": ("restrictive",),
        "healthy": ("normal", "small-airway", "mild"),
    }.get(patient.disease)
    return [] if allowed is None or (said is not None and said in allowed) else [f"class: {said} for {patient.disease}"]

"""What is drawn from the number: who comes, what is measured on each, and what goes wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from zhenbao.firmware_sim.patients import Patient, patients_of

ORDER = ("bp", "glucose", "spo2", "temperature", "weight", "ecg", "spirometry")
_WHY = {
    "hypertension": ("bp",),
    "hypotension": ("bp",),
    "diabetes": ("bp", "glucose"),
    "hyperosmolar": ("glucose",),
    "hypoglycaemia": ("glucose",),
    "hypoxaemia": ("spo2", "bp"),
    "fever": ("temperature", "spo2"),
    "hypothermia": ("temperature",),
    "obesity": ("weight", "bp"),
    "atrial-fibrillation": ("ecg", "bp"),
    "complete-block": ("ecg",),
    "inferior-infarction": ("ecg", "spo2"),
    "obstruction": ("spirometry", "spo2"),
    "restriction": ("spirometry",),
    "healthy": ORDER,
}
"""What a doctor measures on whom; the healthy one is here for the yearly examination."""
FAULTS = {
    "bp": ("hangs-up", "wrong-clock", "failed-first", "moved-first", "others-reading", "early", "forgets-subscription"),
    "glucose": ("others-result", "drops-link", "reversed", "sends-twice", "wrong-clock"),
    "spo2": ("weak-pulse-first", "moves-first", "hangs-up-first"),
    "temperature": ("failed-first", "others-reading", "hangs-up", "sends-twice"),
    "weight": ("sends-twice", "hangs-up", "failed-first"),
    "ecg": ("lost-frames", "corrupt-frames", "cable-pulled", "electrode-off"),
    "spirometry": ("cable-pulled", "lost-frames"),
}
NOT_FOR = {"complete-block": ("electrode-off",), "inferior-infarction": ("electrode-off",)}
"""What would hide the very thing the patient came with."""
_FAULTY = 0.7


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One visit of the day."""

    number: int
    patient: Patient
    measures: tuple[str, ...]
    faults: dict[str, str]
    """Of a kind of reading: what goes wrong with it."""
    wrong_tail_first: bool
    """The doctor confirms another person first, and is stopped."""


def plan(seed: int, count: int) -> list[PlannedVisit]:
    """The day of this number: the same for the same number."""
    random = Random(f"day:{seed}")  # noqa: S311 - a play, not a secret
    visits = []
    for number, patient in enumerate(patients_of(seed, count), 1):
        measures = tuple(code for code in ORDER if code in _WHY[patient.disease])
        faults = {}
        if random.random() < _FAULTY:
            code = random.choice(measures)
            allowed = [f for f in FAULTS[code] if f not in NOT_FOR.get(patient.disease, ())]
            faults[code] = random.choice(allowed)
        visits.append(PlannedVisit(number, patient, measures, faults, random.random() < 0.2))
    return visits

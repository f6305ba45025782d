"""Simulated patients with known truth: what each device would find, and what is wrong with them.

A disease is what a device can see of it: a rhythm, ST levels, blows, a pressure. Numbers are drawn inside the named
range from a seed, so the same seed gives the same person; the ranges were chosen well inside or outside the limits that
the clinical tables name, so that what must be said of each is plain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING

from zhenbao.firmware_sim.oximeter import Finger

if TYPE_CHECKING:
    from zhenbao.firmware_sim.waveforms.ecg import EcgModel, EcgNoise
    from zhenbao.firmware_sim.waveforms.spirometry import BlowModel

DISEASES = (
    "healthy",
    "hypertension",
    "hypotension",
    "diabetes",
    "hyperosmolar",
    "hypoglycaemia",
    "hypoxaemia",
    "fever",
    "hypothermia",
    "obesity",
    "atrial-fibrillation",
    "complete-block",
    "inferior-infarction",
    "obstruction",
    "restriction",
)
_BORN_FROM, _BORN_DAYS = date(1945, 1, 1), 30 * 365


@dataclass(frozen=True, slots=True)
class Pressures:
    """What one press of a cuff finds: mmHg and beats per minute."""

    systolic: int
    diastolic: int
    pulse: int

    @property
    def mean(self) -> int:
        """By the usual estimate: a third of the way from diastolic to systolic."""
        return self.diastolic + round((self.systolic - self.diastolic) / 3)


@dataclass(frozen=True, slots=True)
class Patient:
    """A person, and what the devices would find."""

    disease: str
    seed: int
    female: bool
    born: date
    height_cm: int
    pressures: tuple[Pressures, ...]
    """Press by press; the first two never differ by more than 8 mmHg."""
    glucose_mmol_l: float
    finger: Finger
    celsius: float
    kilograms: float
    rate_bpm: float
    fvc_l: float
    fev1_fvc: float

    def ecg(self, noise: EcgNoise | None = None) -> EcgModel:
        """The heart's signal; ``render`` gives it with its truth. Without ``noise``: a quiet patient."""
        from zhenbao.firmware_sim.waveforms.ecg import EcgModel, EcgNoise, inferior_elevation, third_degree_block

        quiet = EcgNoise(baseline_wander_mv=0.05, mains_mv=0.003, muscle_mv=0.005, white_mv=0.003)
        model = {
            "atrial-fibrillation": EcgModel(rate_bpm=self.rate_bpm, rhythm="atrial-fibrillation", seed=self.seed),
            "complete-block": third_degree_block(self.rate_bpm, self.seed),
            "inferior-infarction": inferior_elevation(self.rate_bpm, self.seed),
        }.get(self.disease, EcgModel(rate_bpm=self.rate_bpm, seed=self.seed))
        return replace(model, noise=noise or quiet)

    def blows(self) -> tuple[BlowModel, ...]:
        """Four blows, the second spoiled by a cough; each knows its truth."""
        from zhenbao.firmware_sim.waveforms.spirometry import demo_blows

        if self.fev1_fvc < 0.7:
            return demo_blows(self.fvc_l, self.fev1_fvc)
        # Healthy and stiff lungs empty fast: their blows are shorter, and not of a slow compartment.
        shaped = (
            replace(blow, fast_share=0.5, fast_tau_s=0.22, rise_s=0.03, expiration_s=7.0)
            for blow in demo_blows(self.fvc_l, self.fev1_fvc)
        )
        return tuple(shaped)


@dataclass(slots=True)
class _Draw:
    """Ranges of a person without a disease; a disease narrows or moves some."""

    systolic: tuple[int, int] = (108, 118)
    diastolic: tuple[int, int] = (66, 76)
    glucose: tuple[float, float] = (4.6, 5.8)
    saturation: tuple[int, int] = (96, 99)
    celsius: tuple[float, float] = (36.3, 36.9)
    bmi: tuple[float, float] = (20.0, 23.0)
    rate: tuple[int, int] = (64, 88)
    ratio: tuple[float, float] = (0.79, 0.84)
    size: float = 1.0
    """Share of a usual vital capacity."""


_CHANGES: dict[str, dict[str, object]] = {
    "hypertension": {"systolic": (184, 196), "diastolic": (104, 116)},
    "hypotension": {"systolic": (76, 84), "diastolic": (46, 54)},
    "diabetes": {"glucose": (12.5, 15.5)},
    "hyperosmolar": {"glucose": (34.0, 38.0)},
    "hypoglycaemia": {"glucose": (1.8, 2.5)},
    "hypoxaemia": {"saturation": (77, 83)},
    "fever": {"celsius": (38.6, 40.2)},
    "hypothermia": {"celsius": (34.1, 34.8)},
    "obesity": {"bmi": (29.0, 35.0)},
    "atrial-fibrillation": {"rate": (116, 138)},
    "complete-block": {"rate": (28, 33)},
    "inferior-infarction": {"rate": (72, 90)},
    "obstruction": {"ratio": (0.50, 0.60)},
    "restriction": {"size": 0.5, "ratio": (0.82, 0.85)},
}


def patient_with(disease: str, seed: int) -> Patient:
    """The person of this seed with this disease.

    Raises:
        KeyError: no such disease.
    """
    if disease != "healthy" and disease not in _CHANGES:
        raise KeyError(disease)
    random = Random(f"{disease}:{seed}")  # noqa: S311 - a play, not a secret
    draw = _Draw(**_CHANGES.get(disease, {}))  # type: ignore[arg-type]
    female = random.random() < 0.5
    height_cm = random.randint(150, 164) if female else random.randint(160, 178)
    rate = random.randint(*draw.rate)
    systolic, diastolic = random.randint(*draw.systolic), random.randint(*draw.diastolic)
    presses = tuple(
        Pressures(systolic + random.randint(-4, 4), diastolic + random.randint(-3, 3), rate) for _ in range(6)
    )
    usual_fvc_l = (3.0 if female else 4.1) + 0.04 * (height_cm - (157 if female else 169))
    return Patient(
        disease=disease,
        seed=random.randint(1, 10_000),
        female=female,
        born=_BORN_FROM + timedelta(days=random.randrange(_BORN_DAYS)),
        height_cm=height_cm,
        pressures=presses,
        glucose_mmol_l=round(random.uniform(*draw.glucose), 1),
        finger=Finger(random.randint(*draw.saturation), rate, random.randint(20, 80)),
        celsius=round(random.uniform(*draw.celsius), 1),
        kilograms=round(random.uniform(*draw.bmi) * (height_cm / 100) ** 2, 1),
        rate_bpm=float(rate),
        fvc_l=round(draw.size * usual_fvc_l, 2),
        fev1_fvc=round(random.uniform(*draw.ratio), 3),
    )


def patients_of(seed: int, count: int) -> list[Patient]:
    """So many patients, every disease once before any comes twice; the same seed gives the same people."""
    random = Random(seed)  # noqa: S311 - a play, not a secret
    order: list[str] = []
    while len(order) < count:
        order += random.sample(DISEASES, len(DISEASES))
    return [patient_with(disease, random.randint(1, 1_000_000)) for disease in order[:count]]

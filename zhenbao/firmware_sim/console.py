"""What a person types while the simulated devices run: the buttons of the devices."""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.firmware_sim.patients import DISEASES
from zhenbao.model.errors import InputError


@dataclass(frozen=True, slots=True)
class PressCuff:
    """``bp 148 92 [76]``: press START; the cuff will show this."""

    systolic: int
    diastolic: int
    pulse: int = 72

    @property
    def mean(self) -> int:
        """Mean pressure by the usual estimate: a third of the way from diastolic to systolic."""
        return self.diastolic + round((self.systolic - self.diastolic) / 3)


@dataclass(frozen=True, slots=True)
class DropOfBlood:
    """``glu 7.8``: a drop of blood, in mmol/L."""

    mmol_l: float


@dataclass(frozen=True, slots=True)
class PutFinger:
    """``spo2 96 [72]``: a finger goes into the oximeter; ``finger out`` (None): it comes out."""

    saturation: int | None
    pulse: int = 72


@dataclass(frozen=True, slots=True)
class TakeTemperature:
    """``temp 38.4``: the thermometer measures, in degrees Celsius."""

    celsius: float


@dataclass(frozen=True, slots=True)
class StandOnScale:
    """``weight 65.2``: somebody stands on the scale, in kilograms."""

    kilograms: float


@dataclass(frozen=True, slots=True)
class Pairing:
    """``pair on`` or ``pair off``: the pairing button of every meter."""

    on: bool


@dataclass(frozen=True, slots=True)
class PutElectrodes:
    """``ecg sinus``, ``ecg block``, ``ecg af`` or ``ecg st``: who lies on the couch."""

    kind: str


@dataclass(frozen=True, slots=True)
class NextPatientBlows:
    """``blow``: the next four STARTs of the spirometer bring the demonstration's blows again."""


@dataclass(frozen=True, slots=True)
class SyringeAtSensor:
    """``syringe [0.97]``: the next START of the spirometer brings syringe strokes; a true 1 reads as this."""

    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class NextPatient:
    """``patient obstruction [7]``: another person comes: heart, blows and finger are theirs from now on."""

    disease: str
    seed: int = 1


Button = (
    PressCuff
    | DropOfBlood
    | PutFinger
    | TakeTemperature
    | StandOnScale
    | Pairing
    | PutElectrodes
    | NextPatientBlows
    | SyringeAtSensor
    | NextPatient
)
ECG_KINDS = ("sinus", "block", "af", "st")


def parse(line: str) -> Button | None:
    """The button a line means; None for an empty line.

    Raises:
        InputError: code ``sim-command``.
    """
    try:
        match line.lower().split():
            case []:
                return None
            case ["bp", systolic, diastolic]:
                return _plausible(PressCuff(int(systolic), int(diastolic)))
            case ["bp", systolic, diastolic, pulse]:
                return _plausible(PressCuff(int(systolic), int(diastolic), int(pulse)))
            case ["glu", value] if 0 < float(value) <= 60:
                return DropOfBlood(float(value))
            case ["spo2", value] if 0 < int(value) <= 100:
                return PutFinger(int(value))
            case ["spo2", value, pulse] if 0 < int(value) <= 100 and 0 < int(pulse) <= 250:
                return PutFinger(int(value), int(pulse))
            case ["finger", "out"]:
                return PutFinger(None)
            case ["temp", value] if 20 <= float(value) <= 50:
                return TakeTemperature(float(value))
            case ["weight", value] if 0 < float(value) <= 300:
                return StandOnScale(float(value))
            case ["pair", ("on" | "off") as state]:
                return Pairing(state == "on")
            case ["ecg", kind] if kind in ECG_KINDS:
                return PutElectrodes(kind)
            case ["blow"]:
                return NextPatientBlows()
            case ["syringe"]:
                return SyringeAtSensor()
            case ["syringe", gain] if 0.5 <= float(gain) <= 1.5:
                return SyringeAtSensor(float(gain))
            case ["patient", disease] if disease in DISEASES:
                return NextPatient(disease)
            case ["patient", disease, seed] if disease in DISEASES:
                return NextPatient(disease, int(seed))
            case _:
                raise InputError("sim-command")
    except ValueError:
        raise InputError("sim-command") from None


def _plausible(cuff: PressCuff) -> PressCuff:
    if not (0 < cuff.diastolic < cuff.systolic <= 300 and 0 < cuff.pulse <= 300):
        raise InputError("sim-command")
    return cuff

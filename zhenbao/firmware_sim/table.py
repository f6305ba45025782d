"""Every simulated device, made by name, with its faults and its patient: what ``zhenbao sim devices`` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from zhenbao.firmware_sim.patients import Patient, patient_with
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from types import TracebackType

    from zhenbao.firmware_sim.bench import Bench
    from zhenbao.firmware_sim.waveforms.ecg import EcgSource

CABLES = ("cuff", "spirometer", "onetouch", "contour", "oximeter", "healthypi")
OXIMETERS = ("plx", "nonin", "cms50d-plus")
ECG_S = 600.0
HEALTHYPI_HZ, HEALTHYPI_NV_PER_COUNT = 128, 2000
MG_DL_IN_MMOL_L = 18.0156
"""Glucose is 180.156 g/mol."""


class Cabled(Protocol):
    """A device on a serial line of its own."""

    @property
    def port(self) -> str:
        """What the kit opens, once it is entered."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@dataclass(slots=True)
class Choice:
    """What stands on the table."""

    faults: Mapping[str, Any] = field(default_factory=dict)
    """By the names of `fault_options.FAULTS`."""
    patient: Patient = field(default_factory=lambda: patient_with("healthy", 1))
    oximeter: str = "plx"
    strap: bool = False
    cables: Sequence[str] = ()
    speed: float = 1.0
    hci_port: int = 0
    link: Path | None = None
    passkey: int | None = None
    delay_s: float = 0.0


def chosen_cables(names: Sequence[str], oximeter: str) -> tuple[str, ...]:
    """The cables by name; ``all`` is every one.

    Raises:
        InputError: ``choice``.
    """
    for name in names:
        if name not in (*CABLES, "all"):
            raise InputError("choice", value=name[:32], choices=", ".join((*CABLES, "all")))
    wanted = set(CABLES) if "all" in names else set(names)
    return tuple(name for name in CABLES if name in wanted or (name == "oximeter" and oximeter == "cms50d-plus"))


def build(choice: Choice, ecg: EcgSource | None = None) -> Bench:
    """The bench, not yet switched on.

    Args:
        ecg: what the front-end's amplifier sees; None: the patient's heart.
    """
    from zhenbao.firmware_sim.bench import Bench
    from zhenbao.firmware_sim.chest_strap import RATE_HZ, strap_of
    from zhenbao.firmware_sim.cuff import BloodPressureMeter
    from zhenbao.firmware_sim.front_end import FrontEnd
    from zhenbao.firmware_sim.glucose_meter import GlucoseMeter
    from zhenbao.firmware_sim.oximeter import NoninOximeter, PulseOximeter
    from zhenbao.firmware_sim.scale import BathroomScale
    from zhenbao.firmware_sim.thermometer import ClinicalThermometer

    speed, patient = choice.speed, choice.patient

    def faulty(device: str) -> dict[str, Any]:
        return {"faults": choice.faults[device]} if device in choice.faults else {}

    model = patient.ecg(choice.faults.get("ecg"))
    strap = strap_of(model.render(ECG_S, RATE_HZ), speed=speed, **faulty("strap")) if choice.strap else None
    oximeter = NoninOximeter if choice.oximeter == "nonin" else PulseOximeter
    bench = Bench(
        BloodPressureMeter(speed=speed, **faulty("cuff")),
        GlucoseMeter(**faulty("glucose")),
        FrontEnd(ecg or model.render(ECG_S), patient.blows(), speed=speed, link=choice.link, **faulty("front-end")),
        strap,
        thermometer=ClinicalThermometer(**faulty("thermometer")),
        scale=BathroomScale(**faulty("scale")),
        oximeter=oximeter(speed=speed, **faulty("oximeter")),
        speed=speed,
        hci_port=choice.hci_port,
        delay_s=choice.delay_s,
        cables={name: cabled(name, choice) for name in choice.cables},
    )
    for meter in bench.on_air:
        meter.passkey = choice.passkey
    return bench


def cabled(name: str, choice: Choice) -> Any:
    """One device on a cable, by its name among `CABLES`."""
    from zhenbao.firmware_sim.contec import ContecSpirometer
    from zhenbao.firmware_sim.healthypi import HealthyPi
    from zhenbao.firmware_sim.serial_cuff import SerialCuff
    from zhenbao.firmware_sim.serial_meters.contour import ContourMeter
    from zhenbao.firmware_sim.serial_meters.onetouch import OneTouchUltra2
    from zhenbao.firmware_sim.serial_oximeter import SerialOximeter

    def healthy_pi(**faulty: Any) -> HealthyPi:
        source = choice.patient.ecg(choice.faults.get("ecg")).render(ECG_S, HEALTHYPI_HZ)
        counts = (source.mv[1] * 1e6 / HEALTHYPI_NV_PER_COUNT).round().astype(int).tolist()
        return HealthyPi(counts, rate_hz=HEALTHYPI_HZ, speed=choice.speed, **faulty)

    makers: dict[str, tuple[str, Callable[..., Any]]] = {
        "cuff": ("cuff-cable", lambda **f: SerialCuff(speed=choice.speed, **f)),
        "spirometer": ("spirometer", lambda **f: ContecSpirometer(**f)),
        "onetouch": ("onetouch", lambda **f: OneTouchUltra2(**f)),
        "contour": ("contour", lambda **f: ContourMeter(**f)),
        "oximeter": ("oximeter-cable", lambda **f: SerialOximeter(speed=choice.speed, **f)),
        "healthypi": ("healthypi", healthy_pi),
    }
    device, make = makers[name]
    return make(**({"faults": choice.faults[device]} if device in choice.faults else {}))


def spirometer_numbers(patient: Patient) -> dict[str, int]:
    """What a Contec would store of this patient's first blow: hundredths of a litre, tenths of a per cent."""
    truth = patient.blows()[0].truth
    fev1_l = truth.fev1_l or 0.0
    return {
        "fvc": round(100 * truth.fvc_l),
        "fev1": round(100 * fev1_l),
        "ratio": round(1000 * fev1_l / truth.fvc_l),
        "pef": round(100 * truth.pef_l_s),
    }


def press_cables(bench: Bench, *, pressure: tuple[int, int, int] | None = None, mmol_l: float | None = None) -> None:
    """The same button on the devices on cables."""
    from zhenbao.firmware_sim.serial_cuff import SerialCuff, StoredReading
    from zhenbao.firmware_sim.serial_meters.contour import ContourMeter
    from zhenbao.firmware_sim.serial_meters.onetouch import OneTouchUltra2

    for device in bench.cables.values():
        if pressure is not None and isinstance(device, SerialCuff):
            device.press_start(StoredReading(*pressure, _minute(bench)))
        if mmol_l is not None and isinstance(device, OneTouchUltra2):
            device.test_blood(round(mmol_l * MG_DL_IN_MMOL_L))
        if mmol_l is not None and isinstance(device, ContourMeter):
            device.test_blood(f"{mmol_l:.1f}" if device.mmol else f"{mmol_l * MG_DL_IN_MMOL_L:.0f}")


def blow_into_cables(bench: Bench, patient: Patient) -> None:
    """The patient blows into a spirometer on a cable, which stores its numbers."""
    from zhenbao.firmware_sim.contec import ContecSpirometer

    now = bench.meter.now()
    years = now.year - patient.born.year - ((now.month, now.day) < (patient.born.month, patient.born.day))
    for device in bench.cables.values():
        if isinstance(device, ContecSpirometer):
            device.blow(spirometer_numbers(patient), age=years, height_cm=patient.height_cm)


def _minute(bench: Bench) -> datetime:
    return bench.meter.now().replace(second=0, microsecond=0)

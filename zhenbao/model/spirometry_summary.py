"""What a spirometer of another maker computed itself, as it was sent; and what may be said of it without its curves."""

from dataclasses import dataclass, field

from zhenbao.model.finding import Finding
from zhenbao.model.observation import Device
from zhenbao.model.spirometry import Interpretation


@dataclass(frozen=True, slots=True)
class SummaryValue:
    """One line of the device's table. All numbers are in ``unit``; None: not sent."""

    measured: float | None
    unit: str
    """As sent: ``L``, ``l/s``, ``mL``...; empty where the device sends none."""
    predicted: float | None = None
    lln: float | None = None
    uln: float | None = None
    percent_predicted: float | None = None
    z: float | None = None
    """What the device calls a z-score."""
    tries: tuple[float | None, ...] = ()
    """The single blows, where they are sent."""


@dataclass(frozen=True, slots=True)
class SpirometrySummary:
    """One test as a device sent it: nothing recomputed, nothing corrected. Names and numbers of people stay behind."""

    format: str
    """``xeek-json``, ``ndd-xml`` or ``gdt``."""
    values: dict[str, SummaryValue]
    """By ``FVC FEV1 FEV1FVC FEV3 FEV6 PEF FEF25 FEF50 FEF75 MMEF FET BEV FIVC PIF``."""
    quality: dict[str, str] = field(default_factory=dict)
    """The device's own grades as sent, by ``fvc``, ``fev1`` or ``session``."""
    label: str | None = None
    """The device's conclusion as sent; a line for each part."""
    equation: str | None = None
    """The reference equation's name as sent; some devices send a mere code."""
    measured_at: str | None = None
    """By the device's own clock: ``2024-09-01T09:00:00``."""
    stage: str | None = None
    """``pre`` or ``post`` bronchodilator, where the format says it in so many words."""
    sex: str | None = None
    """``male`` or ``female``."""
    age_years: float | None = None
    """At the time of the test."""
    height_cm: float | None = None
    device: Device = field(default_factory=lambda: Device("file"))
    left_out: tuple[str, ...] = ()
    """Lines of the table that are not read."""


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """One value, in ``unit``, with the device's reference beside the county's. None: not sent, or not computable."""

    parameter: str
    unit: str
    """``L``, ``L/s``, ``s``, or ``1`` for a ratio."""
    measured: float | None
    device_predicted: float | None = None
    device_percent: float | None = None
    device_lln: float | None = None
    device_z: float | None = None
    predicted: float | None = None
    percent: float | None = None
    lln: float | None = None
    z: float | None = None


@dataclass(frozen=True, slots=True)
class SummaryConflict:
    """Something in a summary that cannot be taken as it stands. Its words are ``summary_conflict.<code>``."""

    code: str
    parameter: str = ""
    told: str = ""
    """What the device says: a key of words, a unit or a parameter."""
    found: str = ""
    """What stands against it."""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceLabel:
    """The device's conclusion in our terms, as far as every word of it is known."""

    class_: str | None = None
    severity: str | None = None
    small_airway: bool = False
    unread: tuple[str, ...] = ()
    """Sentences that hold an unknown word; nothing is taken from them."""


@dataclass(frozen=True, slots=True)
class SummaryAnalysis:
    """A summary, compared. There is no grade of ours: that needs the curves."""

    values: tuple[ComparedValue, ...]
    equation: str
    """The county's reference equation."""
    fev1_fvc: float | None
    """FEV1 over FVC, recomputed."""
    label: DeviceLabel
    device_grade: str | None
    """The worst of the device's own letters, ``A`` to ``F`` or ``U``."""
    device_class: str | None
    """The five-class rule on the device's own percentages."""
    device_severity: str | None
    interpretation: Interpretation | None
    """Under the county's equation; None where it cannot be made."""
    conflicts: tuple[SummaryConflict, ...]
    findings: tuple[Finding, ...]
    limits: tuple[str, ...] = ()
    """Keys of the ``spirometry_limit`` or ``summary_limit`` words."""

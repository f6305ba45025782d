"""Verification of a flow sensor with a calibration syringe: one check, its log, and what the log warns of."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stroke:
    """One movement of the piston through the sensor, at ambient conditions."""

    direction: str
    """``out`` (emptied, as a breath out) or ``in``."""
    start_s: float
    volume_l: float
    error_percent: float
    """Of the syringe's volume; positive: the sensor shows too much."""
    mean_flow_l_s: float
    peak_flow_l_s: float
    range: str
    """``low``, ``medium`` or ``high``; ``outside`` where the mean flow is in none."""
    left_out: str = ""
    """Why it says nothing of the sensor: ``partial``, ``gap`` or ``outside``; empty where it counts."""


@dataclass(frozen=True, slots=True)
class SyringeCheck:
    """One verification."""

    syringe_l: float
    strokes: tuple[Stroke, ...]
    verdict: str
    """``passed``, ``failed`` or ``incomplete``."""
    notes: tuple[str, ...] = ()
    """Keys of the ``syringe_note`` words."""
    mean_error_percent: float | None = None
    """Over the strokes that count."""
    largest_error_percent: float | None = None
    """The one farthest from zero, with its sign."""
    linearity_percent: float | None = None
    """How far the mean errors of the flow ranges lie apart (out strokes)."""
    zero_l_s: float | None = None
    """What the sensor showed at rest; taken off before volumes were summed."""


@dataclass(frozen=True, slots=True)
class SyringeRecord:
    """A check in the log of one sensor."""

    sensor: str
    """Serial number of the front-end, or the name a recording was given."""
    at_ms: int
    check: SyringeCheck


@dataclass(frozen=True, slots=True)
class Drift:
    """The last verifications of a sensor as a series of mean errors."""

    count: int
    mean_percent: float
    """Of all but the last."""
    sd_percent: float
    last_percent: float
    slope_percent_per_day: float | None
    """None where they lie too close in time."""
    days_to_limit: float | None
    """Until the trend reaches the limit; None where it does not lead there."""


@dataclass(frozen=True, slots=True)
class SensorWarning:
    """What somebody who is about to measure must know. Its words are ``sensor_warning.<code>``."""

    code: str
    """``never failed overdue clock near-limit drifting shifted``."""
    numbers: dict[str, float] = field(default_factory=dict)

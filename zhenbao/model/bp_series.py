"""A series of blood pressure readings over a day, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from zhenbao.model.finding import Finding


@dataclass(frozen=True, slots=True)
class SeriesReading:
    """One attempt of the recorder to measure."""

    row: int
    """Its line in the file, from 1."""
    at: str
    """The recorder's own time, naive ISO text."""
    systolic_mmhg: float | None
    diastolic_mmhg: float | None
    pulse_per_min: float | None = None
    reason: str = ""
    """Why it is not valid: ``no-value`` (nothing was measured), ``marked`` (the recorder says so), ``status-unknown``
    (what the recorder says is not understood), ``implausible`` (rule BP34), ``same-time`` (another reading of this
    instant says something else). Empty: valid."""
    told: str = ""
    """What the recorder wrote beside it."""

    @property
    def valid(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row that gave no reading, named. It counts as an attempt without a value, but for one that is repeated."""

    row: int
    reason: str
    """``cells`` (too few cells), ``time`` (not a time), ``number`` (not a number), ``repeated`` (said before)."""
    cell: str = ""


@dataclass(frozen=True, slots=True)
class BpSeries:
    """A recorder's exported series, in order of time."""

    readings: tuple[SeriesReading, ...]
    damaged: tuple[DamagedRow, ...] = ()
    left_out: tuple[str, ...] = ()
    """Names of columns that were not read."""


@dataclass(frozen=True, slots=True)
class Period:
    """The valid readings of one part of the day. Means in mmHg and per minute; None where there is no reading."""

    attempts: int
    """Readings that were tried, valid or not; rows that could not be read belong to no part of the day."""
    valid: int
    systolic_mmhg: float | None = None
    diastolic_mmhg: float | None = None
    pulse_per_min: float | None = None
    systolic_sd_mmhg: float | None = None
    """Of the sample (n - 1); None with fewer than two readings."""
    diastolic_sd_mmhg: float | None = None


@dataclass(frozen=True, slots=True)
class Bp24Analysis:
    """What a series says. Times are clock times, ``HH:MM``."""

    day_from: str
    night_from: str
    times_from: str
    """``diary`` (told by whoever has it) or ``fixed`` (no diary: the usual hours)."""
    first_at: str
    last_at: str
    span_h: float
    whole: Period
    day: Period
    night: Period
    valid_percent: float
    """Valid readings of all attempts, rows that could not be read among them."""
    enough: bool
    """Whether rule BP24 is met; without it nothing is judged."""
    lacking: tuple[str, ...]
    """What rule BP24 misses: ``percent``, ``day``, ``night``."""
    dip_systolic_percent: float | None
    dip_diastolic_percent: float | None
    dipping: str | None
    """By the systolic fall: ``dipper non-dipper reverse-dipper extreme-dipper``; None where it is not judged."""
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]
    """What must be known beside the numbers: keys of the words ``bp24_limit``."""
    required: dict[str, int] = field(default_factory=dict)
    """What rule BP24 asked for when this was judged: ``percent``, and valid readings by ``day`` and by ``night``."""


@dataclass(frozen=True, slots=True)
class Bp24Recording:
    """A recording as it is kept with a visit: what it says, and every attempt behind it."""

    analysis: Bp24Analysis
    readings: tuple[SeriesReading, ...]
    """In order of time; those that no heart produces (rule BP34) are named."""
    damaged: tuple[DamagedRow, ...] = ()

"""What is measured on twelve leads, and what may be said of it."""

from dataclasses import dataclass, field
from typing import Literal

from zhenbao.model.finding import Confidence
from zhenbao.model.quantity import Quantity

Conduction = Literal["normal", "lbbb", "rbbb", "paced", "preexcited", "wide"]


@dataclass(frozen=True, slots=True)
class EcgFact:
    """Something seen in the tracing, with what it rests on. Never a diagnosis, and never an all-clear."""

    name: str
    """A fact of the rules (``ecg.st_elevation_udmi``), or the key of a hint (``posterior``)."""
    leads: tuple[str, ...]
    beats: tuple[int, ...]
    """Sample indices of the beats that were averaged for it."""
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Times in ms from the beats' common reference (about the R peak); None where it was not found."""

    p_onset: float | None = None
    p_offset: float | None = None
    qrs_onset: float | None = None
    j: float | None = None
    t_end: float | None = None


@dataclass(frozen=True, slots=True)
class TwelveLead:
    """Measured on the average of the dominant beats. Empty, with its reasons in ``limits``, where nothing could be."""

    beats: tuple[int, ...] = ()
    """The dominant beats that were averaged, sample indices."""
    landmarks: Landmarks = field(default_factory=Landmarks)
    """Over all leads together."""
    intervals: dict[str, float] = field(default_factory=dict)
    """ms: ``pr p qrs qt qtcf qtcb`` where measured, and ``rr``, which the corrections took."""
    quantities: dict[str, Quantity] = field(default_factory=dict)
    """``ecg_pr_interval``, ``ecg_qrs_duration``, ``ecg_qtc_fridericia``, as the rules name them."""
    axis_deg: float | None = None
    """Frontal QRS axis, 0 is lead I, 90 is aVF, within (-180, 180]."""
    st_mm: dict[str, float] | None = None
    """Per lead, level at the J point against QRS onset, mm at 10 mm/mV; None where ST cannot be judged."""
    st60_mm: dict[str, float] | None = None
    """The same, 60 ms after the J point."""
    noise_mm: dict[str, float] = field(default_factory=dict)
    """Per lead, one standard error of such a level, from how the beats differ."""
    conduction: Conduction | None = None
    """Key of the ``ecg_conduction`` words; None where QRS was not measured or the leads do not suffice."""
    sgarbossa: int | None = None
    """Points of Sgarbossa's criteria; None unless bundle branch block or pacing calls for them."""
    smith: bool | None = None
    """An elevation of at least a quarter of the S wave before it (Smith's modification); None as for Sgarbossa."""
    facts: tuple[EcgFact, ...] = ()
    """Named as in the rules' conditions."""
    hints: tuple[EcgFact, ...] = ()
    """Keys of the ``ecg_hint`` words: what to record or think of next. No rule takes them."""
    limits: tuple[str, ...] = ()
    """Keys of the ``ecg_limit`` words: what this result does not say."""

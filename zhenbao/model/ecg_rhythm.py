"""What every beat is, and what rhythm they make."""

from dataclasses import dataclass, field

from zhenbao.model.ecg_twelve import EcgFact
from zhenbao.model.finding import Confidence


@dataclass(frozen=True, slots=True)
class BeatClasses:
    """One value a beat in every tuple."""

    beats: tuple[int, ...] = ()
    """R-peak sample indices, ascending."""
    classes: tuple[str, ...] = ()
    """``N`` normal or conducted, ``S`` supraventricular ectopic, ``V`` ventricular, ``F`` fusion, ``/`` paced, ``?``"""
    width_ms: tuple[float, ...] = ()
    """QRS duration as one beat shows it; for comparison within a recording, not the measured interval."""
    correlation: tuple[float, ...] = ()
    """Of the QRS to the patient's own template, -1 to 1."""
    rr_before: tuple[float | None, ...] = ()
    """The interval before by the usual one around; None where there is none."""
    rr_after: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time with one rhythm."""

    start: int
    """Sample index."""
    stop: int
    """Sample index after the last."""
    rhythm: str
    """Key of the ``rhythm`` words, ``not-judged`` where it cannot be said."""
    rate_bpm: float | None
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The rhythm of a recording: suspicion for a physician, never an all-clear."""

    rhythm: str = "not-judged"
    """The rhythm that fills most of the time that could be judged."""
    rate_bpm: float | None = None
    stretches: tuple[Stretch, ...] = ()
    """In order; they need not cover the recording."""
    beats: BeatClasses = field(default_factory=BeatClasses)
    facts: tuple[EcgFact, ...] = ()
    """Named as in the rules' conditions (``ecg.atrial_fibrillation``)."""
    hints: tuple[EcgFact, ...] = ()
    """Keys of the ``ecg_hint`` words (``couplet``, ``bigeminy``, ``paced``...); no rule takes them."""
    limits: tuple[str, ...] = ()
    """Keys of the ``ecg_limit`` words: what this result does not say."""

"""Results of ECG analysis, as they travel."""

from dataclasses import dataclass, field

from zhenbao.model.ecg_rhythm import Stretch
from zhenbao.model.ecg_twelve import EcgFact
from zhenbao.model.finding import Finding

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
MONITOR_LEADS = ("chest-strap", "single-channel")
"""Leads whose electrodes are not where any standard lead has them (``ecg_lead`` words): rate and rhythm only."""
DATA_LOST = "data-lost"
"""A reason of quality: samples never arrived. A matter of the cable or the radio, of all leads; of no electrode."""


@dataclass(frozen=True, slots=True)
class EcgQuality:
    """Whether a recording can carry a judgement, and why not, in words a doctor can act on."""

    acceptable: bool
    score: float
    """0 (useless) to 1 (clean)."""
    reasons: tuple[str, ...] = ()
    """Keys of the ``ecg_quality`` words, with the lead after a colon where one is meant: ``electrode-off:V2``."""
    usable: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Per lead, the intervals [start, stop) in samples that can be used."""
    lost: tuple[tuple[int, int], ...] = ()
    """Stretches [start, stop) in samples, of all leads, that never arrived: no matter of electrodes."""


@dataclass(frozen=True, slots=True)
class EcgAnalysis:
    """What was measured and, as important, what could not be."""

    fs_hz: float
    lead_names: tuple[str, ...]
    beats: tuple[int, ...]
    """R-peak sample indices, ascending."""
    classes: tuple[str, ...]
    """Per beat: ``N S V F / ?``; ``?`` where it could not be classified."""
    heart_rate_bpm: float | None
    rhythm: str
    """Key of the ``rhythm`` words; ``not-judged`` where the analysis does not tell."""
    intervals: dict[str, float]
    """Milliseconds: ``rr``, ``rr_min``, ``rr_max``, and ``pr qrs qt qtcf qtcb`` where measured."""
    st_mm: dict[str, float] | None
    """Per lead, J-point level in mm at 10 mm/mV; None where it cannot be judged."""
    findings: tuple[Finding, ...]
    quality: EcgQuality
    limits: tuple[str, ...] = ()
    """Keys of the ``ecg_limit`` words: what this result does not say."""
    st60_mm: dict[str, float] | None = None
    """Per lead, level 60 ms after the J point, as ``st_mm``."""
    axis_deg: float | None = None
    """Frontal QRS axis: 0 is lead I, 90 is aVF."""
    conduction: str | None = None
    """Key of the ``ecg_conduction`` words; None where it was not judged."""
    facts: tuple[EcgFact, ...] = ()
    """What was seen in the tracing, with the leads and beats it rests on; the rules make findings of it."""
    hints: tuple[EcgFact, ...] = ()
    """Keys of the ``ecg_hint`` words: what to record or think of next."""
    stretches: tuple[Stretch, ...] = ()
    """Rhythm by time, with its rate and how sure it is; they need not cover the recording."""

    @property
    def lost_ms(self) -> int:
        """How much of the recording never arrived."""
        return round(1000 * sum(stop - start for start, stop in self.quality.lost) / self.fs_hz)

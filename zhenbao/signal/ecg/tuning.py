"""The one frozen set of numbers behind QRS detection: the same for every database, sampling rate, unit and lead count.

They are properties of heartbeats (how fast a QRS is, how soon the next may come), not clinical limits, and were
chosen on the recordings named in ``docs/clinical/ecg.md``, which also says how they score.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times in seconds, frequencies in hertz, heights as a fraction of the local beat's height, costs in nats."""

    inner_rate_hz: float = 100.0
    """Recordings are averaged down to about this rate before filtering."""
    band_hz: float = 14.0
    """Centre of the QRS band (Elgendi 2013 finds 8 to 20 Hz best, doi:10.1371/journal.pone.0073557)."""
    band_width_hz: float = 5.0
    """Standard deviation of that band: T waves (below 7 Hz) pass with less than a third of their height."""
    sharp_hz: float = 26.0
    """Centre of a higher band, where a QRS has energy and a T wave has none."""
    sharp_width_hz: float = 8.0
    apart_s: float = 0.08
    """A candidate is the highest point of the envelope this far to both sides."""
    sharp_reach_s: float = 0.06
    faintest: float = 0.12
    """Candidates below this fraction of the local beat are not looked at."""

    bin_s: float = 0.8
    """The first guess of the beat's height is the highest point of two bins of this length,"""
    bins_near: int = 5
    """of which the quantile below over this many is taken,"""
    bins_far: int = 75
    far_quantile: float = 0.65
    far_floor: float = 0.25
    """never less than this fraction of a quantile over many more: a standstill does not turn P waves into beats."""
    bin_quantile: float = 0.55
    bins_quiet: int = 13
    contrast_least: float = 3.2
    """Beats that rise less than this above what lies between them (median of neighbours) are noise,"""
    unsteady_most: float = 0.04
    contrast_regular: float = 2.4
    """unless they rise by this, and their intervals deviate from the usual one by less than the fraction above."""
    near_ceiling: float = 1.8
    """A level learned from beats is at most this many first guesses: a past artefact does not blind for ever."""
    near_beats: int = 5
    """Later guesses: the median height of this many beats."""
    rhythm_beats: int = 9
    """The expected interval and the noise are medians over this many beats."""
    outlier: float = 2.5
    """A beat counts with at most this many local heights: an artefact does not lift the level."""
    passes: int = 3

    fusion_bins: int = 15
    """What a lead's beats are like is told by this many bins."""

    threshold: float = 0.34
    """Where between noise and beat a candidate is as likely the one as the other."""
    noise_least: float = 0.08
    noise_most: float = 0.75
    quiet_s: float = 0.15
    """Candidates nearer than this to a beat belong to it and tell nothing of the noise."""
    steepness: float = 1.6
    gain_most: float = 1.2
    gain_least: float = -3.0
    shortest_s: float = 0.22
    """No two beats are nearer than this (272 per minute)."""
    early_below: float = 0.72
    """An interval under this fraction of the expected one costs ``early_cost`` for each unit it is short."""
    early_cost: float = 2.0
    late_above: float = 1.35
    """An interval above this fraction costs ``late_cost`` for each unit it is long, at most ``late_most``."""
    late_cost: float = 2.0
    late_most: float = 4.0
    t_wave_s: float = 0.36
    """A candidate this soon after a beat (Pan and Tompkins 1985, doi:10.1109/TBME.1985.325532) and"""
    t_wave_ratio: float = 0.4
    """less than this fraction as sharp is probably its T wave, which costs"""
    t_wave_cost: float = 1.0
    clear_gain: float = 0.4
    """A candidate that gains this much is a beat, where its neighbours are and the intervals cost nothing."""
    beside: float = 0.45
    """One that loses and is nearer than this many intervals to a clear one is not looked at."""
    strong: float = 0.5
    """Before any beat is known: candidates above this height whose intervals agree tell the interval to expect,"""
    agreed_share: float = 0.75
    """if this share of neighbouring intervals fits, with no candidate above"""
    rival: float = 0.25
    """this height in between, and"""
    agreed_range_s: tuple[float, float] = (0.5, 1.25)
    """it is no extreme one; this far around"""
    agreed_reach_s: float = 8.0
    """it is expected too. Elsewhere"""
    first_intervals_s: tuple[float, ...] = (0.8, 0.4, 1.6)
    """each of these is tried; locally the first is taken unless the row of another explains"""
    evidence_factors: tuple[float, ...] = (1.5, 3.0)
    """more than this many times as much (one for each other interval), and"""
    evidence_margin: float = 2.0
    """this much more, where"""
    evidence_s: float = 4.0
    """locally means this far to both sides."""
    interval_range_s: tuple[float, float] = (0.24, 2.4)

    wait_s: float = 0.02
    """While a recording runs, a clear beat is told when this much after it has been searched,"""
    late_wait_s: float = 0.75
    """a doubtful one when a clear one follows, or after this;"""
    search_back_s: float = 1.05
    """what is older is not told any more."""
    warm_up_s: float = 2.0
    relearn_memory_s: float = 12.0
    """The last seconds, up to this much, are judged as a whole recording would be, to learn the levels from them:"""
    relearn_s: float = 2.0
    """this often until there are so many, and in a silence;"""
    relearn_seldom_s: float = 5.0
    """later this often."""

    peak_reach_s: float = 0.08
    """The R peak lies this near to the envelope's maximum: there the mean over"""
    peak_narrow_s: float = 0.02
    """this differs most from the mean over"""
    peak_wide_s: float = 0.16
    peak_upward: float = 1.2
    """An upward deflection counts as this much larger than a downward one,"""
    peak_spread_s: float = 0.2
    """and one away from the centre as smaller (standard deviation of a Gaussian)."""


TUNING = Tuning()

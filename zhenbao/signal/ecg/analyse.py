"""What may be said of an ECG on the spot, and what may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.model.ecg import LEADS, MONITOR_LEADS, EcgAnalysis, EcgQuality
from zhenbao.model.ecg_rhythm import Rhythm
from zhenbao.model.ecg_twelve import EcgFact, TwelveLead
from zhenbao.model.finding import Confidence, Finding
from zhenbao.model.quantity import Quantity
from zhenbao.rules import evaluate, facts_behind
from zhenbao.signal.ecg.beats import judge_rhythm
from zhenbao.signal.ecg.criteria import criteria
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.qrs import as_leads, detect_qrs
from zhenbao.signal.ecg.quality import assess_quality, usable_seconds
from zhenbao.signal.ecg.rhythm import Flags, Intervals, believed_intervals
from zhenbao.signal.ecg.twelve import measure_twelve

_ADULT_YEARS = 18
_LONG_QT = ("EC24", "EC25", "EC26")
"""Rules that call QT long."""
_CONFIDENCE = ("uncertain", "possible", "likely")


def analyse_ecg(
    ecg_mv: ArrayLike,
    fs_hz: float,
    lead_names: Sequence[str],
    *,
    sex: str | None = None,
    age_years: float | None = None,
    highpass_hz: float | None = None,
    zero_phase: bool = False,
    profile: str | None = None,
    lost: Sequence[tuple[int, int]] = (),
) -> EcgAnalysis:
    """Quality first, then beats, their classes and rhythm, rate and pauses, then intervals and ST of the averaged beat.

    Args:
        ecg_mv: ``[leads, n]`` (or ``[n]``) in millivolts, NaN where there is no value; only leads that were fitted.
        fs_hz: sampling rate.
        lead_names: one for each row, ``I`` to ``V6`` where they are standard leads. Of a recording that has only
            ``MONITOR_LEADS`` rate and rhythm are judged; no interval of a beat, no axis, no ST (rule EC42).
        sex: ``male`` or ``female``; anything else is unknown.
        age_years: in completed years.
        highpass_hz: what the recorder cut below; None is unknown, and ST is then not judged.
        zero_phase: that filter was applied forwards and backwards, so it does not tilt ST.
        profile: the county's rule profile (see :func:`zhenbao.signal.ecg.twelve.measure_twelve`).
        lost: stretches [start, stop) in samples that never arrived (see :func:`assess_quality`).

    Returns:
        Findings are hints (初筛提示), never a diagnosis. Where no lead is good for long enough there is no
        heart rate and no finding but the one to repeat. ``limits`` says what the result does not say.

    Raises:
        ValueError: no such rate, or names do not match rows.
    """
    samples = as_leads(ecg_mv)
    names = tuple(lead_names)
    quality = assess_quality(samples, fs_hz, names, lost=lost)
    usable = _usable(quality, samples.shape[1])
    connected: Flags = np.asarray(usable.any(axis=1), bool)
    beats = detect_qrs(samples[connected], fs_hz) if connected.any() else np.empty(0, np.int64)
    # A lead's bad second is no reason to mistrust an interval that other leads show: one lead is enough.
    seen: Flags = np.asarray(usable.any(axis=0), bool)
    trusted = np.where(usable, samples, np.nan)
    rhythm = judge_rhythm(samples[connected], fs_hz, _some(names, connected), beats, usable[connected])
    fibrillating = _inside(rhythm, "ventricular-fibrillation", samples.shape[1])
    intervals = believed_intervals(trusted, fs_hz, beats, seen & ~fibrillating)
    # Rate and pauses need one good lead; a loose electrode elsewhere must not silence a critical one.
    judged = quality.acceptable or (seen.size > 0 and float(seen.mean()) >= criteria()["rate_seen_share"])
    rate = intervals.rate_bpm if judged and len(beats) >= 3 else None
    if not judged:
        rhythm = _only_fibrillation(rhythm)
    known = dict(zip(rhythm.beats.beats, rhythm.beats.classes, strict=True))
    classes = tuple(known.get(beat, "?") for beat in beats.tolist())
    averaged = TwelveLead()
    monitor = set(names) <= set(MONITOR_LEADS)
    if judged and not monitor and len(set(names)) == len(names):
        averaged = measure_twelve(
            trusted,
            fs_hz,
            names,
            beats,
            classes,
            sex=sex,
            age_years=age_years,
            highpass_hz=highpass_hz,
            zero_phase=zero_phase,
            profile=profile,
        )
        if _p_hidden(rhythm, rate):
            averaged = _without_pr(averaged)
    context = {"sex": sex} if sex in ("male", "female") else {}
    if age_years is not None:
        context["adult"] = "yes" if age_years >= _ADULT_YEARS else "no"
    return EcgAnalysis(
        fs_hz=float(fs_hz),
        lead_names=names,
        beats=tuple(beats.tolist()),
        classes=classes,
        heart_rate_bpm=None if rate is None else round(rate, 1),
        rhythm=_named(rhythm, intervals, judged),
        intervals={**{k: v for k, v in averaged.intervals.items() if k != "rr"}, **_milliseconds(intervals)},
        st_mm=averaged.st_mm,
        findings=_findings(quality, judged, fs_hz, rate, intervals, averaged, rhythm, context, beats.tolist()),
        quality=quality,
        limits=_limits(names, quality, judged, len(beats), intervals, averaged, rhythm, highpass_hz, zero_phase),
        st60_mm=averaged.st60_mm,
        axis_deg=averaged.axis_deg,
        conduction=averaged.conduction,
        facts=averaged.facts + rhythm.facts,
        hints=averaged.hints + rhythm.hints,
        stretches=rhythm.stretches,
    )


def _usable(quality: EcgQuality, n: int) -> Flags:
    usable = np.zeros((len(quality.usable), n), bool)
    for row, stretches in zip(usable, quality.usable.values(), strict=True):
        for start, stop in stretches:
            row[start:stop] = True
    return usable


def _some(names: tuple[str, ...], connected: Flags) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(names, connected, strict=True) if yes)


def _inside(rhythm: Rhythm, name: str, n: int) -> Flags:
    inside = np.zeros(n, bool)
    for stretch in rhythm.stretches:
        if stretch.rhythm == name:
            inside[stretch.start : stretch.stop] = True
    return inside


def _only_fibrillation(rhythm: Rhythm) -> Rhythm:
    """Of a recording that is to be repeated only what nobody may wait for."""
    stretches = tuple(s for s in rhythm.stretches if s.rhythm == "ventricular-fibrillation")
    facts = tuple(f for f in rhythm.facts if f.name == "ecg.ventricular_fibrillation")
    return Rhythm(stretches=stretches, facts=facts)


def _named(rhythm: Rhythm, intervals: Intervals, judged: bool) -> str:
    """The kind of rhythm where it can be told, else whether it is regular."""
    if not judged:
        return "not-judged"
    too_few = intervals.rhythm == "not-judged" and rhythm.rhythm.startswith("sinus")
    if rhythm.rhythm == "not-judged" or too_few:
        return intervals.rhythm
    return "sinus-irregular" if rhythm.rhythm == "sinus" and intervals.rhythm == "irregular" else rhythm.rhythm


def _p_hidden(rhythm: Rhythm, rate: float | None) -> bool:
    """What looks like a P wave is none: the atria fibrillate, or the T wave before reaches into its time."""
    names = {grounds.name for grounds in (*rhythm.facts, *rhythm.hints)}
    fast = rate is not None and rate >= criteria()["p_hidden_bpm"]
    return fast or bool(names & {"ecg.atrial_fibrillation", "wide-tachycardia"})


def _without_pr(averaged: TwelveLead) -> TwelveLead:
    """Neither the interval nor the rule on it; PR that is not given is said to be so."""
    return replace(
        averaged,
        intervals={name: ms for name, ms in averaged.intervals.items() if name != "pr"},
        quantities={name: value for name, value in averaged.quantities.items() if name != "ecg_pr_interval"},
    )


def _milliseconds(intervals: Intervals) -> dict[str, float]:
    rr: Floats = intervals.rr_s * 1000
    if not len(rr):
        return {}
    return {
        "rr": round(float(np.median(rr)), 1),
        "rr_min": round(float(rr.min()), 1),
        "rr_max": round(float(rr.max()), 1),
    }


def _findings(
    quality: EcgQuality,
    judged: bool,
    fs_hz: float,
    rate: float | None,
    intervals: Intervals,
    averaged: TwelveLead,
    rhythm: Rhythm,
    context: Mapping[str, str],
    beats: list[int],
) -> tuple[Finding, ...]:
    values = {"usable_s": Quantity(round(usable_seconds(quality, fs_hz), 2), "s"), **averaged.quantities}
    if rate is not None:
        values["heart_rate_ecg"] = Quantity(round(rate, 1), "/min")
    longest = intervals.longest if beats else _silence(rhythm, fs_hz)
    if judged and longest is not None:
        seconds, open_ended = longest
        values["ecg_rr_max"] = Quantity(round(seconds, 3), "s", ">" if open_ended else None)
    facts = averaged.facts + rhythm.facts
    seen = {**context, **{fact.name: "yes" for fact in facts}}
    early = next((replace(hint, name="ecg.r_on_t_long_qt") for hint in rhythm.hints if hint.name == "r-on-t"), None)
    if early and any(f.rule_id in _LONG_QT and f.status == "present" for f in evaluate("ecg", values, seen)):
        facts += (early,)
        seen[early.name] = "yes"
    usable = tuple(name for name, stretches in quality.usable.items() if stretches)
    # A number from a recording that is to be repeated is less sure than one from a good recording.
    sure: Confidence = "likely" if quality.acceptable else "possible"
    return tuple(_with_grounds(f, facts, usable, beats, sure) for f in evaluate("ecg", values, seen))


def _silence(rhythm: Rhythm, fs_hz: float) -> tuple[float, bool] | None:
    """A recording without a beat is one pause that began before it and goes on after it."""
    spans = [s.stop - s.start for s in rhythm.stretches if s.rhythm == "asystole"]
    return (max(spans) / fs_hz, True) if spans else None


def _with_grounds(
    finding: Finding, facts: Iterable[EcgFact], leads: tuple[str, ...], beats: list[int], sure: Confidence
) -> Finding:
    """The finding with what it rests on: that of its facts, or all beats and leads where it is a number."""
    behind = facts_behind("ecg", finding.rule_id)
    grounds = [fact for fact in facts if fact.name in behind]
    if not grounds:
        return replace(finding, leads=leads, beats=tuple(beats), confidence=sure)
    return replace(
        finding,
        leads=tuple(dict.fromkeys(lead for fact in grounds for lead in fact.leads)),
        beats=tuple(sorted({beat for fact in grounds for beat in fact.beats})),
        confidence=min((fact.confidence for fact in grounds), key=_CONFIDENCE.index),
    )


def _limits(
    names: tuple[str, ...],
    quality: EcgQuality,
    judged: bool,
    beats: int,
    intervals: Intervals,
    averaged: TwelveLead,
    rhythm: Rhythm,
    highpass_hz: float | None,
    zero_phase: bool,
) -> tuple[str, ...]:
    limits = []
    if not judged:
        limits.append("quality")
    elif not quality.acceptable:
        limits.append("some-leads")
    if judged and beats < 3:
        limits.append("few-beats" if beats else "no-beats")
    if intervals.unsure:
        limits.append("gap-unsure")
    if any(stretch.rhythm == "ventricular-fibrillation" for stretch in rhythm.stretches):
        limits.append("fibrillation-rate")
    if judged:
        limits += [limit for limit in rhythm.limits if limit not in ("no-beats", "few-beats")]
    limits.append("rhythm-by-physician")
    if averaged.st_mm is None:
        limits.append("st-not-judged")
    limits += [limit for limit in averaged.limits if limit not in ("no-beats", "few-beats")]
    if set(names) <= set(MONITOR_LEADS):
        limits.append("monitor-lead")
    if not averaged.limits:
        if not set(LEADS) <= set(names):
            limits.append("fewer-leads")
        if highpass_hz is None:
            limits.append("highpass-unknown")
        elif highpass_hz > criteria()["st_highpass_hz"] and not zero_phase:
            limits.append("highpass-high")
    limits.append("excludes-nothing")
    return tuple(dict.fromkeys(limits[:-1] if "excludes-nothing" in limits[:-1] else limits))

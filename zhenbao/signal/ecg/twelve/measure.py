"""From samples and beats to intervals, ST levels and what may be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.model.ecg import LEADS
from zhenbao.model.ecg_twelve import Conduction, EcgFact, Landmarks, TwelveLead
from zhenbao.model.quantity import Quantity
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.qrs import as_leads, check_rate
from zhenbao.signal.ecg.twelve import average, conduction, delineate, infarction, reversal, st
from zhenbao.signal.ecg.twelve.average import AT, Flags, Ints, Windows
from zhenbao.signal.ecg.twelve.criteria import criteria
from zhenbao.signal.ecg.twelve.delineate import MIDMEAN_VARIANCE, NORMAL_MAD, Waves

_EXTRA = ("V7", "V8", "V9", "V3R", "V4R")


def measure_twelve(
    ecg_mv: ArrayLike,
    fs_hz: float,
    lead_names: Sequence[str],
    beats: ArrayLike,
    classes: Sequence[str],
    *,
    sex: str | None = None,
    age_years: float | None = None,
    highpass_hz: float | None = None,
    zero_phase: bool = False,
    profile: str | None = None,
) -> TwelveLead:
    """Intervals, axis and ST of the averaged dominant beat.

    Args:
        ecg_mv: ``[leads, n]`` (or ``[n]``) in millivolts, NaN where there is no value.
        fs_hz: sampling rate.
        lead_names: one for each row: ``I`` to ``V6``, and ``V7 V8 V9 V3R V4R``. III, aVR, aVL and aVF are computed
            where only I and II are given.
        beats: ``[k]`` sample indices about the R peaks, ascending.
        classes: one for each beat, ``N S V F / ?``; all ``?`` where they are not known.
        sex: ``male`` or ``female``; anything else is unknown.
        age_years: in completed years.
        highpass_hz: what the recorder cut below; None is unknown, and then ST is not judged.
        zero_phase: that filter was applied forwards and backwards, so it does not tilt ST.
        profile: the county's reading of the limits; ``zhejiang`` exceeds 3 mm in V1 to V3, the others reach it.

    Returns:
        Facts are hints (初筛提示), never a diagnosis, and their absence excludes nothing. Whatever signal is given,
        there is a result; ``limits`` says why parts are missing.

    Raises:
        ValueError: no such rate, or names or classes do not match.
    """
    samples = as_leads(ecg_mv)
    check_rate(fs_hz)
    names = tuple(lead_names)
    at = np.unique(np.asarray(beats, np.int64).ravel())
    if len(names) != len(samples) or len(set(names)) != len(names):
        raise ValueError(f"{len(names)} names, not all different or not one for each of {len(samples)} leads")
    if len(classes) != np.asarray(beats).size:
        raise ValueError(f"{len(classes)} classes for {np.asarray(beats).size} beats")
    if len(at) != len(classes):
        classes = ("?",) * len(at)
    names, samples = _with_derived(names, np.where(np.isfinite(samples), samples, np.nan))
    filter_limits = _filter_limits(highpass_hz, zero_phase)
    standing = () if set(LEADS) <= set(names) else ("fewer-leads",)
    found = _average(names, samples, fs_hz, at, classes)
    if isinstance(found, str):
        return TwelveLead(limits=(found, *standing, *filter_limits, "excludes-nothing"))
    person = _Person(
        sex if sex in ("male", "female") else None,
        age_years if age_years is not None and np.isfinite(age_years) else None,
        profile,
    )
    return _read(found, person, standing, filter_limits, _rr_ms(at, fs_hz))


@dataclass(frozen=True, slots=True)
class _Person:
    sex: str | None
    age_years: float | None
    profile: str | None


@dataclass(frozen=True, slots=True)
class _Average:
    """An averaged beat of the leads that can be used, and the beats it comes from."""

    names: tuple[str, ...]
    lost: tuple[str, ...]
    """Leads that cannot be used."""
    beat: Floats
    """[leads, ms] in mV, 0 at QRS onset; no NaN."""
    each: Floats
    """[beats, leads, ms], NaN in gaps."""
    samples: tuple[int, ...]
    """The beats, sample indices."""
    trusted: Flags
    """[leads] that show the same at every beat; waves are sought on these."""
    qrs_onset: int
    j: int
    paced: bool


def _filter_limits(highpass_hz: float | None, zero_phase: bool) -> tuple[str, ...]:
    table = criteria()
    if highpass_hz is None or not np.isfinite(highpass_hz):
        return ("highpass-unknown",)
    highest = table["st_highpass_zero_phase_hz"] if zero_phase else table["st_highpass_hz"]
    return () if highpass_hz <= highest + 1e-9 else ("highpass-high",)


def _with_derived(names: tuple[str, ...], samples: Floats) -> tuple[tuple[str, ...], Floats]:
    """Add the limb leads that follow from I and II, in the order in which people read."""
    rows = dict(zip(names, samples, strict=True))
    if "I" in rows and "II" in rows:
        one, two = rows["I"], rows["II"]
        for name, row in (
            ("III", two - one),
            ("aVR", -(one + two) / 2),
            ("aVL", one - two / 2),
            ("aVF", two - one / 2),
        ):
            rows.setdefault(name, row)
    ordered = [name for name in (*LEADS, *_EXTRA) if name in rows] + [n for n in rows if n not in (*LEADS, *_EXTRA)]
    return tuple(ordered), np.array([rows[name] for name in ordered]).reshape(len(ordered), samples.shape[1])


def _rr_ms(beats: Ints, fs_hz: float) -> float | None:
    """The median interval of all beats."""
    return float(np.median(np.diff(beats))) * 1000 / fs_hz if len(beats) > 1 else None


def _average(
    names: tuple[str, ...], samples: Floats, fs_hz: float, beats: Ints, classes: Sequence[str]
) -> _Average | str:
    """Average the dominant beats, or say by a limit's key why not."""
    inside = (beats >= 0) & (beats < samples.shape[1])
    classes = [c for c, there in zip(classes, inside.tolist(), strict=True) if there]
    beats = beats[inside]
    recording = average.prepare(samples, fs_hz, beats)
    if not len(beats) or not recording.known.any():
        return "no-beats"
    least = criteria()["least_beats"]
    steady = average.steady(recording, beats)
    windows = average.dominant(_some_leads(recording, steady), beats, classes)
    if windows is None or len(windows.which) < least:
        return "few-beats"
    windows = Windows(average.cut(recording, windows.times_s), windows.times_s, windows.which)
    around = slice(AT - 100, AT + 200)
    enough = np.count_nonzero(np.isfinite(windows.mv[:, :, around]).all(axis=2), axis=0) >= least
    rough = _filled(average.midmean(windows.mv))
    enough &= np.ptp(rough[:, AT - 80 : AT + 120], axis=1) >= criteria()["flat_mv"]
    if not enough.any():
        return "no-beats"
    kept = tuple(name for name, good in zip(names, enough.tolist(), strict=True) if good)
    lost = tuple(name for name in names if name not in kept)
    windows = Windows(windows.mv[:, enough], windows.times_s, windows.which)
    recording = _some_leads(recording, enough)
    trusted = steady[enough] if steady[enough].any() else np.ones(len(kept), bool)
    spike = average.spike(rough[enough][trusted])
    if spike is not None:
        windows = average.without_spike(windows, spike)
    marks = [classes[i] for i in windows.which.tolist()]
    limits = _limits_of_qrs(windows.mv[:, trusted], spike)
    if limits is None:
        return "no-beats"
    levelled = average.levelled(recording, windows, limits[0])
    beat = _filled(average.midmean(levelled))
    refined = delineate.qrs_limits(beat[trusted], (levelled - beat)[:, trusted]) or limits
    onset, j = _after_spike(refined, spike)
    if onset != limits[0]:
        levelled = average.levelled(recording, windows, onset)
        beat = _filled(average.midmean(levelled))
    return _Average(
        names=kept,
        lost=lost,
        beat=beat,
        each=levelled,
        samples=tuple(beats[windows.which].tolist()),
        qrs_onset=onset,
        j=j,
        trusted=trusted,
        paced=spike is not None or marks.count("/") * 2 > len(marks),
    )


def _some_leads(recording: average.Recording, leads: Flags) -> average.Recording:
    """The same recording with some of its leads."""
    return average.Recording(recording.mv[leads], recording.known[leads], recording.fs_hz)


def _limits_of_qrs(mv: Floats, spike: int | None) -> tuple[int, int] | None:
    """QRS onset and J before the baseline is known: each beat is only brought to its own mean."""
    core = mv[:, :, AT - 100 : AT + 100]
    counted = np.maximum(np.isfinite(core).sum(axis=2, keepdims=True), 1)
    centred = mv - np.nansum(core, axis=2, keepdims=True) / counted
    beat = _filled(average.midmean(centred))
    limits = delineate.qrs_limits(beat, centred - beat)
    return None if limits is None else _after_spike(limits, spike)


def _after_spike(limits: tuple[int, int], spike: int | None) -> tuple[int, int]:
    """Nothing ventricular goes before a spike that stands close to QRS."""
    onset, j = limits
    if spike is not None and spike - 60 < onset < spike + 2 < j - 40:
        onset = spike + 2
    return onset, j


def _filled(beat: Floats) -> Floats:
    """NaN bridged along each lead; a lead without any value is 0."""
    result = np.zeros_like(beat)
    index = np.arange(beat.shape[1])
    for row, values in enumerate(beat):
        there = np.isfinite(values)
        if there.any():
            result[row] = np.interp(index, index[there], values[there])
    return result


def _noise_mv(found: _Average, width: int, region: slice) -> float:
    """Root mean square over leads of what averaging left in a part of the beat, after smoothing."""
    part = (found.each[:, :, region] - found.beat[:, region])[:, found.trusted]
    part = part[:, :, ~np.isnan(part).any(axis=(0, 1))]
    if part.shape[2] < width:
        return 0.0
    smoothed = average.smooth(part, width)
    each = NORMAL_MAD * np.median(np.abs(smoothed), axis=(0, 2))
    return float(np.sqrt((each**2).mean() * MIDMEAN_VARIANCE / max(len(part) - 1, 1)))


def _waves(found: _Average, rr_ms: float | None) -> Waves:
    rr = 1000.0 if rr_ms is None else min(max(rr_ms, 200.0), 2500.0)
    on, j = found.qrs_onset, found.j
    beat = found.beat[found.trusted]
    t_end = delineate.t_end(beat, _noise_mv(found, 25, slice(j + 60, j + 360)), on, j, rr)
    last_t = round((t_end if t_end is not None else on + 0.45 * rr) - rr)
    p = delineate.p_wave(beat, _noise_mv(found, 19, slice(max(0, on - 260), on - 30)), on, last_t)
    if p is None and t_end is not None and rr < criteria()["merged_rr_ms"]:
        corrected = (t_end - on) / (rr / 1000) ** (1 / 3)
        t_end = None if corrected > criteria()["merged_qtc_ms"] else t_end  # P hides in what looks like a long T
    return Waves(on, j, None if p is None else p[0], None if p is None else p[1], t_end)


def _intervals(waves: Waves, rr_ms: float | None) -> dict[str, float]:
    result = {"qrs": float(waves.j - waves.qrs_onset)}
    if rr_ms is not None:
        result["rr"] = round(rr_ms, 1)
    if waves.p_onset is not None and waves.p_offset is not None:
        result["pr"] = float(waves.qrs_onset - waves.p_onset)
        result["p"] = float(waves.p_offset - waves.p_onset)
    if waves.t_end is not None:
        qt = result["qt"] = float(waves.t_end - waves.qrs_onset)
        if rr_ms:
            result["qtcf"] = round(qt / (rr_ms / 1000) ** (1 / 3), 1)
            result["qtcb"] = round(qt / (rr_ms / 1000) ** 0.5, 1)
    return result


_QUANTITIES = {"pr": "ecg_pr_interval", "qrs": "ecg_qrs_duration", "qtcf": "ecg_qtc_fridericia"}


def _read(
    found: _Average, person: _Person, standing: tuple[str, ...], filter_limits: tuple[str, ...], rr_ms: float | None
) -> TwelveLead:
    waves = _waves(found, rr_ms)
    intervals = _intervals(waves, rr_ms)
    qrs = {name: row[waves.qrs_onset : waves.j + 1] for name, row in zip(found.names, found.beat, strict=True)}
    shape = conduction.conduction(qrs, intervals.get("pr"), found.paced)
    exchanged = reversal.arms_exchanged(qrs, _p_heights(found, waves))
    limits = [*standing, *filter_limits]
    facts: list[EcgFact] = []
    hints: list[EcgFact] = []
    if exchanged is not None:
        what, confidence, leads = exchanged
        if what == "reversal":
            facts.append(EcgFact("ecg.limb_reversal", leads, found.samples, confidence))
            limits.append("limb-reversal")
        else:
            hints.append(EcgFact("dextrocardia", leads, found.samples, confidence))
    if "pr" not in intervals:
        limits.append("no-p")
    if "qt" not in intervals:
        limits.append("no-t")
    if shape == "lbbb":
        limits.append("lbbb-age-unknown")
    st_facts = _St()
    if not standing and not filter_limits:
        doubts = infarction.Doubts(
            conduction=shape,
            limb_leads=exchanged is not None,
            voltage=conduction.left_ventricular_voltage(qrs, person.sex),
            child=person.age_years is not None and person.age_years < criteria()["adult_years"],
            person_unknown=person.sex is None or (person.sex == "male" and person.age_years is None),
        )
        st_facts = _judge_st(found, waves, qrs, shape, doubts, person)
        facts += st_facts.facts
        hints += st_facts.hints
        limits += st_facts.limits
    errors = st.standard_errors(found.each, waves.j)
    return TwelveLead(
        beats=found.samples,
        landmarks=Landmarks(
            p_onset=_from_reference(waves.p_onset),
            p_offset=_from_reference(waves.p_offset),
            qrs_onset=_from_reference(waves.qrs_onset),
            j=_from_reference(waves.j),
            t_end=_from_reference(waves.t_end),
        ),
        intervals=intervals,
        quantities={_QUANTITIES[key]: Quantity(intervals[key], "ms") for key in _QUANTITIES if key in intervals},
        axis_deg=_rounded(None if exchanged is not None else conduction.axis_deg(qrs)),
        st_mm=st_facts.j_mm,
        st60_mm=st_facts.j60_mm,
        noise_mm={name: round(float(e), 3) for name, e in zip(found.names, errors, strict=True) if np.isfinite(e)},
        conduction=shape,
        sgarbossa=st_facts.sgarbossa,
        smith=st_facts.smith,
        facts=tuple(facts),
        hints=tuple(hints),
        limits=(*limits, "excludes-nothing"),
    )


def _from_reference(index: int | None) -> float | None:
    return None if index is None else float(index - AT)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


@dataclass(frozen=True, slots=True)
class _St:
    j_mm: dict[str, float] | None = None
    j60_mm: dict[str, float] | None = None
    sgarbossa: int | None = None
    smith: bool | None = None
    facts: tuple[EcgFact, ...] = ()
    hints: tuple[EcgFact, ...] = ()
    limits: tuple[str, ...] = ()


def _judge_st(
    found: _Average,
    waves: Waves,
    qrs: Mapping[str, Floats],
    shape: Conduction | None,
    doubts: infarction.Doubts,
    person: _Person,
) -> _St:
    table = criteria()
    values = zip(
        found.names,
        st.j_levels(found.beat, waves.j).tolist(),
        st.j60_levels(found.beat, waves.j).tolist(),
        st.standard_errors(found.each, waves.j).tolist(),
        strict=True,
    )
    judged = {
        name: (j, j60, error) for name, j, j60, error in values if np.isfinite(error) and error <= table["st_noise_mm"]
    }
    limits = []
    if not judged:
        return _St(limits=("st-noise",))
    if len(judged) < len(found.names) + len(found.lost):
        limits.append("st-some-leads")
    levels = infarction.Levels(
        {name: v[0] for name, v in judged.items()},
        {name: v[1] for name, v in judged.items()},
        {name: v[2] for name, v in judged.items()},
        found.samples,
    )
    if doubts.child:
        limits.append("st-child")
    elif doubts.person_unknown:
        limits.append("st-person-unknown")
    hints: list[EcgFact] = []
    if shape in ("lbbb", "paced"):
        limits.append("st-bundle-branch")
        score, up, down = conduction.sgarbossa(qrs, levels.j_mm)
        ratio = conduction.smith(qrs, levels.j_mm)
        facts = _secondary(levels.beats, score, up, down, ratio, doubts)
        if score >= table["sgarbossa_points"] or ratio:
            leads = tuple(dict.fromkeys((*up, *down, *ratio)))
            hints.append(EcgFact("sgarbossa", leads, levels.beats, "possible"))
        return _St(*_millimetres(levels), score, bool(ratio), facts, tuple(hints), tuple(limits))
    if shape == "preexcited":
        limits.append("st-preexcited")
    facts = (
        *infarction.elevations(levels, doubts, person.sex, person.age_years, person.profile),
        *infarction.depressions(levels, doubts),
    )
    hints += infarction.hints(levels, facts, _t_heights(found, waves))
    if doubts.voltage:
        hints.append(EcgFact("left-ventricular-voltage", ("V1", "V5", "V6", "aVL", "V3"), levels.beats, "possible"))
    return _St(*_millimetres(levels), facts=facts, hints=tuple(hints), limits=tuple(limits))


def _millimetres(levels: infarction.Levels) -> tuple[dict[str, float], dict[str, float]]:
    return (
        {name: round(value + 0.0, 2) for name, value in levels.j_mm.items()},
        {name: round(value + 0.0, 2) for name, value in levels.j60_mm.items()},
    )


def _secondary(
    beats: tuple[int, ...],
    score: int,
    up: tuple[str, ...],
    down: tuple[str, ...],
    ratio: tuple[str, ...],
    doubts: infarction.Doubts,
) -> tuple[EcgFact, ...]:
    """In left bundle branch block and pacing only what Sgarbossa's or Smith's criteria reach counts as ST deviation."""
    confidence = infarction.lowered("possible", doubts)
    facts = []
    elevated = tuple(dict.fromkeys((*(up if score >= criteria()["sgarbossa_points"] else ()), *ratio)))
    if elevated:
        facts.append(EcgFact("ecg.st_elevation_udmi", elevated, beats, confidence))
    if down:
        facts.append(EcgFact("ecg.st_depression", down, beats, confidence))
    return tuple(facts)


def _p_heights(found: _Average, waves: Waves) -> dict[str, float] | None:
    """Per lead, the mean of the middle third of P over the line through its ends, mV."""
    if waves.p_onset is None or waves.p_offset is None:
        return None
    start, stop = waves.p_onset, waves.p_offset
    third = (stop - start) // 3
    ends = (
        found.beat[:, max(0, start - 4) : start + 5].mean(axis=1) + found.beat[:, stop - 4 : stop + 5].mean(axis=1)
    ) / 2
    heights = found.beat[:, start + third : stop - third].mean(axis=1) - ends
    return dict(zip(found.names, heights.tolist(), strict=True))


def _t_heights(found: _Average, waves: Waves) -> dict[str, float]:
    """Per lead, the highest or lowest point of T, mV."""
    if waves.t_end is None or waves.t_end <= waves.j + 60:
        return {}
    part = average.smooth(found.beat, 25)[:, waves.j + 60 : waves.t_end]
    top = np.abs(part).argmax(axis=1)
    return {name: float(row[at]) for name, row, at in zip(found.names, part, top.tolist(), strict=True)}

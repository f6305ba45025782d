"""From samples and beats to the rhythm, stretch by stretch, and to what the rules take of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.model.ecg_rhythm import Rhythm, Stretch
from zhenbao.model.ecg_twelve import EcgFact
from zhenbao.model.finding import Confidence
from zhenbao.signal.ecg.beats import atrial, fast, runs
from zhenbao.signal.ecg.beats.arrest import Span, fibrillating_ventricles, runs_of, silences
from zhenbao.signal.ecg.beats.classes import Judged, as_model, decide, prepared_from
from zhenbao.signal.ecg.beats.criteria import criteria
from zhenbao.signal.ecg.beats.features import measure_beats
from zhenbao.signal.ecg.beats.pacing import paced_beats
from zhenbao.signal.ecg.beats.windows import Flags, Ints, Prepared
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.qrs import as_leads

_FEWEST = 4
_LONG_RR_S = 3.0


def judge_rhythm(
    ecg_mv: ArrayLike, fs_hz: float, lead_names: Sequence[str], beats: ArrayLike, usable: ArrayLike | None = None
) -> Rhythm:
    """Classes, rhythm and facts of a recording.

    Args:
        ecg_mv: ``[leads, n]`` in millivolts, NaN where there is no value; 1 to 12 leads.
        fs_hz: sampling rate, made for 100 to 1000 Hz.
        lead_names: one for each row.
        beats: R peaks, sample indices.
        usable: ``[leads, n]``: the sample may be looked at; None: all of them.

    Returns:
        Suspicion with the beats, leads and confidence that it rests on. No fact is no all-clear: ``limits`` says what
        could not be judged.

    Raises:
        ValueError: no such rate, or names do not match rows.
    """
    samples = as_leads(ecg_mv)
    names = tuple(lead_names)
    if len(names) != len(samples):
        raise ValueError(f"{len(names)} lead names for {len(samples)} leads")
    prepared, found = prepared_from(samples, fs_hz, beats, usable)
    arrests = fibrillating_ventricles(prepared)
    within = np.zeros(len(found), bool)
    for start, stop, _ in arrests:
        within |= (found >= start) & (found < stop)
    # Inside ventricular fibrillation there are no beats to measure.
    true_beats = found[~within]
    paced = paced_beats(np.where(prepared.known, samples, np.nan), fs_hz, true_beats)
    judged = decide(prepared, true_beats, measure_beats(prepared, true_beats), paced=paced)
    return _Recording(prepared, names, judged, arrests, silences(prepared, found, arrests)).rhythm()


@dataclass(slots=True)
class _Recording:
    prepared: Prepared
    names: tuple[str, ...]
    judged: Judged
    arrests: list[Span]
    silent: list[Span]

    @property
    def fs_hz(self) -> float:
        return self.prepared.fs_hz

    def rhythm(self) -> Rhythm:
        judged, fs_hz = self.judged, self.fs_hz
        beats, own = judged.beats, judged.are("N")
        seen_s = float(self.prepared.known.any(axis=0).sum()) / fs_hz
        wave = atrial.p_wave(self.prepared, beats, own)
        agree = atrial.coherence_at(self.prepared, beats, own) if len(beats) else np.zeros(0)
        quick = fast.ventricular_runs(judged, fs_hz)
        tachycardias = [r for r in quick if fast.believed(judged, r)]
        early = [
            r
            for r in runs.runs(beats, fs_hz, judged.are("S"))
            if r.rate_bpm > criteria()["svt_rate"]
            and runs.regular(beats[r.first : r.last])
            and not any(q.first <= r.first and r.last <= q.last for q in quick)
        ]
        af = self._fibrillation(seen_s)
        wide = fast.wide(judged)
        regular = fast.fast_regular(judged, fs_hz, af | judged.are("/"))
        labels = self._labels(tachycardias, early, af, agree, wide)
        for run in regular:
            if (name := fast.name_of(run, wide)) is not None:
                labels[run.first : run.last] = [name] * (run.last - run.first)
        stretches = self._stretches(labels, agree)
        facts: list[EcgFact] = []
        hints: list[EcgFact] = []
        self._emergencies(facts, hints)
        self._ventricular(facts, hints, tachycardias, seen_s)
        if len(tachycardias) < len(quick):
            doubtful = [i for r in quick if r not in tachycardias for i in range(r.first, r.last)]
            hints.append(self._fact("doubtful-run", doubtful, "uncertain"))
        self._atrial(facts, hints, labels, early, stretches)
        for name, some, sure in fast.suspected(regular, wide, seen_s):
            told = facts if name.startswith("ecg.") else hints
            if name not in [fact.name for fact in told]:
                told.append(self._fact(name, [i for r in some for i in range(r.first, r.last)], sure))
        self._conduction(facts, hints, wave, af)
        limits = []
        if len(beats) < _FEWEST:
            limits.append("few-beats" if len(beats) else "no-beats")
        if wave is None:
            limits.append("p-not-seen")
        if not any(f.name.startswith("ecg.avb") for f in facts):
            limits.append("av-conduction-not-judged")
        longest: dict[str, int] = {}
        for s in stretches:
            longest[s.rhythm] = longest.get(s.rhythm, 0) + s.stop - s.start
        named = {k: v for k, v in longest.items() if k != "not-judged"}
        most = max(named, key=lambda k: named[k]) if named else "not-judged"
        if named and 2 * sum(named.values()) < sum(longest.values()):
            most = "not-judged"
        rr = np.diff(beats) / fs_hz
        rr = rr[rr < _LONG_RR_S]
        return Rhythm(
            most,
            round(60 / float(rr.mean()), 1) if len(rr) >= 2 else None,
            stretches,
            as_model(judged),
            tuple(facts),
            tuple(hints),
            tuple(limits),
        )

    def _fact(
        self, name: str, which: Iterable[int] | Flags | Ints, confidence: Confidence, rows: Sequence[int] | None = None
    ) -> EcgFact:
        chosen = np.asarray(which if isinstance(which, np.ndarray) else list(which))
        index = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        beats = self.judged.beats[index] if len(index) else self.judged.beats[:0]
        leads = range(len(self.names)) if rows is None else rows
        seen = tuple(self.names[i] for i in leads if rows is not None or self.prepared.known[i].any())
        return EcgFact(name, seen, tuple(beats.tolist()), confidence)

    def _fibrillation(self, seen_s: float) -> Flags:
        """Beats in atrial fibrillation, short breaks bridged and short episodes dropped."""
        odds, beats, fs_hz = self.judged.fibrillation, self.judged.beats, self.fs_hz
        flags: Flags = np.nan_to_num(odds, nan=-1.0) > 0
        if not flags.any():
            return flags
        bridge = criteria()["af_bridge_s"]
        whole = min(bridge, 0.6 * seen_s)
        for value in (False, True):
            for first, last in runs_of(flags == value):
                seconds = float(beats[last - 1] - beats[first]) / fs_hz
                edge = first == 0 or last == len(flags)
                if (value and seconds < whole) or (not value and seconds < bridge and not edge):
                    flags[first:last] = not value
        return flags

    def _labels(
        self, tachycardias: list[runs.Run], early: list[runs.Run], af: Flags, agree: Floats, wide: bool
    ) -> list[str]:
        """A rhythm for every beat."""
        judged, rule = self.judged, criteria()
        beats = judged.beats
        count = len(beats)
        if count < _FEWEST:
            return ["not-judged"] * count
        rr = np.diff(beats) / self.fs_hz
        around = np.array([np.median(rr[max(0, i - 8) : i + 8]) for i in range(count)])
        rate = 60 / np.maximum(around, 0.1)
        seen = np.nan_to_num(agree, nan=0.0) >= rule["p_possible"]
        sinus = np.where(
            rate < rule["slow_rate"],
            "sinus-bradycardia",
            np.where(rate > rule["fast_rate"], "sinus-tachycardia", "sinus"),
        )
        # Where T covers P, what agrees before QRS may be T.
        seen &= rate < rule["p_unsure_rate" if wide else "p_hidden_rate"]
        labels = np.where(seen, sinus, "not-judged").astype(object)
        paced = judged.are("/")
        total = np.concatenate([[0], np.cumsum(paced)])
        at = np.arange(count)
        first_near, last_near = np.maximum(0, at - 4), np.minimum(count, at + 5)
        labels[total[last_near] - total[first_near] >= 0.5 * (last_near - first_near)] = "paced"
        labels[af] = "atrial-fibrillation"
        places = judged.are("V")
        for name, period in (("trigeminy", 3), ("bigeminy", 2)):
            for first, last in runs.pattern(places, period):
                labels[max(0, first - 1) : last] = np.where(
                    af[max(0, first - 1) : last], labels[max(0, first - 1) : last], name
                )
        for run in early:
            labels[run.first : run.last] = "supraventricular-tachycardia"
        for run in tachycardias:
            labels[run.first : run.last] = "ventricular-tachycardia"
        return [str(x) for x in labels]

    def _stretches(self, labels: list[str], agree: Floats) -> tuple[Stretch, ...]:
        beats, n = self.judged.beats, self.prepared.mv.shape[1]
        marks = [(a, b, "ventricular-fibrillation") for a, b, _ in self.arrests]
        marks += [(a, b, "asystole") for a, b, _ in self.silent]
        found = []
        first = 0
        for i in range(1, len(labels) + 1):
            if i < len(labels) and labels[i] == labels[first]:
                continue
            start = 0 if first == 0 else int(beats[first - 1] + beats[first]) // 2
            stop = n if i == len(labels) else int(beats[i - 1] + beats[i]) // 2
            found += [(start, stop, first, i)]
            first = i
        out: list[Stretch] = []
        for start, stop, first, last in found:
            rr = np.diff(beats[first:last]) / self.fs_hz
            rr = rr[rr < _LONG_RR_S]
            rate = round(60 / float(rr.mean()), 1) if len(rr) else None
            confidence = self._confidence(labels[first], first, last, agree)
            if labels[first] == "atrial-fibrillation" and (stop - start) / self.fs_hz < criteria()["af_s"]:
                confidence = "possible"
            for a, b in _without(start, stop, marks):
                out.append(Stretch(a, b, labels[first], rate, confidence))
        out += [Stretch(a, b, name, None, "possible") for a, b, name in marks]
        return tuple(sorted(out, key=lambda s: s.start))

    def _confidence(self, label: str, first: int, last: int, agree: Floats) -> Confidence:
        rule = criteria()
        if label == "not-judged":
            return "uncertain"
        if label == "atrial-fibrillation":
            odds = self.judged.fibrillation[first:last]
            return "likely" if float(np.nanmean(odds)) >= rule["af_sure"] and last - first >= 20 else "possible"
        if label.startswith("sinus"):
            rr = np.diff(self.judged.beats[first:last]) / self.fs_hz
            hidden = len(rr) > 0 and float(np.median(rr)) < 60 / rule["p_unsure_rate"]
            return "likely" if float(np.nanmedian(agree[first:last])) >= rule["p_likely"] and not hidden else "possible"
        return self._sure(first, last) if label == "ventricular-tachycardia" else "possible"

    def _sure(self, first: int, last: int) -> Confidence:
        if not self.judged.are("V")[first:last].any():
            return "possible"
        odds = float(np.mean(self.judged.ventricular[first:last]))
        if float(np.median(self.judged.measured.neighbour_like[first:last])) < criteria()["run_alike"]:
            return "uncertain"
        return "likely" if odds > 2.0 else "possible" if odds > 0.7 else "uncertain"

    def _emergencies(self, facts: list[EcgFact], hints: list[EcgFact]) -> None:
        if self.arrests:
            seconds = max(stop - start for start, stop, _ in self.arrests) / self.fs_hz
            rows = sorted({row for _, _, some in self.arrests for row in some})
            sure: Confidence = "likely" if seconds >= 10 else "possible"
            facts.append(self._fact("ecg.ventricular_fibrillation", [], sure, rows))
        if self.silent:
            rows = sorted({row for _, _, some in self.silent for row in some})
            hints.append(self._fact("asystole", [], "possible", rows))

    def _ventricular(
        self, facts: list[EcgFact], hints: list[EcgFact], tachycardias: list[runs.Run], seen_s: float
    ) -> None:
        beats, fs_hz, places = self.judged.beats, self.fs_hz, self.judged.are("V")
        long = [r for r in tachycardias if r.seconds >= criteria()["sustained_s"]]
        for name, some in (
            ("ecg.vt_sustained", long),
            ("ecg.vt_nonsustained", [r for r in tachycardias if r not in long]),
        ):
            if some:
                order: tuple[Confidence, ...] = ("likely", "possible", "uncertain")
                sure = min((self._sure(r.first, r.last) for r in some), key=order.index)
                facts.append(self._fact(name, [i for r in some for i in range(r.first, r.last)], sure))
        pairs = runs.couplets(places)
        twos, threes = runs.pattern(places, 2), runs.pattern(places, 3)
        early = runs.on_t(beats, fs_hz, places)
        for name, spans in (("couplet", pairs), ("bigeminy", twos), ("trigeminy", threes)):
            if spans:
                hints.append(self._fact(name, [i for a, b in spans for i in range(a, b)], "likely"))
        if len(early):
            hints.append(self._fact("r-on-t", early, "possible"))
        if runs.frequent(places, seen_s) or pairs or twos:
            sure = "likely" if float(np.median(self.judged.ventricular[places])) > 1.0 else "possible"
            facts.append(self._fact("ecg.pvc_frequent", places, sure))

    def _atrial(
        self,
        facts: list[EcgFact],
        hints: list[EcgFact],
        labels: list[str],
        early: list[runs.Run],
        stretches: tuple[Stretch, ...],
    ) -> None:
        rule, fs_hz = criteria(), self.fs_hz
        af = np.array([label == "atrial-fibrillation" for label in labels], bool)
        some = [s for s in stretches if s.rhythm == "atrial-fibrillation"]
        seconds = sum(s.stop - s.start for s in some) / fs_hz
        whole = self.prepared.mv.shape[1] / fs_hz
        if seconds >= min(rule["af_s"], max(8.0, 0.8 * whole)):
            sure: Confidence = "likely" if any(s.confidence == "likely" for s in some) else "possible"
            facts.append(self._fact("ecg.atrial_fibrillation", af, sure))
        elif some:
            hints.append(self._fact("irregular-short", af, "uncertain"))
        if "ecg.atrial_fibrillation" not in [f.name for f in facts]:
            for s in stretches:
                if s.rhythm in ("not-judged", "sinus-tachycardia", "supraventricular-tachycardia"):
                    hertz = atrial.flutter_rate_hz(self.prepared, self.judged.beats, s.start, s.stop)
                    if hertz is not None:
                        inside = (self.judged.beats >= s.start) & (self.judged.beats < s.stop)
                        facts.append(self._fact("ecg.atrial_fibrillation", inside, "possible"))
                        hints.append(self._fact("atrial-flutter", inside, "possible"))
                        break
        if early:
            facts.append(self._fact("ecg.svt", [i for r in early for i in range(r.first, r.last)], "possible"))

    def _conduction(self, facts: list[EcgFact], hints: list[EcgFact], wave: atrial.PWave | None, af: Flags) -> None:
        judged, prepared = self.judged, self.prepared
        if judged.are("/").any():
            hints.append(self._fact("paced", judged.are("/"), "likely"))
            return
        early = atrial.preexcited(prepared, judged, wave)
        if len(early):
            hints.append(self._fact("preexcitation", np.isin(judged.beats, early), "possible"))
            rr = np.diff(judged.beats[af]) / self.fs_hz
            if len(rr) and float(rr.min()) <= criteria()["short_rr_s"]:
                facts.append(self._fact("ecg.preexcited_af", af, "uncertain"))
        if len(af) and af.mean() > 0.5:
            return
        if wave is not None:
            lost = atrial.dropped_beats(prepared, judged, wave)
            rows = [wave.lead]
            high = [i for i, number in lost if number >= 2]
            if high or len(lost) >= 3:
                facts.append(self._fact("ecg.avb2_high_grade", high or [i for i, _ in lost], "possible", rows))
            elif lost:
                hints.append(self._fact("avb2", [i for i, _ in lost], "uncertain", rows))
        if atrial.dissociated(prepared, judged):
            facts.append(self._fact("ecg.avb3", judged.are("N"), "possible"))


def _without(start: int, stop: int, marks: list[tuple[int, int, str]]) -> list[tuple[int, int]]:
    """What of a stretch lies outside the marks."""
    left = [(start, stop)]
    for a, b, _ in marks:
        left = [part for x, y in left for part in ((x, min(y, a)), (max(x, b), y)) if part[1] > part[0]]
    return left

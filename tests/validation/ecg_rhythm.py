"""How well beat classes and rhythm do on public recordings.

    .venv/bin/python tests/validation/ecg_rhythm.py [--leads 1] [RECORD ...]

Prints per record: ventricular and supraventricular beats (AAMI classes; a fusion or unclassified beat called
ventricular does not count as false, as de Chazal 2004 scores), atrial fibrillation by duration, ventricular
fibrillation by duration. DS1 was used to fit and choose; DS2 was not seen. Recordings are found through ZHENBAO_DATA
or ../shared. A script, not a test.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import recordings
from numpy.typing import NDArray

from zhenbao.model.ecg_rhythm import Rhythm
from zhenbao.signal.ecg import assess_quality, detect_qrs
from zhenbao.signal.ecg.beats import judge_rhythm

DATA = recordings.DATA / "data"
_DS1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230 "
DS1 = tuple(_DS1.split())
_DS2 = "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234 "
DS2 = tuple(_DS2.split())
_PACED = "102 104 107 217 "
PACED = tuple(_PACED.split())
AAMI = {**dict.fromkeys("NLRej", "N"), **dict.fromkeys("AaJS", "S"), **dict.fromkeys("VE", "V"), "F": "F"}
BEAT = set("NLRBAaJSVrFejnE/fQ?")
WINDOW_S = 0.15
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SvTally:
    """Counts of hits, beats and false calls of V and S."""

    v: tuple[int, int, int] = (0, 0, 0)
    s: tuple[int, int, int] = (0, 0, 0)

    def __add__(self, other: SvTally) -> SvTally:
        def add(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
            return a[0] + b[0], a[1] + b[1], a[2] + b[2]

        return SvTally(add(self.v, other.v), add(self.s, other.s))

    def __str__(self) -> str:
        def one(name: str, hit: int, all_: int, false: int) -> str:
            se = f"{100 * hit / all_:5.1f}" if all_ else "    -"
            pp = f"{100 * hit / (hit + false):5.1f}" if hit + false else "    -"
            return f"{name} Se {se} P+ {pp} ({hit}/{all_}, {false} false)"

        return one("V", *self.v) + "  " + one("S", *self.s)


@dataclass(slots=True)
class Record:
    """Samples and what people wrote of them."""

    name: str
    ecg_mv: NDArray[np.float64]
    fs_hz: float
    lead_names: tuple[str, ...]
    reference: Ints
    symbols: list[str]
    changes: list[tuple[int, str]]
    arrests: list[tuple[int, int]]
    _detected: dict[tuple[int, ...], Ints] = field(default_factory=dict)

    def detected(self, leads: tuple[int, ...]) -> Ints:
        """Beats of our detector on these leads."""
        if leads not in self._detected:
            self._detected[leads] = detect_qrs(self.ecg_mv[list(leads)], self.fs_hz)
        return self._detected[leads]

    def truth(self, beats: Ints) -> NDArray[np.str_]:
        """The AAMI class at every beat: ``O`` for none, ``Q`` for unclassified or inside ventricular flutter."""
        found = np.full(len(beats), "O")
        for i, j in pairs(self.reference, beats, WINDOW_S * self.fs_hz):
            found[j] = AAMI.get(self.symbols[i], "Q")
        for start, stop in self.arrests:
            found[(beats >= start) & (beats <= stop)] = "Q"
        return found

    def fibrillating(self, at: Ints) -> NDArray[np.bool_]:
        """Whether atrial fibrillation or flutter is marked at sample indices."""
        out = np.zeros(len(at), bool)
        stops = [start for start, _ in self.changes[1:]] + [self.ecg_mv.shape[1]]
        for (start, name), stop in zip(self.changes, stops, strict=False):
            if name in ("(AFIB", "(AFL"):
                out |= (at >= start) & (at < stop)
        return out


def pairs(reference: Ints, beats: Ints, reach: float) -> list[tuple[int, int]]:
    """Nearest one-to-one pairs within ``reach``."""
    found, taken = [], set()
    for j, beat in enumerate(beats.tolist()):
        k = int(np.searchsorted(reference, beat))
        near = [i for i in (k - 1, k) if 0 <= i < len(reference) and i not in taken]
        if near and abs(int(reference[best := min(near, key=lambda i: abs(int(reference[i]) - beat))]) - beat) <= reach:
            taken.add(best)
            found.append((best, j))
    return found


@cache
def read(database: str, name: str) -> Record:
    """One record with its annotations."""
    import wfdb

    path = str(DATA / database / name)
    record, notes = wfdb.rdrecord(path), wfdb.rdann(path, "atr")
    samples = np.ascontiguousarray(record.p_signal.T)
    n = samples.shape[1]
    marks = [(int(s), y) for s, y in zip(notes.sample, notes.symbol, strict=True) if y in BEAT and 0 <= s < n]
    texts = zip(notes.sample, notes.symbol, notes.aux_note, strict=True)
    changes = [(int(s), t.strip("\x00")) for s, y, t in texts if y == "+"]
    arrests, start = [], None
    for s, y in zip(notes.sample, notes.symbol, strict=True):
        if y == "[":
            start = int(s)
        elif y == "]" and start is not None:
            arrests.append((start, int(s)))
            start = None
    reference = np.array([s for s, _ in marks], np.int64)
    return Record(
        name, samples, float(record.fs), tuple(record.sig_name), reference, [y for _, y in marks], changes, arrests
    )


def tally_beats(truth: NDArray[np.str_], called: NDArray[np.str_]) -> SvTally:
    """AAMI: F and Q called V, and Q called S, are not false."""

    def count(names: str, call: str) -> int:
        return int((np.isin(truth, list(names)) & (called == call)).sum())

    return SvTally(
        (count("V", "V"), int((truth == "V").sum()), count("NSO", "V")),
        (count("S", "S"), int((truth == "S").sum()), count("NVFO", "S")),
    )


def covered(rhythm: Rhythm, names: tuple[str, ...], n: int) -> NDArray[np.bool_]:
    """Samples within stretches of these rhythms."""
    out = np.zeros(n, bool)
    for stretch in rhythm.stretches:
        if stretch.rhythm in names:
            out[stretch.start : stretch.stop] = True
    return out


def usable_of(samples: NDArray[np.float64], fs_hz: float, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """What assess_quality takes."""
    out = np.zeros(samples.shape, bool)
    for row, stretches in zip(out, assess_quality(samples, fs_hz, names).usable.values(), strict=True):
        for start, stop in stretches:
            row[start:stop] = True
    return out


@dataclass(frozen=True, slots=True)
class Measured:
    """What one record came to; seconds of rhythm: called of marked, and left alone of the rest."""

    name: str
    beats: SvTally
    """With beats as detected."""
    marked: SvTally
    """With the beats of the reference."""
    af_s: tuple[float, float, float, float]
    vf_s: tuple[float, float, float]
    """Called of marked, marked, called elsewhere."""
    said: str


def measured(record: Record, count: int) -> Measured:
    """One record through its first ``count`` leads."""
    leads = tuple(range(min(count, len(record.ecg_mv))))
    samples, fs_hz, n = record.ecg_mv[list(leads)], record.fs_hz, record.ecg_mv.shape[1]
    names = tuple(record.lead_names[i] for i in leads)
    usable = usable_of(samples, fs_hz, names)
    rhythm = judge_rhythm(samples, fs_hz, names, record.detected(leads), usable)
    again = judge_rhythm(samples, fs_hz, names, record.reference, usable)
    one, two = (
        tally_beats(record.truth(np.array(r.beats.beats, np.int64)), np.array(r.beats.classes)) for r in (rhythm, again)
    )
    truth = record.fibrillating(np.arange(n))
    called = covered(rhythm, ("atrial-fibrillation",), n)
    arrest = np.zeros(n, bool)
    for start, stop in record.arrests:
        arrest[start:stop] = True
    alarm = covered(rhythm, ("ventricular-fibrillation",), n)

    def seconds(*flags: NDArray[np.bool_]) -> tuple[float, ...]:
        return tuple(float(f.sum()) / fs_hz for f in flags)

    af = seconds(truth & called, truth, ~truth & ~called, ~truth)
    vf = seconds(arrest & alarm, arrest, alarm & ~arrest)
    said = ", ".join(f"{f.name} ({f.confidence})" for f in (*rhythm.facts, *rhythm.hints))
    return Measured(record.name, one, two, (af[0], af[1], af[2], af[3]), (vf[0], vf[1], vf[2]), said)


HEAD = (
    "| record | V Se / P+ | S Se / P+ | AF found of marked s | left alone of the rest s | VF found of marked, false s "
    "| what was said |\n|---|---|---|---|---|---|---|"
)


def _line(name: str, beats: SvTally, af: tuple[float, ...], vf: tuple[float, ...], said: str) -> str:
    def two(hit: int, every: int, false: int) -> str:
        se = f"{100 * hit / every:.1f}" if every else "-"
        return f"{se} / {100 * hit / (hit + false):.1f}" if hit + false else f"{se} / -"

    return (
        f"| {name} | {two(*beats.v)} | {two(*beats.s)} | {af[0]:.0f} / {af[1]:.0f} | {af[2]:.0f} / {af[3]:.0f} "
        f"| {vf[0]:.0f} / {vf[1]:.0f}, {vf[2]:.0f} | {said} |"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def table(group: str, rows: list[Measured]) -> list[str]:
    """Records one by one, then gross and average."""
    lines = [HEAD, *(_line(r.name, r.beats, r.af_s, r.vf_s, r.said) for r in rows)]
    total, marked = SvTally(), SvTally()
    for r in rows:
        total, marked = total + r.beats, marked + r.marked
    af = tuple(np.sum([r.af_s for r in rows], axis=0).tolist())
    vf = tuple(np.sum([r.vf_s for r in rows], axis=0).tolist())
    lines.append(_line(f"**{group}, gross, beats as detected**", total, af, vf, ""))
    lines.append(_line(f"**{group}, gross, beats of the reference**", marked, af, vf, ""))

    def average(counts: list[tuple[int, int, int]]) -> str:
        se = [hit / every for hit, every, _ in counts if every]
        positive = [hit / (hit + false) for hit, _, false in counts if hit + false]
        return " / ".join(f"{100 * float(np.mean(x)):.1f}" if x else "-" for x in (se, positive))

    averages = f"V {average([r.beats.v for r in rows])}, S {average([r.beats.s for r in rows])}"
    lines += ["", f"Average of records, Se / P+: {averages}. "]
    lines[-1] += f"AF by duration: Se {_percent(af[0], af[1])}, Sp {_percent(af[2], af[3])}, "
    lines[-1] += f"P+ {_percent(af[0], af[0] + af[3] - af[2])}."
    return lines


def groups(count: int = 2) -> dict[str, list[str]]:
    """A table for each group of records that are here, printed as it comes."""
    lists = {"DS1": ("mitdb", DS1), "DS2": ("mitdb", DS2), "paced": ("mitdb", PACED)}
    lists["cpsc2021"] = ("cpsc2021", tuple(sorted(p.stem for p in (DATA / "cpsc2021").glob("*.hea"))))
    found = {}
    for group, (database, names) in lists.items():
        here = [name for name in names if (DATA / database / f"{name}.hea").is_file()]
        if here:
            found[group] = table(group, [measured(read(database, name), count) for name in here])
            print("\n".join(found[group]), flush=True)
        else:
            print(f"{group}: no record here")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=2)
    if not DATA.is_dir():
        sys.exit(f"No recordings at {DATA}: set ZHENBAO_DATA to the folder that holds ecg/data.")
    groups(parser.parse_args().leads)


if __name__ == "__main__":
    main()

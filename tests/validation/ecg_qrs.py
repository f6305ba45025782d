"""How well QRS detection does on public recordings; writes docs/clinical/ecg.md.

    .venv/bin/python tests/validation/ecg_qrs.py [--stream] [--no-doc] [DATABASE ...]

Recordings and the evaluator (EC57 matching, +-150 ms) are found through ZHENBAO_DATA or ../shared.
A script, not a test.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from datetime import date
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhenbao.signal.ecg import QrsStream, assess_quality, detect_qrs

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ZHENBAO_DATA", ROOT.parent / "shared")) / "ecg"
DATABASES = ("mitdb", "nstdb", "cinc2014_setp", "cinc2014_setp2", "tele", "cpsc2021")
DOC = ROOT / "docs" / "clinical" / "ecg.md"
TEXT = Path(__file__).with_name("ecg_doc.md.template")
Row = dict[str, Any]


def evaluator() -> ModuleType:
    """The shared evaluator as a module."""
    spec = importlib.util.spec_from_file_location("ec57_eval", DATA / "ec57_eval.py")
    if spec is None or spec.loader is None:
        sys.exit(f"no evaluator in {DATA}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def streamed(signal: NDArray[np.float64], fs_hz: float) -> list[int]:
    """Beats of a stream in pieces of 20 ms."""
    stream, beats = QrsStream(fs_hz), list[int]()
    piece = max(1, round(0.02 * fs_hz))
    for start in range(0, len(signal), piece):
        beats += stream.push(signal[start : start + piece])
    return beats + stream.flush()


def total_line(name: str, rows: list[Row], summary: Row, subset: str) -> str:
    """One row of the table of totals, per cent."""
    s, speed = summary[subset], summary["speed"]
    figures = " | ".join(f"{100 * s[key]:.2f}" for key in ("Se", "PPV", "F1"))
    worst = f"{s['worst']} ({100 * s['worstDER']:.2f} %)"
    return (
        f"| {name} | {len(rows)} | {s['beats']} | {s['FP']} | {s['FN']} | {figures} | {100 * s['DER']:.3f} | {worst} "
        f"| {speed['jit_sd_ms']:.1f} | {speed['x_realtime']:.0f} |"
    )


def failures(rows: list[Row]) -> str:
    """Records with more than 1 % errors outside excluded segments, worst first."""
    bad = sorted((r for r in rows if r["all_noVF_DER"] > 0.01), key=lambda r: -(r["all_noVF_FP"] + r["all_noVF_FN"]))
    named = [f"{r['record']} ({r['all_noVF_FP']} false, {r['all_noVF_FN']} missed)" for r in bad[:15]]
    return (", ".join(named) + (f", and {len(bad) - 15} more" if len(bad) > 15 else "")) if named else "none"


def per_record(rows: list[Row]) -> list[str]:
    """A table of the records, errors outside excluded segments."""
    head = ["| record | beats | false | missed | error rate % | jitter SD ms |", "|---|---|---|---|---|---|"]
    return head + [
        f"| {r['record']} | {r['all_noVF_TP'] + r['all_noVF_FN']} | {r['all_noVF_FP']} | {r['all_noVF_FN']} "
        f"| {100 * r['all_noVF_DER']:.2f} | {r['jit_sd_ms']:.1f} |"
        for r in rows
    ]


def quality_line() -> str | None:
    """Agreement of assess_quality with people, or None without the recordings."""
    file = DATA / "data" / "cinc2011" / "cinc2011.npz"
    if not file.is_file():
        return None
    data = np.load(file)
    samples, people, names = data["ecg_lsb"], data["acceptable"], [str(n) for n in data["leads"]]
    ours = np.array([assess_quality(one * 0.005, 500, names).acceptable for one in samples])
    return (
        f"CinC 2011 set a, {len(people)} twelve-lead phone recordings: agreement with people "
        f"{100 * (ours == people).mean():.1f} %; "
        f"of {int((~people).sum())} that people refused {100 * (~ours[~people]).mean():.1f} % are refused, "
        f"of {int(people.sum())} that they took {100 * ours[people].mean():.1f} % are taken. "
        "The limits were chosen on these same recordings."
    )


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=list(DATABASES))
    parser.add_argument("--stream", action="store_true", help="score QrsStream as well (slow)")
    parser.add_argument("--no-doc", action="store_true", help="print only")
    chosen = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"No recordings at {DATA}: set ZHENBAO_DATA to the folder that holds ecg/data.")
    ec57 = evaluator()
    totals, named, tables = [], [], []
    for database in chosen.databases:
        place = DATA / "data" / database
        if not place.is_dir():
            print(f"{database}: not here, left out")
            continue
        rows = ec57.evaluate(str(place), detect_qrs)
        summary = ec57.summarise(rows)
        totals.append(total_line(database, rows, summary, "all"))
        if summary["all"]["beats"] != summary["all_noVF"]["beats"] or summary["all"]["FP"] != summary["all_noVF"]["FP"]:
            totals.append(total_line(f"{database}, without marked segments", rows, summary, "all_noVF"))
        if chosen.stream:
            again = ec57.evaluate(str(place), streamed)
            totals.append(
                total_line(f"{database}, stream, without marked segments", again, ec57.summarise(again), "all_noVF")
            )
        named.append(f"* {database}: {failures(rows)}.")
        if len(rows) <= 60:
            tables += [f"### {database}", "", *per_record(rows), ""]
        print(totals[-1], flush=True)
    text = Template(
        TEXT.read_text(encoding="utf-8")
    ).substitute(
        date=date.today().isoformat(),  # noqa: DTZ011 - the day on this machine is what a reader asks for
        command=" ".join(["python", "tests/validation/ecg_qrs.py", *sys.argv[1:]]),
        totals="\n".join(totals),
        failures="\n".join(named),
        quality=quality_line() or "not run: the recordings are not here.",
        tables="\n".join(tables).rstrip(),
    )
    if not chosen.no_doc:
        DOC.parent.mkdir(parents=True, exist_ok=True)
        DOC.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

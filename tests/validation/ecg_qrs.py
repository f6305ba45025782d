"""How well beats are found on public recordings, ours and other packages' in one run (AAMI EC57, +-150 ms).

.venv/bin/python tests/validation/ecg_qrs.py [DATABASE ...]

A script and the tables of ``ecg_report.py``; not a test.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from detectors import OURS, gated, peers
from recordings import Detect, Row, evaluator, recordings, scored

from zhenbao.signal.ecg import detect_qrs

DATABASES = ("mitdb", "nstdb", "cinc2014_setp", "cinc2014_setp2", "tele", "cpsc2021")
TWO_LEADS = ("mitdb", "nstdb", "cpsc2021")
HEAD = (
    "| detector | beats | false | missed | Se gross / average | P+ gross / average | F1 | error rate | worst record "
    "| R bias, SD ms | x real time |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def run(ec57: ModuleType, database: str, detect: Detect, channels: int = 1) -> list[Row]:
    """One row a record; a detector that fails has found nothing there, and the row says so."""
    rows = []
    for recording in recordings(ec57, database, channels):
        signal = recording.ecg_mv[0] if channels == 1 else recording.ecg_mv
        started, error = time.process_time(), ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = np.asarray(detect(signal.copy(), recording.fs_hz), np.float64).ravel()
        except Exception as failure:  # a crash of any peer is a result
            found, error = np.empty(0), type(failure).__name__
        row = scored(ec57, recording, found[np.isfinite(found)], time.process_time() - started)
        rows.append(row | {"error": error})
    return rows


def line(ec57: ModuleType, name: str, rows: Sequence[Row], subset: str) -> str:
    """One row of the table of totals, per cent."""
    summary = ec57.summarise(list(rows))
    s, speed = summary[subset], summary["speed"]
    bias = float(np.nanmedian([r["jit_mean_ms"] for r in rows]))
    crashed = f" ({speed['errors']} crashed)" if speed["errors"] else ""
    return (
        f"| {name}{crashed} | {s['beats']} | {s['FP']} | {s['FN']} | {100 * s['Se']:.2f} / {100 * s['avgSe']:.2f} "
        f"| {100 * s['PPV']:.2f} / {100 * s['avgPPV']:.2f} | {100 * s['F1']:.2f} | {100 * s['DER']:.3f} "
        f"| {s['worst']} ({100 * s['worstDER']:.2f} %) | {bias:+.1f}, {speed['jit_sd_ms']:.1f} "
        f"| {speed['x_realtime']:.0f} |"
    )


def per_record(named: dict[str, list[Row]]) -> list[str]:
    """Records one by one, marked segments left out: our false and missed beats, everyone's error rate."""
    ours = named["zhenbao"]
    others = [name for name in named if name != "zhenbao"]
    head = ["record", "beats", "false", "missed", "R SD ms", "zhenbao", *others]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    by_name = {name: {r["record"]: r for r in rows} for name, rows in named.items()}
    for r in ours:
        rates = [f"{100 * by_name[name][r['record']]['all_noVF_DER']:.2f}" for name in ("zhenbao", *others)]
        beats = r["all_noVF_TP"] + r["all_noVF_FN"]
        cells = [r["record"], beats, r["all_noVF_FP"], r["all_noVF_FN"], f"{r['jit_sd_ms']:.1f}", *rates]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return lines


def failures(rows: Sequence[Row]) -> str:
    """Records with more than 1 % errors outside marked segments, worst first."""
    bad = sorted((r for r in rows if r["all_noVF_DER"] > 0.01), key=lambda r: -(r["all_noVF_FP"] + r["all_noVF_FN"]))
    named = [f"{r['record']} ({r['all_noVF_FP']} false, {r['all_noVF_FN']} missed)" for r in bad[:15]]
    return (", ".join(named) + (f", and {len(bad) - 15} more" if len(bad) > 15 else "")) if named else "none"


def tables(ec57: ModuleType, database: str) -> tuple[list[str], list[str], str]:
    """Totals, records one by one, and where ours fails; printed as they come."""
    named: dict[str, list[Row]] = {}
    totals: list[str] = [HEAD]
    for name, detect in {**OURS, **peers()}.items():
        named[name] = rows = run(ec57, database, detect)
        if not rows:
            return [], [], ""
        marked = any(r["all_FP"] != r["all_noVF_FP"] or r["all_FN"] != r["all_noVF_FN"] for r in rows)
        subsets = {"all": name, "all_noVF": f"{name}, marked segments left out"} if marked else {"all": name}
        for subset, label in subsets.items():
            totals.append(line(ec57, label, rows, subset))
            print(database, totals[-1], flush=True)
    extra: list[tuple[str, list[Row], str]] = []
    if database == "tele":
        extra.append(("zhenbao, beats outside usable time dropped", run(ec57, database, gated), "all"))
    if database in TWO_LEADS:
        label = "zhenbao, both leads, marked segments left out"
        extra.append((label, run(ec57, database, detect_qrs, 2), "all_noVF"))
        label = "zhenbao stream, both leads, marked segments left out"
        extra.append((label, run(ec57, database, OURS["zhenbao stream"], 2), "all_noVF"))
    for label, rows, subset in extra:
        totals.append(line(ec57, label, rows, subset))
        print(database, totals[-1], flush=True)
    return totals, per_record(named), failures(named["zhenbao"])


def main() -> None:
    """Print the tables."""
    ec57 = evaluator()
    for database in sys.argv[1:] or DATABASES:
        _, records, failed = tables(ec57, database)
        if not records:
            print(f"{database}: not here, left out")
            continue
        print("\n".join(records), f"\nMore than 1 % errors: {failed}\n", flush=True)


if __name__ == "__main__":
    main()

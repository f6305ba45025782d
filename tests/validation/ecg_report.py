"""Measures the ECG analysis on the public recordings that are here and writes docs/clinical/ecg.md.

    .venv/bin/python tests/validation/ecg_report.py [--no-doc] [DATABASE ...]

Recordings and the evaluator are found through ZHENBAO_DATA; other packages are measured beside ours where the extra
``peers`` is installed. A script, not a test.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from string import Template
from types import ModuleType

import ecg_beats_fit
import ecg_quality_fit
import ecg_rhythm
import numpy as np
from detectors import peers
from ecg_qrs import DATABASES, tables
from recordings import DATA, ROOT, evaluator, recordings

from zhenbao.signal.ecg import assess_quality

DOC = ROOT / "docs" / "clinical" / "ecg.md"
TEXT = Path(__file__).with_name("ecg_report.md.template")


def quality_line() -> str:
    """Agreement of assess_quality with people, and the cross-validation of its scores."""
    file = DATA / "data" / "cinc2011" / "cinc2011.npz"
    if not file.is_file():
        return "Not run: the recordings are not here."
    data = np.load(file)
    samples, people, names = data["ecg_lsb"], data["acceptable"], [str(n) for n in data["leads"]]
    started = time.process_time()
    ours = np.array([assess_quality(one * 0.005, 500, names).acceptable for one in samples])
    took_ms = 1000 * (time.process_time() - started) / len(samples)
    return (
        f"CinC 2011 set a, {len(people)} twelve-lead phone recordings, on which the score was fitted: agreement with "
        "people "
        f"{100 * (ours == people).mean():.1f} %; "
        f"of {int((~people).sum())} that people refused {100 * (~ours[~people]).mean():.1f} % are refused, "
        f"of {int(people.sum())} that they took {100 * ours[people].mean():.1f} % are taken; {took_ms:.1f} ms each. "
        f"Cross-validated, scores fitted without the recordings judged:\n\n{said_by(ecg_quality_fit.fit_quarters)}"
        f"{said_by(ecg_quality_fit.fit_twelve)}"
    )


def gate_line(ec57: ModuleType) -> str:
    """What the gate costs where there is nothing to refuse: reference beats of mitdb in what it calls unusable."""
    hidden = {True: 0, False: 0}
    count = {True: 0, False: 0}
    for one in recordings(ec57, "mitdb"):
        spans = assess_quality(one.ecg_mv[:1], one.fs_hz, ["I"]).usable["I"]
        usable = np.zeros(one.ecg_mv.shape[1], bool)
        for start, stop in spans:
            usable[start:stop] = True
        for usual in (True, False):
            beats = one.reference[(one.usual == usual) & (one.reference < len(usable))]
            hidden[usual] += int((~usable[beats]).sum())
            count[usual] += len(beats)
    if not count[True]:
        return "Beats that the gate hides: not run, the recordings are not here."
    return (
        "Of the beats of mitdb, channel 0, the gate hides "
        f"{100 * hidden[True] / count[True]:.2f} % of the normal ones and "
        f"{100 * hidden[False] / max(count[False], 1):.2f} % of the ectopic ones: "
        "a wide beat alone in a lead looks more like an artefact than any other."
    )


def said_by(run: Callable[[], object]) -> str:
    """What it prints, as a quotation."""
    with redirect_stdout(StringIO()) as told:
        run()
    return "".join(f"    {line}\n" for line in told.getvalue().splitlines())


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=list(DATABASES))
    parser.add_argument("--no-doc", action="store_true", help="print only")
    chosen = parser.parse_args()
    ec57 = evaluator()
    totals, named, records = [], [], []
    for database in chosen.databases:
        total, rows, failed = tables(ec57, database)
        if not rows:
            print(f"{database}: not here, left out")
            continue
        print("\n".join(rows), f"\nMore than 1 % errors: {failed}\n", flush=True)
        totals += [f"### {database}, {len(rows) - 2} recordings", "", *total, ""]
        named.append(f"* {database}: {failed}.")
        records += [f"### {database}", "", *rows, ""]
    quality = quality_line()
    rhythm = [f"### {name}\n\n{chr(10).join(lines)}\n" for name, lines in ecg_rhythm.groups().items()]
    crossed = said_by(ecg_beats_fit.cross)
    print(quality, crossed, sep="\n")
    text = Template(
        TEXT.read_text(encoding="utf-8")
    ).substitute(
        date=date.today().isoformat(),  # noqa: DTZ011 - the day on this machine is what a reader asks for
        command=" ".join(["python", "tests/validation/ecg_report.py", *sys.argv[1:]]),
        machine=f"Python {platform.python_version()}, numpy {np.__version__}",
        peers=", ".join(peers()) or "none was installed",
        totals="\n".join(totals).rstrip(),
        failures="\n".join(named),
        quality=quality + "\n" + gate_line(ec57),
        rhythm="\n".join(rhythm).rstrip(),
        crossed=crossed,
        tables="\n".join(records).rstrip(),
    )
    if not chosen.no_doc:
        DOC.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Measures spirometry on drawn manoeuvres and on the reference vectors; writes docs/clinical/spirometry-accuracy.md.

    .venv/bin/python tests/validation/spirometry_report.py [--no-doc]

The vectors are found through ZHENBAO_DATA; pyspiro is timed beside ours where the extra ``peers`` is installed.
A script, not a test.
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from string import Template

import numpy as np
from recordings import DATA, ROOT
from spirometry_curves import CURVES, SEEDS, tables

from zhenbao.signal.spirometry import reference, reference_arrays

TEXT = Path(__file__).with_name("spirometry_report.md.template")
DOC = ROOT / "docs" / "clinical" / "spirometry-accuracy.md"
VECTORS = DATA.parent / "spirometry"
TURNS = 5
PEOPLE = 1000


def vector_lines() -> list[str]:
    """The largest difference of z from the vectors, by equation."""
    lines = ["| equation | values | largest difference of z |", "|---|---|---|"]
    for equation in ("gli2012", "gli2022", "jian2017"):
        file = VECTORS / f"vectors_{equation}.csv"
        if not file.is_file():
            lines.append(f"| {equation} | not here | - |")
            continue
        worst, count = 0.0, 0
        with file.open(encoding="utf-8") as opened:
            for row in csv.DictReader(opened):
                group = {"ethnicity": row["ethnicity"]} if "ethnicity" in row else {}
                known = reference(
                    equation, sex=row["sex"], age_years=float(row["age"]), height_cm=float(row["height_cm"]), **group
                )
                worst = max(worst, abs(known[row["param"]].z(float(row["measured"])) - float(row["z"])))
                count += 1
        lines.append(f"| {equation} | {count} | {worst:.1e} |")
    return lines


def speed_lines() -> list[str]:
    """Microseconds for one z-score of FEV1 by Jian 2017, ours and pyspiro's in one run."""
    random = np.random.default_rng(1)
    ages, heights = random.uniform(18, 80, PEOPLE), random.uniform(145, 190, PEOPLE)
    people = list(zip(ages.tolist(), heights.tolist(), strict=True))

    def ours() -> None:
        for age, height in people:
            reference("jian2017", sex="M", age_years=age, height_cm=height)["FEV1"].z(2.5)

    def ours_at_once() -> None:
        reference_arrays("jian2017", sex=np.full(PEOPLE, "M"), age_years=ages, height_cm=heights)["FEV1"].z(2.5)

    named: dict[str, Callable[[], None]] = {"zhenbao, one by one": ours, "zhenbao, all at once": ours_at_once}
    if find_spec("pyspiro") is not None:
        from pyspiro import JIAN_2017

        equation = JIAN_2017()
        equation.set_silence(True)

        def pyspiro() -> None:
            for age, height in people:
                equation.zscore(1, age, height, JIAN_2017.Parameters.FEV1, 2.5)

        named[f"pyspiro {metadata.version('pyspiro')}, one by one"] = pyspiro
    best = dict.fromkeys(named, np.inf)
    for _ in range(TURNS):
        for name, run in named.items():
            started = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - started)
    lines = ["| | us for one person | ours by its speed |", "|---|---|---|"]
    own = best["zhenbao, one by one"]
    return lines + [f"| {name} | {1e6 * s / PEOPLE:.2f} | {s / own:.2f} |" for name, s in best.items()]


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-doc", action="store_true", help="print only")
    chosen = parser.parse_args()
    table, told, spent_ms = tables(SEEDS)
    text = Template(
        TEXT.read_text(encoding="utf-8")
    ).substitute(
        date=date.today().isoformat(),  # noqa: DTZ011 - the day on this machine is what a reader asks for
        command=" ".join(["python", "tests/validation/spirometry_report.py", *sys.argv[1:]]),
        python=platform.python_version(),
        numpy=np.__version__,
        curves=f"{len(SEEDS)} x {CURVES}",
        seeds=", ".join(map(str, SEEDS)),
        spent=f"{spent_ms:.1f}",
        table=table,
        told=told or "nothing",
        vectors="\n".join(vector_lines()),
        speed="\n".join(speed_lines()),
    )
    print(text)
    if not chosen.no_doc:
        DOC.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

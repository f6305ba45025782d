"""How well blows are measured and judged, on manoeuvres drawn with their truth (``firmware_sim``).

.venv/bin/python tests/validation/spirometry_curves.py [SEED ...]

A script and the tables of ``spirometry_report.py``; not a test. Seeds 1 to 100 were used while the limits were chosen;
the report takes others.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhenbao.firmware_sim.waveforms.manoeuvres import Manoeuvre, random_manoeuvre
from zhenbao.model.spirometry import Blow
from zhenbao.signal.spirometry import analyse_blow

CURVES = 200
SEEDS = (501, 502, 503)
LIMIT_L, LIMIT_OF_VALUE = 0.050, 0.025
HEAD = (
    "| curves | within 2.5 % or 50 mL | FEV1 mean, 95th | FVC mean, 95th | BEV 95th | accepted wrongly "
    "| kept of acceptable |\n|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Judged:
    """A manoeuvre with what was found, errors in millilitres."""

    true: Manoeuvre
    found: Blow

    @property
    def errors_ml(self) -> tuple[float, float, float]:
        """FEV1 (all of it where none was found), FVC, BEV."""
        found = self.found
        fev1 = (found.fev1_l or 0.0) - self.true.fev1_l
        return 1e3 * fev1, 1e3 * (found.fvc_l - self.true.fvc_l), 1e3 * (found.bev_l - self.true.bev_l)

    @property
    def within(self) -> bool:
        """FEV1 and FVC within the equipment limits of ATS/ERS 2019."""
        return all(
            abs(error) <= 1e3 * max(LIMIT_L, LIMIT_OF_VALUE * value)
            for error, value in zip(self.errors_ml, (self.true.fev1_l, self.true.fvc_l), strict=False)
        )

    @property
    def verdicts(self) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
        """(true, found) of FEV1 and FVC."""
        return (
            (self.true.fev1_acceptable, self.found.fev1_acceptable),
            (self.true.fvc_acceptable, self.found.fvc_acceptable),
        )


def judged(seeds: Sequence[int]) -> tuple[list[Judged], float]:
    """All manoeuvres of the seeds, and CPU milliseconds for one."""
    rows, spent_s = [], 0.0
    for seed in seeds:
        random = np.random.default_rng(seed)
        for _ in range(CURVES):
            true = random_manoeuvre(random)
            started = time.process_time()
            found = analyse_blow(true.time_s, flow_l_s=true.flow_l_s, volume_l=true.volume_l)
            spent_s += time.process_time() - started
            rows.append(Judged(true, found))
    return rows, 1e3 * spent_s / len(rows)


def line(name: str, rows: Sequence[Judged]) -> str:
    """One row of the table."""
    fev1, fvc, bev = np.abs(np.array([row.errors_ml for row in rows])).T
    plain = [pair for row in rows if not row.true.debatable for pair in row.verdicts]
    wrongly = sum(found and not true for true, found in plain)
    right = [found for true, found in plain if true]
    kept = f"{100 * np.mean(right):.1f} % of {len(right)}" if right else "-"
    return (
        f"| {name} ({len(rows)}) | {sum(row.within for row in rows)} "
        f"| {fev1.mean():.1f}, {np.quantile(fev1, 0.95):.1f} mL "
        f"| {fvc.mean():.1f}, {np.quantile(fvc, 0.95):.1f} mL | {np.quantile(bev, 0.95):.1f} mL "
        f"| {wrongly} | {kept} |"
    )


def tables(seeds: Sequence[int]) -> tuple[str, str, float]:
    """By sensor and by what is wrong; what was taken or refused wrongly; and the time for one."""
    rows, spent_ms = judged(seeds)
    wrongs = sorted({row.true.wrong for row in rows})
    faulty = ("zero-flow", "drift")
    sound = [row for row in rows if row.true.wrong not in faulty]
    groups = [
        ("all", rows),
        ("all but faulty zeros and drift", sound),
        ("of these flow, more than 8 bit", [r for r in sound if not (r.true.sensor.volume or r.true.sensor.eight_bit)]),
        (
            "of these volume, more than 8 bit",
            [r for r in sound if r.true.sensor.volume and not r.true.sensor.eight_bit],
        ),
        ("of these 8 bit", [r for r in sound if r.true.sensor.eight_bit]),
        *((wrong or "nothing wrong", [r for r in rows if r.true.wrong == wrong]) for wrong in wrongs),
    ]
    table = "\n".join([HEAD, *(line(name, some) for name, some in groups if some)])
    refused: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for row in rows:
        if row.true.debatable:
            continue
        pairs = row.verdicts
        if any(found and not true for true, found in pairs):
            taken[row.true.wrong] += 1
        if any(true and not found for true, found in pairs):
            refused[f"{row.true.wrong or 'nothing wrong'}: {', '.join(row.found.defects)}"] += 1
    told = [f"* taken although {name}: {count}" for name, count in taken.most_common()]
    told += [f"* refused although {name}: {count}" for name, count in refused.most_common()]
    return table, "\n".join(told), spent_ms


def main() -> None:
    """Print both tables."""
    table, told, spent_ms = tables([int(word) for word in sys.argv[1:]] or SEEDS)
    print(f"{table}\n\n{told}\n\n{spent_ms:.2f} ms of CPU a curve")


if __name__ == "__main__":
    main()

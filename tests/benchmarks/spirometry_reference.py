"""Microseconds per reference value with its z-score: one person at a time, and many at once.

    .venv/bin/python tests/benchmarks/spirometry_reference.py

A script, not a test: shared machines time badly, so each figure is the best of several turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from zhenbao.signal.spirometry import EQUATIONS, reference, reference_arrays

TURNS = 5
ONE_BY_ONE = 2_000
MANY = 100_000


def best(run: Callable[[], int]) -> float:
    """Microseconds per value of the fastest turn."""
    figures = []
    for _ in range(TURNS):
        started = time.perf_counter()
        count = run()
        figures.append((time.perf_counter() - started) / count * 1e6)
    return min(figures)


def main() -> None:
    rng = np.random.default_rng(1)
    ages, heights = rng.uniform(4, 80, MANY), rng.uniform(120, 190, MANY)
    sexes = np.where(rng.random(MANY) < 0.5, "M", "F")
    people = list(zip(sexes[:ONE_BY_ONE].tolist(), ages.tolist(), heights.tolist(), strict=False))
    for equation in EQUATIONS:

        def one_by_one(equation: str = equation) -> int:
            count = 0
            for sex, age_years, height_cm in people:
                for found in reference(equation, sex=sex, age_years=age_years, height_cm=height_cm).values():
                    found.z(0.9 * found.m)
                    count += 1
            return count

        def at_once(equation: str = equation) -> int:
            found = reference_arrays(equation, sex=sexes, age_years=ages, height_cm=heights)
            for one in found.values():
                one.z(0.9 * one.m)
            return MANY * len(found)

        print(
            f"{equation:9} one by one {best(one_by_one):5.1f} us/value   {MANY:,} at once {best(at_once):5.2f} us/value"
        )


if __name__ == "__main__":
    main()

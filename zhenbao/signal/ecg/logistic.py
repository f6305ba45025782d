"""Logistic scores whose coefficients lie in the table ``coefficients.toml`` of a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from zhenbao.signal.ecg.candidates import Ints
from zhenbao.signal.ecg.envelope import Floats


@dataclass(frozen=True, slots=True)
class Score:
    """Log odds from measured values, linear or with all products of two."""

    columns: Ints
    mean: Floats
    scale: Floats
    bias: float
    weight: Floats
    products: Floats | None

    def log_odds(self, values: Floats) -> Floats:
        """Of every row of values."""
        z = np.clip((values[:, self.columns] - self.mean) / self.scale, -4, 4)
        odds: Floats = self.bias + z @ self.weight
        if self.products is not None:
            odds = odds + np.einsum("bi,ij,bj->b", z, self.products, z)
        return odds


def scores(package: str, measured: Mapping[str, tuple[str, ...]]) -> dict[str, Score]:
    """The scores of a package's table by name, each for values in the order ``measured``."""
    return _scores(package, tuple(measured.items()))


@cache
def _scores(package: str, measured: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, Score]:
    table = tomllib.loads(files(package).joinpath("coefficients.toml").read_text(encoding="utf-8"))
    found = {}
    for name, order in measured:
        row = table[name]
        number = len(row["values"])
        products = None
        if "products" in row:
            products = np.zeros((number, number))
            products[np.triu_indices(number)] = row["products"]
        found[name] = Score(
            np.array([order.index(value) for value in row["values"]], np.int64),
            np.array(row["mean"], float),
            np.array(row["scale"], float),
            float(row["bias"]),
            np.array(row["weight"], float),
            products,
        )
    return found

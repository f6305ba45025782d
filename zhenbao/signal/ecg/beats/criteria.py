"""The tables of this folder, read once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from zhenbao.signal.ecg.beats.windows import Ints
from zhenbao.signal.ecg.envelope import Floats


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def criteria() -> dict[str, float]:
    """Value by id; units, meanings and sources stand in ``criteria.toml``."""
    return {row["id"]: float(row["value"]) for row in _table("criteria.toml")["criterion"]}


@dataclass(frozen=True, slots=True)
class Score:
    """A logistic score: log odds from measured values, linear or with all products of two."""

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


@cache
def score(name: str, measured: tuple[str, ...]) -> Score:
    """The score ``name`` of ``coefficients.toml`` for values in the order ``measured``."""
    row = _table("coefficients.toml")[name]
    number = len(row["values"])
    products = None
    if "products" in row:
        products = np.zeros((number, number))
        products[np.triu_indices(number)] = row["products"]
    return Score(
        np.array([measured.index(v) for v in row["values"]], np.int64),
        np.array(row["mean"], float),
        np.array(row["scale"], float),
        float(row["bias"]),
        np.array(row["weight"], float),
        products,
    )

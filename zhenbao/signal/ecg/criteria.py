"""The numbers of this folder and of those in it: each has its own table ``criteria.toml``, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def criteria_of(package: str) -> dict[str, float]:
    """Value by id of a package's table; units, meanings and sources stand in it."""
    text = files(package).joinpath("criteria.toml").read_text(encoding="utf-8")
    return {row["id"]: float(row["value"]) for row in tomllib.loads(text)["criterion"]}


def criteria() -> dict[str, float]:
    """Those of this folder."""
    return criteria_of(__package__)

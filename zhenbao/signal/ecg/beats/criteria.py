"""The tables of this folder, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def criteria() -> dict[str, float]:
    """Value by id; units, meanings and sources stand in ``criteria.toml``."""
    return {row["id"]: float(row["value"]) for row in _table("criteria.toml")["criterion"]}

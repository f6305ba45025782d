"""The table ``criteria.toml`` of this folder, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def criteria() -> dict[str, float]:
    """Value by id; units, meanings and sources stand in the table."""
    text = files(__package__).joinpath("criteria.toml").read_text(encoding="utf-8")
    return {row["id"]: float(row["value"]) for row in tomllib.loads(text)["criterion"]}

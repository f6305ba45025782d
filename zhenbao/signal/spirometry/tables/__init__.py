"""The numbers of spirometry as data, each with its source, and the one way to read them."""

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def settings(name: str) -> dict[str, Any]:
    """A TOML table of this folder by its name without suffix. Do not change what it returns."""
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def rows(name: str) -> Iterator[list[str]]:
    """The rows of a CSV table of this folder: first the heading, then the data; lines with # are its source."""
    for line in files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split(",")

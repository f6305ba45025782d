"""Can this number be right? Limits of typing and of devices' results, from ``limits.toml``; no clinical judgement."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from zhenbao.model.errors import InputError
from zhenbao.model.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Limit:
    """Lowest and highest number, both included."""

    shown: str
    """The unit as people write it."""
    possible: tuple[float, float]
    plausible: tuple[float, float]
    source: str


@cache
def limits() -> dict[tuple[str, str], Limit]:
    """Every limit by quantity and UCUM unit."""
    table = tomllib.loads(files("zhenbao.agent").joinpath("limits.toml").read_text("utf-8"))
    return {
        (name, unit): Limit(row["shown"], tuple(row["possible"]), tuple(row["plausible"]), row["source"])
        for name, by_unit in table.items()
        for unit, row in by_unit.items()
    }


def plausible(name: str, quantity: Quantity) -> bool:
    """Whether a number is one that is seen in people."""
    low, high = limits()[name, quantity.unit].plausible
    return low <= quantity.value <= high


def admit(name: str, quantity: Quantity, *, sure: bool) -> bool:
    """Let a typed number in, or say why not.

    Args:
        name: key of ``limits.toml``.
        sure: the doctor has looked again and confirms.

    Returns:
        Whether it is beyond the plausible range and was confirmed.

    Raises:
        InputError: ``typed-unit`` where it would be right in another unit, ``typed-impossible``, ``typed-implausible``.
    """
    limit = limits()[name, quantity.unit]
    facts = {"value": quantity.value, "unit": limit.shown}
    if not limit.possible[0] <= quantity.value <= limit.possible[1]:
        for (other_name, unit), other in limits().items():
            if other_name == name and other.plausible[0] <= quantity.value <= other.plausible[1]:
                raise InputError("typed-unit", **facts, other=other.shown, option=OPTIONS[unit])
        raise InputError("typed-impossible", **facts, low=limit.plausible[0], high=limit.plausible[1])
    if plausible(name, quantity):
        return False
    if not sure:
        raise InputError("typed-implausible", **facts, low=limit.plausible[0], high=limit.plausible[1])
    return True


OPTIONS = {"mmol/L": "mmol/L", "mg/dL": "mg/dL", "Cel": "C", "[degF]": "F"}
"""What a doctor types after ``--unit``, by UCUM unit."""

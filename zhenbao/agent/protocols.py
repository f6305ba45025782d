"""How a reading is taken, step by step: pure decisions, numbers from ``protocols.toml``."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Pressure:
    """One reading of a cuff, in mmHg."""

    systolic_mmhg: float
    diastolic_mmhg: float


class BpStep(StrEnum):
    """What the doctor does next."""

    REST = "rest"
    MEASURE = "measure"
    WAIT = "wait"
    DONE = "done"


@cache
def protocol(name: str) -> dict[str, Any]:
    """The numbers of one protocol."""
    table: dict[str, Any] = tomllib.loads(files("zhenbao.agent").joinpath("protocols.toml").read_text("utf-8"))[name]
    return table


def readings_wanted(readings: Sequence[Pressure], *, irregular: bool = False) -> int:
    """Two; three where the first two differ too much in either pressure (rules BP16, BP17).

    Args:
        irregular: a cuff reported an irregular pulse in one of them: at least three are then averaged (rule BP35).
    """
    rules = protocol("bp")
    if irregular:
        return int(rules["readings_if_irregular"])
    wanted: int = rules["readings"]
    if len(readings) >= wanted:
        first, second = readings[:2]
        apart = max(abs(first.systolic_mmhg - second.systolic_mmhg), abs(first.diastolic_mmhg - second.diastolic_mmhg))
        return wanted + 1 if apart > rules["third_if_above_mmhg"] else wanted
    return wanted


def next_bp_step(readings: Sequence[Pressure], *, rested: bool, waited: bool, irregular: bool = False) -> BpStep:
    """What comes next, given what was measured so far.

    Args:
        rested: the rest before the first reading is over (or was skipped).
        waited: the interval since the last reading is over.
        irregular: as for ``readings_wanted``.
    """
    if len(readings) >= readings_wanted(readings, irregular=irregular):
        return BpStep.DONE
    if not readings:
        return BpStep.MEASURE if rested else BpStep.REST
    return BpStep.MEASURE if waited else BpStep.WAIT


def mean_pressure(readings: Sequence[Pressure]) -> Pressure:
    """The mean of all readings taken, rounded to whole mmHg, as it is classified and shown."""
    n = len(readings)
    return Pressure(
        _whole(sum(r.systolic_mmhg for r in readings) / n), _whole(sum(r.diastolic_mmhg for r in readings) / n)
    )


def _whole(value: float) -> float:
    """Half upwards: 179.5 is 180, so that a mean on the boundary is never rounded to the milder class."""
    return float(int(value + 0.5))

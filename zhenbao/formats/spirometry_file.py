"""What is known of the blows in a file, whatever its format, and whether they can be blows at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zhenbao.formats.ecg_file import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

Measured = Literal["flow", "volume"]
Btps = Literal["yes", "no", "unknown"]

MOST_BLOWS = 20
"""Eight are the most that adults blow; a column that counts further counts something else."""
_LEAST_SAMPLES = 8
_DURATIONS_S = (0.3, 120.0)
_MOST: dict[str, float] = {"flow": 25.0, "volume": 15.0}
"""L/s and L: beyond it no mouth blows, so that the unit is another one than the file says."""
_BEYOND_SHARE = 0.01
"""Single damaged samples are the measurement's business."""
_PER_UNIT: dict[str, dict[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "min": 60.0},
    "flow": {"l/s": 1.0, "l/min": 1 / 60, "ml/s": 1e-3},
    "volume": {"l": 1.0, "ml": 1e-3},
}
UNITS = {kind: tuple(units) for kind, units in _PER_UNIT.items()}


@dataclass(frozen=True, slots=True)
class BlowCurve:
    """One blow as it was recorded."""

    number: int
    time_s: tuple[float, ...]
    """Never falling."""
    values: tuple[float, ...]
    """L/s (expiration positive) or litres (exhaled volume rising); NaN is a lost sample."""


@dataclass(frozen=True, slots=True)
class SpirometryFile:
    """The blows of a file, in the order in which they were blown. Names of people and free text are left behind."""

    format: str
    """``csv`` or ``zhenbao``."""
    measured: Measured
    blows: tuple[BlowCurve, ...]
    btps: Btps = "unknown"
    """Whether volumes are at body temperature; ``unknown``: the file does not say."""
    sex: str | None = None
    age_years: float | None = None
    height_cm: float | None = None
    device: str | None = None
    taken: str | None = None
    """When, as the file has it."""
    incomplete: tuple[int, ...] = ()
    """Numbers of blows that were cut off; they are not among ``blows``."""
    left_out: tuple[str, ...] = ()
    """Columns that were not read."""


def scale(kind: str, unit: str) -> float | None:
    """Factor to s, L/s or L; None for a unit that is none of this kind."""
    return _PER_UNIT[kind].get(unit.strip().lower().replace("·", "/").replace(" ", ""))


def check_blows(blows: Sequence[BlowCurve], measured: Measured) -> None:
    """Refuse what no person can have blown, before it is measured.

    Raises:
        FileFormatError: ``spirometry-file-none``, ``spirometry-file-many``, ``spirometry-file-time``,
            ``spirometry-file-duration`` or ``spirometry-file-size``.
    """
    if not blows:
        raise FileFormatError("spirometry-file-none")
    if len(blows) > MOST_BLOWS:
        raise FileFormatError("spirometry-file-many", found=len(blows), most=MOST_BLOWS)
    for blow in blows:
        known = [value for value in blow.values if math.isfinite(value)]
        if len(known) < _LEAST_SAMPLES:
            raise FileFormatError("spirometry-file-short", blow=blow.number, found=len(known))
        seconds = blow.time_s[-1] - blow.time_s[0]
        if not _DURATIONS_S[0] <= seconds <= _DURATIONS_S[1]:
            raise FileFormatError("spirometry-file-duration", blow=blow.number, seconds=seconds)
        beyond = [value for value in known if abs(value) > _MOST[measured]]
        if len(beyond) > _BEYOND_SHARE * len(known):
            largest = max(beyond, key=abs)
            unit = "L/s" if measured == "flow" else "L"
            raise FileFormatError("spirometry-file-size", blow=blow.number, largest=largest, unit=unit)

"""WFDB records (PhysioNet): a header beside one or more signal files, any rate, any leads.

The format: https://physionet.org/physiotools/wag/header-5.htm and signal-5.htm. Read through the ``wfdb`` library,
an optional extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.formats.ecg_file import MV_PER_UNIT, FileFormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What the library raises on absent, cut, or invented files; it has no error type of its own.
_DAMAGE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, MemoryError)


@dataclass(frozen=True, slots=True)
class WfdbRecord:
    """The voltage channels of a record. Free-text comments, which may name a patient, are dropped."""

    ecg_mv: NDArray[np.float64]
    """``[leads, n]``; NaN where the record marks a sample as invalid."""
    fs_hz: float
    lead_names: tuple[str, ...]
    units: tuple[str, ...]
    """As the header has them; ``ecg_mv`` is in millivolts whatever they are."""


def read_wfdb(path: Path | str) -> WfdbRecord:
    """Read a record from local files.

    Args:
        path: the record, with or without the ending ``.hea`` (``.dat`` and ``.mat`` are understood as well).

    Raises:
        FileFormatError: ``wfdb-missing`` or ``wfdb-file``.
    """
    place = Path(path)
    if place.suffix.lower() in {".hea", ".dat", ".mat"}:
        place = place.with_suffix("")
    if not place.with_name(f"{place.name}.hea").is_file():
        raise FileFormatError("wfdb-file")
    try:
        import wfdb
    except ImportError:
        raise FileFormatError("wfdb-missing") from None
    import numpy as np

    try:
        record = wfdb.rdrecord(str(place.absolute()))
        signals = np.asarray(record.p_signal, np.float64).T
        units = tuple(str(unit) for unit in record.units)
        names = tuple(str(name) for name in record.sig_name)
        fs_hz = float(record.fs)
    except _DAMAGE:
        # The library's own text may quote the header; nothing of it goes further.
        raise FileFormatError("wfdb-file") from None
    rows = [i for i, unit in enumerate(units) if unit.strip().lower() in MV_PER_UNIT]
    if not rows or signals.ndim != 2 or not signals.shape[1] or not 0 < fs_hz < 1e6:
        raise FileFormatError("wfdb-file")
    scale = np.array([MV_PER_UNIT[units[i].strip().lower()] for i in rows])
    return WfdbRecord(
        np.ascontiguousarray(signals[rows] * scale[:, None]),
        fs_hz,
        tuple(names[i] for i in rows),
        tuple(units[i] for i in rows),
    )

"""European Data Format (Kemp 1992, doi:10.1016/0013-4694(92)90009-7) and EDF+ (Kemp and Olivan 2003), continuous.

Read through ``edfio``, an optional extra.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhenbao.formats.ecg_file import MV_PER_UNIT, EcgFile, FileFormatError, named_apart, standard_lead
from zhenbao.model.ecg import LEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAMAGE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, MemoryError)
_HIGHPASS = re.compile(r"HP\s*:?\s*([\d.]+)\s*Hz", re.IGNORECASE)
_LOWPASS = re.compile(r"LP\s*:?\s*([\d.]+)\s*Hz", re.IGNORECASE)
_KINDS = ("ecg", "ekg", "mlii", "lead", "mdc_ecg")


def read_edf(path: Path) -> EcgFile:
    """The ECG signals of a file, at the rate that most of them have.

    Raises:
        FileFormatError: ``library-missing``, ``edf-gaps`` (EDF+D), ``ecg-file-damaged``, ``ecg-file-no-ecg`` or
            ``ecg-file-unit``.
    """
    try:
        import edfio
    except ImportError:
        raise FileFormatError("library-missing", library="edfio") from None
    import numpy as np

    with path.open("rb") as file:
        head = file.read(256)
    if head[192:197] == b"EDF+D":
        raise FileFormatError("edf-gaps")
    try:
        edf = edfio.read_edf(path)
        signals = list(edf.signals)
        some = [s for s in signals if _is_ecg(s.label)]
        rates = [float(s.sampling_frequency) for s in some]
    except _DAMAGE:
        raise FileFormatError("ecg-file-damaged", format="EDF") from None
    if not some:
        raise FileFormatError("ecg-file-no-ecg", format="EDF")
    fs_hz = max(sorted(set(rates)), key=rates.count)
    chosen = [s for s, rate in zip(some, rates, strict=True) if rate == fs_hz]
    units = [str(s.physical_dimension).strip() for s in chosen]
    for unit in units:
        if unit.lower() not in MV_PER_UNIT:
            raise FileFormatError("ecg-file-unit", unit=unit[:16] or "-")
    try:
        rows = [np.asarray(s.data, np.float64) * MV_PER_UNIT[u.lower()] for s, u in zip(chosen, units, strict=True)]
        ecg_mv = np.stack(rows)
    except _DAMAGE:
        raise FileFormatError("ecg-file-damaged", format="EDF") from None
    filters = [str(s.prefiltering) for s in chosen]
    return EcgFile(
        "edf",
        ecg_mv,
        fs_hz,
        named_apart([standard_lead(s.label) for s in chosen]),
        _of_all(_HIGHPASS, filters, highest=True),
        _of_all(_LOWPASS, filters, highest=False),
        _sex(edf),
        None,
        tuple(s.label for s in signals if s not in chosen),
    )


def _is_ecg(label: str) -> bool:
    return standard_lead(label) in LEADS or label.strip().lower().startswith(_KINDS)


def _of_all(pattern: re.Pattern[str], filters: Sequence[str], *, highest: bool) -> float | None:
    """The strictest among the channels; None where one does not say."""
    found = []
    for text in filters:
        match = pattern.search(text)
        try:
            found.append(float(match.group(1)) if match else None)
        except ValueError:
            found.append(None)
    known = [value for value in found if value is not None]
    if len(known) < len(found) or not known:
        return None
    return max(known) if highest else min(known)


def _sex(edf: Any) -> str | None:
    try:
        return {"M": "male", "F": "female"}.get(str(edf.patient.sex))
    except _DAMAGE:
        return None

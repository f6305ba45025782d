"""One door for every ECG file: which format it is, its bytes tell."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path

from zhenbao.formats.csv_files import read_csv
from zhenbao.formats.dicom_files import read_dicom
from zhenbao.formats.ecg_file import LARGEST_BYTES, EcgFile, FileFormatError, named_apart, standard_lead
from zhenbao.formats.edf_files import read_edf
from zhenbao.formats.wfdb_files import read_wfdb

_RATES_HZ = (50.0, 50_000.0)
"""No recorder of ECGs is slower or faster; a file that says so is damaged."""
_WFDB = {".hea", ".dat", ".mat"}


def read_ecg(path: Path | str, *, fs_hz: float | None = None, unit: str | None = None) -> EcgFile:
    """Read a WFDB record, EDF or EDF+, a DICOM waveform, or a table.

    Args:
        path: the file; of a WFDB record any of its files, or their common name.
        fs_hz: for a table, which does not say it; refused for other formats.
        unit: for a table: ``V``, ``mV`` or ``uV``.

    Raises:
        FileFormatError: its code says why.
    """
    with warnings.catch_warnings():
        # What the libraries warn of may quote what a file says of its patient.
        warnings.simplefilter("ignore")
        told = _read(Path(path), fs_hz, unit)
    if told.format != "csv" and (fs_hz is not None or unit is not None):
        raise FileFormatError("rate-told", format=told.format.upper())
    if not _RATES_HZ[0] <= told.fs_hz <= _RATES_HZ[1]:
        raise FileFormatError("ecg-file-damaged", format=told.format.upper())
    filters = [hz if hz is not None and math.isfinite(hz) else None for hz in (told.highpass_hz, told.lowpass_hz)]
    return replace(told, highpass_hz=filters[0], lowpass_hz=filters[1])


def _read(place: Path, fs_hz: float | None, unit: str | None) -> EcgFile:
    if not place.name:
        raise FileFormatError("ecg-file-absent")
    if place.with_suffix(".hea").is_file() and (place.suffix.lower() in _WFDB or not place.is_file()):
        return _wfdb(place)
    if place.with_name(place.name + ".hea").is_file():
        return _wfdb(place)
    if not place.is_file():
        raise FileFormatError("ecg-file-absent")
    try:
        size = place.stat().st_size
        with place.open("rb") as file:
            head = file.read(512)
    except OSError:
        raise FileFormatError("ecg-file-absent") from None
    if not size:
        raise FileFormatError("ecg-file-empty")
    if size > LARGEST_BYTES:
        raise FileFormatError("ecg-file-large", megabytes=size >> 20)
    if head[128:132] == b"DICM":
        return read_dicom(place)
    if head[:8] == b"0       " and len(head) >= 256:
        return read_edf(place)
    if b"SCPECG" in head[:64]:
        raise FileFormatError("scp-ecg")
    if b"\0" in head:
        raise FileFormatError("ecg-file-unknown")
    return read_csv(place, fs_hz=fs_hz, unit=unit)


def _wfdb(place: Path) -> EcgFile:
    record = read_wfdb(place)
    names = named_apart([standard_lead(name) for name in record.lead_names])
    return EcgFile("wfdb", record.ecg_mv, record.fs_hz, names)

"""Recordings of real patients as an ECG source: any WFDB record, at the front-end's rate, on the leads it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.firmware_sim.front_end.recording import resampled
from zhenbao.firmware_sim.waveforms.ecg import LEADS, EcgSource
from zhenbao.formats.wfdb_files import read_wfdb
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BY_NAME = {lead.upper(): lead for lead in LEADS} | {"MLI": "I", "MLII": "II", "MLIII": "III"}
"""Lead names of the public databases; MLII is the modified lead II of MIT-BIH."""


def replay(
    path: Path,
    fs_hz: int = 500,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    loop: bool = False,
    highpass_hz: float | None = None,
) -> EcgSource:
    """A record as an ECG source.

    Leads are taken by name; those the record does not have are absent, and those it has beyond the twelve (or twice)
    are listed in ``notes`` as ``unused:NAME``. A record that ends before ``duration_s`` gives what there is, and the
    front-end then ends early; with ``loop`` it begins again, and each seam is noted as ``seam:SAMPLE``.

    Args:
        path: the record, with or without its ``.hea`` ending.
        fs_hz: rate of the source.
        start_s: where in the record to begin.
        duration_s: how much to take; None takes all.
        highpass_hz: what was cut below when it was recorded; None is unknown.

    Raises:
        InputError: code ``sim-replay-start``, the start lies beyond the record's end; code ``sim-replay-leads``, the
            record has none of the twelve leads.
        ZhenbaoError: the record cannot be read (codes of ``zhenbao.formats``).
    """
    record = read_wfdb(path)
    rows: dict[str, int] = {}
    notes: list[str] = []
    for index, name in enumerate(record.lead_names):
        lead = _BY_NAME.get(name.strip().upper())
        if lead is None or lead in rows:
            notes.append(f"unused:{name}")
        else:
            rows[lead] = index
    if not rows:
        raise InputError("sim-replay-leads", names=", ".join(record.lead_names))
    first = round(start_s * record.fs_hz)
    length = record.ecg_mv.shape[1]
    if not 0 <= first < length:
        raise InputError("sim-replay-start", start_s=start_s, length_s=round(length / record.fs_hz, 1))
    wanted = length - first if duration_s is None else round(duration_s * record.fs_hz)
    taken = record.ecg_mv[:, first : first + wanted]
    if loop and 0 < taken.shape[1] < wanted:
        piece = taken.shape[1]
        notes += [f"seam:{round(at * fs_hz / record.fs_hz)}" for at in range(piece, wanted, piece)]
        taken = np.tile(taken, -(-wanted // piece))[:, :wanted]
    # A filter would spread a missing sample over its neighbours; holes are bridged first and put back after.
    holes = np.isnan(taken)
    smooth = resampled(_bridged(taken), record.fs_hz, fs_hz)
    if holes.any():
        at = np.minimum(np.round(np.arange(smooth.shape[1]) * record.fs_hz / fs_hz).astype(int), taken.shape[1] - 1)
        smooth = np.where(holes[:, at], np.nan, smooth)
    mv = np.full((len(LEADS), smooth.shape[1]), np.nan)
    for lead, row in rows.items():
        mv[LEADS.index(lead)] = smooth[row]
    absent = tuple(lead for lead in LEADS if lead not in rows)
    return EcgSource(mv, fs_hz, absent, highpass_hz, notes=tuple(notes))


def _bridged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN replaced along straight lines, row by row; a row of NaN becomes zero."""
    result = values.copy()
    for row in result:
        missing = np.isnan(row)
        if missing.all():
            row[:] = 0.0
        elif missing.any():
            row[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), row[~missing])
    return result

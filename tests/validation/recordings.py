"""Where the public recordings lie, and how they are read and scored: the evaluator is not ours."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ZHENBAO_DATA", ROOT.parent / "shared")) / "ecg"
Floats = NDArray[np.float64]
Detect = Callable[[Floats, float], Any]
Row = dict[str, Any]
_USUAL = set("NLRBej/Q?n")


def evaluator() -> ModuleType:
    """The shared evaluator as a module."""
    spec = importlib.util.spec_from_file_location("ec57_eval", DATA / "ec57_eval.py")
    if spec is None or spec.loader is None or not (DATA / "ec57_eval.py").is_file():
        sys.exit(f"No evaluator in {DATA}: set ZHENBAO_DATA to the folder that holds ecg/ec57_eval.py and ecg/data.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def place(database: str) -> Path | None:
    """Folder of a database, None where it is not here."""
    folder = DATA / "data" / database
    return folder if folder.is_dir() else None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording with its reference beats."""

    name: str
    ecg_mv: Floats
    """``[leads, n]``"""
    fs_hz: float
    reference: NDArray[np.int64]
    usual: NDArray[np.bool_]
    """Of each reference beat: normal or conducted (EC57 class N), or not told apart by the database."""
    excluded: list[tuple[int, int]]
    """Segments that the database marks: ventricular flutter (mitdb), artefact (TELE)."""


def recordings(ec57: ModuleType, database: str, channels: int = 1) -> Iterator[Recording]:
    """Those of a database that are here, in order, read as the evaluator reads them."""
    folder = place(database)
    for name in ec57.records(str(folder)) if folder else ():
        if folder is None or not (folder / f"{name}.atr").is_file():  # noise recordings have no beats
            continue
        parts = [ec57.read(str(folder), name, channel, "atr") for channel in range(channels)]
        _, fs_hz, reference, excluded = parts[0]
        usual = _usual(folder / name, reference)
        yield Recording(name, np.stack([p[0] for p in parts]), fs_hz, reference, usual, excluded)


def _usual(record: Path, reference: NDArray[np.int64]) -> NDArray[np.bool_]:
    import wfdb

    notes = wfdb.rdann(str(record), "atr")
    symbols = dict(zip(notes.sample.tolist(), notes.symbol, strict=True))
    return np.array([symbols.get(beat, "N") in _USUAL for beat in reference.tolist()], bool)


def scored(ec57: ModuleType, recording: Recording, found: Any, cpu_s: float = 0.0) -> Row:
    """One row as the evaluator's own loop makes it."""
    beats, fs_hz = np.asarray(found, np.int64), recording.fs_hz
    row: Row = {
        "record": recording.name,
        "dur_s": recording.ecg_mv.shape[1] / fs_hz,
        "beats": len(recording.reference),
        "cpu_s": cpu_s,
        "error": "",
    }
    for name, skip_s, leave_out in ec57.SUBSETS:
        segments = recording.excluded if leave_out else ()
        tp, fp, fn, offset_ms = ec57.score(recording.reference, beats, fs_hz, 0.150, skip_s, segments)
        se, ppv, f1, der = ec57.stats(tp, fp, fn)
        row |= {f"{name}_{key}": value for key, value in zip(("TP", "FP", "FN"), (tp, fp, fn), strict=True)}
        row |= {f"{name}_{key}": v for key, v in zip(("Se", "PPV", "F1", "DER"), (se, ppv, f1, der), strict=True)}
        if name == "all":
            row["jit_mean_ms"] = float(offset_ms.mean()) if len(offset_ms) else np.nan
            row["jit_sd_ms"] = float(offset_ms.std()) if len(offset_ms) else np.nan
    return row

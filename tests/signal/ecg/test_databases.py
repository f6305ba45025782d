"""The bar on public recordings, scored by an evaluator that is not ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from zhenbao.signal.ecg import detect_qrs

pytest.importorskip("wfdb", reason="reading the recordings needs the extra 'formats'")

EASY_AND_HARD = ["101", "104", "108", "116", "208", "230"]


@pytest.fixture(scope="module")
def evaluator(shared_data: Path) -> ModuleType:
    file = shared_data / "ecg" / "ec57_eval.py"
    if not file.is_file():
        pytest.skip(f"no evaluator at {file}")
    spec = importlib.util.spec_from_file_location("ec57_eval", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def errors_percent(evaluator: ModuleType, shared_data: Path, database: str, records: list[str] | None) -> float:
    place = shared_data / "ecg" / "data" / database
    if not place.is_dir():
        pytest.skip(f"no recordings at {place}")
    rows = evaluator.evaluate(str(place), detect_qrs, only=records)
    assert rows
    assert not any(row["error"] for row in rows)
    return float(100 * evaluator.summarise(rows)["all"]["DER"])


def test_six_records(evaluator: ModuleType, shared_data: Path) -> None:
    assert errors_percent(evaluator, shared_data, "mitdb", EASY_AND_HARD) <= 2.0


@pytest.mark.slow
@pytest.mark.parametrize(("database", "at_most"), [("mitdb", 2.0), ("cinc2014_setp", 0.5), ("nstdb", 20.0)])
def test_whole_databases(evaluator: ModuleType, shared_data: Path, database: str, at_most: float) -> None:
    assert errors_percent(evaluator, shared_data, database, None) <= at_most

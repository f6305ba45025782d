"""The tools start themselves as processes, which must find them too."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _tools_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))

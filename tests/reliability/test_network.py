"""Roads that break, in small; the whole is ``make reliability-network``."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from reliability import proxy_loop, storm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs the Debian package mosquitto"),
]


def test_streams_that_break_in_the_middle_of_messages_lose_and_double_nothing(tmp_path: Path) -> None:
    result = proxy_loop.run(tmp_path, 8, random.Random(20261127), progress=False)
    assert result["faults"] == []
    assert result["settled_s"] is not None
    assert result["said"] >= 8


def test_many_kits_come_back_at_once(tmp_path: Path) -> None:
    result = storm.run(tmp_path, 12, 1, away_s=1)
    assert result["faults"] == []
    assert result["all_there"]

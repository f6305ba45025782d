"""A few cycles of the kill loop; a thousand are ``make reliability-kill``."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from reliability.kill_loop import run
from reliability.lossy_fs import mounted, usable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not usable(), reason="mounting a file system needs root and /dev/fuse"),
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs the Debian package mosquitto"),
]


def test_killed_at_random_and_inside_writes_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    with mounted(tmp_path / "mount", tmp_path / "kills", "--kills") as mount:
        result = run(tmp_path, mount, 12, random.Random(20261127), progress=False)
    assert result["faults"] == []
    assert (result["corrupted"], result["ended_unasked"]) == (0, [])
    assert result["settled_s"] is not None
    assert result["facts"]["hub arrived"] > 20


def test_saved_said_too_early_is_found(tmp_path: Path) -> None:
    """The positive control: a command that speaks before the disk has it."""
    with mounted(tmp_path / "mount", tmp_path / "kills", "--kills") as mount:
        result = run(tmp_path, mount, 25, random.Random(7), hasty=True, progress=False)
    assert result["lost"] > 0

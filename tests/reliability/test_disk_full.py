"""A sample of ``make disk``: some of the calls, not each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def test_the_disk_fails_here_and_there() -> None:
    if os.geteuid() != 0 or shutil.which("strace") is None:
        pytest.skip("mounting a small tmpfs needs root, failing calls need strace")
    ended = subprocess.run(
        [sys.executable, ROOT / "tests" / "reliability" / "disk_full.py", "--every", "41", "--no-page"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "WRONG" not in ended.stdout, ended.stdout
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") == 14

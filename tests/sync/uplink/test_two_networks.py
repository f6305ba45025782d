"""Two real networks at once: the hub is asked over the one that was meant, whatever the routes prefer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_captive_wifi_and_a_sim_on_which_the_hub_answers() -> None:
    tools = [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]
    if tools:
        pytest.skip(f"{', '.join(tools)} missing: run tests/debian-packages as root")
    made = ["unshare", "--net", "ip", "link", "add", "try7", "type", "veth", "peer", "name", "try8"]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("no network namespace may be made here: run as root")
    ended = subprocess.run(
        ["unshare", "--net", sys.executable, str(Path(__file__).with_name("two_networks.py"))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "as the routes say": "other",
        "wlan7": "other",
        "wwan7": "answered",
        "wwan7, pulled": "no-route",
    }

"""Roads that break, in small; the whole is ``make reliability-network``."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from reliability import poor_link, proxy_loop, storm
from reliability.slow_link import usable

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


@pytest.mark.skipif(not usable(), reason="network namespaces and TUN devices need root")
def test_a_critical_finding_comes_over_tls_with_the_countys_certificates(capsys: pytest.CaptureFixture[str]) -> None:
    """The broker that ships takes nobody without one, so what arrives came with one."""
    options = "--tls --cold --cycles 1 --rate-bit-s 2e6 --round-trip-s 0.05 --loss 0 --readings 20 --traces 2"
    assert poor_link.main(options.split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tls"], told["within_5_s"], told["within_20_s"]) == (True, 1, 1)

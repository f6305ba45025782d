"""Two real links, one of which dies: in small; the whole is ``make reliability-network``."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from reliability import slow_link, two_links

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not slow_link.usable(), reason="needs root and /dev/net/tun"),
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs the Debian package mosquitto"),
]


def test_the_paid_link_takes_what_is_critical_and_leaves_the_rest_to_the_free_one(tmp_path: Path) -> None:
    result = two_links.run(tmp_path, 1, random.Random(1), quick=True)
    assert result["faults"] == []
    assert result["settled_s"] is not None
    assert (result["critical_by_the_paid_link"], result["bulk_waited"]) == (1, 1)

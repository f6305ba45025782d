"""What strangers send has no effect but a counted refusal; more cycles are ``make reliability-hostile``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from reliability import rig
from reliability.hostile import RESEALED, Attack, run

pytestmark = pytest.mark.slow


def test_bent_cut_foreign_and_repeated_messages_change_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, 3, random.Random(20261127), progress=False)
    assert result["not_counted"] == {}
    assert result["faults"] == []
    assert sum(result["messages"].values()) > 200


@pytest.mark.skipif(rig.SEALED, reason="the product signs its messages: these are refused, see the test above")
def test_the_harness_sees_what_only_a_signature_stops(tmp_path: Path) -> None:
    """The positive control: bent messages whose sums are right are taken, and that is noticed."""
    attack = Attack(tmp_path, random.Random(1))
    for _ in range(3):
        attack.attack(RESEALED)
    attack.close()
    assert attack.uncounted


@pytest.mark.skipif(not rig.SEALED, reason="nothing is signed here")
def test_forged_packets_fail_by_their_key_alone(tmp_path: Path) -> None:
    """Each of them is counted and changes nothing; the same content with the right key is taken."""
    attack = Attack(tmp_path, random.Random(2))
    try:
        attack.forge()
        assert dict(attack.uncounted) == {}
        assert sum(attack.sent.values()) > 40
        assert attack.honest(), "a forgery that nobody would take with any key proves nothing"
    finally:
        attack.close()

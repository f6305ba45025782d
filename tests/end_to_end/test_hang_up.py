"""A cuff that hangs up the moment its result is out: no reading waits for an answer that cannot come."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from bedside import pair, set_up

from zhenbao.agent.kit import BONDS
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.links.ble import open_radio
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.cuff import BloodPressureMeter, CuffFaults, Reading

pytestmark = pytest.mark.slow
DEADLINE_S = 25.0
"""Below the 30 s that a Bluetooth stack waits for a lost answer."""


async def read_often(bench: Bench, keys: Path, times: int) -> list[float]:
    systolic = []
    for n in range(times):
        # Each reading has a radio of its own, like each of the doctor's commands.
        async with open_radio(bench.hci, keys) as radio:
            bench.press_start(Reading(120 + n, 80, 93, 70, datetime(2026, 11, 22, 10, n)), seconds=1)
            found = await radio.find(BloodPressureCuff.service, timeout_s=10)
            async with radio.connect(found) as link:
                async for reading in BloodPressureCuff().read(link, timeout_s=10):
                    assert reading.systolic is not None
                    systolic.append(reading.systolic.value)
    return systolic


def test_twenty_readings_of_a_cuff_that_hangs_up_at_once(tmp_path: Path) -> None:
    cuff = BloodPressureMeter(speed=20, faults=CuffFaults(hangs_up_after_sending=True))
    with Bench(cuff=cuff) as bench:
        kit = set_up(tmp_path / "kit", bench)
        pair(kit, bench, "bp")
        readings = asyncio.run(asyncio.wait_for(read_often(bench, kit.home / BONDS, 20), DEADLINE_S))
    assert sorted(set(readings)) == [float(120 + n) for n in range(20)]

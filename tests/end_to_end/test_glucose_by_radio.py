"""A Bluetooth glucose meter whose numbers run backwards, from pairing to the chart, as processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, pair, set_up

from zhenbao.agent.settings import load_settings
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.glucose_meter import GlucoseFaults, GlucoseMeter, GlucoseRecord
from zhenbao.firmware_sim.peripheral import Identity
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


def test_each_new_result_is_charted_once_though_every_number_changes(tmp_path: Path) -> None:
    before = local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0) - timedelta(days=1)
    old = [GlucoseRecord.mmol_l(n, before + timedelta(minutes=n), 5.0) for n in (1, 2)]
    identity = Identity("i-SENS", "CareSens N", "S-1", "1.2.4")
    meter = GlucoseMeter(old, identity=identity, faults=GlucoseFaults(reversed_sequence=True))
    with Bench(meter=meter) as bench:
        kit = set_up(tmp_path / "kit", bench)
        pair(kit, bench, "glucose")
        assert load_settings(kit.home).glucose_meter == ""
        charted = []
        for value in (7.8, 16.7):
            bench.test_blood(value)
            ended = kit("measure", "glucose", *CONFIRM, "--meal", "random")
            assert ended.code == 0, ended.said
            charted.append([e["observation"]["values"]["glucose_capillary"]["value"] for e in ended.of("observation")])
    assert charted == [[7.8], [16.7]]

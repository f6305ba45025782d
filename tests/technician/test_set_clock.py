"""A technician sets the clock of a Bluetooth meter, wherever it has one, over the radio that was chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside import KitCommand, set_up

from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.glucose_meter import ClockKind, GlucoseMeter
from zhenbao.firmware_sim.peripheral import Identity

pytestmark = pytest.mark.slow
TWO_HOURS_S = 7200.0


def paired(tmp_path: Path, bench: Bench) -> KitCommand:
    """A kit whose settings name no radio: the one before the command counts."""
    kit = set_up(tmp_path / "kit", None)
    bench.pairing_mode(True)
    ended = kit("--ble", bench.hci, "tech", "pair", "glucose")
    assert ended.code == 0, ended.said
    bench.pairing_mode(False)
    bench.test_blood(5.6)
    return kit


@pytest.mark.parametrize(
    ("kind", "identity"),
    [
        pytest.param("current-time", Identity(), id="2A2B"),
        pytest.param("date-time", Identity("Roche", "Accu-Chek Aviva Connect", "S-1", "1"), id="2A08"),
        pytest.param("contour", Identity("Ascensia", "Contour Next One", "S-2", "1"), id="the Contour's own"),
    ],
)
def test_a_clock_two_hours_ahead_is_set_over_the_chosen_radio(
    tmp_path: Path, kind: ClockKind, identity: Identity
) -> None:
    meter = GlucoseMeter(clock_kind=kind, identity=identity, clock_offset_s=TWO_HOURS_S)
    with Bench(meter=meter) as bench:
        kit = paired(tmp_path, bench)
        ended = kit("--ble", bench.hci, "tech", "set-clock", "--seconds", "20")
    assert ended.code == 0, ended.said
    assert abs(meter.clock_offset_s) < 5
    assert len(meter.records) == 1, "nothing was deleted"
    assert meter.requests == [], "no result was asked for"


def test_a_meter_whose_clock_nobody_knows_how_to_set_is_told_and_left_alone(tmp_path: Path) -> None:
    identity = Identity("i-SENS", "CareSens N", "S-1", "1.2.4")
    meter = GlucoseMeter(clock_kind="current-time", identity=identity, clock_offset_s=TWO_HOURS_S)
    with Bench(meter=meter) as bench:
        ended = paired(tmp_path, bench)("--ble", bench.hci, "tech", "set-clock", "--seconds", "20")
    assert ended.code == 1
    assert "meter-clock-closed" in ended.said
    assert meter.clock_offset_s == TWO_HOURS_S


def test_another_kits_meter_keeps_its_clock(tmp_path: Path) -> None:
    meter = GlucoseMeter(clock_offset_s=TWO_HOURS_S)
    with Bench(meter=meter) as bench:
        kit = set_up(tmp_path / "kit", None)
        bench.test_blood(5.6)
        ended = kit("--ble", bench.hci, "tech", "set-clock", "--seconds", "20")
    assert ended.code == 1
    assert "not-paired" in ended.said
    assert meter.clock_offset_s == TWO_HOURS_S

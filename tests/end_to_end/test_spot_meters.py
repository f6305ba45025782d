"""Thermometer and scale at the bedside, with the real commands and simulated devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, Event, KitCommand, pair, set_up

from zhenbao.agent.capture import Journal
from zhenbao.agent.measure.spot import SpotReading
from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.peripheral import Identity
from zhenbao.firmware_sim.scale import BathroomScale
from zhenbao.firmware_sim.spot_meter import SpotFaults
from zhenbao.firmware_sim.thermometer import ClinicalThermometer
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0)


def store_of(kit: KitCommand) -> KitStore:
    return KitStore.open(kit.home, kit_id="kit-test", clock=SystemClock())


def each_time(*actions: Callable[[], object]) -> Callable[[Event], None]:
    """Do the next action whenever the doctor is told to measure."""
    left = list(actions)

    def heard(event: Event) -> None:
        if event["event"] == "measure-now" and left:
            left.pop(0)()

    return heard


@pytest.fixture
def table() -> Iterator[Bench]:
    identity = Identity("A&D Medical", "UC-352BLE", "S9", "1")
    scale = BathroomScale(pounds=True, pound_steps=10, identity=identity)
    with Bench(thermometer=ClinicalThermometer(fahrenheit=True), scale=scale, speed=100) as bench:
        yield bench


@pytest.fixture
def kit(table: Bench, tmp_path: Path) -> KitCommand:
    made = set_up(tmp_path / "kit", table)
    pair(made, table, "temperature", "weight")
    return made


def test_a_temperature_after_one_that_failed_one_of_water_and_one_of_yesterday(table: Bench, kit: KitCommand) -> None:
    thermometer = table.thermometer

    def yesterday() -> None:
        table.call(lambda: thermometer.measure(40.1, now() - timedelta(days=1)))

    ended = kit(
        "measure",
        "temperature",
        *CONFIRM,
        on_event=each_time(
            lambda: table.took_temperature(None),
            lambda: table.took_temperature(12.0),
            yesterday,
            lambda: table.took_temperature(38.5),
        ),
    )
    assert ended.code == 0, ended.said
    assert [e["code"] for e in ended.of("trouble")] == ["spot-no-value", "spot-implausible", "spot-held"]
    assert [e["reason"] for e in ended.of("set-aside")] == ["no-value", "implausible", "other-visit"]
    with store_of(kit) as store:
        (observation,) = store.observations()
        assert store.open_captures() == []
    assert observation.values == {"body_temperature_tympanic": Quantity(38.5, "Cel")}
    assert observation.readings == ({"body_temperature": Quantity(101.3, "[degF]")},)
    assert observation.context["site"] == "ear"
    assert not observation.typed
    assert (observation.device.driver, observation.device.serial) == ("thermometer-gatt", "TEMP-0001")


def test_weight_by_the_quirk_of_its_scale_with_the_one_before(table: Bench, kit: KitCommand) -> None:
    ended = kit("measure", "weight", *CONFIRM, on_event=each_time(lambda: table.weighed(80.0)))
    assert ended.code == 0, ended.said
    with store_of(kit) as store:
        (observation,) = store.observations()
    # 80 kg = 176.37 lb, sent as 176.4; back 80.01 kg; 80.01 / 1.68^2 = 28.3
    assert observation.readings == ({"body_weight": Quantity(176.4, "[lb_av]")},)
    assert observation.values == {"body_weight": Quantity(80.01, "kg"), "bmi": Quantity(28.3, "kg/m2")}
    assert [f.rule_id for f in observation.findings] == ["BP38"]


def test_a_silent_scale_names_the_command_to_type(table: Bench, kit: KitCommand) -> None:
    table.scale.faults = SpotFaults(silent=True)
    ended = kit("measure", "weight", *CONFIRM, on_event=each_time(lambda: table.weighed(80.0)))
    assert ended.code == 1
    assert "zhenbao measure weight --typed" in ended.said
    assert ended.of("observation") == []


def test_what_was_received_before_the_battery_died_is_kept_at_the_next_measurement(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    with store_of(kit) as store:
        encounter = store.last_encounter()
        assert encounter is not None
        device = Device("thermometer-gatt", serial="T1")
        at_ms = encounter.started_ms
        reading = SpotReading(Quantity(39.2, "Cel"), "armpit", device, None, None, at_ms, b"\0", None)
        Journal(store, encounter.id, "temperature").add(reading)
    assert kit("measure", "spo2", "--typed", "97", *CONFIRM).code == 0
    with store_of(kit) as store:
        recovered, typed = store.observations()
        assert store.open_captures() == []
    assert recovered.values == {"body_temperature_axillary": Quantity(39.2, "Cel")}
    assert recovered.notes == ("interrupted-whole",)
    assert (recovered.typed, typed.typed) == (False, True)

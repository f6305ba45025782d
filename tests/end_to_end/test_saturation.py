"""Oxygen saturation at the bedside: a finger, a number that may be believed, or the reason why none may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bedside import RESIDENT, Ended, Event, KitCommand, pair, set_up
from store_key import raw

from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.oximeter import Finger, NoninOximeter, OximeterFaults, PulseOximeter
from zhenbao.firmware_sim.serial_oximeter import SerialOximeter, SerialOximeterFaults
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
SPEED = 40
CONFIRM = ("--confirm", RESIDENT[-4:])


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0)


def chosen(home: Path, **settings: Any) -> None:
    """What a technician sets beside the rest."""
    save_settings(home, replace(load_settings(home), **settings))


def puts_in(bench: Bench, finger: Finger | None) -> Callable[[Event], None]:
    """The finger goes in when the kit asks for it."""
    return lambda event: bench.put_in(finger) if event["event"] == "oximeter-wanted" else None


def measure(kit: KitCommand, bench: Bench, finger: Finger | None, *more: str) -> Ended:
    wanted = ("--time-factor", str(SPEED), "measure", "spo2", *CONFIRM, *more)
    return kit(*wanted, on_event=puts_in(bench, finger))


def kept(home: Path) -> KitStore:
    return KitStore.open(home, kit_id="kit-test", clock=SystemClock())


def aside(home: Path) -> list[str]:
    """Why results were set aside."""
    with raw(home, None) as connection:
        return [reason for (reason,) in connection.execute("select reason from set_aside where code = 'spo2'")]


def bluetooth(tmp_path: Path, bench: Bench, **settings: Any) -> KitCommand:
    kit = set_up(tmp_path / "kit", bench)
    pair(kit, bench, "spo2")
    chosen(kit.home, **settings)
    return kit


def observed(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended.said
    (observation,) = (e["observation"] for e in ended.of("observation"))
    return observation


def rules_of(observation: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["rule_id"], f["urgency"]) for f in observation["findings"] if f["status"] == "present"]


@pytest.mark.parametrize("make", [PulseOximeter, NoninOximeter])
def test_a_finished_result_goes_to_the_chart(make: type[PulseOximeter], tmp_path: Path) -> None:
    with Bench(oximeter=make(speed=SPEED)) as bench:
        kit = bluetooth(tmp_path, bench, altitude_m=900)
        observation = observed(measure(kit, bench, Finger(97, 68)))
    values = {name: (q["value"], q["unit"]) for name, q in observation["values"].items()}
    assert values == {"spo2": (97, "%"), "pulse_rate_oximeter": (68, "/min"), "perfusion_index": (4.2, "%")}
    assert (observation["code"], observation["status"]) == ("spo2", "preliminary")
    assert rules_of(observation) == [("OX01", "GREEN")]
    assert observation["notes"] == []
    with kept(kit.home) as store:
        (one,) = store.observations()
        assert one.context["altitude"] == "below-1500"
        assert one.device.serial in ("OX-0001", "NON-0001")
        assert store.open_captures() == []
        assert store.queue().total >= 1


def test_a_critical_saturation_rings_at_once_without_a_network(tmp_path: Path) -> None:
    with Bench(oximeter=PulseOximeter(speed=SPEED)) as bench:
        kit = bluetooth(tmp_path, bench)
        ended = measure(kit, bench, Finger(81, 118))
    observation = observed(ended)
    assert rules_of(observation) == [("OX04", "RED")]
    (alarm,) = ended.of("alarm")
    assert alarm["alarm"]["rule_ids"] == ["OX04"]
    assert alarm["alarm"]["latency_s"] < 2
    assert observation["notes"] == ["altitude-unknown"]


def test_the_height_of_the_village_and_what_the_doctor_sees_decide(tmp_path: Path) -> None:
    with Bench(oximeter=PulseOximeter(speed=SPEED)) as bench:
        kit = bluetooth(tmp_path, bench, altitude_m=3000)
        high = observed(measure(kit, bench, Finger(88, 90)))
        chosen(kit.home, altitude_m=900)
        low = observed(measure(kit, bench, Finger(88, 90), "--dyspnoea", "no"))
        breathless = observed(measure(kit, bench, Finger(88, 90), "--dyspnoea", "yes"))
    assert rules_of(high) == []
    assert rules_of(low) == [("OX03", "ORANGE")]
    assert rules_of(breathless) == [("OX03", "RED")]


def test_with_oxygen_no_number_is_called_normal(tmp_path: Path) -> None:
    with Bench(oximeter=NoninOximeter(speed=SPEED)) as bench:
        kit = bluetooth(tmp_path, bench, altitude_m=900)
        observation = observed(measure(kit, bench, Finger(97, 68), "--oxygen", "yes"))
    assert (rules_of(observation), observation["notes"]) == ([], ["on-oxygen"])


def test_an_oximeter_that_only_streams_is_waited_for(tmp_path: Path) -> None:
    with Bench(oximeter=PulseOximeter(speed=SPEED, spot_after=None)) as bench:
        kit = bluetooth(tmp_path, bench)
        observation = observed(measure(kit, bench, Finger(93, 84)))
        assert bench.oximeter.sent >= 40  # nearly one a second of the minute
    assert observation["values"]["spo2"]["value"] == 93
    assert rules_of(observation) == [("OX02", "YELLOW")]


@pytest.mark.parametrize("faults", [SerialOximeterFaults(), SerialOximeterFaults(corrupt_every=101, lose_every=457)])
def test_a_serial_oximeter_on_a_good_and_on_a_bad_cable(faults: SerialOximeterFaults, tmp_path: Path) -> None:
    with Bench(serial_oximeter=SerialOximeter(speed=SPEED, faults=faults)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        assert bench.serial_oximeter is not None
        chosen(kit.home, oximeter_port=bench.serial_oximeter.port)
        observation = observed(measure(kit, bench, Finger(95, 133)))
    assert observation["values"]["spo2"]["value"] == 95
    assert observation["values"]["pulse_rate_oximeter"]["value"] == 133
    assert "perfusion_index" not in observation["values"]


def test_a_serial_oximeter_that_switches_itself_off_before_a_result(tmp_path: Path) -> None:
    """The finger comes out after a second and a half, which is half of the minute that a number needs."""
    oximeter = SerialOximeter(Finger(95, 73), speed=SPEED)

    def comes_out(event: Event) -> None:
        if event["event"] == "oximeter-wanted":
            threading.Timer(1.5, setattr, (oximeter, "faults", SerialOximeterFaults(silent=True))).start()

    with Bench(serial_oximeter=oximeter) as bench:
        kit = set_up(tmp_path / "kit", bench)
        chosen(kit.home, oximeter_port=oximeter.port)
        ended = kit("--time-factor", "20", "measure", "spo2", *CONFIRM, on_event=comes_out)
    assert ended.code == 1
    assert "oximeter-lost" in ended.said
    assert ended.of("observation") == []


@pytest.mark.parametrize(
    ("faults", "finger", "reason"),
    [
        (OximeterFaults(moving=True), Finger(91, 80), "not-settled"),
        (OximeterFaults(low_perfusion=True), Finger(91, 80), "low-perfusion"),
    ],
)
def test_what_may_not_be_believed_is_kept_apart(
    faults: OximeterFaults, finger: Finger, reason: str, tmp_path: Path
) -> None:
    with Bench(oximeter=PulseOximeter(speed=SPEED, spot_after=None, faults=faults)) as bench:
        kit = bluetooth(tmp_path, bench)
        ended = measure(kit, bench, finger)
    assert ended.code == 1
    assert "spo2-unsettled" in ended.said
    assert "怎么办" in ended.said
    assert ended.of("observation") == []
    assert aside(kit.home) == [reason]
    with kept(kit.home) as store:
        assert store.observations() == []


def test_a_finished_result_that_is_questionable_is_kept_apart(tmp_path: Path) -> None:
    faults = OximeterFaults(questionable=True)
    with Bench(oximeter=PulseOximeter(speed=SPEED, streams=False, faults=faults)) as bench:
        kit = bluetooth(tmp_path, bench)
        ended = measure(kit, bench, Finger(91, 80))
    assert ended.code == 1
    assert [e["reason"] for e in ended.of("set-aside")] == ["questionable"]
    assert set(aside(kit.home)) == {"questionable"}


def test_a_finger_that_is_not_there_gives_no_number(tmp_path: Path) -> None:
    serial = SerialOximeter(speed=SPEED)
    with Bench(serial_oximeter=serial) as bench:
        kit = set_up(tmp_path / "kit", bench)
        chosen(kit.home, oximeter_port=serial.port)
        ended = measure(kit, bench, None)
    assert ended.code == 1
    assert "手指没有放好" in ended.said
    assert ended.of("observation") == []
    assert aside(kit.home) == []


def test_the_stored_result_of_another_person_is_not_charted(tmp_path: Path) -> None:
    oximeter = PulseOximeter(speed=SPEED, now=now)
    with Bench(oximeter=oximeter) as bench:
        kit = bluetooth(tmp_path, bench)
        bench.call(lambda: oximeter.store(Finger(79, 130), now() - timedelta(hours=5)))
        bench.call(lambda: oximeter.store(Finger(78, 131), None))
        observation = observed(measure(kit, bench, Finger(98, 66)))
    assert observation["values"]["spo2"]["value"] == 98
    assert aside(kit.home) == ["other-visit", "other-visit"]


def test_an_oximeter_that_hangs_up_too_early_says_what_to_do(tmp_path: Path) -> None:
    faults = OximeterFaults(hangs_up_after=8)
    with Bench(oximeter=NoninOximeter(speed=SPEED, smart_point_after=None, faults=faults)) as bench:
        kit = bluetooth(tmp_path, bench)
        ended = measure(kit, bench, Finger(96, 70))
    assert ended.code == 1
    assert "oximeter-lost" in ended.said


def test_the_wrong_patient_is_never_measured_and_an_unpaired_oximeter_starts_no_pairing(tmp_path: Path) -> None:
    with Bench(oximeter=PulseOximeter(speed=SPEED)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        wrong = kit("measure", "spo2", "--confirm", "1234")
        assert (wrong.code, wrong.of("oximeter-wanted")) == (2, [])
        unpaired = measure(kit, bench, Finger(96, 70))
        assert unpaired.code == 1
        assert "not-paired" in unpaired.said
        assert bench.call(lambda: bench.oximeter.bonded_hosts) == 0
        odd = kit("measure", "spo2", *CONFIRM, "--oxygen", "maybe")
        assert (odd.code, odd.of("oximeter-wanted")) == (2, [])


def test_a_reading_that_was_finished_when_the_battery_died_is_not_lost(tmp_path: Path) -> None:
    """The journal holds the reading and the record was not written yet: the next command writes it."""
    import cbor2

    with Bench(oximeter=PulseOximeter(speed=SPEED)) as bench:
        kit = bluetooth(tmp_path, bench)
        with kept(kit.home) as store:
            encounter = store.last_encounter()
            assert encounter is not None
            capture = store.begin_capture(encounter.id, "spo2", {})
            reading = {
                "spo2_percent": 87.0,
                "pulse_per_min": 101.0,
                "perfusion_percent": None,
                "status": [],
                "device": {"driver": "oximeter-gatt", "maker": "", "model": "", "serial": "X", "firmware": ""},
                "device_time": None,
                "offset_s": None,
                "received_ms": SystemClock().now_ms(),
                "raw": b"\x00",
                "device_key": None,
                "context": {"altitude": "below-1500"},
            }
            store.add_part(capture, "values", cbor2.dumps([["SaturationReading", reading]]))
        ended = measure(kit, bench, Finger(96, 70))
    assert ended.code == 0, ended.said
    assert [e["code"] for e in ended.of("recovered")] == ["spo2"]
    with kept(kit.home) as store:
        assert sorted(o.values["spo2"].value for o in store.observations()) == [87, 96]

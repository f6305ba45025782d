"""Results that another spirometer computed, taken into a visit by the real command: a Contec SP10, and files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, KitCommand, set_up

from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.contec import ContecFaults, ContecSpirometer, SimulatedTest
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])
NUMBERS = {"fvc": 310, "fev1": 172, "ratio": 555, "pef": 388}
VALUES = {"fev1": 1.72, "fvc": 3.1, "fev1_fvc": 55.5}
XEEK = Path(__file__).parents[1] / "vectors" / "summary_xeek.json"


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0)


def age() -> int:
    """Of the resident in the chair, born on 29 February 1956."""
    return now().year - 1956 - ((now().month, now().day) < (3, 1))


def wired(home: Path, spirometer: ContecSpirometer) -> KitCommand:
    kit = set_up(home, None)
    save_settings(home, replace(load_settings(home), spirometer_port=spirometer.port))
    return kit


def values(ended: Ended) -> list[dict[str, float]]:
    told = [e["observation"]["values"] for e in ended.of("observation")]
    return [{name: quantity["value"] for name, quantity in one.items()} for one in told]


def yesterday() -> SimulatedTest:
    at = now() - timedelta(days=1)
    return SimulatedTest(1, (at.year - 2000, at.month, at.day, at.hour, at.minute, at.second), NUMBERS)


def test_a_stored_test_of_this_visit_is_charted_once_as_an_unverified_summary(tmp_path: Path) -> None:
    with ContecSpirometer([yesterday()]) as spirometer:
        kit = wired(tmp_path / "kit", spirometer)
        spirometer.blow(NUMBERS, age=age())
        ended = kit("measure", "spirometry", *CONFIRM)
        again = kit("measure", "spirometry", *CONFIRM)
    assert ended.code == 0, ended.said
    assert values(ended) == [VALUES]
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert {"unverified-device", "ungraded", "device-summary"} == set(observation["notes"])
    assert observation["findings"] == [], "nothing is concluded from a device that nobody has verified"
    assert ended.of("spirometer") == [
        {"event": "spirometer", "fetched": 2, "charted": 1, "set_aside": {"other-visit": 1}}
    ]
    assert again.of("observation") == []
    assert len(spirometer.tests) == 2, "nothing is deleted on the device"


def test_what_was_entered_on_the_device_for_another_person_is_marked(tmp_path: Path) -> None:
    with ContecSpirometer() as spirometer:
        kit = wired(tmp_path / "kit", spirometer)
        spirometer.blow(NUMBERS, age=24)
        ended = kit("measure", "spirometry", *CONFIRM)
    assert "summary-person" in ended.of("observation")[0]["observation"]["notes"]


def test_a_wrong_clock_is_set_by_the_dialogue_and_the_blow_is_asked_for_again(tmp_path: Path) -> None:
    with ContecSpirometer(faults=ContecFaults(clock_offset=timedelta(days=-40))) as spirometer:
        kit = wired(tmp_path / "kit", spirometer)
        spirometer.blow(NUMBERS, age=age())
        first = kit("measure", "spirometry", *CONFIRM)
        assert abs(spirometer.clock_offset) < timedelta(seconds=2)
        spirometer.blow(NUMBERS, age=age())
        second = kit("measure", "spirometry", *CONFIRM)
    assert (values(first), values(second)) == ([], [VALUES])


def test_impossible_numbers_and_a_test_without_a_forced_blow_are_set_aside(tmp_path: Path) -> None:
    with ContecSpirometer() as spirometer:
        kit = wired(tmp_path / "kit", spirometer)
        spirometer.blow({"fvc": 200, "fev1": 310})
        spirometer.blow({"pef": 388})
        ended = kit("measure", "spirometry", *CONFIRM)
    assert ended.of("spirometer")[0]["set_aside"] == {"implausible": 1, "no-forced-blow": 1}


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        pytest.param(ContecFaults(silent=True), "spirometer-silent", id="off"),
        pytest.param(ContecFaults(foreign_answer=True), "spirometer-dialogue", id="another device"),
        pytest.param(ContecFaults(cut_after_bytes=60), "serial-lost", id="unplugged in a record"),
    ],
)
def test_what_goes_wrong_says_what_to_do(tmp_path: Path, faults: ContecFaults, code: str) -> None:
    with ContecSpirometer(faults=faults) as spirometer:
        kit = wired(tmp_path / "kit", spirometer)
        spirometer.blow(NUMBERS, age=age())
        ended = kit("measure", "spirometry", *CONFIRM)
    assert ended.code == 1
    assert code in ended.said
    assert ended.of("observation") == []


def test_what_came_before_the_cable_was_pulled_is_charted(tmp_path: Path) -> None:
    """The first test came whole (F0 F3 F2 E4 E0 are 39 bytes, each test 44 and its empty curve 4)."""
    with ContecSpirometer(faults=ContecFaults(cut_after_bytes=39 + 44 + 4 + 20)) as spirometer:
        kit = wired(tmp_path / "kit", spirometer)
        spirometer.blow(NUMBERS, age=age())
        spirometer.blow({**NUMBERS, "fev1": 180}, age=age())
        ended = kit("measure", "spirometry", *CONFIRM)
    assert ended.code == 1
    assert "serial-lost" in ended.said
    assert values(ended) == [VALUES]


def test_without_a_port_the_message_names_the_setting_and_the_way_out(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    ended = kit("measure", "spirometry", *CONFIRM, "--device", "contec-sp10")
    assert ended.code == 1
    assert "spirometer-not-set" in ended.said
    assert "--typed 2.10/3.05" in ended.said


def exported(folder: Path, at: datetime | None = None, **changes: object) -> Path:
    """A spirometer's file of this patient: female in the file's terms is 2, male is 1; the resident is male."""
    told = json.loads(XEEK.read_text(encoding="utf-8"))
    told |= {"patientGender": 1, "patientBirthday": "19560229", "height": 168}
    told |= {"inspectTime": f"{at or now():%Y-%m-%d %H:%M:%S}", **changes}
    file = folder / "export.json"
    file.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    return file


def take(kit: KitCommand, file: Path, *more: str) -> Ended:
    return kit("measure", "spirometry", *CONFIRM, "--summary", str(file), *more)


def test_a_file_is_taken_into_the_visit_once_and_judged_by_the_county(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    save_settings(kit.home, replace(load_settings(kit.home), spirometry_equation="jian2017"))
    file = exported(tmp_path)
    ended = take(kit, file)
    assert ended.code == 0, ended.said
    assert values(ended) == [{"fev1": 0.92, "fvc": 1.716, "fev1_fvc": 53.6}]
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert "device-summary" in observation["notes"]
    assert "unverified-device" not in observation["notes"]
    assert observation["findings"], "FEV1 is far below predicted, and the device's own quality is B"
    assert take(kit, file).of("duplicate")
    with KitStore.open(kit.home, kit_id="kit-test", clock=SystemClock()) as store:
        (kept,) = store.observations()
    assert (kept.device.driver, kept.device.model, kept.context["device_grade"]) == ("file:xeek-json", "X1", "B")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"patientGender": 2}, "summary-person", id="a woman's"),
        pytest.param({"patientBirthday": "19990101"}, "summary-person", id="a young man's"),
        pytest.param({"height": 150}, "summary-person", id="a short man's"),
        pytest.param({"inspectTime": "2024-09-01 09:00:00"}, "summary-time", id="of two years ago"),
    ],
)
def test_a_file_of_another_person_or_time_is_refused_until_the_doctor_is_sure(
    tmp_path: Path, changes: dict[str, object], code: str
) -> None:
    kit = set_up(tmp_path / "kit", None)
    file = exported(tmp_path, **changes)
    refused = take(kit, file)
    assert refused.code == 2
    assert code in refused.said
    sure = take(kit, file, "--sure")
    assert sure.code == 0, sure.said
    (observation,) = (e["observation"] for e in sure.of("observation"))
    assert {"summary-person": "summary-person", "summary-time": "summary-earlier"}[code] in observation["notes"]


def test_a_broken_file_says_so_and_only_one_source_is_taken(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    junk = tmp_path / "junk.xml"
    junk.write_text("<nothing/>", encoding="utf-8")
    assert take(kit, junk).code == 2
    assert "summary-absent" in take(kit, tmp_path / "none").said
    assert "spirometry-choice" in take(kit, exported(tmp_path), "--typed", "2.10/3.05").said

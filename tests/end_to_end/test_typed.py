"""Values typed by hand, with the real commands: kept, judged, alarmed like measured ones, and marked for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, Event, KitCommand, set_up

from zhenbao.agent.store import KitStore
from zhenbao.model.observation import Observation
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import SystemClock

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


@pytest.fixture
def kit(tmp_path: Path) -> KitCommand:
    return set_up(tmp_path / "kit", None)


def last(kit: KitCommand) -> Observation:
    with KitStore.open(kit.home, kit_id="kit-test", clock=SystemClock()) as store:
        return store.observations()[-1]


def kept(kit: KitCommand) -> int:
    with KitStore.open(kit.home, kit_id="kit-test", clock=SystemClock()) as store:
        return len(store.observations())


def told(ended: Ended) -> Event:
    assert ended.code == 0, ended.said
    (event,) = ended.of("observation")
    return event


def test_a_typed_pressure_is_judged_as_a_measured_one_and_marked(kit: KitCommand) -> None:
    event = told(kit("measure", "bp", "--typed", "152/94", "--pulse", "78", *CONFIRM))
    assert event["observation"]["typed"] is True
    observation = last(kit)
    assert observation.device.driver == "typed"
    assert observation.notes == ("typed",)
    assert observation.values == {
        "bp_systolic": Quantity(152, "mm[Hg]"),
        "bp_diastolic": Quantity(94, "mm[Hg]"),
        "pulse_rate_nibp": Quantity(78, "/min"),
    }
    assert "BP03" in {f.rule_id for f in observation.findings}
    assert observation.device_key is None
    assert [e["typed"] for e in kit("queue").of("states")] == [True]


def test_two_typed_readings_are_averaged(kit: KitCommand) -> None:
    told(kit("measure", "bp", "--typed", "152/94", "--typed", "148 / 91", "--arm", "right", *CONFIRM))
    observation = last(kit)
    # (94 + 91) / 2 = 92.5, half upwards
    assert observation.values["bp_diastolic"] == Quantity(93, "mm[Hg]")
    assert len(observation.readings) == 2
    assert observation.context["arm"] == "right"


def test_a_typed_critical_value_rings(kit: KitCommand) -> None:
    high = kit("measure", "glucose", "--typed", "hi", "--meal", "random", *CONFIRM)
    assert told(high)["alarm"] is True
    assert high.of("alarm")[0]["alarm"]["rule_ids"] == ["GL15"]
    assert last(kit).values["glucose_capillary"].comparator == ">"
    low = kit("measure", "glucose", "--typed", "ＬＯ", *CONFIRM)
    assert told(low)["alarm"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    [
        ("bp --typed 94/152", "typed-order", "152/94"),
        ("bp --typed 152/152", "typed-order", "152"),
        ("bp --typed 152", "typed-form", "152/94"),
        ("bp --typed 152/nan", "typed-form", "152/94"),
        ("bp --typed -152/94", "typed-form", "152/94"),
        ("bp --typed 1520/94", "typed-impossible", "50"),
        ("bp --typed 95/90", "typed-implausible", "--sure"),
        ("bp --typed 152/94 --pulse 500", "typed-impossible", "500"),
        ("bp --typed 152/94 --arm leg", "choice", "left"),
        ("glucose --typed 140", "typed-unit", "--unit mg/dL"),
        ("glucose --typed 7.8 --unit mg/dL", "typed-unit", "--unit mmol/L"),
        ("glucose --typed 7.8 --unit g", "choice", "mmol/L"),
        ("glucose --typed 33.4", "typed-implausible", "33.3"),
        ("temperature --typed 101.3", "typed-unit", "--unit F"),
        ("temperature --typed 42.5", "typed-implausible", "42"),
        ("temperature --typed 38.4 --site nose", "choice", "armpit"),
        ("spo2 --typed 101", "typed-impossible", "100"),
        ("weight --typed 6.52", "typed-implausible", "25"),
        ("weight --typed 652", "typed-impossible", "200"),
        ("weight --typed 65.2 --height 16", "height-range", "40"),
        ("weight --typed 190 --height 150", "typed-implausible", "60"),
        ("spirometry --typed 3.05/2.10", "typed-volumes", "2.10/3.05"),
        ("spirometry --typed 2100/3050", "typed-impossible", "7"),
    ],
)
def test_what_cannot_be_right_is_refused_with_what_to_do(
    kit: KitCommand, arguments: str, code: str, names: str
) -> None:
    ended = kit("measure", *arguments.split(), *CONFIRM)
    assert ended.code == 2
    assert code in ended.said
    assert names in ended.said
    assert "怎么办" in ended.said
    assert kept(kit) == 0


def test_sure_keeps_the_implausible_and_says_so(kit: KitCommand) -> None:
    told(kit("measure", "spo2", "--typed", "65", "--pulse", "130", "--sure", *CONFIRM))
    observation = last(kit)
    assert observation.notes == ("typed", "typed-sure")
    assert observation.urgency == "RED"
    assert observation.values["pulse_rate_oximeter"] == Quantity(130, "/min")


def test_a_temperature_in_fahrenheit_is_charted_in_celsius(kit: KitCommand) -> None:
    told(kit("measure", "temperature", "--typed", "101.3", "--unit", "F", "--site", "mouth", *CONFIRM))
    observation = last(kit)
    assert observation.values == {"body_temperature_oral": Quantity(38.5, "Cel")}
    assert observation.readings == ({"body_temperature": Quantity(101.3, "[degF]")},)
    assert observation.findings == ()


def test_a_low_temperature_is_a_finding(kit: KitCommand) -> None:
    told(kit("measure", "temperature", "--typed", "34.8", *CONFIRM))
    (finding,) = last(kit).findings
    assert (finding.rule_id, finding.urgency) == ("NW08", "ORANGE")


def test_weight_takes_the_patients_height_and_keeps_a_new_one(kit: KitCommand) -> None:
    told(kit("measure", "weight", "--typed", "65.2", *CONFIRM))
    # 65.2 / 1.68^2 = 23.1
    assert last(kit).values == {"body_weight": Quantity(65.2, "kg"), "bmi": Quantity(23.1, "kg/m2")}
    assert last(kit).findings == ()
    told(kit("measure", "weight", "--typed", "70", "--height", "160", *CONFIRM))
    observation = last(kit)
    assert observation.values["bmi"] == Quantity(27.3, "kg/m2")
    assert [f.rule_id for f in observation.findings] == ["BP38"]
    with KitStore.open(kit.home, kit_id="kit-test", clock=SystemClock()) as store:
        patient = store.patient(observation.patient_id)
    assert patient is not None
    assert patient.height_cm == 160


def test_typed_spirometry_has_no_grade_and_is_not_judged(kit: KitCommand) -> None:
    told(kit("measure", "spirometry", "--typed", "1.10/3.05", *CONFIRM))
    observation = last(kit)
    assert observation.values["fev1_fvc"] == Quantity(36.1, "%")
    assert (observation.findings, observation.spirometry) == ((), None)
    assert observation.notes == ("typed", "ungraded")
    exported = kit("visit", "export", str(kit.home / "blows.json"))
    assert (exported.code, "export-none" in exported.said) == (2, True), "there are no blows to export"


def test_the_wrong_patient_is_not_typed_for(kit: KitCommand) -> None:
    ended = kit("measure", "bp", "--typed", "152/94", "--confirm", "1234")
    assert ended.code == 2
    assert "wrong-patient" in ended.said
    assert kept(kit) == 0

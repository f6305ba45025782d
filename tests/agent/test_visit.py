"""Registering, finding and opening a visit: what the doctor types, right and wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.agent.visit import begin_encounter, find_patient, known_context, open_visit, register_patient
from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex

NUMBER = "999999195602290019"


class StillClock:
    """22 November 2026, 10:00 in Beijing."""

    def now_ms(self) -> int:
        return int(datetime(2026, 11, 22, 2, tzinfo=UTC).timestamp() * 1000)

    def monotonic_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


CLOCK = StillClock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KitStore]:
    with KitStore.open(tmp_path, kit_id="kit-1", clock=CLOCK, key=KEY) as opened:
        yield opened


def test_a_number_tells_sex_and_birth_and_is_registered_once(store: KitStore) -> None:
    patient, new = register_patient(store, CLOCK, name=" 演示患者甲 ", number=NUMBER)
    assert (patient.name, patient.sex, patient.birth_date, new) == ("演示患者甲", Sex.MALE, date(1956, 2, 29), True)
    again, new = register_patient(store, CLOCK, name="演示患者甲", number=NUMBER)
    assert (again.id, new) == (patient.id, False)


def test_a_known_number_under_another_name_is_stopped(store: KitStore) -> None:
    register_patient(store, CLOCK, name="演示患者甲", number=NUMBER)
    with pytest.raises(InputError, match="name-differs"):
        register_patient(store, CLOCK, name="演示患者乙", number=NUMBER)


def test_without_a_number_a_temporary_identity_is_possible(store: KitStore) -> None:
    patient, _ = register_patient(store, CLOCK, name="不详", number=None, sex="female")
    assert patient.temporary
    assert (patient.tail, patient.sex, patient.birth_date) == (None, Sex.FEMALE, None)
    assert find_patient(store, "不详").id == patient.id


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ({"name": "  ", "number": NUMBER}, "name-missing"),
        ({"name": "甲", "number": "999999195602290018"}, "id-check"),
        ({"name": "甲", "number": None}, "sex-missing"),
        ({"name": "甲", "number": NUMBER, "height_cm": 1.68}, "height-range"),
        ({"name": "甲", "number": NUMBER, "known_diabetes": "maybe"}, "answer"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_is_kept(
    store: KitStore, typed: dict[str, str | float | None], code: str
) -> None:
    with pytest.raises(InputError) as refused:
        register_patient(store, CLOCK, **typed)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert store.patients("") == []


def test_finding_asks_for_more_where_several_match(store: KitStore) -> None:
    register_patient(store, CLOCK, name="演示患者甲", number=NUMBER)
    register_patient(store, CLOCK, name="演示患者乙", number="999999196001010020")
    assert find_patient(store, "0019").name == "演示患者甲"
    with pytest.raises(InputError, match="patient-several"):
        find_patient(store, "演示患者")
    with pytest.raises(InputError, match="patient-unknown"):
        find_patient(store, "9999")


def test_the_visit_that_is_open_is_the_last_one_begun(store: KitStore) -> None:
    with pytest.raises(InputError, match="visit-none"):
        open_visit(store)
    first, _ = register_patient(store, CLOCK, name="演示患者甲", number=NUMBER, known_diabetes="yes")
    second, _ = register_patient(store, CLOCK, name="演示患者乙", number="999999196001010020")
    begin_encounter(store, CLOCK, "kit-1", first, reason="", chest_pain="no")
    begin_encounter(store, CLOCK, "kit-1", second, reason="", chest_pain="yes")
    assert open_visit(store).patient.id == second.id
    with pytest.raises(InputError, match="answer"):
        begin_encounter(store, CLOCK, "kit-1", first, reason="", chest_pain="perhaps")


def test_what_is_known_spares_the_doctor_a_question(store: KitStore) -> None:
    man, _ = register_patient(store, CLOCK, name="演示患者甲", number=NUMBER, known_diabetes="yes")
    visit = begin_encounter(store, CLOCK, "kit-1", man, reason="", chest_pain="unknown")
    assert known_context(man, visit, CLOCK.now_ms()) == {
        "chest_pain": "unknown",
        "known_diabetes": "yes",
        "sex": "male",
        "pregnant": "no",
        "adult": "yes",
    }
    assert known_context(None, visit, CLOCK.now_ms()) == {"chest_pain": "unknown"}

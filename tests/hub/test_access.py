"""The tree of organisations and what each person reaches in it; emergency looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub.access import break_glass
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, organisations
from zhenbao.hub.store.organisations import Organisation
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.permission import Role
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

PASSWORD = "correct horse"
RED = Finding("EC16", Urgency.RED, (), "a source")


@dataclass(frozen=True)
class County:
    """Two townships with a village each; a patient's case in either village."""

    store: HubStore
    here: UUID
    there: UUID

    def person(self, login: str, role: Role, org: str, specialty: str | None = None) -> Practitioner:
        return add_practitioner(
            self.store, login, name="演示人员", role=role, specialty=specialty, phone="", password=PASSWORD, org_id=org
        )


@pytest.fixture
def county(store: HubStore, clock: HandClock, worklist: Worklist, kit: KitVoice) -> County:
    with store.writing() as connection:
        for unit in (
            Organisation("east", "东乡卫生院", "township", "county"),
            Organisation("west", "西乡卫生院", "township", "county"),
            Organisation("east-1", "东一村卫生室", "village", "east"),
            Organisation("west-1", "西一村卫生室", "village", "west"),
        ):
            organisations.add(connection, unit)
        organisations.place_kit(connection, "kit-e", "east-1", clock.now_ms())
        organisations.place_kit(connection, "kit-w", "west-1", clock.now_ms())
    cases = []
    for kit_id, name, number in (
        ("kit-e", "演示患者甲", "99999919480101002X"),
        ("kit-w", "演示患者乙", "999999196001010020"),
    ):
        voice = replace(kit, kit_id=kit_id)
        patient = voice.patient(name, number)
        encounter = voice.encounter(patient)
        voice.send(patient, encounter, voice.observation(encounter, RED, code="ecg"))
        (case,) = (r.item.id for r in worklist.rows() if r.item.encounter_id == encounter.id)
        cases.append(case)
    return County(store, *cases)


def shown(worklist: Worklist, person: Practitioner) -> set[UUID]:
    return {row.item.id for row in worklist.rows(person)}


def test_a_lower_unit_sees_its_own_and_an_upper_unit_all_below(county: County, worklist: Worklist) -> None:
    assert shown(worklist, county.person("v-1", "village-doctor", "east-1")) == {county.here}
    assert shown(worklist, county.person("t-1", "township-doctor", "east", "general-practice")) == {county.here}
    assert shown(worklist, county.person("d-1", "operator", "county")) == {county.here, county.there}
    assert shown(worklist, county.person("c-1", "specialist", "county", "cardiology")) == {county.here, county.there}


def test_never_sideways_nor_upwards(county: County, worklist: Worklist) -> None:
    township = county.person("t-1", "township-doctor", "east", "general-practice")
    specialist = county.person("s-1", "specialist", "west", "cardiology")
    worklist.open_case(county.here, township)
    for person, case in ((township, county.there), (specialist, county.here)):
        with pytest.raises(InputError, match="denied-outside"):
            worklist.open_case(case, person)
        with pytest.raises(InputError, match="denied-outside"):
            worklist.look(case, person)


def test_technician_administrator_auditor_and_director_see_no_patient(county: County, worklist: Worklist) -> None:
    roles: tuple[Role, ...] = ("technician", "admin", "auditor", "director", "quality", "provincial-expert")
    for role in roles:
        person = county.person(role, role, "county")
        assert worklist.rows(person) == []
        with pytest.raises(InputError, match="denied-"):
            worklist.open_case(county.here, person)


def test_who_may_only_read_has_not_seen_it_for_the_village(county: County, worklist: Worklist) -> None:
    township = county.person("t-1", "township-doctor", "east", "general-practice")
    assert worklist.open_case(county.here, township).viewed_ms is None
    with county.store.reading() as connection:
        assert audit.rows(connection, 1)[0].action == "case-looked"


def test_who_may_only_read_cannot_report(county: County, worklist: Worklist, reports: Reports) -> None:
    township = county.person("t-1", "township-doctor", "east", "general-practice")
    worklist.open_case(county.here, township)
    with pytest.raises(InputError, match="denied-unassigned"):
        reports.sign(county.here, township, conclusion="窦性心律", advice="观察")


def test_an_emergency_look_opens_one_patient_for_a_day_and_is_audited(
    county: County, worklist: Worklist, reports: Reports, clock: HandClock
) -> None:
    specialist = county.person("s-1", "specialist", "west", "cardiology")
    patient_id = worklist.patient_of(county.here)
    with pytest.raises(InputError, match="reason-missing"):
        break_glass(county.store, specialist, patient_id, "  急 救 ")
    break_glass(county.store, specialist, patient_id, "患者已转入本院抢救室")
    assert worklist.open_case(county.here, specialist).patient is not None
    assert county.here in shown(worklist, specialist)
    with pytest.raises(InputError, match="denied-outside"):
        reports.sign(county.here, specialist, conclusion="窦性心律", advice="观察")
    with county.store.reading() as connection:
        actions = [row.action for row in audit.rows(connection, 3)]
        assert audit.first_broken(connection) is None
    assert {"break-glass", "case-looked"} <= set(actions)
    clock.pass_minutes(24 * 60)
    with pytest.raises(InputError, match="denied-outside"):
        worklist.open_case(county.here, specialist)
    assert county.here not in shown(worklist, specialist)


def test_the_reason_of_an_emergency_look_stays_out_of_the_audit(county: County, worklist: Worklist) -> None:
    specialist = county.person("s-1", "specialist", "west", "cardiology")
    break_glass(county.store, specialist, worklist.patient_of(county.here), "演示患者甲已到抢救室")
    with county.store.reading() as connection:
        assert "演示患者甲" not in repr(audit.rows(connection, 5))


def test_only_who_treats_may_break_the_glass(county: County, worklist: Worklist) -> None:
    for role in ("operator", "auditor", "technician", "village-doctor"):
        person = county.person(role, role, "county")
        with pytest.raises(InputError, match="denied-role"):
            break_glass(county.store, person, worklist.patient_of(county.here), "患者已转入本院抢救室")


def test_visits_with_others_are_counted_but_not_shown(
    county: County, worklist: Worklist, clock: HandClock, store: HubStore, kit: KitVoice
) -> None:
    west = replace(kit, kit_id="kit-w")
    same = west.patient("演示患者甲", "99999919480101002X")
    encounter = west.encounter(same)
    west.send(same, encounter, west.observation(encounter))
    township = county.person("t-1", "township-doctor", "east", "general-practice")
    case = worklist.open_case(county.here, township)
    assert (case.earlier, case.earlier_elsewhere) == ((), 1)
    county_doctor = county.person("c-1", "specialist", "county", "cardiology")
    case = worklist.open_case(county.here, county_doctor)
    assert (len(case.earlier), case.earlier_elsewhere) == (1, 0)


def test_a_kit_that_moves_takes_no_case_along(
    county: County, worklist: Worklist, clock: HandClock, store: HubStore, kit: KitVoice
) -> None:
    with store.writing() as connection:
        organisations.place_kit(connection, "kit-e", "west-1", clock.now_ms())
    moved = replace(kit, kit_id="kit-e")
    patient = moved.patient("演示患者丙", "999999195602290019")
    encounter = moved.encounter(patient)
    moved.send(patient, encounter, moved.observation(encounter, RED, code="ecg"))
    assert len(shown(worklist, county.person("w-1", "village-doctor", "west-1"))) == 2
    assert shown(worklist, county.person("e-1", "village-doctor", "east-1")) == {county.here}


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        (Organisation("East", "x", "township", "county"), "org-id"),
        (Organisation("county", "x", "township", "county"), "org-known"),
        (Organisation("v", "x", "village", None), "org-parent"),
        (Organisation("t", "x", "township", "nowhere"), "org-parent"),
        (Organisation("p", "x", "province", "county"), "org-parent"),
    ],
)
def test_a_tree_that_cannot_be(store: HubStore, unit: Organisation, code: str) -> None:
    with store.writing() as connection, pytest.raises(InputError, match=code):
        organisations.add(connection, unit)


def test_the_tree_is_listed_from_above(county: County) -> None:
    with county.store.reading() as connection:
        units = organisations.everyone(connection)
    assert [(organisations.depth(u, units), u.id) for u in units] == [
        (0, "county"),
        (1, "east"),
        (2, "east-1"),
        (1, "west"),
        (2, "west-1"),
    ]

"""One person, several registrations: joined by the number or by a person, undone, and never rewritten."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import identity
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, identities, organisations, records
from zhenbao.hub.store.organisations import Organisation
from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Patient

NUMBER, OTHER = "99999919480101002X", "999999195602290019"


@pytest.fixture
def town(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "town", name="演示乡镇医师", role="township-doctor", specialty="general-practice", phone="",
        password="correct horse",
    )  # fmt: skip


def visit(kit: KitVoice, worklist: Worklist, patient: Patient) -> UUID:
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter))
    rows = [*worklist.rows(), *worklist.rows(shown="archive")]
    return next(row.item.id for row in rows if row.item.encounter_id == encounter.id)


def earlier_of(worklist: Worklist, case_id: UUID, by: Practitioner) -> int:
    return len(worklist.look(case_id, by)[0].earlier)


def test_the_same_number_is_one_person_whichever_kit_wrote_it(
    kit: KitVoice, worklist: Worklist, town: Practitioner
) -> None:
    visit(kit, worklist, kit.patient(number=NUMBER))
    second = visit(replace(kit, kit_id="kit-002"), worklist, kit.patient(number=NUMBER))
    assert earlier_of(worklist, second, town) == 1


def test_a_temporary_identity_is_merged_and_undone(
    kit: KitVoice, worklist: Worklist, town: Practitioner, store: HubStore
) -> None:
    known = kit.patient(number=NUMBER)
    visit(kit, worklist, known)
    case_id = visit(kit, worklist, kit.patient("无名", None, sex=Sex.FEMALE, birth_date=None))
    assert earlier_of(worklist, case_id, town) == 0
    (found,) = identity.find(store, town, NUMBER.lower())
    link = identity.merge(store, case_id, found.id, town, reason="家属持身份证核对")
    assert earlier_of(worklist, case_id, town) == 1
    with pytest.raises(InputError, match="merge-self"):
        identity.merge(store, case_id, found.id, town, reason="家属持身份证核对")
    identity.unmerge(store, case_id, link, town)
    assert earlier_of(worklist, case_id, town) == 0
    with pytest.raises(InputError, match="merge-unknown"):
        identity.unmerge(store, case_id, link, town)
    with store.reading() as connection:
        assert [row.action for row in audit.rows(connection, 2)] == ["merge-undone", "patients-merged"]
        kept = identities.links(connection, [found.id])
        assert "家属" not in repr(audit.rows(connection, 9))
    assert [(entry.by, entry.undone_by) for entry in kept] == [("town", "town")]


def test_two_numbers_are_two_persons_also_by_a_detour(
    kit: KitVoice, worklist: Worklist, town: Practitioner, store: HubStore
) -> None:
    one, two = kit.patient(number=NUMBER), kit.patient("演示患者乙", OTHER)
    first = visit(kit, worklist, one)
    visit(kit, worklist, two)
    with pytest.raises(InputError, match="merge-numbers"):
        identity.merge(store, first, two.id, town, reason="家属持身份证核对", sure=True)
    nameless = visit(kit, worklist, kit.patient("无名", None, sex=Sex.UNKNOWN, birth_date=None))
    identity.merge(store, nameless, one.id, town, reason="家属持身份证核对")
    with pytest.raises(InputError, match="merge-numbers"):
        identity.merge(store, nameless, two.id, town, reason="家属持身份证核对")


@pytest.mark.parametrize(
    "different", [{"sex": Sex.MALE, "birth_date": None}, {"sex": Sex.FEMALE, "birth_date": date(1950, 1, 1)}]
)
def test_another_sex_or_birth_date_must_be_confirmed(
    kit: KitVoice, worklist: Worklist, town: Practitioner, store: HubStore, different: dict[str, object]
) -> None:
    known = kit.patient(number=NUMBER)
    visit(kit, worklist, known)
    case_id = visit(kit, worklist, kit.patient("无名", None, **different))
    with pytest.raises(InputError, match="merge-differs"):
        identity.merge(store, case_id, known.id, town, reason="家属持身份证核对")
    identity.merge(store, case_id, known.id, town, reason="家属持身份证核对", sure=True)


def test_a_changed_number_rewrites_no_history(
    kit: KitVoice, worklist: Worklist, town: Practitioner, store: HubStore, clock: HandClock
) -> None:
    patient = kit.patient(number=NUMBER)
    case_id = visit(kit, worklist, patient)
    assert not worklist.look(case_id, town)[0].changed
    clock.pass_minutes(1)
    kit.send(replace(patient, resident_number=OTHER))
    case = worklist.look(case_id, town)[0]
    assert case.changed
    with store.reading() as connection:
        versions = identities.versions(connection, patient.id)
        assert records.patient(connection, patient.id) == replace(patient, resident_number=OTHER)
    assert [v.patient.resident_number for v in versions] == [NUMBER, OTHER]
    kit.send(replace(patient, resident_number=OTHER))
    with store.reading() as connection:
        assert len(identities.versions(connection, patient.id)) == 2


def test_nobody_merges_beyond_their_reach(
    kit: KitVoice, worklist: Worklist, store: HubStore, clock: HandClock, desk: Practitioner, lungs: Practitioner
) -> None:
    with store.writing() as connection:
        organisations.add(connection, Organisation("east", "东乡卫生院", "township", "county"))
        organisations.place_kit(connection, "kit-e", "east", clock.now_ms())
    outside = kit.patient(number=NUMBER)
    visit(kit, worklist, outside)
    here = visit(replace(kit, kit_id="kit-e"), worklist, kit.patient("无名", None))
    east = add_practitioner(
        store, "east", name="演示乡镇医师", role="township-doctor", specialty="general-practice", phone="",
        password="correct horse", org_id="east",
    )  # fmt: skip
    assert identity.find(store, east, NUMBER) == []
    with pytest.raises(InputError, match="case-unknown"):
        identity.merge(store, here, outside.id, east, reason="家属持身份证核对")
    with pytest.raises(InputError, match="denied-role"):
        identity.merge(store, here, outside.id, desk, reason="家属持身份证核对")
    with pytest.raises(InputError, match="denied-unassigned"):
        identity.merge(store, here, outside.id, lungs, reason="家属持身份证核对")


def test_a_merge_needs_a_reason(kit: KitVoice, worklist: Worklist, town: Practitioner, store: HubStore) -> None:
    known = kit.patient(number=NUMBER)
    visit(kit, worklist, known)
    case_id = visit(kit, worklist, kit.patient("无名", None))
    with pytest.raises(InputError, match="reason-missing"):
        identity.merge(store, case_id, known.id, town, reason=" 同一人 ")

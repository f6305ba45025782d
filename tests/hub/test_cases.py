"""Cases: one a visit, whatever comes first; ranked, late, seen, handed over."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import Viewed
from zhenbao.sync.envelope import unpack

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.store.work import WorkItem
    from zhenbao.hub.worklist import Worklist

RED = Finding("EC19", Urgency.RED)
YELLOW = Finding("BP04", Urgency.YELLOW)
BLUE = Finding("BP03", Urgency.BLUE)


def only(worklist: Worklist) -> WorkItem:
    (row,) = worklist.rows()
    return row.item


@pytest.mark.slow
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda o: "".join("PEOR"[n] for n in o))
def test_the_case_completes_itself_whatever_comes_first(
    kit: KitVoice, worklist: Worklist, heart: Practitioner, order: tuple[int, ...]
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    observation, recording = kit.ecg(encounter, RED)
    things = [patient, encounter, observation, recording]
    for n in order:
        assert kit.send(things[n]).refused == ""
    case = worklist.open_case(only(worklist).id, heart)
    assert case.patient == patient
    assert case.encounter == encounter
    assert [reading for reading, _ in case.readings] == [observation]
    assert (case.item.urgency, case.item.specialty, case.item.owner) == (Urgency.RED, "cardiology", "heart")


def test_many_findings_make_one_case_and_a_more_urgent_one_ranks_it_anew(
    kit: KitVoice, worklist: Worklist, clock: HandClock
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, YELLOW))
    first = only(worklist)
    assert (first.urgency, first.owner) == (Urgency.YELLOW, "town")
    clock.pass_minutes(10)
    kit.send(kit.observation(encounter, RED, code="ecg"))
    second = only(worklist)
    assert (second.id, second.urgency, second.owner) == (first.id, Urgency.RED, "heart")
    assert second.report_due_ms == clock.ms + 10 * 60_000
    clock.pass_minutes(1)
    kit.send(kit.observation(encounter, BLUE))
    third = only(worklist)
    assert (third.urgency, third.report_due_ms) == (Urgency.RED, second.report_due_ms)
    assert "R21" in third.other_routes


def test_a_more_urgent_finding_must_be_acknowledged_again(
    kit: KitVoice, worklist: Worklist, heart: Practitioner
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC21", Urgency.YELLOW), code="ecg"))
    assert worklist.open_case(only(worklist).id, heart).item.acknowledged_by == "heart"
    kit.send(kit.observation(encounter, RED, code="ecg"))
    assert only(worklist).acknowledged_ms is None


def test_a_late_critical_result_looks_late_and_keeps_both_times(
    kit: KitVoice, worklist: Worklist, clock: HandClock
) -> None:
    taken_ms = clock.ms
    patient = kit.patient()
    encounter = kit.encounter(patient)
    observation, _ = kit.ecg(encounter, RED)
    clock.pass_minutes(200)
    kit.send(patient, encounter, observation)
    item = only(worklist)
    assert item.late
    assert (item.effective_ms, item.received_ms) == (taken_ms, clock.ms)
    assert item.report_due_ms == clock.ms + 10 * 60_000  # the hub's clock starts when the hub knows


def test_a_fresh_critical_result_beside_a_late_one_means_somebody_is_there_now(
    kit: KitVoice, worklist: Worklist, clock: HandClock
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    old = kit.observation(encounter, RED, code="ecg")
    clock.pass_minutes(45)
    kit.send(patient, encounter, old)
    assert only(worklist).late
    kit.send(kit.observation(encounter, RED, code="ecg"))
    assert not only(worklist).late


def test_answers_that_come_after_the_critical_reading_may_lower_it_until_somebody_has_looked(
    kit: KitVoice, worklist: Worklist
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    st_change = Finding("EC05", Urgency.ORANGE)
    kit.send(kit.observation(encounter, st_change, code="ecg"))
    assert only(worklist).route_id == "R02"  # chest pain unknown counts as chest pain
    assert only(worklist).urgency is Urgency.RED
    kit.send(encounter)
    assert (only(worklist).route_id, only(worklist).urgency) == ("R47", Urgency.ORANGE)


def test_after_somebody_has_looked_nothing_lowers_a_case(
    kit: KitVoice, worklist: Worklist, heart: Practitioner
) -> None:
    encounter = kit.encounter(kit.patient(), chest_pain="no")
    kit.send(kit.observation(encounter, Finding("EC05", Urgency.ORANGE), code="ecg"))
    worklist.open_case(only(worklist).id, heart)
    kit.send(encounter)
    assert only(worklist).urgency is Urgency.RED


def test_the_age_of_a_patient_who_comes_later_still_counts(kit: KitVoice, worklist: Worklist) -> None:
    patient = kit.patient(number="99999919480101002X")  # 78
    encounter = kit.encounter(patient, chest_pain="no")
    kit.send(encounter, kit.observation(encounter, YELLOW), kit.observation(encounter, Finding("GL01", Urgency.YELLOW)))
    before = only(worklist)
    kit.send(patient)
    after = only(worklist)
    assert before.route_id != "R41"
    assert "R41" in (after.route_id, *after.other_routes)  # 65 and older with two YELLOW: one joint request


def test_the_list_is_ordered_by_urgency_then_by_what_is_due_first(
    kit: KitVoice, worklist: Worklist, clock: HandClock
) -> None:
    order = [BLUE, RED, YELLOW, RED, Finding("BP05", Urgency.ORANGE)]
    for one in order:
        patient = kit.patient(number=None)
        encounter = kit.encounter(patient)
        kit.send(patient, encounter, kit.observation(encounter, one))
        clock.pass_minutes(1)
    items = [row.item for row in worklist.rows()]
    assert [item.urgency for item in items] == [Urgency.RED, Urgency.RED, Urgency.ORANGE, Urgency.YELLOW, Urgency.BLUE]
    assert items[0].ranked_ms < items[1].ranked_ms


def test_normal_visits_go_to_the_archive_and_come_back_with_a_finding(kit: KitVoice, worklist: Worklist) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter))
    assert worklist.rows() == []
    assert [row.item.status for row in worklist.rows(shown="archive")] == ["archived"]
    kit.send(kit.observation(encounter, YELLOW))
    assert only(worklist).status == "open"


def test_opening_tells_the_village_once_for_each_doctor_and_again_for_new_readings(
    store: HubStore, kit: KitVoice, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, clock: HandClock
) -> None:
    def told() -> list[Viewed]:
        return [v for e in store.due(clock.ms, 99) if isinstance(v := unpack(e.kind, store.load(e.id).body), Viewed)]

    patient = kit.patient()
    encounter = kit.encounter(patient)
    first = kit.observation(encounter, RED, code="ecg")
    kit.send(patient, encounter, first)
    case_id = only(worklist).id
    for _ in range(3):
        worklist.open_case(case_id, heart)
    assert told() == [Viewed((first.id,), "演示医师甲", clock.ms)]
    worklist.open_case(case_id, heart_2)
    assert len(told()) == 2
    second = kit.observation(encounter, BLUE)
    kit.send(second)
    assert worklist.look(case_id, heart)[1] == 1
    worklist.open_case(case_id, heart)
    assert told()[-1].observation_ids == (second.id,)
    assert worklist.look(case_id, heart)[1] == 0


def test_earlier_visits_are_found_across_kits_by_the_resident_number(
    store: HubStore, kit: KitVoice, worklist: Worklist, heart: Practitioner, clock: HandClock
) -> None:
    from tests.hub.conftest import KitVoice as Voice

    other_kit = Voice(store, clock, "kit-002")
    same_person = other_kit.patient(name="演示患者甲")
    earlier = other_kit.encounter(same_person)
    other_kit.send(same_person, earlier, other_kit.ecg(earlier)[0])
    stranger = other_kit.patient(name="演示患者乙", number="999999196001010020")
    strange = other_kit.encounter(stranger)
    other_kit.send(stranger, strange, other_kit.observation(strange))
    clock.pass_minutes(60 * 24)
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    case = worklist.open_case(only(worklist).id, heart)
    assert [visit.item.encounter_id for visit in case.earlier] == [earlier.id]


def test_a_specialist_sees_only_what_is_theirs(
    store: HubStore,
    kit: KitVoice,
    worklist: Worklist,
    heart: Practitioner,
    lungs: Practitioner,
    desk: Practitioner,
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    item = only(worklist)
    assert [row.item.id for row in worklist.rows(heart)] == [item.id]
    assert worklist.rows(lungs) == []
    assert [row.item.id for row in worklist.rows(desk)] == [item.id]
    assert [worklist.viewer(person).may("open", item) for person in (heart, lungs, desk)] == [True, False, False]
    for person, why in ((lungs, "denied-unassigned"), (desk, "denied-role")):
        with pytest.raises(InputError) as raised:
            worklist.open_case(item.id, person)
        assert raised.value.code == why
    assert only(worklist).acknowledged_ms is None
    from zhenbao.hub.store import audit

    with store.reading() as connection:
        denied = [(row.actor, row.action) for row in audit.rows(connection, 2)]
    assert denied == [("desk", "case-denied"), ("lungs", "case-denied")]


def test_the_desk_hands_a_case_over_and_the_new_owner_may_open_it(
    kit: KitVoice, worklist: Worklist, heart: Practitioner, lungs: Practitioner, desk: Practitioner
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    case_id = only(worklist).id
    with pytest.raises(InputError):
        worklist.assign(case_id, "lungs", heart)  # a specialist cannot push a case to another
    with pytest.raises(InputError):
        worklist.assign(case_id, "desk", desk)  # nor the desk to somebody who cannot report
    worklist.assign(case_id, "lungs", desk)
    assert only(worklist).owner == "lungs"
    assert worklist.open_case(case_id, lungs).owner == "演示医师丙"
    worklist.assign(case_id, "heart", heart)  # but may take one over
    assert only(worklist).owner == "heart"


def test_an_unknown_case_is_said_to_be_unknown(worklist: Worklist, heart: Practitioner) -> None:
    with pytest.raises(InputError) as raised:
        worklist.open_case(UUID(int=7), heart)
    assert raised.value.code == "case-unknown"

"""Who works on a case: nobody takes it unknowingly, and no claim outlives its holder's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.hub.conftest import PASSWORD
from zhenbao.hub import handover, holding
from zhenbao.hub.list_settings import list_settings
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, claims, people
from zhenbao.hub.store.people import Practitioner, Session
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.worklist import Worklist

RED = Finding("EC19", Urgency.RED, source="a source")
IDLE_MINUTES = list_settings().claims.idle_minutes


def session(store: HubStore, person: Practitioner) -> Session:
    with store.writing() as connection:
        token, _ = people.open_session(connection, person.login, store.clock.now_ms())
        found = people.session(connection, token, store.clock.now_ms())
    assert found is not None
    return found


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    return worklist.rows()[0].item.id


def holder(worklist: Worklist, person: Practitioner) -> str:
    (row,) = worklist.rows(person)
    return row.claim.login if row.claim is not None else ""


def deeds(store: HubStore) -> list[tuple[str, str]]:
    with store.reading() as connection:
        return [(row.actor, row.action) for row in reversed(audit.rows(connection, 20))]


def test_a_claim_is_seen_by_everybody_and_let_go(
    store: HubStore, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    mine = session(store, heart)
    holding.claim(store, case_id, mine)
    assert holder(worklist, heart_2) == "heart"
    case, _ = worklist.look(case_id, heart_2)
    assert (case.holder, case.claim and case.claim.since_ms) == ("演示医师甲", store.clock.now_ms())
    holding.release(store, case_id, heart_2)  # not theirs: nothing happens
    assert holder(worklist, heart_2) == "heart"
    holding.release(store, case_id, heart)
    assert holder(worklist, heart_2) == ""
    assert deeds(store)[-2:] == [("heart", "case-claimed"), ("heart", "case-released")]


def test_nobody_takes_a_held_case_unknowingly(
    store: HubStore, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    holding.claim(store, case_id, session(store, heart))
    other = session(store, heart_2)
    for over, reason, code in (
        ("", "", "claim-held"),
        ("", "甲医师正在手术，由我处理", "claim-held"),
        ("heart-2", "甲医师正在手术，由我处理", "claim-held"),
        ("heart", "", "claim-reason"),
        ("heart", "急  ", "claim-reason"),
        ("heart", "长" * 401, "reason-long"),
    ):
        with pytest.raises(InputError) as refused:
            holding.claim(store, case_id, other, over=over, reason=reason)
        assert refused.value.code == code
    assert holder(worklist, heart) == "heart"
    holding.claim(store, case_id, other, over="heart", reason="甲医师正在手术，由我处理")
    assert holder(worklist, heart) == "heart-2"
    assert deeds(store)[-1] == ("heart-2", "case-taken-over")
    with store.reading() as connection:
        step, first = claims.steps(connection, case_id)
        assert (step.action, step.before, step.holder, step.reason) == (
            "taken-over",
            "heart",
            "heart-2",
            "甲医师正在手术，由我处理",
        )
        assert first.action == "claimed"
        # The reason may speak of the patient: the audit tells by whom from whom, and not why.
        assert "手术" not in str(audit.rows(connection, 20))


def test_a_claim_ends_when_nothing_is_done_and_lasts_while_something_is(
    store: HubStore, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    mine = session(store, heart)
    holding.claim(store, case_id, mine)
    clock.pass_minutes(IDLE_MINUTES - 0.1)
    assert holder(worklist, heart_2) == "heart"
    holding.keep(store, case_id, mine)
    clock.pass_minutes(IDLE_MINUTES - 0.1)
    assert holding.expire(store) == 0
    assert holder(worklist, heart_2) == "heart"
    clock.pass_minutes(0.2)
    assert holder(worklist, heart_2) == ""  # from that moment, before anybody has swept
    assert holding.expire(store) == 1
    assert deeds(store)[-1] == ("hub", "case-released")
    assert holding.expire(store) == 0
    holding.claim(store, case_id, session(store, heart_2))  # without asking: nobody holds it


@pytest.mark.parametrize("end", ["logged out", "disabled", "after twelve hours", "new password"])
def test_a_claim_ends_with_its_session(
    store: HubStore,
    worklist: Worklist,
    heart: Practitioner,
    heart_2: Practitioner,
    case_id: UUID,
    clock: HandClock,
    end: str,
) -> None:
    with store.writing() as connection:
        token, _ = people.open_session(connection, "heart", clock.ms)
        mine = people.session(connection, token, clock.ms)
    assert mine is not None
    if end == "after twelve hours":
        clock.pass_minutes(12 * 60 - 1)
    holding.claim(store, case_id, mine)
    with store.writing() as connection:
        if end == "logged out":
            people.close_session(connection, token)
        elif end == "disabled":
            people.disable(connection, "heart", clock.ms)
        elif end == "new password":
            people.set_password(connection, "heart", PASSWORD)
    clock.pass_minutes(1.5)
    assert holder(worklist, heart_2) == ""
    assert holding.expire(store) == 1
    with store.reading() as connection:
        assert claims.steps(connection, case_id)[0].action == "logged-out"


def test_a_claim_follows_its_holder_to_another_device(
    store: HubStore, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    with store.writing() as connection:
        token, _ = people.open_session(connection, "heart", clock.ms)
        desk = people.session(connection, token, clock.ms)
    assert desk is not None
    holding.claim(store, case_id, desk)
    since = clock.ms
    clock.pass_minutes(1)
    holding.claim(store, case_id, session(store, heart))  # on the phone
    with store.writing() as connection:
        people.close_session(connection, token)
        held = claims.of_case(connection, case_id, clock.ms)
    assert held is not None
    assert held.since_ms == since


def test_who_may_not_report_may_not_claim(
    store: HubStore, lungs: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    for person, code in ((lungs, "denied-unassigned"), (desk, "denied-role")):
        with pytest.raises(InputError) as refused:
            holding.claim(store, case_id, session(store, person))
        assert refused.value.code == code


def test_writing_claims_a_case_that_nobody_holds_and_leaves_others_theirs(
    store: HubStore, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    holding.keep(store, case_id, session(store, heart))
    assert holder(worklist, heart) == "heart"
    holding.keep(store, case_id, session(store, heart_2))
    assert holder(worklist, heart) == "heart"


def test_signing_beside_somebody_asks_and_ends_the_claim(
    store: HubStore,
    worklist: Worklist,
    reports: Reports,
    heart: Practitioner,
    heart_2: Practitioner,
    case_id: UUID,
) -> None:
    worklist.open_case(case_id, heart_2)
    holding.claim(store, case_id, session(store, heart))
    for knowing in ("", "lungs", "heart-2"):
        with pytest.raises(InputError) as refused:
            reports.sign(case_id, heart_2, conclusion="结论", advice="卧床", knowing=knowing)
        assert refused.value.code == "claim-held-sign"
        assert refused.value.facts["name"] == "演示医师甲"
    assert worklist.rows() != []
    reports.sign(case_id, heart_2, conclusion="结论", advice="卧床", knowing="heart")
    (row,) = worklist.rows(shown="archive")
    assert row.claim is None
    assert ("heart-2", "case-released") in deeds(store)


def test_who_was_asked_to_join_neither_claims_by_writing_nor_is_asked_at_signing(
    store: HubStore, worklist: Worklist, reports: Reports, kit: KitVoice, heart: Practitioner, lungs: Practitioner
) -> None:
    patient = kit.patient()
    visit = kit.encounter(patient)
    blow = kit.observation(visit, Finding("SP03", Urgency.YELLOW, source="x"), code="spirometry")
    kit.send(patient, visit, kit.observation(visit, RED, code="ecg"), blow)
    (row,) = worklist.rows()
    assert row.item.joint_specialties == ("respiratory",)
    theirs = session(store, lungs)
    holding.keep(store, row.item.id, theirs)
    assert holder(worklist, heart) == ""
    holding.claim(store, row.item.id, session(store, heart))
    worklist.open_case(row.item.id, lungs)
    reports.sign(row.item.id, lungs, conclusion="阻塞", advice="复查")  # of their own readings
    assert holder(worklist, heart) == "heart"  # the case goes on, and so does its claim
    holding.release(store, row.item.id, heart)
    holding.claim(store, row.item.id, theirs)  # by saying so they may
    assert holder(worklist, heart) == "lungs"


def test_a_reported_case_is_not_claimed(
    store: HubStore, worklist: Worklist, reports: Reports, heart: Practitioner, case_id: UUID
) -> None:
    worklist.open_case(case_id, heart)
    reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    with pytest.raises(InputError) as refused:
        holding.claim(store, case_id, session(store, heart))
    assert refused.value.code == "case-not-open"


def test_giving_a_case_to_somebody_ends_the_claim_of_another(
    store: HubStore, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    holding.claim(store, case_id, session(store, heart))
    worklist.assign(case_id, "heart-2", desk)
    assert holder(worklist, heart_2) == ""
    holding.claim(store, case_id, session(store, heart_2))
    worklist.assign(case_id, "heart-2", desk)  # theirs already: they go on
    assert holder(worklist, heart_2) == "heart-2"


# A whole shift


def several(kit: KitVoice, count: int) -> None:
    for number in range(count):
        patient = kit.patient(name=f"样例{number}", number=None)
        encounter = kit.encounter(patient)
        kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))


def test_a_shift_goes_over_with_its_note(
    store: HubStore, worklist: Worklist, kit: KitVoice, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    several(kit, 2)
    holding.claim(store, case_id, session(store, heart))
    made = handover.hand_over(store, "heart", "heart-2", heart, "三床胸痛待复查心电图")
    assert made.cases == 3
    rows = worklist.rows(heart_2)
    assert {row.item.owner for row in rows} == {"heart-2"}
    assert {row.item.owner_phone for row in rows} == {"0994-0000012"}  # of the roster
    assert [row.claim for row in rows] == [None] * 3  # nobody works on it before they say so
    with store.reading() as connection:
        (waiting,) = handover.waiting_for(connection, "heart-2")
        assert handover.waiting_for(connection, "heart") == []
        assert "胸痛" not in str(audit.rows(connection, 20))
    assert (waiting.note, waiting.by) == ("三床胸痛待复查心电图", "heart")
    handover.read(store, waiting.id, heart)  # not theirs to read
    with store.reading() as connection:
        assert handover.waiting_for(connection, "heart-2") == [waiting]
    handover.read(store, waiting.id, heart_2)
    with store.reading() as connection:
        assert handover.waiting_for(connection, "heart-2") == []
    assert deeds(store)[-5:] == [
        *[("heart", "case-handed-over")] * 3,
        ("heart", "shift-handed-over"),
        ("heart-2", "handover-read"),
    ]


def test_what_somebody_works_on_goes_over_though_another_owns_it(
    store: HubStore, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    holding.claim(store, case_id, session(store, heart_2))  # owned by heart, as the roster says
    assert handover.hand_over(store, "heart-2", "heart", desk, "回家").cases == 1
    assert holder(worklist, heart) == ""


def test_only_ones_own_shift_unless_from_the_desk(
    store: HubStore, kit: KitVoice, heart: Practitioner, heart_2: Practitioner, lungs: Practitioner, desk: Practitioner,
    case_id: UUID,
) -> None:  # fmt: skip
    for giver, taker, by, note, code in (
        ("heart", "heart-2", heart_2, "情况", "denied-role"),
        ("heart", "heart-2", lungs, "情况", "denied-role"),
        ("heart", "heart", heart, "情况", "handover-same"),
        ("heart", "desk", heart, "情况", "login-unknown"),
        ("heart", "nobody", heart, "情况", "login-unknown"),
        ("nobody", "heart", desk, "情况", "login-unknown"),
        ("heart", "heart-2", heart, " \n ", "handover-note"),
        ("heart", "heart-2", heart, "长" * 401, "reason-long"),
        ("heart-2", "heart", desk, "情况", "handover-nothing"),
    ):
        with pytest.raises(InputError) as refused:
            handover.hand_over(store, giver, taker, by, note)
        assert refused.value.code == code
    assert handover.hand_over(store, "heart", "heart-2", desk, "情况").cases == 1


def test_what_the_other_may_not_report_stays(
    store: HubStore, worklist: Worklist, kit: KitVoice, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    from zhenbao.hub.store import organisations
    from zhenbao.hub.store.organisations import Organisation

    with store.writing() as connection:
        organisations.add(connection, Organisation("east", "东乡卫生院", "township", "county"))
        organisations.place_kit(connection, "kit-002", "east", clock.ms)
    from tests.hub.conftest import KitVoice as Voice

    several(Voice(store, clock, kit_id="kit-002"), 1)
    town = add_practitioner(
        store, "east-1", name="东乡医师", role="township-doctor", specialty="general-practice", phone="1",
        password=PASSWORD, org_id="east",
    )  # fmt: skip
    shift = handover.shift(store, "heart", "east-1", heart)
    assert [item.kit_id for item in shift.cases] == ["kit-002"]
    assert [item.kit_id for item in shift.staying] == ["kit-001"]
    handover.hand_over(store, "heart", "east-1", heart, "情况")
    assert {row.item.kit_id: row.item.owner for row in worklist.rows()} == {"kit-002": "east-1", "kit-001": "heart"}
    assert [row.item.kit_id for row in worklist.rows(town)] == ["kit-002"]

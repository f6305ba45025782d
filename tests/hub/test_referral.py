"""Referral up and back: every state from every state, each side's steps, reminders, who sees the patient."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, get_args
from uuid import UUID

import pytest

from zhenbao.hub import referral
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, organisations, referrals
from zhenbao.hub.store.organisations import Organisation
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import DownForm, ReferralState, UpForm

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

UP = UpForm(
    "心内科",
    "疑似心梗",
    "胸痛两小时",
    transport="120",
    consent=True,
    physician="演示医师",
    physician_phone="0994-0000051",
)
DOWN = DownForm(
    "急性下壁心肌梗死", "双抗一年", "低盐饮食，每周测血压", physician="演示医师", physician_phone="0994-0000011"
)
# The states' way, written down a second time: from -> to by whom.
WAY = {
    ("draft", "sent", "sender"), ("sent", "accepted", "receiver"), ("sent", "refused", "receiver"),
    ("accepted", "arrived", "receiver"), ("arrived", "treating", "receiver"), ("arrived", "returned", "receiver"),
    ("treating", "returned", "receiver"), ("returned", "village-received", "sender"),
    ("village-received", "followed-up", "sender"),
    *((state, "withdrawn", "either") for state in
      ("draft", "sent", "accepted", "arrived", "treating", "returned", "village-received")),
}  # fmt: skip


@pytest.fixture
def east(store: HubStore, clock: HandClock) -> Practitioner:
    with store.writing() as connection:
        for unit in (
            Organisation("east", "东乡卫生院", "township", "county"),
            Organisation("west", "西乡卫生院", "township", "county"),
            Organisation("province", "省级医院", "province"),
        ):
            organisations.add(connection, unit)
        organisations.place_kit(connection, "kit-001", "east", clock.now_ms())
    return person(store, "town", "east")


def person(store: HubStore, login: str, org: str) -> Practitioner:
    return add_practitioner(
        store, login, name="演示医师", role="township-doctor", specialty="general-practice", phone="0994-0000051",
        password="correct horse", org_id=org,
    )  # fmt: skip


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist, east: Practitioner) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC16", Urgency.RED, (), "x"), code="ecg"))
    return worklist.rows()[0].item.id


def test_the_states_are_as_the_forms_say() -> None:
    found = {(before, state, rule.by) for state, rule in referral.rules().items() for before in rule.after}
    assert found == WAY


def test_up_and_back_with_names_and_times(
    store: HubStore, east: Practitioner, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    assert made.number == "ZZ-east-20261122-001"
    for by, state in ((heart, "accepted"), (heart, "arrived"), (heart, "treating")):
        clock.pass_minutes(5)
        referral.move(store, made.id, by, state)
    with pytest.raises(InputError, match="referral-form"):
        referral.move(store, made.id, heart, "returned", down=replace(DOWN, nursing_plan=" "))
    back = referral.move(store, made.id, heart, "returned", down=DOWN)
    assert back.down == DOWN
    referral.move(store, made.id, east, "village-received")
    last = referral.move(store, made.id, east, "followed-up")
    assert (last.state, last.up, last.down) == ("followed-up", UP, DOWN)
    with store.reading() as connection:
        steps = referrals.steps(connection, made.id)
        assert audit.first_broken(connection) is None
        assert "心梗" not in repr(audit.rows(connection, 50))
    assert [(s.state, s.login) for s in steps] == [
        ("draft", "town"), ("sent", "town"), ("accepted", "heart"), ("arrived", "heart"), ("treating", "heart"),
        ("returned", "heart"), ("village-received", "town"), ("followed-up", "town"),
    ]  # fmt: skip


def test_no_state_is_reached_but_by_the_way(
    store: HubStore, east: Practitioner, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    allowed = {(before, state) for before, state, _ in WAY}
    states: tuple[ReferralState, ...] = get_args(ReferralState)
    for before, state in product(states, states):
        with store.writing() as connection:
            now = referrals.find(connection, made.id)
            assert now is not None
            if now.state != before:
                assert referrals.move(connection, now, before, "test", clock.now_ms())
        if (before, state) not in allowed:
            with pytest.raises(InputError, match="referral-state"):
                referral.move(store, made.id, heart, state, note="原因", down=DOWN)


def test_each_side_takes_its_own_steps(store: HubStore, east: Practitioner, case_id: UUID) -> None:
    made = referral.write(store, case_id, east, to_org="west", form=UP)
    west = person(store, "west-1", "west")
    with pytest.raises(InputError, match="referral-side"):
        referral.move(store, made.id, east, "accepted")
    referral.move(store, made.id, west, "accepted")
    referral.move(store, made.id, west, "arrived")
    referral.move(store, made.id, west, "returned", down=DOWN)
    with pytest.raises(InputError, match="referral-side"):
        referral.move(store, made.id, west, "village-received")


def test_who_receives_a_patient_sees_them_while_it_lasts(
    store: HubStore, east: Practitioner, case_id: UUID, worklist: Worklist
) -> None:
    west = person(store, "west-1", "west")
    with pytest.raises(InputError, match="denied-outside"):
        worklist.look(case_id, west)
    made = referral.write(store, case_id, east, to_org="west", form=UP)
    assert worklist.look(case_id, west)[0].patient is not None
    referral.move(store, made.id, east, "withdrawn", note="患者要求去县医院")
    with pytest.raises(InputError, match="denied-outside"):
        worklist.look(case_id, west)


def test_others_see_no_referral(store: HubStore, east: Practitioner, desk: Practitioner, case_id: UUID) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    for stranger in (person(store, "west-1", "west"), desk):
        with pytest.raises(InputError, match="referral-unknown"):
            referral.look(store, made.id, stranger)
        with pytest.raises(InputError, match="referral-unknown"):
            referral.move(store, made.id, stranger, "accepted")


def test_a_refusal_and_a_withdrawal_need_a_reason(
    store: HubStore, east: Practitioner, heart: Practitioner, case_id: UUID
) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    with pytest.raises(InputError, match="reason-missing"):
        referral.move(store, made.id, heart, "refused")
    with pytest.raises(InputError, match="reason-missing"):
        referral.move(store, made.id, east, "withdrawn", note="  ")
    referral.move(store, made.id, heart, "refused", note="无床位")
    referral.write(store, case_id, east, to_org="county", form=UP)


@pytest.mark.parametrize(
    ("form", "to_org", "code"),
    [
        (replace(UP, consent=False), "county", "referral-consent"),
        (replace(UP, impression=" "), "county", "referral-form"),
        (replace(UP, treatment="长" * 2001), "county", "referral-form"),
        (UP, "east", "referral-self"),
        (UP, "nowhere", "org-unknown"),
    ],
)
def test_a_form_that_cannot_be_sent(
    store: HubStore, east: Practitioner, case_id: UUID, form: UpForm, to_org: str, code: str
) -> None:
    with pytest.raises(InputError, match=code):
        referral.write(store, case_id, east, to_org=to_org, form=form)
    with store.reading() as connection:
        assert referrals.of_orgs(connection, {"east"}, ended=False) == []


def test_one_referral_to_one_place_at_a_time(store: HubStore, east: Practitioner, case_id: UUID) -> None:
    first = referral.write(store, case_id, east, to_org="county", form=UP)
    with pytest.raises(InputError, match="referral-open") as raised:
        referral.write(store, case_id, east, to_org="county", form=UP)
    assert raised.value.facts["number"] == first.number
    assert referral.write(store, case_id, east, to_org="west", form=UP).number.endswith("-002")


def test_a_refusal_is_not_forgotten_in_a_county_where_many_referrals_have_ended(
    store: HubStore, east: Practitioner, heart: Practitioner, case_id: UUID, worklist: Worklist, clock: HandClock
) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    refused = referral.move(store, made.id, heart, "refused", note="无床位")
    clock.pass_minutes(1)
    with store.writing() as connection:
        for n in range(250):
            id_, number = uuid7(clock.now_ms()), f"ZZ-{n}"
            other = replace(refused, id=id_, number=number, patient_id=uuid7(1), state="followed-up", state_ms=clock.ms)
            referrals.add(connection, other, "town")
    due = lambda: [r.referral.id for r in referral.reminders(store, worklist.viewer(east))]  # noqa: E731
    assert due() == [made.id]
    referral.write(store, case_id, east, to_org="west", form=UP)
    assert due() == [], "somebody tried again"


def test_reminders_come_at_their_hour_and_to_the_side_that_must_act(
    store: HubStore, east: Practitioner, heart: Practitioner, case_id: UUID, worklist: Worklist, clock: HandClock
) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    due = lambda who: [r.org_id for r in referral.reminders(store, worklist.viewer(who))]  # noqa: E731
    clock.pass_minutes(24 * 60 - 1)
    assert due(heart) == []
    clock.pass_minutes(1)
    assert due(heart) == ["county"]
    assert due(east) == []
    referral.move(store, made.id, heart, "accepted")
    assert due(heart) == []
    clock.pass_minutes(14 * 24 * 60)
    assert due(east) == ["east"]
    referral.move(store, made.id, heart, "arrived")
    referral.move(store, made.id, heart, "returned", down=DOWN)
    clock.pass_minutes(24 * 60)
    assert due(east) == ["east"]


def test_a_refusal_is_somebodys_task_at_once_until_another_way_is_found(
    store: HubStore, east: Practitioner, heart: Practitioner, case_id: UUID, worklist: Worklist, clock: HandClock
) -> None:
    made = referral.write(store, case_id, east, to_org="county", form=UP)
    referral.move(store, made.id, heart, "refused", note="无床位")
    assert [r.referral.id for r in referral.reminders(store, worklist.viewer(east))] == [made.id]
    clock.pass_minutes(1)
    referral.write(store, case_id, east, to_org="west", form=UP)
    assert referral.reminders(store, worklist.viewer(east)) == []

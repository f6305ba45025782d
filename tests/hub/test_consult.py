"""Asking upward: complete, without a name, open for its hours, and the opinion comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import consult, thread
from zhenbao.hub.consult import Request
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, consults
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.observation import Observation

NAME, NUMBER, PHONE = "演示患者甲", "99999919480101002X", "13800000000"


@pytest.fixture
def expert(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "province", name="演示专家", role="provincial-expert", specialty=None, phone="", password="correct horse"
    )


@pytest.fixture
def readings(kit: KitVoice) -> tuple[Observation, Observation]:
    patient = kit.patient(NAME, NUMBER, phone=PHONE)
    made = kit.encounter(patient)
    ecg, recording = kit.ecg(made, Finding("EC19", Urgency.RED))
    pressure = kit.observation(made)
    kit.send(patient, made, ecg, recording, pressure)
    return ecg, pressure


@pytest.fixture
def case_id(worklist: Worklist, readings: tuple[Observation, Observation], heart: Practitioner) -> UUID:
    return worklist.open_case(worklist.rows()[0].item.id, heart).item.id


@pytest.fixture
def wish(readings: tuple[Observation, Observation], expert: Practitioner) -> Request:
    return Request(expert.login, "是否需要急诊造影？请指教", "女,78岁,胸痛2小时", (readings[0].id,), 24)


def test_the_expert_sees_what_was_chosen_and_no_more(
    store: HubStore, case_id: UUID, heart: Practitioner, expert: Practitioner, wish: Request, worklist: Worklist,
    readings: tuple[Observation, Observation]
) -> None:  # fmt: skip
    made = consult.ask(store, case_id, heart, wish)
    bundle = consult.bundle(store, made.id, expert)
    assert [reading.id for reading, _ in bundle.readings] == [readings[0].id]
    assert len(bundle.readings[0][1]) == 1, "with its waveform"
    assert bundle.patient is not None
    assert (bundle.patient.name, bundle.patient.resident_number, bundle.patient.phone) == ("", None, None)
    shown = repr((bundle.patient, bundle.readings, bundle.consult))
    for secret in (NAME, NUMBER, NUMBER[-4:], PHONE, "kit-001", "SN2"):
        assert secret not in shown
    # And the case itself stays shut: the bundle is all.
    assert worklist.rows(expert) == []
    for look in (worklist.open_case, worklist.look):
        with pytest.raises(InputError, match="denied-role"):
            look(case_id, expert)


def test_the_name_goes_along_only_when_asked_the_number_never(
    store: HubStore, case_id: UUID, heart: Practitioner, expert: Practitioner, wish: Request
) -> None:
    made = consult.ask(store, case_id, heart, replace(wish, named=True))
    patient = consult.bundle(store, made.id, expert).patient
    assert patient is not None
    assert (patient.name, patient.resident_number) == (NAME, None)


@pytest.mark.parametrize("leak", [NAME, "演示 患者 甲", NUMBER, PHONE])
def test_a_name_in_the_text_is_held_back(
    store: HubStore, case_id: UUID, heart: Practitioner, wish: Request, leak: str
) -> None:
    with pytest.raises(InputError, match="consult-named"):
        consult.ask(store, case_id, heart, replace(wish, history=f"患者{leak},胸痛"))


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({"question": "造影？"}, "question"),
        ({"history": " "}, "history"),
        ({"observation_ids": ()}, "readings"),
        ({"observation_ids": (UUID(int=7),)}, "readings"),
        ({"expert": ""}, "expert"),
    ],
)
def test_what_is_incomplete_is_named_and_not_sent(
    store: HubStore, case_id: UUID, heart: Practitioner, wish: Request, readings: tuple[Observation, Observation],
    kit: KitVoice, change: dict[str, object], lacks: str
) -> None:  # fmt: skip
    poor = replace(wish, **change)  # type: ignore[arg-type]
    patient = kit.patient(NAME, NUMBER)
    known = {reading.id: reading for reading in readings}
    arrived = set(readings[0].recordings)
    assert consult.lacking(wish, patient, known, arrived) == ()
    assert consult.lacking(poor, patient, known, arrived) == (lacks,)
    assert consult.lacking(wish, patient, known, set()) == ("waveform",)
    assert consult.lacking(wish, replace(patient, birth_date=None), known, arrived) == ("age",)
    with pytest.raises(InputError, match="consult-incomplete"):
        consult.ask(store, case_id, heart, poor)


def test_only_an_expert_can_be_asked_and_only_who_reports_may_ask(
    store: HubStore, case_id: UUID, heart: Practitioner, lungs: Practitioner, desk: Practitioner, wish: Request
) -> None:
    with pytest.raises(InputError, match="consult-incomplete"):
        consult.ask(store, case_id, heart, replace(wish, expert="lungs"))
    with pytest.raises(InputError, match="consult-hours"):
        consult.ask(store, case_id, heart, replace(wish, hours=100_000))
    for person, code in ((lungs, "denied-unassigned"), (desk, "denied-role")):
        with pytest.raises(InputError, match=code):
            consult.ask(store, case_id, person, wish)


def test_after_its_time_the_denial_says_when_it_ended_and_is_audited(
    store: HubStore, case_id: UUID, heart: Practitioner, expert: Practitioner, wish: Request, clock: HandClock
) -> None:
    made = consult.ask(store, case_id, heart, wish)
    clock.ms = made.ends_ms - 1
    assert consult.bundle(store, made.id, expert)
    clock.ms = made.ends_ms
    with pytest.raises(InputError, match="consult-ended") as raised:
        consult.bundle(store, made.id, expert)
    assert raised.value.facts["time"] == "2026-11-23 10:00"
    with pytest.raises(InputError, match="consult-ended"):
        consult.give_opinion(store, made.id, expert, "建议造影")
    with store.reading() as connection:
        row = audit.rows(connection, 1)[0]
        assert (row.actor, row.action, row.detail) == ("province", "consult-denied", {"reason": "consult-ended"})


def test_a_bundle_that_was_withdrawn_is_shut_at_once(
    store: HubStore, case_id: UUID, heart: Practitioner, heart_2: Practitioner, expert: Practitioner, wish: Request
) -> None:
    made = consult.ask(store, case_id, heart, wish)
    with pytest.raises(InputError, match="denied-grant"):
        consult.withdraw(store, made.id, heart_2)
    assert consult.withdraw(store, made.id, heart) == case_id
    with pytest.raises(InputError, match="consult-ended"):
        consult.bundle(store, made.id, expert)
    with pytest.raises(InputError, match="consult-ended"):
        consult.withdraw(store, made.id, heart)


def test_another_expert_s_bundle_is_not_for_this_one(
    store: HubStore, case_id: UUID, heart: Practitioner, wish: Request
) -> None:
    made = consult.ask(store, case_id, heart, wish)
    other = add_practitioner(
        store, "province-2", name="演示专家乙", role="provincial-expert", specialty=None, phone="",
        password="correct horse",
    )  # fmt: skip
    for person, code in ((other, "denied-grant"), (heart, "denied-role")):
        with pytest.raises(InputError, match=code):
            consult.bundle(store, made.id, person)
    with pytest.raises(InputError, match="denied-grant"):
        consult.bundle(store, UUID(int=2), other)


def test_the_opinion_comes_back_into_the_case_once(
    store: HubStore, case_id: UUID, heart: Practitioner, expert: Practitioner, wish: Request
) -> None:
    made = consult.ask(store, case_id, heart, wish)
    with pytest.raises(InputError, match="opinion-empty"):
        consult.give_opinion(store, made.id, expert, " \n ")
    consult.give_opinion(store, made.id, expert, "建议急诊造影\r\n先抗栓")
    with pytest.raises(InputError, match="consult-answered"):
        consult.give_opinion(store, made.id, expert, "改主意")
    with store.reading() as connection:
        (kept,) = consults.of_case(connection, case_id)
        actions = [row.action for row in audit.rows(connection, 10)]
        assert "造影" not in repr(audit.rows(connection, 10))
    assert kept.opinion == "建议急诊造影\n先抗栓"
    assert {"consult-asked", "consult-answered"} <= set(actions)
    assert [(s.post.kind, s.new) for s in thread.read(store, case_id, heart)] == [("opinion", True)]

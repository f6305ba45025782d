"""The discussion of a case: four kinds, unread by person, nothing deleted, everything audited."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import thread
from zhenbao.hub.store import audit
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.observation import Observation


@pytest.fixture
def ecg(kit: KitVoice) -> Observation:
    patient = kit.patient()
    made = kit.encounter(patient)
    observation, recording = kit.ecg(made, Finding("EC19", Urgency.RED))
    kit.send(patient, made, observation, recording)
    return observation


@pytest.fixture
def case_id(worklist: Worklist, ecg: Observation) -> UUID:
    return worklist.rows()[0].item.id


def test_the_four_things_of_the_chat_group(
    store: HubStore, case_id: UUID, ecg: Observation, heart: Practitioner
) -> None:
    thread.write(store, case_id, heart, kind="history", text="男,77岁,胸痛1小时")
    thread.write(store, case_id, heart, kind="ecg", observation_id=ecg.id)
    thread.write(store, case_id, heart, kind="advice", text="平卧,呼120")
    thread.write(store, case_id, heart, kind="channel", channel="open", text="导管室已通知")
    shown = thread.read(store, case_id, heart)
    assert [(s.post.number, s.post.kind) for s in shown] == [(1, "history"), (2, "ecg"), (3, "advice"), (4, "channel")]
    assert (shown[1].post.observation_id, shown[3].post.channel, shown[0].name) == (ecg.id, "open", "演示医师甲")
    with store.reading() as connection:
        rows = audit.rows(connection, 4)
        assert {row.action for row in rows} == {"thread-written"}
        assert "胸痛" not in repr(rows), "the audit speaks of no patient"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"kind": "gossip", "text": "x"}, "thread-kind"),
        ({"kind": "second", "text": "x"}, "thread-kind"),
        ({"kind": "history", "text": " \n"}, "thread-empty"),
        ({"kind": "channel", "text": "已开"}, "thread-empty"),
        ({"kind": "channel", "channel": "ajar"}, "thread-empty"),
        ({"kind": "ecg"}, "thread-ecg"),
        ({"kind": "ecg", "observation_id": UUID(int=5)}, "thread-ecg"),
        ({"kind": "advice", "text": "字" * 1001}, "thread-long"),
    ],
)
def test_what_says_nothing_is_not_posted(
    store: HubStore, case_id: UUID, heart: Practitioner, values: dict[str, object], code: str
) -> None:
    with pytest.raises(InputError, match=code):
        thread.write(store, case_id, heart, **values)  # type: ignore[arg-type]
    assert thread.read(store, case_id, heart) == []


def test_unread_is_counted_for_each_person(
    store: HubStore, case_id: UUID, heart: Practitioner, heart_2: Practitioner
) -> None:
    thread.write(store, case_id, heart, kind="advice", text="平卧")
    assert thread.unread(store, [case_id], heart) == {}
    assert thread.unread(store, [case_id], heart_2) == {case_id: 1}
    assert [s.new for s in thread.read(store, case_id, heart_2)] == [True]
    assert [s.new for s in thread.read(store, case_id, heart_2)] == [False]
    thread.write(store, case_id, heart_2, kind="advice", text="同意")
    thread.write(store, case_id, heart, kind="advice", text="转院")
    assert thread.unread(store, [case_id, UUID(int=9)], heart_2) == {case_id: 1}
    assert [s.new for s in thread.read(store, case_id, heart)] == [False, True, False]


def test_a_retraction_is_a_post_and_the_first_stays(
    store: HubStore, case_id: UUID, heart: Practitioner, heart_2: Practitioner
) -> None:
    thread.write(store, case_id, heart, kind="advice", text="阿司匹林")
    for person, number in ((heart_2, 1), (heart, 2), (heart, 0)):
        with pytest.raises(InputError, match="thread-retract"):
            thread.retract(store, case_id, person, number)
    thread.retract(store, case_id, heart, 1)
    shown = thread.read(store, case_id, heart_2)
    assert [(s.post.kind, s.post.text, s.retracted, s.new) for s in shown] == [
        ("advice", "阿司匹林", True, True),
        ("retraction", "", False, True),
    ]
    for number in (1, 2):
        with pytest.raises(InputError, match="thread-retract"):
            thread.retract(store, case_id, heart, number)


def test_who_may_not_open_the_case_does_not_write_in_it(
    store: HubStore, case_id: UUID, lungs: Practitioner, desk: Practitioner, clock: HandClock
) -> None:
    for person, code in ((lungs, "denied-unassigned"), (desk, "denied-role")):
        with pytest.raises(InputError, match=code):
            thread.write(store, case_id, person, kind="advice", text="平卧")
    with pytest.raises(InputError, match="case-unknown"):
        thread.write(store, UUID(int=3), lungs, kind="advice", text="平卧")

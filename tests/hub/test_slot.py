"""An appointment with the expert: wished with the bundle, answered once, and reminded of while no answer comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from html import unescape
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import event

from tests.hub.conftest import PASSWORD
from tests.hub.test_report_pages import Visitor
from zhenbao.hub import consult, slot
from zhenbao.hub.consult import Request, SlotWish
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, slots
from zhenbao.hub.web import vendor
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.consults import Consult
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

HOUR_MIN = 60
VISIT = SlotWish("visit", "2026-11-23", "2026-11-30")
GIVEN = {"on": "2026-11-25", "time": "09:30", "place": "省医院心内科门诊", "number": "A-017"}


@pytest.fixture
def expert(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "province", name="演示专家", role="provincial-expert", specialty=None, phone="", password=PASSWORD
    )


@pytest.fixture
def wish(kit: KitVoice, expert: Practitioner) -> Request:
    patient = kit.patient()
    made = kit.encounter(patient)
    reading = kit.observation(made, Finding("EC19", Urgency.RED), code="ecg")
    kit.send(patient, made, reading)
    return Request(expert.login, "是否需要造影？请指教", "女,78岁,胸痛2小时", (reading.id,), 72, slot=VISIT)


@pytest.fixture
def case_id(worklist: Worklist, wish: Request, heart: Practitioner) -> UUID:
    return worklist.open_case(worklist.rows()[0].item.id, heart).item.id


@pytest.fixture
def made(store: HubStore, case_id: UUID, heart: Practitioner, wish: Request) -> Consult:
    return consult.ask(store, case_id, heart, wish)


def kept(store: HubStore, made: Consult) -> slots.Slot:
    with store.reading() as connection:
        found = slots.find(connection, made.id)
    assert found is not None
    return found


def test_the_wish_goes_with_the_bundle_and_the_answer_comes_back(
    store: HubStore, made: Consult, heart: Practitioner, expert: Practitioner
) -> None:
    shown = consult.bundle(store, made.id, expert).slot
    assert shown is not None
    assert (shown.kind, shown.from_on, shown.until_on) == ("visit", date(2026, 11, 23), date(2026, 11, 30))
    slot.book(store, made.id, expert, **GIVEN)
    answered = kept(store, made)
    assert (answered.state, answered.booked_on, answered.booked_time) == ("booked", date(2026, 11, 25), "09:30")
    assert (answered.place, answered.number) == ("省医院心内科门诊", "A-017")
    for again in (
        lambda: slot.book(store, made.id, expert, **GIVEN),
        lambda: slot.refuse(store, made.id, expert, "号满"),
    ):
        with pytest.raises(InputError, match="slot-answered"):
            again()
    with pytest.raises(InputError, match="slot-answered"):
        slot.withdraw(store, made.id, heart)
    with store.reading() as connection:
        rows = audit.rows(connection, 9)
    assert next(row.detail["slot"] for row in rows if row.action == "consult-asked") == "visit"
    assert "slot-booked" in {row.action for row in rows}
    assert "A-017" not in repr(rows)


@pytest.mark.parametrize(
    "wrong",
    [
        SlotWish("taxi", "2026-11-23", "2026-11-30"),
        SlotWish("visit", "2026-11-21", "2026-11-30"),
        SlotWish("visit", "2026-11-30", "2026-11-29"),
        SlotWish("visit", "2026-11-23", "2027-02-21"),
        SlotWish("visit", "", "2026-11-30"),
    ],
)
def test_a_wish_that_cannot_be_sends_nothing(
    store: HubStore, case_id: UUID, heart: Practitioner, expert: Practitioner, wish: Request, wrong: SlotWish
) -> None:
    with pytest.raises(InputError, match="consult-slot"):
        consult.ask(store, case_id, heart, replace(wish, slot=wrong))
    with store.reading() as connection:
        assert slots.unanswered(connection, "heart", 10**15) == []
    assert consult.ask(store, case_id, heart, replace(wish, slot=SlotWish("remote", "2026-11-22", "2027-02-20")))


@pytest.mark.parametrize(
    "change",
    [{"on": "2026-11-21"}, {"on": "bald"}, {"time": "25:00"}, {"place": " "}, {"place": "长" * 201}, {"number": ""}],
)
def test_an_answer_that_cannot_be_is_not_kept(
    store: HubStore, made: Consult, expert: Practitioner, change: dict[str, str]
) -> None:
    with pytest.raises(InputError, match="slot-answer"):
        slot.book(store, made.id, expert, **(GIVEN | change))
    assert kept(store, made).state == "asked"


def test_refused_with_a_reason_and_by_nobody_else(
    store: HubStore, made: Consult, heart: Practitioner, expert: Practitioner, case_id: UUID, wish: Request
) -> None:
    with pytest.raises(InputError, match="reason-missing"):
        slot.refuse(store, made.id, expert, " ")
    with pytest.raises(InputError, match="denied-role"):
        slot.refuse(store, made.id, heart, "本周号满")
    slot.refuse(store, made.id, expert, "本周号满")
    assert (kept(store, made).state, kept(store, made).reason) == ("refused", "本周号满")
    without = consult.ask(store, case_id, heart, replace(wish, slot=None))
    with pytest.raises(InputError, match="slot-none"):
        slot.book(store, without.id, expert, **GIVEN)


def test_after_a_day_without_an_answer_whoever_asked_has_a_task(
    store: HubStore, made: Consult, heart: Practitioner, heart_2: Practitioner, expert: Practitioner, clock: HandClock
) -> None:
    clock.pass_minutes(24 * HOUR_MIN - 1)
    assert slot.reminders(store, heart) == []
    clock.pass_minutes(1)
    assert [each.consult_id for each in slot.reminders(store, heart)] == [made.id]
    assert slot.reminders(store, heart_2) == []
    # The bundle ends; the wish stays open until somebody says what became of it.
    clock.pass_minutes(100 * HOUR_MIN)
    with pytest.raises(InputError, match="consult-ended"):
        slot.book(store, made.id, expert, **GIVEN)
    assert len(slot.reminders(store, heart)) == 1
    with pytest.raises(InputError, match="slot-none"):
        slot.withdraw(store, made.id, heart_2)
    assert slot.withdraw(store, made.id, heart) == made.work_item_id
    assert slot.reminders(store, heart) == []


def test_a_bundle_that_is_withdrawn_takes_its_wish_along(store: HubStore, made: Consult, heart: Practitioner) -> None:
    consult.withdraw(store, made.id, heart)
    assert kept(store, made).state == "withdrawn"


def test_the_reminders_go_through_an_index(store: HubStore) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cur: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    with store.reading() as connection:
        event.listen(connection, "before_cursor_execute", note)
        slots.unanswered(connection, "heart", 0)
        event.remove(connection, "before_cursor_execute", note)
        statement, values = next(each for each in asked if each[0].startswith("SELECT"))
        plan = [row[3] for row in connection.exec_driver_sql(f"explain query plan {statement}", values)]
    assert len(plan) == 1, "no sorting"
    assert "ix_slot_requests_asker_state_remind_ms" in plan[0]


@pytest.mark.slow
def test_the_pages(store: HubStore, case_id: UUID, heart: Practitioner, wish: Request, clock: HandClock) -> None:
    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there")
    cardio, province = Visitor(store, "heart"), Visitor(store, "province")
    form = {
        "expert": "province", "question": wish.question, "history": wish.history,
        "readings": str(wish.observation_ids[0]), "hours": "72", "slot_kind": "visit", "slot_from": "2026-11-23",
    }  # fmt: skip
    wrong = cardio.post(f"/cases/{case_id}/consult", **form)
    assert wrong.status_code == 409
    assert "预约要求填写有误" in unescape(wrong.text)
    assert 'value="2026-11-23"' in wrong.text, "what was typed stays"
    assert cardio.post(f"/cases/{case_id}/consult", **form, slot_until="2026-11-30").status_code == 303
    assert "… 等待回复" in cardio.text(f"/cases/{case_id}")
    assert "预约未回复" not in cardio.text("/tasks")
    clock.pass_minutes(24 * HOUR_MIN)
    cardio, province = Visitor(store, "heart"), Visitor(store, "province")
    assert "预约未回复" in cardio.text("/tasks")
    with store.reading() as connection:
        (waiting,) = slots.unanswered(connection, "heart", clock.ms)
    path = f"/consults/{waiting.consult_id}/slot"
    assert "预留门诊" in province.text(f"/consults/{waiting.consult_id}")
    assert province.client.post(path, data=GIVEN | {"csrf": "x"}).status_code == 403
    assert cardio.post(path, **GIVEN).status_code == 403
    held = province.post(path, **(GIVEN | {"number": ""}))
    assert (held.status_code, "省医院心内科门诊" in held.text) == (409, True)
    assert province.post(path, **GIVEN, answer="booked").status_code == 303
    page = cardio.text(f"/cases/{case_id}")
    for told in ("✓ 已预约", "2026-11-25 09:30", "省医院心内科门诊", "A-017"):
        assert told in page
    assert "预约未回复" not in cardio.text("/tasks")
    assert cardio.post(f"{path}/withdraw").status_code == 409

"""The channel at the hub: kits' instants, people's, who may write what, and that the kit is told in the same breath."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import select

from zhenbao.hub import referral
from zhenbao.hub.chest_pain import deeds
from zhenbao.hub.chest_pain.chain import chain
from zhenbao.hub.chest_pain.view import channel, is_one
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import chest_pain, organisations, work
from zhenbao.hub.store.chest_pain_tables import chest_pain_kit_times
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.store.tables import audit, outbox
from zhenbao.model.chest_pain import CaseTime, ChannelNews
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import UpForm
from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import unpack

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Encounter

RED = Finding("EC19", Urgency.RED, source="a list of critical values")
MIN = 60_000
UP = UpForm(
    "心内科",
    "疑似心梗",
    "胸痛两小时",
    transport="120",
    consent=True,
    physician="演示医师",
    physician_phone="0994-0000051",
)


@pytest.fixture
def visit(kit: KitVoice) -> Encounter:
    patient = kit.patient()
    made = kit.encounter(patient, chest_pain="yes", reason="压榨样胸痛40分钟")
    observation, recording = kit.ecg(made, RED)
    kit.send(patient, made, observation, recording)
    return made


@pytest.fixture
def case_id(worklist: Worklist, visit: Encounter) -> UUID:
    return worklist.rows()[0].item.id


def told_by(kit: KitVoice, visit: Encounter, milestone: str, **more: object) -> CaseTime:
    now_ms = kit.clock.now_ms()
    plain = CaseTime(uuid7(now_ms), visit.id, kit.kit_id, milestone, now_ms, now_ms, "boot", 1_000_000)
    return replace(plain, **more)  # type: ignore[arg-type]


def shown(store: HubStore, case_id: UUID) -> object:
    with store.reading() as connection:
        item = work.find(connection, case_id)
        assert item is not None
        return channel(connection, item, store.clock.now_ms())


def test_a_kits_instant_is_kept_once_with_the_kits_clock(store: HubStore, kit: KitVoice, visit: Encounter) -> None:
    time = told_by(kit, visit, "called-120", told=True)
    envelope = replace(kit.envelope(time), clock_ahead_ms=1_200_000)
    (first,) = store.accept([envelope], kit.clock.now_ms())
    (again,) = store.accept([envelope], kit.clock.now_ms())
    assert (first.refused, again.duplicate) == ("", True)
    with store.reading() as connection:
        (row,) = connection.execute(select(chest_pain_kit_times)).all()
    assert (row.milestone, row.told, row.clock_ahead_ms, row.kit_id) == ("called-120", True, 1_200_000, "kit-001")
    assert kit.send(replace(time, at_ms=1)).refused == "other-body"
    assert kit.send(told_by(kit, visit, "onset", kit_id="kit-002")).refused == "hub-kit-differs"
    assert kit.send(told_by(kit, visit, "x" * 33)).refused == "envelope-body"


def test_instants_may_come_before_their_visit(store: HubStore, kit: KitVoice, worklist: Worklist) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="yes")
    assert kit.send(told_by(kit, encounter, "first-contact")).refused == ""
    observation, recording = kit.ecg(encounter, RED)
    kit.send(patient, encounter, observation, recording)
    with store.reading() as connection:
        stamps = chain(chest_pain.facts(connection, worklist.rows()[0].item))
    assert stamps["first-contact"][0].boot_ms == 1_000_000


def test_the_hubs_own_facts_fill_the_chain(
    store: HubStore,
    kit: KitVoice,
    worklist: Worklist,
    reports: Reports,
    heart: Practitioner,
    clock: HandClock,
    case_id: UUID,
) -> None:
    began_ms = clock.ms
    clock.pass_minutes(2)
    worklist.open_case(case_id, heart)
    clock.pass_minutes(3)
    report = reports.sign(case_id, heart, conclusion="急性心肌梗死", advice="卧床,呼120")
    clock.pass_minutes(1)
    (waiting,) = [w for w in store.due(clock.ms, 9) if w.kind == "report"]
    store.receipted([Receipt(waiting.id, waiting.body_sha256, "epoch", clock.ms)])
    with store.reading() as connection:
        item = work.find(connection, case_id)
        assert item is not None
        stamps = chain(chest_pain.facts(connection, item))
    minutes = {name: (s[0].hub_ms - began_ms) / MIN for name, s in stamps.items() if s[0].clock == "hub"}
    assert minutes == {"hub-received": 0, "opened": 2, "diagnosed": 5, "delivered": 6}
    assert report.signed_ms == stamps["diagnosed"][0].at_ms


def test_opening_the_channel_tells_the_kit_in_the_same_transaction(
    store: HubStore, clock: HandClock, heart: Practitioner, case_id: UUID, visit: Encounter
) -> None:
    deeds.set_channel(
        store, case_id, heart, state="open", hospital="县医院胸痛中心", ambulance="120 新B·0001", advice="卧床,吸氧"
    )
    (waiting,) = [w for w in store.due(clock.ms, 9) if w.kind == "channel-news"]
    envelope = store.load(waiting.id)
    assert envelope is not None
    news = unpack("channel-news", envelope.body)
    assert isinstance(news, ChannelNews)
    assert (news.state, news.advice, news.practitioner, news.encounter_id) == (
        "open",
        "卧床,吸氧",
        "演示医师甲",
        visit.id,
    )
    found = shown(store, case_id)
    assert (found.state, found.opened.decided_by, found.steps[0].arrived_ms) == ("open", "演示医师甲", None)
    clock.pass_minutes(1)
    store.receipted([Receipt(waiting.id, waiting.body_sha256, "e", clock.ms)])
    deeds.set_channel(store, case_id, heart, state="diverted", hospital="州医院")
    found = shown(store, case_id)
    assert [step.state for step in found.steps] == ["diverted", "open"], "nothing is overwritten"
    assert found.steps[1].arrived_ms == clock.ms
    assert found.opened.hospital == "县医院胸痛中心"


def test_a_kit_that_is_too_old_for_the_news_says_so(
    store: HubStore, clock: HandClock, heart: Practitioner, case_id: UUID
) -> None:
    deeds.set_channel(store, case_id, heart, state="open", hospital="县医院")
    (waiting,) = [w for w in store.due(clock.ms, 9) if w.kind == "channel-news"]
    store.receipted([Receipt(waiting.id, waiting.body_sha256, "e", clock.ms, refused="envelope-kind")])
    (step,) = shown(store, case_id).steps
    assert (step.arrived_ms, step.refused) == (None, "envelope-kind")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"state": "ajar"}, "channel-state"),
        ({"state": "open"}, "channel-hospital"),
        ({"state": "open", "hospital": "县" * 61}, "channel-text"),
        ({"state": "none", "advice": "一\n二"}, "channel-text"),
        ({"state": "none", "advice": "话" * 201}, "channel-text"),
        ({"state": "none", "decided_by": "名" * 41}, "chest-pain-person"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_sent(
    store: HubStore, clock: HandClock, heart: Practitioner, case_id: UUID, values: dict[str, str], code: str
) -> None:
    with pytest.raises(InputError, match=code):
        deeds.set_channel(store, case_id, heart, **values)
    assert not [w for w in store.due(clock.ms, 9) if w.kind == "channel-news"]
    assert shown(store, case_id).steps == ()


def test_the_desk_notes_who_decided_and_writes_no_advice(store: HubStore, desk: Practitioner, case_id: UUID) -> None:
    with pytest.raises(InputError, match="chest-pain-person"):
        deeds.set_channel(store, case_id, desk, state="open", hospital="县医院")
    with pytest.raises(InputError, match="channel-advice"):
        deeds.set_channel(store, case_id, desk, state="open", hospital="县医院", decided_by="演示医师甲", advice="卧床")
    deeds.set_channel(store, case_id, desk, state="open", hospital="县医院", decided_by="演示医师甲")
    assert shown(store, case_id).opened.decided_by == "演示医师甲"


def test_who_is_outside_is_denied_and_the_audit_knows(
    store: HubStore, lungs: Practitioner, clock: HandClock, case_id: UUID
) -> None:
    with pytest.raises(InputError, match="denied-unassigned"):
        deeds.set_channel(store, case_id, lungs, state="open", hospital="县医院")
    with pytest.raises(InputError, match="denied-unassigned"):
        deeds.write_time(store, case_id, lungs, milestone="door-in", at_ms=clock.ms, person="某人")
    with store.reading() as connection:
        kept = connection.execute(select(audit.c.action).where(audit.c.actor == "lungs")).scalars().all()
    assert kept == ["channel-denied", "chest-pain-denied"]


def test_the_receiving_hospital_writes_its_own_times(
    store: HubStore, heart: Practitioner, clock: HandClock, case_id: UUID
) -> None:
    """Outside the county's tree; the referral under way opens the case to it, and nothing else does."""

    with store.writing() as connection:
        organisations.add(connection, Organisation("pci", "州医院", "province"))
    there = add_practitioner(
        store,
        "pci-1",
        name="演示医师丁",
        role="specialist",
        specialty="cardiology",
        phone="",
        password="correct horse",
        org_id="pci",
    )
    with pytest.raises(InputError, match="denied-outside"):
        deeds.write_time(store, case_id, there, milestone="wire", at_ms=clock.ms, person="演示医师丁")
    referral.write(store, case_id, heart, to_org="pci", form=UP)
    clock.pass_minutes(80)
    deeds.write_time(store, case_id, there, milestone="wire", at_ms=clock.ms - 10 * MIN, person="演示医师丁")
    (line,) = [line for line in shown(store, case_id).lines if line.milestone == "wire"]
    assert (line.stamp.person, line.stamp.written_later_ms) == ("演示医师丁", 10 * MIN)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"milestone": "hub-received"}, "chest-pain-milestone"),
        ({"milestone": "nonsense"}, "chest-pain-milestone"),
        ({"person": "  "}, "chest-pain-person"),
        ({"note": "长" * 201}, "chest-pain-note"),
        ({"minutes": 2}, "chest-pain-time"),
        ({"minutes": -7 * 24 * 60 - 1}, "chest-pain-time"),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    store: HubStore, desk: Practitioner, clock: HandClock, case_id: UUID, values: dict[str, object], code: str
) -> None:
    minutes = values.pop("minutes", 0)
    wanted = {"milestone": "door-in", "person": "某人", "at_ms": clock.ms + int(str(minutes)) * MIN} | values
    with pytest.raises(InputError, match=code):
        deeds.write_time(store, case_id, desk, **wanted)  # type: ignore[arg-type]


def test_which_cases_belong_on_the_channel(store: HubStore, kit: KitVoice, worklist: Worklist, case_id: UUID) -> None:
    patient = kit.patient(number=None)
    other = kit.encounter(patient, chest_pain="no")
    kit.send(patient, other, kit.observation(other, Finding("BP04", Urgency.YELLOW)))
    with store.reading() as connection:
        mine, no = work.find(connection, case_id), work.of_encounter(connection, other.id)
        assert mine is not None
        assert no is not None
        assert is_one(connection, mine)
        assert not is_one(connection, no)
    kit.send(told_by(kit, other, "onset", told=True))
    with store.reading() as connection:
        assert is_one(connection, no)


def test_everything_is_found_through_an_index(store: HubStore) -> None:
    wanted = UUID(int=1)
    statements: list[str] = []
    with store.reading() as connection:
        connection.connection.driver_connection.set_trace_callback(statements.append)
        item = work.WorkItem(
            wanted, wanted, wanted, "kit-1", "open", Urgency.RED, "R01", (), None, None, None, False,
            0, 0, 0, None, None, None, "", False, None, None, None,
        )  # fmt: skip
        channel(connection, item, 0)
        is_one(connection, item)
        connection.connection.driver_connection.set_trace_callback(None)
        plans = [
            row[3]
            for text in statements
            if text.lower().startswith("select")
            for row in connection.exec_driver_sql(f"explain query plan {text}").all()
        ]
    assert len(plans) > 10
    assert not [plan for plan in plans if plan.startswith("SCAN")], plans


def test_the_outbox_of_the_news_is_found_through_an_index(store: HubStore) -> None:
    with store.reading() as connection:
        plan = connection.exec_driver_sql(
            f"explain query plan select 1 from {outbox.name} where subject_id = x'00' and kind = 'channel-news'"  # noqa: S608
        ).all()
    assert "INDEX" in plan[0][3]

"""Reports: signed once, sent with the same stroke, never changed; and an audit that shows who meddled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text, update

from zhenbao.hub.store import audit
from zhenbao.hub.store.tables import reports as reports_table
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import Report, ReportRead
from zhenbao.sync.envelope import unpack

if TYPE_CHECKING:
    from uuid import UUID

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Encounter

RED = Finding("EC19", Urgency.RED)


@pytest.fixture
def encounter(kit: KitVoice) -> Encounter:
    patient = kit.patient()
    made = kit.encounter(patient)
    kit.send(patient, made, kit.observation(made, RED, code="ecg"))
    return made


@pytest.fixture
def case_id(worklist: Worklist, encounter: Encounter, heart: Practitioner) -> UUID:
    return worklist.open_case(worklist.rows()[0].item.id, heart).item.id


def sent(store: HubStore, clock: HandClock) -> list[Report]:
    return [v for e in store.due(clock.ms, 99) if isinstance(v := unpack(e.kind, store.load(e.id).body), Report)]


def test_signing_sends_the_report_and_closes_the_case(
    store: HubStore, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    clock.pass_minutes(2)
    reports.save_draft(case_id, heart, conclusion="初稿", advice="等待")
    report = reports.sign(case_id, heart, conclusion="结论\r\n第二行 ", advice=" 平卧,呼120 ", urgency="ORANGE")
    assert (report.conclusion, report.advice, report.urgency) == ("结论\n第二行", "平卧,呼120", "ORANGE")
    assert (report.practitioner, report.specialty, report.signed_ms) == ("演示医师甲", "cardiology", clock.ms)
    assert sent(store, clock) == [report]
    assert worklist.rows() == []
    (row,) = worklist.rows(shown="archive")
    assert (row.item.status, row.item.reported_ms) == ("reported", clock.ms)
    case, _ = worklist.look(case_id, heart)
    assert case.draft is None
    assert [r.id for r in case.reports] == [report.id]


@pytest.mark.parametrize(
    ("conclusion", "advice", "code"),
    [
        ("", "卧床", "report-empty"),
        ("结论", " ", "report-empty"),
        ("结论", "一\n二", "advice-one-line"),
        ("字" * 4001, "卧床", "report-too-long"),
    ],
)
def test_an_incomplete_report_is_not_signed(
    store: HubStore,
    reports: Reports,
    heart: Practitioner,
    case_id: UUID,
    clock: HandClock,
    conclusion: str,
    advice: str,
    code: str,
) -> None:
    with pytest.raises(InputError) as raised:
        reports.sign(case_id, heart, conclusion=conclusion, advice=advice)
    assert raised.value.code == code
    assert sent(store, clock) == []


def test_a_signed_report_is_not_changed_by_anything_written_after(
    store: HubStore, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    first = reports.sign(case_id, heart, conclusion="结论一", advice="卧床")
    reports.save_draft(case_id, heart, conclusion="改写", advice="改写")
    with pytest.raises(InputError) as raised:
        reports.sign(case_id, heart, conclusion="改写", advice="改写")  # does not know of the first
    assert raised.value.code == "report-newer"
    second = reports.sign(case_id, heart, conclusion="补充", advice="复查", after=first.id)
    case, _ = worklist.look(case_id, heart)
    assert [(r.conclusion, r.supplements_id) for r in case.reports] == [("结论一", None), ("补充", first.id)]
    assert sent(store, clock) == [first, second]
    assert reports.altered() == []


def test_another_doctor_does_not_sign_over_a_report_unknown_to_them(
    reports: Reports, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    case = worklist.open_case(case_id, heart_2)
    assert case.reports == ()
    reports.save_draft(case_id, heart, conclusion="先写", advice="卧床")
    assert worklist.open_case(case_id, heart_2).writing == ("演示医师甲",)
    reports.sign(case_id, heart, conclusion="先签", advice="卧床")
    with pytest.raises(InputError) as raised:
        reports.sign(case_id, heart_2, conclusion="后签", advice="转院")
    assert raised.value.code == "report-newer"


def test_who_has_not_opened_the_case_cannot_sign_it(
    reports: Reports, heart_2: Practitioner, lungs: Practitioner, case_id: UUID
) -> None:
    for person, code in ((heart_2, "report-nothing-seen"), (lungs, "denied-unassigned")):
        with pytest.raises(InputError) as raised:
            reports.sign(case_id, person, conclusion="结论", advice="卧床")
        assert raised.value.code == code


def test_a_reading_that_came_after_the_doctor_looked_is_not_covered_and_opens_the_case_again(
    kit: KitVoice, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, encounter: Encounter
) -> None:
    unseen = kit.observation(encounter, Finding("BP05", Urgency.ORANGE))
    kit.send(unseen)
    report = reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    assert unseen.id not in report.observation_ids
    (row,) = worklist.rows()
    assert (row.item.id, row.item.status, row.item.urgency) == (case_id, "open", Urgency.ORANGE)


def test_a_normal_reading_after_the_report_leaves_the_case_reported(
    kit: KitVoice, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, encounter: Encounter
) -> None:
    reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    kit.send(kit.observation(encounter))
    assert worklist.rows() == []


def test_the_village_reading_the_report_is_seen(
    kit: KitVoice, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    report = reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    assert worklist.read_ms(case_id) is None
    kit.send(ReportRead(report.id, clock.ms + 60_000))
    assert worklist.read_ms(case_id) == clock.ms + 60_000
    (row,) = worklist.rows(shown="archive")
    assert row.read_ms == clock.ms + 60_000
    kit.send(ReportRead(report.id, clock.ms + 120_000))
    assert worklist.read_ms(case_id) == clock.ms + 60_000  # the first time stays


def test_report_audit_and_outbox_stand_or_fall_together(
    store: HubStore, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    with store.writing() as connection:
        connection.execute(
            text(
                "create trigger full before insert on outbox when new.kind = 'report'"
                " begin select raise(abort, 'disk full'); end"
            )
        )
    with pytest.raises(StorageError):
        reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    with store.reading() as connection:
        assert "report-signed" not in [row.action for row in audit.rows(connection, 99)]
        assert audit.first_broken(connection) is None
    assert worklist.look(case_id, heart)[0].reports == ()
    assert worklist.rows()[0].item.status == "open"
    assert sent(store, clock) == []


def test_the_audit_tells_the_whole_story_in_order(
    store: HubStore, reports: Reports, heart: Practitioner, case_id: UUID
) -> None:
    report = reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    with store.reading() as connection:
        rows = audit.rows(connection, 99)[::-1]
        assert audit.first_broken(connection) is None
    assert [(row.actor, row.action) for row in rows] == [
        ("admin", "practitioner-added"),
        ("hub", "case-opened"),
        ("heart", "case-viewed"),
        ("heart", "report-drafted"),
        ("heart", "report-signed"),
        ("hub", "second-asked"),
    ]
    assert rows[-2].detail == {"case": str(case_id), "signature": report.signature}
    assert all("演示患者" not in str(row) for row in rows)


@pytest.mark.parametrize(
    ("meddling", "number"),
    [
        pytest.param("update audit set actor = 'nobody' where number = 2", 2, id="changed"),
        pytest.param("delete from audit where number = 3", 3, id="removed"),
        pytest.param("delete from audit where number = 6", 6, id="cut off the end"),
        pytest.param(
            "insert into audit select 7, at_ms, actor, action, subject, detail, previous_hash, hash, redacted"
            " from audit where number = 6",
            7,
            id="repeated",
        ),
    ],
)
def test_meddling_with_the_audit_is_found(
    store: HubStore, reports: Reports, heart: Practitioner, case_id: UUID, meddling: str, number: int
) -> None:
    reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    with store.writing() as connection:
        connection.execute(text(meddling))
    with store.reading() as connection:
        assert audit.first_broken(connection) == number


@pytest.mark.parametrize("column", ["conclusion", "advice", "practitioner", "urgency", "previous_hash"])
def test_meddling_with_a_signed_report_is_found(
    store: HubStore, reports: Reports, heart: Practitioner, case_id: UUID, column: str
) -> None:
    report = reports.sign(case_id, heart, conclusion="结论", advice="卧床")
    assert reports.altered() == []
    with store.writing() as connection:
        connection.execute(update(reports_table).values(**{column: "x"}))
    assert reports.altered() == [report.id]

"""Stages of a report: preliminary leaves the case open, amended corrects and keeps the first; the seal covers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from zhenbao.hub.store.report_forms import Form
from zhenbao.hub.watch import sweep, tasks
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import Receipt, Report, ReportRead
from zhenbao.sync.envelope import unpack

if TYPE_CHECKING:
    from uuid import UUID

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

RED = Finding("EC19", Urgency.RED)
ORANGE = Finding("EC20", Urgency.ORANGE)


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist, heart: Practitioner) -> UUID:
    patient = kit.patient()
    made = kit.encounter(patient)
    kit.send(patient, made, kit.observation(made, RED, code="ecg"))
    return worklist.open_case(worklist.rows()[0].item.id, heart).item.id


def sent(store: HubStore, clock: HandClock) -> list[Report]:
    return [v for e in store.due(clock.ms, 99) if isinstance(v := unpack(e.kind, store.load(e.id).body), Report)]


def test_a_preliminary_report_goes_out_and_the_case_stays_open(
    store: HubStore, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    first = reports.sign(case_id, heart, conclusion="疑似心梗", advice="呼120", form=Form("preliminary"))
    assert sent(store, clock) == [first]
    assert first.conclusion.startswith("【初步报告】")
    assert [row.item.status for row in worklist.rows()] == ["open"]
    clock.pass_minutes(10)
    assert "report" in {call.clock for call in sweep(store)}, "the clock of the final report still runs"
    final = reports.sign(case_id, heart, conclusion="急性心梗", advice="转院", after=first.id)
    assert final.conclusion == "急性心梗"
    assert worklist.rows() == []
    with pytest.raises(InputError, match="report-final-exists"):
        reports.sign(case_id, heart, conclusion="x", advice="y", after=final.id, form=Form("preliminary"))


def test_choices_stand_before_the_text_in_the_order_of_the_template(
    reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID
) -> None:
    form = Form(choices=("next_120", "ecg_stemi", "ecg_sinus_rhythm"))
    report = reports.sign(case_id, heart, conclusion="下壁导联", advice="呼120", form=form)
    assert report.conclusion == "窦性心律；急性ST段抬高型心肌梗死；立即呼叫 120\n下壁导联"
    (kept,) = worklist.look(case_id, heart)[0].reports
    assert kept.form.choices == ("ecg_sinus_rhythm", "ecg_stemi", "next_120")


def test_choices_alone_are_a_conclusion_but_nothing_is_not(
    reports: Reports, heart: Practitioner, case_id: UUID
) -> None:
    with pytest.raises(InputError, match="report-empty"):
        reports.sign(case_id, heart, conclusion=" ", advice="呼120")
    with pytest.raises(InputError, match="report-contradicts"):
        reports.sign(case_id, heart, conclusion="", advice="呼120", form=Form(choices=("ecg_normal", "ecg_stemi")))
    with pytest.raises(InputError, match="report-choice"):
        reports.sign(case_id, heart, conclusion="", advice="呼120", form=Form(choices=("spirometry_normal",)))
    assert reports.sign(case_id, heart, conclusion="", advice="呼120", form=Form(choices=("ecg_stemi",))).conclusion


def test_an_amended_report_corrects_a_final_one_and_says_why(
    store: HubStore, reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    first = reports.sign(case_id, heart, conclusion="正常", advice="观察")

    def amend(amends: UUID | None, reason: str, after: UUID) -> Report:
        form = Form("amended", amends_id=amends, reason=reason)
        return reports.sign(case_id, heart, conclusion="急性心梗", advice="呼120", after=after, form=form)

    for amends, reason, code in ((None, "看错导联了", "report-amends"), (case_id, "看错导联了", "report-amends"),
                                 (first.id, " 错 ", "report-reason")):  # fmt: skip
        with pytest.raises(InputError, match=code):
            amend(amends, reason, first.id)
    second = amend(first.id, "看错导联了", first.id)
    assert second.conclusion == "【更正报告】更正原因：看错导联了。请以本报告为准。\n急性心梗"
    assert sent(store, clock) == [first, second]
    one, two = worklist.look(case_id, heart)[0].reports
    assert (one.conclusion, one.amended_by) == ("正常", second.id)
    assert (two.form.stage, two.form.amends_id, two.amended_by) == ("amended", first.id, None)
    with pytest.raises(InputError, match="report-amends"):
        amend(first.id, "再次更正它", second.id)
    third = amend(second.id, "更正前次更正", second.id)
    assert worklist.look(case_id, heart)[0].reports[1].amended_by == third.id
    assert reports.altered() == []


@pytest.mark.parametrize(
    "meddling",
    [
        "update report_forms set stage = 'final'",
        "update report_forms set reason = '另一个原因' where stage = 'amended'",
        "update report_forms set choices = '[]'",
        "update report_forms set amends_id = null",
        "delete from report_forms",
    ],
)
def test_the_seal_covers_stage_choices_and_reason(
    store: HubStore, reports: Reports, heart: Practitioner, case_id: UUID, meddling: str
) -> None:
    first = reports.sign(case_id, heart, conclusion="正常", advice="观察")
    form = Form("amended", ("ecg_stemi",), first.id, "看错导联了")
    second = reports.sign(case_id, heart, conclusion="", advice="呼120", after=first.id, form=form)
    assert reports.altered() == []
    with store.writing() as connection:
        connection.execute(text(meddling))
    assert reports.altered() == [second.id]


def test_a_plain_final_report_has_the_seal_of_before_there_were_forms() -> None:
    assert Form().signed_content() == {}
    assert Form("preliminary").signed_content() != {}


def test_a_draft_keeps_what_was_ticked(
    reports: Reports, worklist: Worklist, heart: Practitioner, case_id: UUID
) -> None:
    form = Form("preliminary", ("ecg_stemi", "spirometry_normal"))
    reports.save_draft(case_id, heart, conclusion="", advice="", form=form)
    reports.save_draft(case_id, heart, conclusion="续", advice="", form=form)
    draft = worklist.look(case_id, heart)[0].draft
    assert draft is not None
    assert draft.form == Form("preliminary", ("ecg_stemi",)), "what the template does not offer is left out"
    reports.discard(case_id, heart)
    assert worklist.look(case_id, heart)[0].draft is None


def deliver(kit: KitVoice, store: HubStore, clock: HandClock, report: Report, *, read: bool) -> None:
    (envelope,) = [e for e in store.due(clock.ms, 99) if e.subject_id == report.id]
    store.receipted([Receipt(envelope.id, envelope.body_sha256, "e", clock.ms)])
    if read:
        kit.send(ReportRead(report.id, clock.ms))


def test_an_amended_report_that_nobody_reads_is_somebody_s_task_although_the_first_was_repeated(
    kit: KitVoice, store: HubStore, reports: Reports, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    from zhenbao.hub import loop

    first = reports.sign(case_id, heart, conclusion="正常", advice="观察")
    deliver(kit, store, clock, first, read=True)
    for step in ("notified", "read-back", "handled", "recorded"):
        loop.note(store, case_id, heart, step=step, channel="phone", person="村医", text="已办", minutes_ago=0)
    clock.pass_minutes(60)
    sweep(store)
    assert tasks(store) == []
    form = Form("amended", amends_id=first.id, reason="看错导联了")
    second = reports.sign(case_id, heart, conclusion="急性心梗", advice="呼120", after=first.id, form=form)
    deliver(kit, store, clock, second, read=False)
    clock.pass_minutes(4)
    sweep(store)
    assert tasks(store) == []
    clock.pass_minutes(1)
    assert [call.clock for call in sweep(store)] == ["read"]
    assert [task.clock for task in tasks(store)] == ["read"]
    kit.send(ReportRead(second.id, clock.ms))
    assert tasks(store) == []


def test_a_report_more_urgent_than_its_case_is_read_in_the_time_of_its_own(
    kit: KitVoice, store: HubStore, reports: Reports, worklist: Worklist, clock: HandClock, lungs: Practitioner
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("OX03", Urgency.YELLOW), code="spo2"))
    (row,) = worklist.rows()
    with store.writing() as connection:
        connection.execute(text("update work_items set owner = 'lungs'"))
    worklist.open_case(row.item.id, lungs)
    report = reports.sign(row.item.id, lungs, conclusion="呼吸衰竭", advice="呼120", urgency="RED")
    deliver(kit, store, clock, report, read=False)
    clock.pass_minutes(5)
    sweep(store)
    assert "read" in {task.clock for task in tasks(store)}


def test_an_old_case_that_is_amended_is_watched_again(
    kit: KitVoice, store: HubStore, reports: Reports, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    first = reports.sign(case_id, heart, conclusion="正常", advice="观察")
    deliver(kit, store, clock, first, read=True)
    clock.pass_minutes(60 * 24 * 40)
    sweep(store)
    assert tasks(store) == []
    form = Form("amended", amends_id=first.id, reason="看错导联了")
    second = reports.sign(case_id, heart, conclusion="急性心梗", advice="呼120", after=first.id, form=form)
    deliver(kit, store, clock, second, read=False)
    clock.pass_minutes(6)
    sweep(store)
    assert "read" in {task.clock for task in tasks(store)}

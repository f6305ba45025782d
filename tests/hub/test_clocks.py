"""Clocks, escalation and the closed loop: every step of the table at its minute and beside it, each once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import loop as critical
from zhenbao.hub.case_code import case_code
from zhenbao.hub.clocks import LOOP_STEPS, Facts, reached, running
from zhenbao.hub.notify import notice, to_file
from zhenbao.hub.store import audit, loop
from zhenbao.hub.watch import Call, sweep, tasks
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import Receipt, ReportRead
from zhenbao.rules.escalation import steps
from zhenbao.words import Words

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import HandClock, KitVoice

    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

MINUTE_MS = 60_000
RED = Finding("EC16", Urgency.RED, (), "a source")
# Written down a second time, from the chains of the routes: urgency, clock, minutes, who.
CHAINS = {
    (Urgency.RED, "ack"): [(3, "second-line"), (3, "shift-leader"), (5, "emergency-head"), (5, "township-head")],
    (Urgency.RED, "report"): [(10, "second-line")],
    (Urgency.ORANGE, "ack"): [(10, "second-line"), (30, "township-gp")],
    (Urgency.ORANGE, "report"): [(30, "second-line")],
    (Urgency.YELLOW, "ack"): [(240, "desk")],
    (Urgency.YELLOW, "report"): [(1440, "department-head")],
    (Urgency.BLUE, "ack"): [(2880, "desk")],
    (Urgency.BLUE, "report"): [(4320, "desk")],
}


@pytest.mark.parametrize(("urgency", "clock"), CHAINS)
def test_the_chains_of_the_routes(urgency: Urgency, clock: str) -> None:
    found = [(step.after_min, step.to) for step in steps(urgency) if step.clock == clock]
    assert found == CHAINS[urgency, clock]


@pytest.mark.parametrize("urgency", list(Urgency)[:-1])
def test_each_step_is_reached_at_its_minute_and_not_before(urgency: Urgency) -> None:
    start_ms = 1_000_000
    open_ = Facts(urgency, start_ms, late=True)
    done = replace(open_, late=False, acknowledged_ms=start_ms, reported_ms=start_ms)
    for step in steps(urgency):
        facts = done if step.clock in ("deliver", "read") else open_
        at_ms = start_ms + step.after_min * MINUTE_MS
        keys = {r.step.key for r in reached(facts, at_ms)}
        assert step.key in keys
        assert step.key not in {r.step.key for r in reached(facts, at_ms - 1)}


def test_each_clock_is_ended_by_its_own_fact_alone() -> None:
    red = Facts(Urgency.RED, 0, late=True)
    kinds = lambda facts: {clock.kind for clock in running(facts)}  # noqa: E731
    assert kinds(red) == {"late", "ack", "report", "loop"}
    assert kinds(replace(red, acknowledged_ms=1)) == {"late", "report", "loop"}
    assert kinds(replace(red, reported_ms=1)) == {"late", "ack", "deliver", "read", "loop"}
    assert kinds(replace(red, reported_ms=1, delivered_ms=2)) == {"late", "ack", "read", "loop"}
    assert kinds(replace(red, reported_ms=1, delivered_ms=2, read_ms=3)) == {"late", "ack", "loop"}
    assert kinds(replace(red, loop=("notified",))) == {"ack", "report", "loop"}
    told = replace(red, acknowledged_ms=1, reported_ms=1, loop=("notified", "read-back"))
    assert kinds(told) == {"loop"}, "who repeated it by telephone needs no network"
    assert kinds(replace(told, corrected=True)) == {"deliver", "read", "loop"}, "of the first report, not of this one"
    assert kinds(replace(told, loop=LOOP_STEPS[1:])) == set()
    assert kinds(Facts(Urgency.ORANGE, 0)) == {"ack", "report"}


def red_case(kit: KitVoice, worklist: Worklist, **more: int) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg", **more))
    return worklist.rows()[0].item.id


def test_every_call_is_made_once_whoever_looks_and_however_often(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock
) -> None:
    case_id = red_case(kit, worklist)
    made: list[Call] = []
    for _ in range(40):
        made += sweep(store)
        made += sweep(store)
        clock.pass_minutes(1)
    assert [(call.clock, call.to) for call in made] == [
        ("ack", "second-line"),
        ("ack", "shift-leader"),
        ("ack", "emergency-head"),
        ("ack", "township-head"),
        ("report", "second-line"),
        ("loop", "desk"),
    ]
    assert made[0].login == "heart-2"
    assert {call.code for call in made} == {case_code(case_id)}
    with store.reading() as connection:
        assert sum(row.action == "case-escalated" for row in audit.rows(connection, 100)) == len(made)


def test_a_hub_that_was_down_makes_the_calls_when_it_is_back(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock
) -> None:
    red_case(kit, worklist)
    clock.pass_minutes(12)
    assert len(sweep(store)) == 5
    assert sweep(store) == []


def test_who_answers_in_time_is_not_escalated(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock, heart: Practitioner
) -> None:
    case_id = red_case(kit, worklist)
    clock.pass_minutes(2)
    worklist.open_case(case_id, heart)
    clock.pass_minutes(7)
    assert sweep(store) == []
    clock.pass_minutes(1)
    assert [(call.clock, call.to) for call in sweep(store)] == [("report", "second-line")]


def test_a_task_ends_with_its_clock_and_not_with_a_delivery(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner
) -> None:
    case_id = red_case(kit, worklist)
    worklist.open_case(case_id, heart)
    report = reports.sign(case_id, heart, conclusion="三度房室传导阻滞", advice="平卧,呼120")
    kinds = lambda: {task.clock for task in tasks(store)}  # noqa: E731
    clock.pass_minutes(6)
    sweep(store)
    assert kinds() == {"deliver", "read"}
    for item in store.due(clock.now_ms(), 10):
        store.receipted([Receipt(item.id, item.body_sha256, "kit-epoch", clock.now_ms())])
    assert kinds() == {"read"}, "delivered is not read"
    kit.send(ReportRead(report.id, clock.now_ms()))
    assert kinds() == set()
    clock.pass_minutes(30)
    sweep(store)
    assert kinds() == {"loop"}, "read is not handled"


def test_the_loop_is_closed_by_telephone_while_the_village_is_away(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner,
    desk: Practitioner,
) -> None:  # fmt: skip
    case_id = red_case(kit, worklist)
    worklist.open_case(case_id, heart)
    reports.sign(case_id, heart, conclusion="三度房室传导阻滞", advice="平卧,呼120")
    clock.pass_minutes(31)
    sweep(store)
    assert {task.clock for task in tasks(store)} == {"deliver", "read", "loop"}
    say = lambda step, text: critical.note(  # noqa: E731
        store, case_id, desk, step=step, person="村医甲", channel="phone", text=text
    )
    say("notified", "三度房室传导阻滞，呼120")
    say("read-back", "已复述：三度房室传导阻滞，呼120")
    assert {task.clock for task in tasks(store)} == {"loop"}
    say("handled", "已呼120，平卧")
    say("recorded", "")
    assert tasks(store) == []
    with store.reading() as connection:
        entries = loop.entries(connection, case_id)
        assert audit.first_broken(connection) is None
        rows = repr(audit.rows(connection, 50))
    assert [entry.step for entry in entries] == ["notified", "read-back", "handled", "recorded"]
    assert {(entry.login, entry.person) for entry in entries} == {("desk", "村医甲")}
    assert "村医甲" not in rows
    assert "三度" not in rows


def test_a_late_critical_result_is_telephoned_first(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock
) -> None:
    taken_ms = clock.now_ms()
    clock.pass_minutes(180)
    red_case(kit, worklist, at_ms=taken_ms)
    assert [(call.clock, call.to, call.phone) for call in sweep(store)] == [("late", "desk", "0994-0000000")]


def test_a_case_that_becomes_worse_starts_its_clocks_anew(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    orange = Finding("EC05", Urgency.ORANGE, (), "a source")
    kit.send(patient, encounter, kit.observation(encounter, orange))
    clock.pass_minutes(9)
    assert sweep(store) == []
    kit.send(kit.observation(encounter, RED, code="ecg"))
    clock.pass_minutes(2)
    assert sweep(store) == []
    clock.pass_minutes(1)
    assert {(call.clock, call.to) for call in sweep(store)} == {("ack", "second-line"), ("ack", "shift-leader")}


def test_a_second_critical_value_has_a_loop_of_its_own(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner,
    desk: Practitioner,
) -> None:  # fmt: skip
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    case_id = worklist.rows()[0].item.id
    worklist.open_case(case_id, heart)
    first = reports.sign(case_id, heart, conclusion="三度房室传导阻滞", advice="平卧,呼120")
    say = lambda step: critical.note(  # noqa: E731
        store, case_id, desk, step=step, person="村医甲", channel="phone", text="已复述"
    )
    for step in LOOP_STEPS[1:]:
        say(step)
    assert tasks(store) == []
    clock.pass_minutes(20)
    kit.send(kit.observation(encounter, RED, code="ecg"))
    worklist.open_case(case_id, heart)
    reports.sign(case_id, heart, conclusion="室性心动过速", advice="呼120", after=first.id)
    clock.pass_minutes(31)
    sweep(store)
    assert {task.clock for task in tasks(store)} == {"deliver", "read", "loop"}, "they know of the first one only"
    with pytest.raises(InputError, match="loop-order"):
        say("handled")
    for step in LOOP_STEPS[1:]:
        say(step)
    assert tasks(store) == []


def test_what_only_its_report_calls_critical_is_so_from_then(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC34", Urgency.YELLOW, (), "x"), code="ecg"))
    case_id = worklist.rows()[0].item.id
    worklist.open_case(case_id, heart)
    clock.pass_minutes(60)
    reports.sign(case_id, heart, conclusion="疑似心梗", advice="呼120", urgency="RED")
    for minutes, found in ((4, set()), (1, {"deliver", "read"}), (24, set()), (1, {"loop"})):
        clock.pass_minutes(minutes)
        assert {call.clock for call in sweep(store)} == found


def test_who_repeated_it_by_telephone_knows_it_critical_or_not(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner,
    desk: Practitioner,
) -> None:  # fmt: skip
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC25", Urgency.ORANGE, (), "x"), code="ecg"))
    case_id = worklist.rows()[0].item.id
    worklist.open_case(case_id, heart)
    reports.sign(case_id, heart, conclusion="QTc延长", advice="停用相关药物")
    for step in ("notified", "read-back"):
        critical.note(store, case_id, desk, step=step, person="村医甲", channel="phone", text="已复述")
    clock.pass_minutes(60)
    assert sweep(store) == []


def test_a_case_that_nobody_reports_stays_somebodys_task(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock
) -> None:
    red_case(kit, worklist)
    clock.pass_minutes(60)
    sweep(store)
    clock.pass_minutes(15 * 24 * 60)
    assert {task.clock for task in tasks(store)} == {"ack", "report", "loop"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"step": "found"}, "loop-step"),
        ({"step": "nonsense"}, "loop-step"),
        ({"channel": "pigeon"}, "loop-step"),
        ({"person": "  "}, "loop-person"),
        ({"person": "长" * 41}, "loop-person"),
        ({"text": "长" * 401}, "loop-note"),
        ({"minutes_ago": -1}, "loop-time"),
        ({"minutes_ago": 1441}, "loop-time"),
        ({"step": "handled"}, "loop-order"),
    ],
)
def test_a_step_that_cannot_be(
    kit: KitVoice, store: HubStore, worklist: Worklist, desk: Practitioner, wrong: dict[str, object], code: str
) -> None:
    case_id = red_case(kit, worklist)
    given: dict[str, object] = {"step": "notified", "person": "村医甲", "channel": "phone", "text": "呼120"}
    with pytest.raises(InputError, match=code):
        critical.note(store, case_id, desk, **(given | wrong))  # type: ignore[arg-type]
    with store.reading() as connection:
        assert loop.entries(connection, case_id) == []


def test_what_is_written_down_later_says_so(
    kit: KitVoice, store: HubStore, worklist: Worklist, desk: Practitioner
) -> None:
    case_id = red_case(kit, worklist)
    entry = critical.note(
        store, case_id, desk, step="notified", person="村医甲", channel="phone", text="", minutes_ago=20
    )
    assert entry.afterwards
    assert entry.noted_ms - entry.at_ms == 20 * MINUTE_MS


def test_who_only_reads_cannot_write_the_loop(
    kit: KitVoice, store: HubStore, worklist: Worklist, lungs: Practitioner
) -> None:
    case_id = red_case(kit, worklist)
    with pytest.raises(InputError, match="denied-unassigned"):
        critical.note(store, case_id, lungs, step="notified", person="村医甲", channel="phone", text="")


def test_a_notice_tells_nothing_of_the_patient(
    kit: KitVoice, store: HubStore, worklist: Worklist, clock: HandClock, tmp_path: Path
) -> None:
    case_id = red_case(kit, worklist)
    clock.pass_minutes(12)
    tell = to_file(tmp_path / "notices.jsonl", clock)
    for call in sweep(store):
        tell(call)
    lines = (tmp_path / "notices.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    assert (tmp_path / "notices.jsonl").stat().st_mode & 0o777 == 0o600
    for line in lines:
        told = json.loads(line)
        assert told["code"] == case_code(case_id)
        for secret in ("演示患者", "99999919480101002X", "1948", "kit-001", "EC16", "心", "RED", str(case_id)):
            assert secret not in line.replace("zhenbao", "")
    text = notice(Call(case_code(case_id), "ack", "second-line", None, "0994-0000012"), Words("en"))
    assert "0994" not in text


def test_case_codes_are_not_confused() -> None:
    codes = {case_code(UUID(int=n)) for n in range(5000)}
    assert len(codes) == 5000
    assert not set("".join(codes)) & set("01OIL")

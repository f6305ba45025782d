"""Chronic care at the hub: registers, follow-ups of both sides, what the kits are told, the three, and plans home."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import select

from tests.hub.conftest import PASSWORD, HandClock, KitVoice
from zhenbao.hub import chronic as care
from zhenbao.hub import referral
from zhenbao.hub.care_watch import send_plans, sweep, tell_kits, tell_of_urgent_cases
from zhenbao.hub.chronic import FormProblems
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, briefs, care_notices, chronic, follow_ups, identities, organisations
from zhenbao.hub.store.chronic_tables import chronic_changes
from zhenbao.hub.store.tables import outbox
from zhenbao.model.chronic import CareBrief, DischargePlan, FollowUp
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.fleet import KitStatus
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import DownForm, UpForm
from zhenbao.model.time import local_time
from zhenbao.rules.followup import Choice
from zhenbao.rules.recognition import recognise
from zhenbao.sync.envelope import Body, unpack

if TYPE_CHECKING:
    from zhenbao.hub.permission import Role
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.chronic import Entry
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Patient

DAY_MIN = 24 * 60
GOOD = {
    "way": "1", "htn_symptoms": "1", "systolic": "132", "diastolic": "82", "adherence": "1", "adverse": "1",
    "complication": "1",
}  # fmt: skip
HIGH = GOOD | {"systolic": "162"}
TAKES = ("care-brief", "discharge-plan")


@pytest.fixture
def tree(store: HubStore, clock: HandClock) -> None:
    with store.writing() as connection:
        for id_, kind, parent in (
            ("east", "township", "county"), ("west", "township", "county"),
            ("east-1", "village", "east"), ("east-2", "village", "east"), ("west-1", "village", "west"),
        ):  # fmt: skip
            unit = organisations.Organisation(id_, f"{id_}卫生机构", organisations.check_kind(kind), parent)
            organisations.add(connection, unit)
        for kit_id, org_id in (("kit-001", "east-1"), ("kit-002", "east-2"), ("kit-003", "west-1")):
            organisations.place_kit(connection, kit_id, org_id, clock.ms)


def person(store: HubStore, login: str, role: Role, org_id: str, specialty: str | None = None) -> Practitioner:
    return add_practitioner(
        store, login, name=f"演示{login}", role=role, specialty=specialty, phone="0994-0000301", password=PASSWORD,
        org_id=org_id,
    )  # fmt: skip


@pytest.fixture
def village(store: HubStore, tree: None) -> Practitioner:
    return person(store, "village-1", "village-doctor", "east-1")


@pytest.fixture
def town(store: HubStore, tree: None) -> Practitioner:
    return person(store, "town-1", "township-doctor", "east", "general-practice")


@pytest.fixture
def manager(store: HubStore, tree: None) -> Practitioner:
    return person(store, "manager-1", "health-manager", "east")


def visit(kit: KitVoice, patient: Patient, *findings: Finding, **more: object) -> None:
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, *findings, **more))


def status(kit: KitVoice, **more: object) -> KitStatus:
    return replace(KitStatus(uuid7(kit.clock.ms), kit.clock.ms, "0.1.0", TAKES), **more)


@pytest.fixture
def patient(kit: KitVoice, village: Practitioner) -> Patient:
    made = kit.patient()
    kit.send(status(kit))
    visit(kit, made)
    return made


@pytest.fixture
def entry(store: HubStore, village: Practitioner, patient: Patient) -> Entry:
    return care.enter(store, patient.id, village, disease="htn", org_id="east-1", ground="三次非同日血压升高")


def posted(store: HubStore, kit_id: str = "kit-001", kind: str = "care-brief") -> list[Body]:
    with store.reading() as connection:
        rows = connection.execute(
            select(outbox.c.body).where(outbox.c.recipient == kit_id, outbox.c.kind == kind).order_by(outbox.c.sequence)
        )
        return [unpack(kind, body) for body in rows.scalars()]


def due_days(store: HubStore, entry: Entry, now_ms: int) -> dict[str, int]:
    with store.reading() as connection:
        return {r.tier: (r.on - chronic.today(now_ms)).days for r in chronic.due_of(connection, [entry.id])}


# Registers


def test_a_patient_enters_and_leaves_and_every_change_stays(
    store: HubStore, village: Practitioner, entry: Entry, clock: HandClock
) -> None:
    with pytest.raises(InputError, match="chronic-known"):
        care.enter(store, entry.patient_id, village, disease="htn", org_id="east-1", ground="再次")
    clock.pass_minutes(DAY_MIN)
    care.leave(store, entry.id, village, reason="迁出本县")
    with store.reading() as connection:
        (known,) = chronic.of_patients(connection, [entry.patient_id])
        told = chronic.changes(connection, entry.id)
        assert chronic.due_of(connection, [entry.id]) == []
    assert known.ended_ms == clock.ms
    assert [(c.what, c.login) for c in told] == [("entered", "village-1"), ("left", "village-1")]
    assert (told[0].detail["ground"], told[1].detail["reason"]) == ("三次非同日血压升高", "迁出本县")
    with pytest.raises(InputError, match="chronic-unknown"):
        care.leave(store, entry.id, village, reason="再次退册")
    again = care.enter(store, entry.patient_id, village, disease="htn", org_id="east-1", ground="迁回")
    assert again.id != entry.id


def test_the_audit_names_the_entry_and_never_the_patient(store: HubStore, entry: Entry) -> None:
    with store.reading() as connection:
        rows = audit.found(connection, before=None, actor=None, action="chronic-entered", limit=9)
        assert audit.first_broken(connection) is None
    assert [r.subject for r in rows] == [f"chronic:{entry.id}"]
    assert "演示患者" not in json.dumps([r.detail for r in rows], ensure_ascii=False)


@pytest.mark.parametrize("ground", ["", " ", "一"])
def test_nobody_enters_without_a_ground(store: HubStore, village: Practitioner, patient: Patient, ground: str) -> None:
    with pytest.raises(InputError, match="reason-missing"):
        care.enter(store, patient.id, village, disease="htn", org_id="east-1", ground=ground)


def test_never_sideways_and_a_technician_not_at_all(store: HubStore, patient: Patient, entry: Entry) -> None:
    beside = person(store, "village-2", "village-doctor", "east-2")
    west = person(store, "town-2", "township-doctor", "west", "general-practice")
    tech = person(store, "tech", "technician", "county")
    lungs = person(store, "lungs", "specialist", "county", "respiratory")
    heart = person(store, "heart", "specialist", "county", "cardiology")
    stranger = person(store, "manager-2", "health-manager", "east")
    for by, code in (
        (beside, "denied-outside"), (west, "denied-outside"), (tech, "denied-role"), (lungs, "denied-unassigned"),
        (stranger, "denied-unassigned"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=code):
            care.leave(store, entry.id, by, reason="不应该")
    care.leave(store, entry.id, heart, reason="心内科管理高血压")  # of the department of this disease


def test_a_village_enters_into_no_other_village(store: HubStore, village: Practitioner, patient: Patient) -> None:
    with pytest.raises(InputError, match="denied-outside"):
        care.enter(store, patient.id, village, disease="dm", org_id="east-2", ground="空腹血糖两次升高")


# Follow-ups


def test_the_first_dates_of_all_three_levels(store: HubStore, entry: Entry, clock: HandClock) -> None:
    assert due_days(store, entry, clock.ms) == {"village": 14, "township": 90, "county": 365}
    with store.reading() as connection:
        until = chronic.today(clock.ms) + timedelta(days=400)
        rows = chronic.due(connection, ["east-1", "east", "county"], until, 9)
        assert [(r.tier, r.org_id) for r in rows] == [("village", "east-1"), ("township", "east"), ("county", "county")]
        assert chronic.due(connection, ["east-2", "west"], until, 9) == []


def test_two_unsatisfied_in_a_row_suggest_a_referral_and_tell_the_three(
    store: HubStore, village: Practitioner, town: Practitioner, manager: Practitioner, entry: Entry, clock: HandClock
) -> None:
    person(store, "heart", "specialist", "county", "cardiology")
    care.name_team(store, entry.id, village, {"specialist": "heart", "gp": "town-1", "manager": "manager-1"})
    first = care.follow_up(store, entry.id, village, "village", HIGH, Choice())
    assert (first.outcome, first.refer) == ("uncontrolled", False)
    assert due_days(store, entry, clock.ms)["village"] == 14
    clock.pass_minutes(14 * DAY_MIN)
    second = care.follow_up(store, entry.id, manager, "village", HIGH, Choice())
    assert (second.outcome, second.refer) == ("uncontrolled", True)
    assert due_days(store, entry, clock.ms)["village"] == 14
    with store.reading() as connection:
        for login in ("heart", "town-1", "manager-1"):
            kinds = [n.kind for n in care_notices.of_login(connection, login)]
            assert sorted(kinds) == ["refer", "team"]
        assert care_notices.of_login(connection, "village-1") == []
    clock.pass_minutes(14 * DAY_MIN)
    third = care.follow_up(store, entry.id, village, "village", GOOD, Choice())
    assert (third.outcome, third.refer, due_days(store, entry, clock.ms)["village"]) == ("controlled", False, 90)


def test_a_person_may_decide_otherwise_with_a_reason_and_both_stay(
    store: HubStore, village: Practitioner, entry: Entry, clock: HandClock
) -> None:
    sooner = (chronic.today(clock.ms) + timedelta(days=30)).isoformat()
    for choice, code in (
        (Choice(next_on=sooner), "follow-up-reason"),
        (Choice(outcome="uncontrolled"), "follow-up-reason"),
        (Choice(next_on="2026-11-22", because="今天"), "follow-up-date"),
        (Choice(next_on="2027-12-01", because="太久"), "follow-up-date"),
        (Choice(next_on="tomorrow", because="不是日期"), "follow-up-date"),
    ):
        with pytest.raises(InputError, match=code):
            care.follow_up(store, entry.id, village, "village", GOOD, choice)
    made = care.follow_up(store, entry.id, village, "village", GOOD, Choice("uncontrolled", sooner, "家中自测仍高"))
    assert (made.rule_outcome, made.outcome, made.changed_because) == ("controlled", "uncontrolled", "家中自测仍高")
    assert (made.rule_next_on, made.next_on) == (
        chronic.today(clock.ms) + timedelta(days=14),
        date.fromisoformat(sooner),
    )
    with store.reading() as connection:
        assert follow_ups.of_patients(connection, [entry.patient_id]) == [made]


def test_a_form_with_holes_is_not_kept_and_says_where(store: HubStore, village: Practitioner, entry: Entry) -> None:
    with pytest.raises(FormProblems) as raised:
        care.follow_up(store, entry.id, village, "village", GOOD | {"systolic": "1620", "adverse": ""}, Choice())
    assert [(p.field, p.code) for p in raised.value.found] == [("systolic", "range"), ("adverse", "missing")]


def test_each_level_fills_its_own_form(
    store: HubStore, village: Practitioner, town: Practitioner, entry: Entry
) -> None:
    screen = {"screened": "1,2", "screen": "1"}
    review = {"tests": "肾功能正常", "screen": "1", "next_plan": "继续"}
    with pytest.raises(InputError, match="chronic-tier"):
        care.follow_up(store, entry.id, village, "township", screen, Choice())
    with pytest.raises(InputError, match="chronic-tier"):
        care.follow_up(store, entry.id, town, "county", review, Choice())
    assert care.follow_up(store, entry.id, town, "township", screen, Choice()).outcome == "controlled"
    assert due_days(store, entry, store.clock.now_ms())["township"] == 90


def test_a_follow_up_of_a_kit_counts_once_and_another_content_is_refused(
    store: HubStore, kit: KitVoice, patient: Patient, entry: Entry, clock: HandClock
) -> None:
    day = local_time(clock.ms).date()
    made = FollowUp(
        uuid7(clock.ms), patient.id, "htn", "village", "htn", 1, clock.ms, GOOD, "controlled", day + timedelta(days=90),
        kit_id="kit-001",
    )  # fmt: skip
    assert kit.send(made).refused == ""
    assert kit.send(made).refused == ""  # another envelope of the same
    assert due_days(store, entry, clock.ms)["village"] == 90
    assert kit.send(replace(made, outcome="adverse")).refused == "other-body"
    assert kit.send(replace(made, id=uuid7(clock.ms), kit_id="kit-009")).refused == "hub-kit-differs"
    with store.reading() as connection:
        (kept,) = follow_ups.kept_of(connection, [patient.id])
    assert (kept.follow_up, kept.org_id) == (made, "east-1")


def test_a_kit_whose_clock_is_ahead_puts_nobody_off(
    store: HubStore, kit: KitVoice, patient: Patient, entry: Entry, clock: HandClock
) -> None:
    """A tablet three years ahead: the follow-up counts as of its receipt. One in 1970 counts for nothing."""
    for days in (3 * 365, -30 * 365):
        at_ms = clock.ms + days * 86_400_000
        day = local_time(at_ms).date()
        kit.send(
            FollowUp(
                uuid7(clock.ms), patient.id, "htn", "village", "htn", 1, at_ms, GOOD, "controlled",
                day + timedelta(days=90), kit_id="kit-001",
            )
        )  # fmt: skip
        assert due_days(store, entry, clock.ms)["village"] == 90


# What the kits are told


def test_a_kit_is_told_its_patients_register_under_its_own_name_and_only_of_news(
    store: HubStore, village: Practitioner, patient: Patient, entry: Entry, clock: HandClock
) -> None:
    (brief,) = posted(store)
    assert isinstance(brief, CareBrief)
    assert (brief.patient_id, [r.disease for r in brief.registers]) == (patient.id, ["htn"])
    assert brief.registers[0].unit == "east-1卫生机构"
    assert tell_kits(store) == 0
    clock.pass_minutes(5)
    care.follow_up(store, entry.id, village, "village", HIGH, Choice())
    assert [p.outcome for p in posted(store)[-1].registers[0].past] == ["uncontrolled"]  # type: ignore[union-attr]
    care.leave(store, entry.id, village, reason="迁出本县")
    assert posted(store)[-1].registers == ()  # type: ignore[union-attr]


def test_a_kit_that_has_not_said_that_it_takes_such_messages_gets_none(
    store: HubStore, clock: HandClock, village: Practitioner
) -> None:
    old = KitVoice(store, clock)
    patient = old.patient()
    visit(old, patient)
    care.enter(store, patient.id, village, disease="htn", org_id="east-1", ground="三次血压升高")
    sweep(store)
    assert posted(store) == []
    old.send(status(old))  # it was updated
    sweep(store)
    assert len(posted(store)) == 1
    sweep(store)
    old.send(status(old))
    sweep(store)
    assert len(posted(store)) == 1


def test_results_taken_elsewhere_come_with_origin_quality_and_age(
    store: HubStore, kit: KitVoice, patient: Patient, clock: HandClock
) -> None:
    """The other village knows the same person under another id; each kit hears of what the other took."""
    other = KitVoice(store, clock, "kit-002")
    same = other.patient()
    assert same.id != patient.id
    other.send(status(other), same)
    clock.pass_minutes(3 * DAY_MIN)
    encounter = kit.encounter(patient)
    ecg, recording = kit.ecg(encounter)
    kit.send(encounter, ecg, recording)
    tell_kits(store)
    brief = posted(store, "kit-002")[-1]
    assert isinstance(brief, CareBrief)
    assert brief.patient_id == same.id
    by_code = {r.code: r for r in brief.recent}
    assert by_code["ecg"].origin == "east-1卫生机构"
    assert (by_code["ecg"].quality, by_code["ecg"].reviewed, by_code["ecg"].device.maker) == ("good", False, "示例厂")
    assert by_code["ecg"].observation_id == ecg.id
    assert recognise(by_code["ecg"], clock.ms, {"chest_pain": "no"}).verdict == "stands"
    assert recognise(by_code["bp"], clock.ms, {"chest_pain": "no"}).verdict == "compare"
    assert posted(store, "kit-001") == []  # it knows its own


def test_a_result_with_a_wrong_clock_says_so(
    store: HubStore, kit: KitVoice, patient: Patient, clock: HandClock
) -> None:
    other = KitVoice(store, clock, "kit-002")
    other.send(status(other), other.patient())
    encounter = kit.encounter(patient)
    ecg, _ = kit.ecg(encounter)
    envelope = replace(kit.envelope(ecg), clock_ahead_ms=300_000)
    kit.send(encounter)
    store.accept([envelope], clock.ms)
    tell_kits(store)
    (result,) = [r for r in posted(store, "kit-002")[-1].recent if r.code == "ecg"]  # type: ignore[union-attr]
    assert recognise(result, clock.ms, {"chest_pain": "no"}).reasons == ("clock",)


# The three, and plans home


def test_the_three_hear_of_an_urgent_case_once_and_who_left_does_not(
    store: HubStore, kit: KitVoice, village: Practitioner, town: Practitioner, manager: Practitioner,
    patient: Patient, entry: Entry, clock: HandClock, worklist: Worklist,
) -> None:  # fmt: skip
    from zhenbao.hub.store import people

    care.name_team(store, entry.id, village, {"gp": "town-1", "manager": "manager-1"})
    with store.writing() as connection:
        people.disable(connection, "manager-1", clock.ms)
    visit(kit, patient, Finding("BP09", Urgency.RED))
    assert tell_of_urgent_cases(store) == 1
    assert tell_of_urgent_cases(store) == 0
    with store.writing() as connection:
        notice = next(n for n in care_notices.of_login(connection, "town-1") if n.kind == "urgent-case")
        assert notice.key == f"case:{worklist.rows()[0].item.id}"
        assert care_notices.unread(connection, "town-1") == 2
        care_notices.read(connection, "town-1", patient.id, clock.ms)
        assert care_notices.unread(connection, "town-1") == 0


def test_only_who_may_be_one_of_the_three_is_named(store: HubStore, village: Practitioner, entry: Entry) -> None:
    for team in ({"specialist": "village-1"}, {"gp": "nobody"}):
        with pytest.raises(InputError, match="chronic-team"):
            care.name_team(store, entry.id, village, team)  # type: ignore[arg-type]


def test_a_plan_goes_home_with_its_dates_and_the_village_visits_within_two_weeks(
    store: HubStore, patient: Patient, entry: Entry, clock: HandClock
) -> None:
    heart = person(store, "heart", "specialist", "county", "cardiology")
    day = chronic.today(clock.ms)
    words = {
        "diagnosis": "高血压3级",
        "next_plan": "每日测血压",
        "nursing_plan": "每周一次入户护理",
        "medication": "氨氯地平",
    }
    nursing = (day + timedelta(days=7)).isoformat()
    with pytest.raises(InputError, match="plan-missing"):
        care.send_plan(store, patient.id, heart, words | {"nursing_plan": " "}, [])
    made = care.send_plan(store, patient.id, heart, words, [("nursing", nursing)])
    (sent,) = posted(store, kind="discharge-plan")
    assert sent == made
    assert isinstance(sent, DischargePlan)
    assert [(d.kind, (d.on - day).days) for d in sent.dates] == [("nursing", 7), ("village-visit", 14)]
    with store.reading() as connection:
        county = organisations.find(connection, "county")
    assert county is not None
    assert sent.unit == county.name
    sweep(store)
    assert len(posted(store, kind="discharge-plan")) == 1


def test_a_referral_that_comes_back_is_a_plan_at_home_once(
    store: HubStore, patient: Patient, village: Practitioner, worklist: Worklist, kit: KitVoice
) -> None:
    heart = person(store, "heart", "specialist", "county", "cardiology")
    visit(kit, patient, Finding("BP09", Urgency.ORANGE))
    case_id = worklist.rows()[0].item.id
    up = UpForm("心内科", "血压升高", "血压不能控制", consent=True, physician="村医", physician_phone="0994-0000101")
    made = referral.write(store, case_id, village, to_org="county", form=up)
    for state in ("accepted", "arrived"):
        referral.move(store, made.id, heart, state)
    assert send_plans(store) == 0
    down = DownForm(
        "高血压3级", "继续口服药", "每周护理一次", review_schedule="一月后复查", physician="演示heart",
        physician_phone="0994-0000011",
    )  # fmt: skip
    referral.move(store, made.id, heart, "returned", down=down)
    assert (send_plans(store), send_plans(store)) == (1, 0)
    (plan,) = posted(store, kind="discharge-plan")
    assert isinstance(plan, DischargePlan)
    assert (plan.next_plan, plan.nursing_plan) == ("继续口服药\n一月后复查", "每周护理一次")
    assert [d.kind for d in plan.dates] == ["village-visit"]  # no date is made of words


# The database


def test_no_change_is_ever_altered(store: HubStore) -> None:
    assert [c.name for c in chronic_changes.primary_key] == ["entry_id", "number"]


@pytest.mark.parametrize(
    ("table", "query"),
    [
        ("chronic_due", "select 1 from chronic_due where org_id in ('a','b') and due_on <= '2026-11-22'"),
        ("chronic_entries", "select 1 from chronic_entries where org_id in ('a') and ended_ms is null"),
        ("chronic_entries", "select 1 from chronic_entries where patient_id in ('a')"),
        ("follow_ups", "select 1 from follow_ups where patient_id in ('a') and disease = 'htn' order by at_ms desc"),
        ("follow_ups", "select 1 from follow_ups where received_ms >= 1"),
        ("care_notices", "select 1 from care_notices where login = 'a' and read_ms is null"),
        ("discharge_plans", "select 1 from discharge_plans where patient_id in ('a')"),
        ("discharge_plans", "select 1 from discharge_plans where referral_id = 'a'"),
        ("inbox", "select max(received_ms) from inbox where sender = 'a'"),
        ("observations", "select 1 from observations where received_ms >= 1"),
        ("observations", "select max(received_ms) from observations"),
        ("patient_versions", "select 1 from patient_versions where received_ms >= 1"),
        ("patient_versions", "select 1 from patient_versions where kit_id = 'a'"),
        ("reports", "select 1 from reports where signed_ms >= 1"),
        ("referrals", "select 1 from referrals where state in ('returned')"),
        ("fleet_tasks", "select 1 from fleet_tasks where ended_ms is null"),
    ],
)
def test_every_query_goes_through_an_index(store: HubStore, table: str, query: str) -> None:
    with store.reading() as connection:
        plan = " ".join(row[3] for row in connection.exec_driver_sql(f"explain query plan {query}"))
    assert f"SEARCH {table} USING" in plan, plan


def test_what_is_due_is_the_same_whatever_name_the_person_has(
    store: HubStore, kit: KitVoice, village: Practitioner, patient: Patient, entry: Entry, clock: HandClock
) -> None:
    """A follow-up under the other id of the same person counts for the one register."""
    other = KitVoice(store, clock, "kit-002")
    same = other.patient()
    other.send(same)
    day = local_time(clock.ms).date()
    other.send(
        FollowUp(
            uuid7(clock.ms), same.id, "htn", "village", "htn", 1, clock.ms, GOOD, "controlled",
            day + timedelta(days=80), kit_id="kit-002",
        )
    )  # fmt: skip
    assert due_days(store, entry, clock.ms)["village"] == 80
    with store.reading() as connection:
        persons: list[UUID] = identities.same_person(connection, patient.id)
        assert set(persons) == {patient.id, same.id}
        assert briefs.recent(connection, persons, clock.ms) != ()

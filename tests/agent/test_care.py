"""Chronic care on the kit without a network: due lists, follow-ups, recent results, plans, and the kit's own status."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from store_key import KEY

from zhenbao import __version__
from zhenbao.agent import care, chronic_cli
from zhenbao.agent.battery import Battery, battery
from zhenbao.agent.kit import Kit
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.status import status
from zhenbao.agent.store import KitStore
from zhenbao.agent.visit import begin_encounter, open_visit, register_patient
from zhenbao.model.chronic import CareBrief, DischargePlan, Member, Past, PlanDate, RecentResult, Register
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.fleet import KitStatus
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.report import Receipt
from zhenbao.rules.followup import Choice
from zhenbao.sync.envelope import Body, Envelope, Lane, kind_of, pack, unpack
from zhenbao.words import Words

DAY_MS = 86_400_000
GOOD = {"way": "2", "htn_symptoms": "1", "adherence": "1", "adverse": "1", "complication": "1"}


@dataclass
class HandClock:
    """22 November 2026, 10:00 in Beijing, until a test says otherwise."""

    ms: int = int(datetime(2026, 11, 22, 2, tzinfo=UTC).timestamp() * 1000)

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def kit(tmp_path: Path, clock: HandClock) -> Iterator[Kit]:
    with KitStore.open(tmp_path, kit_id="kit-1", clock=clock, key=KEY) as store:
        screen = Screen(Words("zh_CN"), out=io.StringIO())
        yield Kit(tmp_path, KitSettings("kit-1", "东一村卫生室"), store, clock, screen)


@pytest.fixture
def patient(kit: Kit) -> Patient:
    return register_patient(kit.store, kit.clock, name="演示患者甲", number="999999195602290019")[0]


class HubVoice:
    """What the hub says, as it would come off the wire."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.sequence = kit, 0

    def send(self, value: Body, subject: Any) -> Receipt:
        self.sequence += 1
        now_ms = self.kit.clock.now_ms()
        envelope = Envelope(
            uuid7(now_ms),
            "hub",
            "kit-1",
            "b",
            self.sequence,
            kind_of(value),
            Lane.REPORTS,
            subject,
            now_ms,
            pack(value),
        )
        return self.kit.store.accept([envelope], now_ms)[0]


@pytest.fixture
def hub(kit: Kit) -> HubVoice:
    return HubVoice(kit)


def register(kit: Kit, *past: Past, days_ago: int = 200) -> Register:
    team = (Member("gp", "演示医师乙", "0994-0000051"),)
    return Register(uuid7(1), "htn", care.today(kit) - timedelta(days=days_ago), "东一村卫生室", past, team)


def told(
    kit: Kit, hub: HubVoice, patient: Patient, *registers: Register, recent: tuple[RecentResult, ...] = ()
) -> None:
    assert hub.send(CareBrief(patient.id, kit.clock.now_ms(), registers, recent), patient.id).refused == ""


def seen(kit: Kit, **days: int) -> list[tuple[str, int]]:
    return [(line.due.tier, (line.due.on - care.today(kit)).days) for line in care.due_lines(kit)]


def said(kit: Kit) -> str:
    out = kit.screen._out
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def bp(kit: Kit, patient: Patient, systolic: float = 136, diastolic: float = 84, **more: object) -> Observation:
    encounter = begin_encounter(kit.store, kit.clock, "kit-1", patient, reason="", chest_pain="no")
    now_ms = kit.clock.now_ms()
    values = {"bp_systolic": Quantity(systolic, "mm[Hg]"), "bp_diastolic": Quantity(diastolic, "mm[Hg]")}
    plain = Observation(
        uuid7(now_ms), patient.id, encounter.id, "kit-1", "bp", "preliminary", now_ms,
        Device("bp-gatt", "示例厂", "B1"),
        values,
    )  # fmt: skip
    made = replace(plain, **more)
    kit.store.save_observation(made)
    return made


def test_what_is_due_counts_by_the_day_without_a_network(
    kit: Kit, hub: HubVoice, patient: Patient, clock: HandClock
) -> None:
    day = care.today(kit)
    last = Past(day - timedelta(days=80), "village", "controlled", day + timedelta(days=10))
    told(kit, hub, patient, register(kit, last))
    assert seen(kit) == [("township", -110), ("village", 10), ("county", 165)]
    chronic_cli._show_due(kit, everything=False)
    assert "逾期110天" in said(kit)
    assert "村级随访" not in said(kit)
    clock.ms += 11 * DAY_MS  # nothing came meanwhile
    chronic_cli._show_due(kit, everything=False)
    assert "逾期1天" in said(kit)
    assert "演示医师乙 0994-0000051" in said(kit)
    assert "名单由枢纽于 2026-11-22 10:00 告知" in said(kit)


def test_without_a_list_it_says_so_and_does_not_say_nothing_is_due(kit: Kit) -> None:
    chronic_cli._show_due(kit, everything=False)
    assert "枢纽还没有下发慢病名单" in said(kit)


def test_the_newest_brief_counts_whatever_comes_later(kit: Kit, hub: HubVoice, patient: Patient) -> None:
    told(kit, hub, patient, register(kit))
    hub.send(CareBrief(patient.id, kit.clock.now_ms() - 5), patient.id)  # overtaken on its way
    assert len(seen(kit)) == 3
    hub.send(CareBrief(patient.id, kit.clock.now_ms() + 5), patient.id)  # the patient has left the register
    assert seen(kit) == []


def test_a_follow_up_takes_todays_reading_and_changes_the_list_at_once(
    kit: Kit, hub: HubVoice, patient: Patient, clock: HandClock
) -> None:
    told(kit, hub, patient, register(kit))
    bp(kit, patient, 171, 95)
    clock.ms += 2 * DAY_MS
    bp(kit, patient, 138, 88)
    filled = care.fill(kit, patient, "htn", GOOD)
    assert (filled.answers["systolic"], filled.from_visit) == ("138", {"systolic", "diastolic"})  # today's, not 171
    assert filled.judged is not None
    made = care.follow_up(kit, patient, "htn", filled, filled.judged, Choice())
    kit.store.save_follow_up(made)
    assert (made.outcome, (made.next_on - care.today(kit)).days, made.kit_id) == ("controlled", 90, "kit-1")
    assert ("village", 90) in seen(kit)
    waiting = [w for w in kit.store.due(clock.ms, 99) if w.kind == "follow-up"]
    assert [w.lane for w in waiting] == [Lane.RESULTS]
    envelope = kit.store.load(waiting[0].id)
    assert envelope is not None
    assert unpack("follow-up", envelope.body) == made


def test_the_second_unsatisfied_in_a_row_is_seen_before_any_sync(
    kit: Kit, hub: HubVoice, patient: Patient, clock: HandClock
) -> None:
    told(kit, hub, patient, register(kit))
    refers = []
    for _ in range(2):
        high = care.fill(kit, patient, "htn", GOOD | {"systolic": "165", "diastolic": "90"})
        assert high.judged is not None
        made = care.follow_up(kit, patient, "htn", high, high.judged, Choice())
        kit.store.save_follow_up(made)
        refers.append(made.refer)
        clock.ms += 14 * DAY_MS
    assert refers == [False, True]


def test_a_typed_value_goes_before_the_measured_one(kit: Kit, patient: Patient) -> None:
    bp(kit, patient)
    filled = care.fill(kit, patient, "htn", GOOD | {"systolic": "150"})
    assert (filled.answers["systolic"], "systolic" in filled.from_visit) == ("150", False)


def test_a_form_with_holes_has_no_outcome(kit: Kit, patient: Patient) -> None:
    filled = care.fill(kit, patient, "htn", {"way": "9"})
    assert filled.judged is None
    assert {p.field for p in filled.problems} >= {"way", "systolic", "adverse"}
    with pytest.raises(InputError, match="form-pair"):
        chronic_cli._pairs(["systolic"])


def result(kit: Kit, code: str = "spirometry", days: float = 3, **more: object) -> RecentResult:
    plain = RecentResult(
        uuid7(1), code, kit.clock.now_ms() - round(days * DAY_MS), "东乡卫生院", Device("spirometer", "示例厂", "S1"),
        {"fev1": Quantity(2.31, "L")}, Urgency.GREEN, "B",
    )  # fmt: skip
    return replace(plain, **more)


def test_before_a_test_is_repeated_the_earlier_one_is_told_with_quality_and_age(
    kit: Kit, hub: HubVoice, patient: Patient
) -> None:
    told(kit, hub, patient, recent=(result(kit), result(kit, "ecg", quality="good")))
    begin_encounter(kit.store, kit.clock, "kit-1", patient, reason="胸痛", chest_pain="yes")
    visit = open_visit(kit.store)
    chronic_cli.say_before(kit, visit, "spirometry")
    for needed in ("东乡卫生院", "3 天前", "质量等级 B", "没有专科医师报告", "示例厂 S1", "可互认，还有 27 天"):
        assert needed in said(kit), needed
    assert "心电图" not in said(kit)
    chronic_cli.say_before(kit, visit, "ecg")
    assert "必须重新做" in said(kit)


def test_a_reading_of_the_same_visit_is_no_earlier_one(kit: Kit, patient: Patient, clock: HandClock) -> None:
    bp(kit, patient)
    visit = open_visit(kit.store)
    assert care.recent(kit, patient, {}, besides=visit.encounter.id) == []
    clock.ms += DAY_MS
    bp(kit, patient)
    chronic_cli.say_before(kit, open_visit(kit.store), "bp")
    assert "136 mmHg" in said(kit)
    (found,) = care.recent(kit, patient, {}, besides=open_visit(kit.store).encounter.id)
    assert (found[0].origin, found[1].verdict, found[1].age_days) == ("东一村卫生室", "compare", 1)


def plan(kit: Kit, patient: Patient, *days: int) -> DischargePlan:
    day = care.today(kit)
    dates = (PlanDate("village-visit", day + timedelta(days=14)), PlanDate("nursing", day + timedelta(days=7)))
    return DischargePlan(
        uuid7(1), patient.id, kit.clock.now_ms(), "县医院", "演示医师甲", "0994-0000011", "脑梗死恢复期", "康复训练",
        "每周护理一次", "阿司匹林", "再次肢体无力即呼120", dates,
    )  # fmt: skip


def test_a_discharge_plan_arrives_is_shown_and_marked_as_read(
    kit: Kit, hub: HubVoice, patient: Patient, clock: HandClock
) -> None:
    made = plan(kit, patient)
    assert hub.send(made, made.id).refused == ""
    chronic_cli._show_due(kit, everything=False)
    for needed in ("【新】演示患者甲有一份出院计划（县医院）", "村医首次随访", "护理"):
        assert needed in said(kit)
    chronic_cli._show_plans(kit, patient.id)
    for needed in ("每周护理一次", "再次肢体无力即呼120", "护理：2026-11-29", "0994-0000011"):
        assert needed in said(kit)
    assert kit.store.plans()[0].read_ms == clock.ms
    clock.ms += 1000
    begin_encounter(kit.store, kit.clock, "kit-1", patient, reason="出院后首访", chest_pain="no")
    assert [line.kind for line in care.plan_lines(kit)] == ["nursing"]  # the first visit was made
    clock.ms += 8 * DAY_MS
    chronic_cli._show_plan_days(kit, care.today(kit))
    assert "日期已过，是否完成请核实" in said(kit)  # nobody has said so: it is not called done, nor missed


def test_an_unknown_kind_of_the_hub_is_refused_alone(kit: Kit, hub: HubVoice, patient: Patient) -> None:
    """What a later hub sends harms nothing here; this version's own kinds are still taken."""
    now_ms = kit.clock.now_ms()
    later = Envelope(uuid7(now_ms), "hub", "kit-1", "b", 9, "kind-99", Lane.REPORTS, uuid7(now_ms), now_ms, b"\xa0")
    assert kit.store.accept([later], now_ms)[0].refused == "envelope-kind"
    told(kit, hub, patient, register(kit))


# The kit's own account


def make(kit: Kit) -> KitStatus:
    return status(kit.home, kit.settings, kit.store, kit.clock.now_ms())


def waiting(kit: Kit) -> int:
    return sum(w.kind == "kit-status" for w in kit.store.due(kit.clock.now_ms(), 99))


def receipt(kit: Kit, refused: str = "") -> None:
    for each in [w for w in kit.store.due(kit.clock.now_ms(), 99) if w.kind == "kit-status"]:
        kit.store.receipted([Receipt(each.id, each.body_sha256, "hub-1", kit.clock.now_ms(), refused=refused)])


def test_the_status_goes_once_an_hour_and_never_a_second_while_one_waits(kit: Kit, clock: HandClock) -> None:
    assert kit.store.post_status(lambda: make(kit))
    clock.ms += 5 * 3_600_000  # no road all the while
    assert not kit.store.post_status(lambda: make(kit))
    assert waiting(kit) == 1
    receipt(kit)
    assert kit.store.post_status(lambda: make(kit))
    receipt(kit)
    clock.ms += 3_599_999
    assert not kit.store.post_status(lambda: make(kit))
    clock.ms += 1
    assert kit.store.post_status(lambda: make(kit))
    account = kit.store.account()
    assert (account.posted, account.delivered) == (3, 2)


def test_a_clock_that_jumped_back_does_not_silence_the_kit(kit: Kit, clock: HandClock) -> None:
    clock.ms += 3 * 365 * DAY_MS
    assert kit.store.post_status(lambda: make(kit))
    receipt(kit)
    clock.ms -= 3 * 365 * DAY_MS
    assert kit.store.post_status(lambda: make(kit))


def test_an_older_hub_is_asked_once_a_day(kit: Kit, clock: HandClock) -> None:
    assert kit.store.post_status(lambda: make(kit))
    receipt(kit, refused="envelope-kind")
    clock.ms += 23 * 3_600_000
    assert not kit.store.post_status(lambda: make(kit))
    clock.ms += 3_600_001
    assert kit.store.post_status(lambda: make(kit))


def test_the_status_tells_the_kit_and_no_patient(kit: Kit, patient: Patient) -> None:
    bp(kit, patient)
    made = make(kit)
    assert (made.version, made.waiting, made.refused) == (__version__, {"results": 3}, 0)
    assert made.oldest_ms == kit.clock.now_ms()
    assert set(made.takes) == {"care-brief", "discharge-plan"}
    text = json.dumps(pack(made).hex())
    for secret in (patient.name.encode().hex(), b"999999195602290019".hex(), patient.id.bytes.hex()):
        assert secret not in text


@pytest.mark.parametrize(
    ("supplies", "found"),
    [
        ({}, Battery()),
        ({"BAT0": {"type": "Battery", "capacity": "57", "status": "Discharging"}}, Battery(57, False)),
        ({"BAT0": {"type": "Battery", "capacity": "57", "status": "Charging"}}, Battery(57, True)),
        (
            {
                "BAT0": {"type": "Battery", "capacity": "57", "status": "Unknown"},
                "AC": {"type": "Mains", "online": "1"},
            },
            Battery(57, True),
        ),
        ({"BAT0": {"type": "Battery", "capacity": "90"}, "BAT1": {"type": "Battery", "capacity": "20"}}, Battery(20)),
        ({"hid-1": {"type": "Battery", "scope": "Device", "capacity": "3", "status": "Discharging"}}, Battery()),
        ({"BAT0": {"type": "Battery", "capacity": "250"}}, Battery()),
    ],
)
def test_the_battery_as_the_kernel_tells_it(
    tmp_path: Path, supplies: dict[str, dict[str, str]], found: Battery
) -> None:
    for name, values in supplies.items():
        (tmp_path / name).mkdir()
        for key, value in values.items():
            (tmp_path / name / key).write_text(f"{value}\n", encoding="ascii")
    assert battery(tmp_path) == found

"""A county hub with one of everything, made through the same functions that people and kits use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID, uuid4

import pictures

from tests.hub.conftest import PASSWORD, ROSTER, HandClock, KitVoice
from tests.hub.test_case_browser import lifelike
from tests.hub.test_spirometry_page import low_fev1
from zhenbao import __version__
from zhenbao.hub import (
    care_watch,
    chronic,
    consent,
    consult,
    fleet,
    handover,
    holding,
    loop,
    privacy,
    referral,
    sharing,
    thread,
)
from zhenbao.hub.chest_pain import deeds
from zhenbao.hub.consult import Request
from zhenbao.hub.permission import CLINICAL, Role
from zhenbao.hub.reports import Reports
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore, organisations, people, rule_versions
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.watch import sweep
from zhenbao.hub.worklist import Worklist
from zhenbao.model.attachment import Attachment, MediaType, Named
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.fleet import KitStatus, SensorState
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import DownForm, UpForm
from zhenbao.model.time import local_time
from zhenbao.rules.followup import Choice

if TYPE_CHECKING:
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.model.patient import Encounter, Patient

RED = Finding("EC19", Urgency.RED, source="演示清单")
NUMBERS = ("99999919480101002X", "999999195602290019", "999999196001010020")
"""Of nobody: an area that was never given out."""
UP = UpForm(
    "心内科", "疑似急性心肌梗死", "胸痛两小时，含服硝酸甘油未缓解", transport="120", consent=True,
    physician="演示乡镇医师", physician_phone="0994-0000051",
)  # fmt: skip
DOWN = DownForm(
    "急性下壁心肌梗死", "双抗治疗一年", "低盐饮食，每周测血压", physician="演示医师甲", physician_phone="0994-0000011"
)
FOLLOW_UP = {
    "way": "1", "htn_symptoms": "1", "systolic": "152", "diastolic": "92", "adherence": "1", "adverse": "1",
    "complication": "1",
}  # fmt: skip
NAMES: dict[Role, tuple[str, str, str]] = {
    "village-doctor": ("village", "演示村医", "east-1"),
    "township-doctor": ("town", "演示乡镇医师", "east"),
    "operator": ("desk", "演示调度员", "county"),
    "specialist": ("heart", "演示医师甲", "county"),
    "provincial-expert": ("expert", "演示专家", "county"),
    "health-manager": ("manager", "演示健康管理师", "east"),
    "quality": ("quality", "演示质控", "county"),
    "director": ("director", "演示管理者", "county"),
    "technician": ("tech", "演示技术员", "county"),
    "admin": ("admin", "演示管理员", "county"),
    "auditor": ("auditor", "演示审计员", "county"),
    "privacy-officer": ("officer", "演示负责人", "county"),
}
LOGINS: dict[Role, str] = {role: NAMES[role][0] for role in get_args(Role)}


@dataclass(frozen=True, slots=True)
class Full:
    """What is in the hub, by the names that its addresses use."""

    ids: dict[str, str]
    """By the name of a route's parameter."""
    urgent_case: str
    """The critical case that nobody has reported on."""


@dataclass(slots=True)
class _Filling:
    store: HubStore
    kit: KitVoice
    people: dict[str, Practitioner]

    def visit(self, patient: Patient, *readings: tuple[str, Finding], chest_pain: str = "no") -> UUID:
        """A visit with plain readings; its case."""
        made = self.kit.encounter(patient, chest_pain=chest_pain)
        self.kit.send(patient, made, *(self.kit.observation(made, found, code=code) for code, found in readings))
        return self.case_of(made)

    def case_of(self, encounter: Encounter) -> UUID:
        (found,) = [r.item.id for r in Worklist(self.store).rows() if r.item.encounter_id == encounter.id]
        return found

    def later(self, minutes: float) -> None:
        self.kit.clock.pass_minutes(minutes)


def fill(store: HubStore, clock: HandClock) -> Full:
    """Fill an empty hub. Half an hour passes."""
    _organisations(store, clock)
    filling = _Filling(store, KitVoice(store, clock), _people(store))
    ids: dict[str, Any] = {}
    urgent = _urgent(filling, ids)
    _reported(filling, ids)
    _referred(filling, ids)
    _chronic(filling, ids)
    _law(filling, ids, urgent)
    _fleet(filling, ids)
    _handed_over(filling, ids)
    filling.later(20)
    sweep(store)
    fleet.sweep(store)
    care_watch.sweep(store)
    return Full({name: str(value) for name, value in ids.items()}, str(urgent))


def filled(directory: Path, *, now_ms: int) -> Full:
    """A hub's folder, filled so that it is ``now_ms`` when everything has happened."""
    directory.mkdir(mode=0o700, parents=True)
    clock = HandClock(now_ms - 45 * 60_000)
    store = HubStore(f"sqlite:///{directory / 'hub.db'}", clock, ROSTER)
    try:
        return fill(store, clock)
    finally:
        store.close()


def _organisations(store: HubStore, clock: HandClock) -> None:
    with store.writing() as connection:
        for unit in (
            Organisation("east", "东乡卫生院", "township", "county", phone="0994-0000050"),
            Organisation("east-1", "东一村卫生室", "village", "east"),
            Organisation("west", "西乡卫生院", "township", "county", phone="0994-0000060"),
            Organisation("province", "演示省级医院", "province"),
        ):
            organisations.add(connection, unit)
        organisations.place_kit(connection, "kit-001", "east-1", clock.now_ms())
        made = rule_versions.add(connection, 'profile = "zhejiang"\n', "演示主任", "按本省清单", "admin", clock.ms)
        rule_versions.activate(connection, made.number, "演示主任", "按本省清单", "admin", clock.ms)


def _people(store: HubStore) -> dict[str, Practitioner]:
    specialty: dict[Role, str] = {"specialist": "cardiology", "township-doctor": "general-practice"}
    assert set(specialty) == set(CLINICAL)
    made = {
        login: add_practitioner(
            store, login, name=name, role=role, specialty=specialty.get(role), phone="0994-0000051",
            password=PASSWORD, org_id=org,
        )
        for role, (login, name, org) in NAMES.items()
    }  # fmt: skip
    for login, name, role, department, org in (
        ("heart-2", "演示医师乙", "specialist", "cardiology", "county"),
        ("lungs", "演示医师丙", "specialist", "respiratory", "county"),
        ("rescue", "演示医师丁", "specialist", "emergency", "county"),
        ("west", "演示西乡医师", "township-doctor", "general-practice", "west"),
    ):
        made[login] = add_practitioner(
            store, login, name=name, role=role, specialty=department, phone="", password=PASSWORD, org_id=org  # type: ignore[arg-type]
        )  # fmt: skip
    return made


def _urgent(f: _Filling, ids: dict[str, Any]) -> UUID:
    """Chest pain with every kind of reading, files, a thread, a channel and an expert who is asked."""
    patient = f.kit.patient(phone="13800000000")
    for days_ago in (30, 0):
        made = f.kit.encounter(patient, chest_pain="yes", reason="压榨样胸痛四十分钟")
        at_ms = f.kit.clock.now_ms() - days_ago * 86_400_000
        ecg, recording = f.kit.ecg(made, *((RED,) if not days_ago else ()), at_ms=at_ms)
        pressure = f.kit.observation(made, at_ms=at_ms)
        f.kit.send(patient, made, ecg, replace(recording, samples=lifelike()), pressure)
        if days_ago:
            ids["earlier_observation"] = ecg.id
    breath = f.kit.observation(
        made, Finding("SP07", Urgency.BLUE, source="演示"), code="spirometry", values={}, spirometry=low_fev1()
    )
    picture = pictures.jpeg_bytes()
    scan = f.kit.observation(made, Finding("US01", Urgency.BLUE, source="演示"), code="ultrasound", values={})
    now_ms = f.kit.clock.now_ms()
    file = Attachment(
        uuid4(), made.id, patient.id, scan.id, MediaType.JPEG, "胆囊 长轴", now_ms, hashlib.sha256(picture).digest(),
        picture, Named.NOBODY, 1,
    )  # fmt: skip
    f.kit.send(breath, replace(scan, attachments=(file.id,)), file)
    case_id = f.case_of(made)
    heart, desk, expert = f.people["heart"], f.people["desk"], f.people["expert"]
    Worklist(f.store).open_case(case_id, heart)
    Reports(f.store).save_draft(case_id, heart, conclusion="窦性心动过缓", advice="平卧，呼120")
    thread.write(f.store, case_id, heart, kind="advice", text="平卧，吸氧，呼120")
    post = thread.write(f.store, case_id, heart, kind="ecg", observation_id=ecg.id)
    deeds.set_channel(f.store, case_id, heart, state="open", hospital="县医院胸痛中心")
    loop.note(f.store, case_id, desk, step="notified", person="演示村医", channel="phone", text="")
    asked = Request(expert.login, "是否需要急诊造影？请指教", "女,78岁,胸痛四十分钟", (ecg.id,), 24)
    ids |= {"case_id": case_id, "recording_id": recording.id, "observation_id": ecg.id, "file_id": file.id}
    ids |= {"number": post.number, "consult_id": consult.ask(f.store, case_id, heart, asked).id}
    return case_id


def _reported(f: _Filling, ids: dict[str, Any]) -> None:
    patient = f.kit.patient("样例患者乙", NUMBERS[1])
    f.later(1)
    case_id = f.visit(patient, ("ecg", RED))
    Worklist(f.store).open_case(case_id, f.people["heart"])
    f.later(4)
    made = Reports(f.store).sign(case_id, f.people["heart"], conclusion="三度房室阻滞", advice="呼120，转县医院")
    ids |= {"report_id": made.id, "reported_case": case_id}
    with f.store.reading() as connection:
        row = connection.exec_driver_sql("select id from second_readings").scalar_one()
    ids |= {"reading_id": UUID(str(row)) if not isinstance(row, bytes) else UUID(bytes=row)}
    ids |= {"drawn_id": ids["reading_id"]}  # the quality check scores what was drawn for a second reading


def _referred(f: _Filling, ids: dict[str, Any]) -> None:
    town, heart = f.people["town"], f.people["heart"]
    patient = f.kit.patient("测试患者丙", NUMBERS[2])
    case_id = f.visit(patient, ("bp", Finding("BP09", Urgency.ORANGE)), ("ecg", Finding("EC16", Urgency.RED)))
    back = referral.write(f.store, case_id, town, to_org="county", form=UP, urgency="RED")
    for state in ("accepted", "arrived"):
        referral.move(f.store, back.id, heart, state)
    referral.move(f.store, back.id, heart, "returned", down=DOWN)
    care_watch.send_plans(f.store)
    # Somebody whom nobody knows yet, to be merged with whom they turn out to be.
    nameless = f.visit(f.kit.patient("无名氏", None, birth_date=None), ("bp", Finding("BP04", Urgency.YELLOW)))
    sent = referral.write(f.store, nameless, town, to_org="county", form=UP, urgency="RED")
    ids |= {"referral_id": sent.id, "returned_referral": back.id, "nameless_case": nameless}


def _chronic(f: _Filling, ids: dict[str, Any]) -> None:
    village, heart, day = f.people["village"], f.people["heart"], local_time(f.kit.clock.ms).date()
    patient = f.kit.patient("演示患者丁", None, birth_date=date(1950, 3, 1))
    ids["chronic_case"] = f.visit(patient, ("bp", Finding("BP09", Urgency.ORANGE)))
    entry = chronic.enter(f.store, patient.id, village, disease="htn", org_id="east-1", ground="三次升高")
    team = {"specialist": "heart", "gp": "town", "manager": "manager"}
    chronic.name_team(f.store, entry.id, village, team)  # type: ignore[arg-type]
    chronic.follow_up(f.store, entry.id, village, "village", FOLLOW_UP, Choice())
    words = {
        "diagnosis": "高血压3级",
        "next_plan": "每日测血压",
        "nursing_plan": "每周入户一次",
        "medication": "氨氯地平",
    }
    chronic.send_plan(f.store, patient.id, heart, words, [("nursing", (day + timedelta(days=7)).isoformat())])
    ids |= {"patient_id": patient.id, "entry_id": entry.id, "tier": "village"}


def _handed_over(f: _Filling, ids: dict[str, Any]) -> None:
    giver = f.people["heart-2"]
    patient = f.kit.patient("样例患者戊", None, birth_date=date(1961, 5, 9))
    case_id = f.visit(patient, ("ecg", Finding("EC16", Urgency.ORANGE)))
    with f.store.writing() as connection:
        token, _ = people.open_session(connection, giver.login, f.kit.clock.ms)
        session = people.session(connection, token, f.kit.clock.ms)
    assert session is not None
    holding.claim(f.store, case_id, session)
    ids |= {"handover_id": handover.hand_over(f.store, "heart-2", "heart", giver, "一例待复查，患者已平卧").id}


def _law(f: _Filling, ids: dict[str, Any], case_id: UUID) -> None:
    heart, officer, west = f.people["heart"], f.people["officer"], f.people["west"]
    signed = {"by_name": "演示患者甲", "relation": "self", "how": "signature", "form_number": "TY-0001"}
    consent.note(f.store, case_id, heart, kind="family-notice", given=True, **signed)
    consent.set_contact(f.store, case_id, heart, name="演示家属", relation="child", phone="13800000000")
    # The same person was in the next township, whose unit decides whether that is shared.
    with f.store.writing() as connection:
        organisations.place_kit(connection, "kit-001", "west", f.kit.clock.now_ms())
    again = f.kit.patient()
    there = f.visit(again, ("bp", Finding("BP09", Urgency.ORANGE)))
    (asked,) = sharing.ask(f.store, there, west, reason="患者转来本院，需要了解既往", days=7)[:1]
    with f.store.writing() as connection:
        organisations.place_kit(connection, "kit-001", "east-1", f.kit.clock.now_ms())
    wish = privacy.record(
        f.store, officer, kind="access", number=NUMBERS[1], name="样例患者乙", asked_by="样例患者乙", relation="self",
        checked="id-card",
    )  # fmt: skip
    ids |= {"share_request": asked.id, "privacy_request": wish.id, "request_id": asked.id}


def _fleet(f: _Filling, ids: dict[str, Any]) -> None:
    now_ms = f.kit.clock.now_ms()
    sensor = SensorState("SN1", now_ms - 20 * 86_400_000, "passed")
    told = KitStatus(
        uuid7(now_ms), now_ms, __version__, (), 9, False, {"results": 1}, now_ms - 3_600_000, 0, now_ms - 60_000,
        now_ms + 20 * 86_400_000, 400, (sensor,),
    )  # fmt: skip
    f.kit.send(told)
    ids |= {"kit_id": "kit-001", "kind": "battery"}

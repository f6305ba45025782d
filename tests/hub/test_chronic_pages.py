"""The pages of chronic care, recent results, comparison and the fleet: who gets in, and what each may see and do."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from tests.hub.conftest import PASSWORD, HandClock, KitVoice
from zhenbao.hub import chronic as care
from zhenbao.hub import fleet
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, follow_ups, organisations
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.fleet import KitStatus
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import TYPED, Device
from zhenbao.rules.followup import Choice

if TYPE_CHECKING:
    from httpx import Response

    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.chronic import Entry
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Patient

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]
DAY_MIN = 24 * 60
GOOD = {
    "f.way": "1", "f.htn_symptoms": "1", "f.systolic": "132", "f.diastolic": "82", "f.adherence": "1",
    "f.adverse": "1", "f.complication": "1",
}  # fmt: skip


@pytest.fixture
def county(store: HubStore, clock: HandClock) -> None:
    with store.writing() as connection:
        for id_, kind, parent in (("east", "township", "county"), ("east-1", "village", "east"),
                                  ("east-2", "village", "east")):  # fmt: skip
            organisations.add(
                connection, organisations.Organisation(id_, f"{id_}卫生机构", organisations.check_kind(kind), parent)
            )
        organisations.place_kit(connection, "kit-001", "east-1", clock.ms)
        organisations.place_kit(connection, "kit-002", "east-2", clock.ms)
    for login, role, org_id, specialty in (
        ("village-1", "village-doctor", "east-1", None), ("village-2", "village-doctor", "east-2", None),
        ("town-1", "township-doctor", "east", "general-practice"), ("tech", "technician", "county", None),
        ("desk", "operator", "county", None), ("heart", "specialist", "county", "cardiology"),
    ):  # fmt: skip
        add_practitioner(
            store,
            login,
            name=f"演示{login}",
            role=role,
            specialty=specialty,
            phone="",
            password=PASSWORD,
            org_id=org_id,
        )  # type: ignore[arg-type]


@pytest.fixture
def patient(kit: KitVoice, county: None) -> Patient:
    made = kit.patient()
    encounter = kit.encounter(made, chest_pain="no")
    kit.send(made, encounter, kit.observation(encounter, Finding("BP09", Urgency.ORANGE)))
    return made


@pytest.fixture
def entry(store: HubStore, patient: Patient) -> Entry:
    return care.enter(store, patient.id, person(store, "village-1"), disease="htn", org_id="east-1", ground="三次升高")


def person(store: HubStore, login: str):  # type: ignore[no-untyped-def]
    from zhenbao.hub.store import people

    with store.reading() as connection:
        found = people.find(connection, login)
    assert found is not None
    return found


def csrf_of(page: Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def log_in(browser: TestClient, login: str) -> None:
    browser.cookies.clear()
    token = csrf_of(browser.get("/login"))
    browser.post("/login", data={"account": login, "password": PASSWORD, "csrf": token})


def test_a_village_enters_its_patient_and_finds_it_among_the_due(
    browser: TestClient, store: HubStore, patient: Patient, clock: HandClock
) -> None:
    log_in(browser, "village-1")
    at = f"/chronic/patients/{patient.id}"
    page = browser.get(at)
    assert "尚未建册" in page.text
    data = {"csrf": csrf_of(page), "disease": "htn", "org_id": "east-1", "ground": ""}
    missing = browser.post(f"{at}/enter", data=data)
    assert (missing.status_code, "error" in missing.text) == (409, True)
    assert browser.post(f"{at}/enter", data=data | {"ground": "三次非同日升高"}).headers["location"] == at
    page = browser.get(at).text
    for needed in ("高血压", "east-1卫生机构", "村级随访", "乡镇并发症筛查", "县级年度全面评估", "三次非同日升高"):
        assert needed in page, needed
    assert "没有。" in browser.get("/chronic").text
    clock.pass_minutes(20 * DAY_MIN)
    log_in(browser, "village-1")
    due = browser.get("/chronic").text
    for needed in ("演**", "逾期 6 天", "▲", "已逾期", "首次"):
        assert needed in due, needed
    assert "演示患者甲" not in due


def test_a_follow_up_is_checked_by_rule_and_then_kept(
    browser: TestClient, store: HubStore, patient: Patient, entry: Entry
) -> None:
    log_in(browser, "village-1")
    at = f"/chronic/entries/{entry.id}/village"
    form = browser.get(at)
    assert "鼻衄出血不止" in form.text
    data = GOOD | {"csrf": csrf_of(form)}
    wrong = browser.post(at, data=data | {"f.systolic": "1320", "f.adverse": ""})
    assert wrong.status_code == 409
    for needed in ("收缩压：超出可能的范围（50–300）", "药物不良反应：没有填写", 'value="1320"'):
        assert needed in unescape(wrong.text), needed
    checked = browser.post(at, data=data)
    for needed in ("按规则：控制满意，下次 2027-02-20", "国家公卫规范口径"):
        assert needed in unescape(checked.text), needed
    with store.reading() as connection:
        assert follow_ups.of_patients(connection, [patient.id]) == []  # nothing is kept before it is confirmed
    other = browser.post(at, data=data | {"keep": "1", "outcome": "uncontrolled"})
    assert (other.status_code, "没有写原因" in other.text) == (409, True)
    kept = browser.post(at, data=data | {"keep": "1"})
    assert kept.headers["location"] == f"/chronic/patients/{patient.id}"
    with store.reading() as connection:
        (made,) = follow_ups.of_patients(connection, [patient.id])
    assert (made.outcome, made.by) == ("controlled", "演示village-1")
    assert "2027-02-20" in browser.get(f"/chronic/patients/{patient.id}").text


def test_several_symptoms_are_ticked_and_an_emergency_is_loud(browser: TestClient, entry: Entry) -> None:
    log_in(browser, "village-1")
    at = f"/chronic/entries/{entry.id}/village"
    data = GOOD | {"csrf": csrf_of(browser.get(at)), "f.htn_symptoms": ["2", "5"], "f.systolic": "182"}
    page = unescape(browser.post(at, data=data).text)
    for needed in ("头痛头晕", "呼吸困难", "已达危急界限（收缩压）", "建议转诊"):
        assert needed in page, needed


@pytest.mark.parametrize(
    ("login", "status"), [("village-2", 403), ("tech", 403), ("desk", 403), ("town-1", 200), ("heart", 200)]
)
def test_who_sees_a_chronic_patient(
    browser: TestClient, patient: Patient, entry: Entry, login: str, status: int
) -> None:
    log_in(browser, login)
    for path in (f"/chronic/patients/{patient.id}", f"/chronic/patients/{patient.id}/trends"):
        page = browser.get(path)
        assert page.status_code == status
        assert ("演示患者甲" in page.text) == (status == 200)
    form = browser.get(f"/chronic/entries/{entry.id}/village")
    assert ("演示患者甲" in form.text) == (status == 200)
    assert browser.get("/chronic").status_code == (403 if login in ("tech", "desk") else 200)


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_every_form_needs_the_token(
    browser: TestClient, store: HubStore, patient: Patient, entry: Entry, worklist: Worklist, csrf: str
) -> None:
    log_in(browser, "village-1")
    data = GOOD | {"csrf": csrf, "keep": "1", "ground": "理由", "reason": "理由", "text": "已办", "diagnosis": "x"}
    case_id = worklist.rows()[0].item.id
    for path in (
        f"/chronic/patients/{patient.id}/enter", f"/chronic/patients/{patient.id}/plan",
        f"/chronic/entries/{entry.id}/leave", f"/chronic/entries/{entry.id}/team",
        f"/chronic/entries/{entry.id}/village", "/fleet/kit-001/silent",
        f"/cases/{case_id}/recognise/{uuid7(1)}",
    ):  # fmt: skip
        answer = browser.post(path, data=data)
        assert (answer.status_code, "表单已经失效" in answer.text) == (403, True), path


def test_the_three_are_named_and_read_their_news(browser: TestClient, store: HubStore, entry: Entry) -> None:
    log_in(browser, "village-1")
    page = browser.get(f"/chronic/patients/{entry.patient_id}")
    named = {"csrf": csrf_of(page), "specialist": "heart", "gp": "town-1", "manager": ""}
    assert browser.post(f"/chronic/entries/{entry.id}/team", data=named).status_code == 303
    log_in(browser, "heart")
    assert "未读" in browser.get("/chronic").text
    browser.get(f"/chronic/patients/{entry.patient_id}")
    page = browser.get("/chronic").text
    assert "三师有变动" in page
    assert "未读" not in page


def test_what_others_wrote_never_becomes_markup(browser: TestClient, store: HubStore, entry: Entry) -> None:
    bad = "<script>alert(1)</script>"
    care.follow_up(
        store, entry.id, person(store, "village-1"), "village",
        {k[2:]: v for k, v in GOOD.items()} | {"medicines": bad}, Choice("uncontrolled", "", f"因为{bad}"),
    )  # fmt: skip
    values = {"diagnosis": bad, "next_plan": bad, "nursing_plan": bad}
    care.send_plan(store, entry.patient_id, person(store, "heart"), values, [])
    log_in(browser, "town-1")
    page = browser.get(f"/chronic/patients/{entry.patient_id}").text
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") == 5
    for path in ("/chronic", f"/chronic/patients/{entry.patient_id}", f"/chronic/entries/{entry.id}/village"):
        page = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", page)


def other_village(store: HubStore, clock: HandClock, *, code: str = "ecg") -> KitVoice:
    """The same person has been in the next village."""
    other = KitVoice(store, clock, "kit-002")
    same = other.patient()
    encounter = other.encounter(same)
    ecg, recording = other.ecg(encounter)
    other.send(same, encounter, ecg, recording)
    return other


def test_the_case_page_shows_recent_results_of_others_and_one_is_used_once(
    browser: TestClient, store: HubStore, kit: KitVoice, county: None, clock: HandClock, worklist: Worklist
) -> None:
    other_village(store, clock)
    clock.pass_minutes(2 * DAY_MIN)
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    kit.send(patient, encounter, kit.observation(encounter, Finding("BP09", Urgency.ORANGE)))
    case_id = worklist.rows()[0].item.id
    log_in(browser, "heart")
    page = browser.get(f"/cases/{case_id}")
    for needed in ("已有近期结果", "心电图", "互认", "还有 5 天", "2 天前", "east-2卫生机构", "示例厂 F1", "信号合格",
                   "没有专科医师报告"):  # fmt: skip
        assert needed in page.text, needed
    found = re.search(r"/recognise/([0-9a-f-]{36})", page.text)
    assert found is not None
    for _ in range(2):
        assert browser.post(f"/cases/{case_id}/recognise/{found[1]}", data={"csrf": csrf_of(page)}).status_code == 303
    assert "已采用（heart" in browser.get(f"/cases/{case_id}").text
    with store.reading() as connection:
        rows = audit.found(connection, before=None, actor="heart", action="result-recognised", limit=9)
    assert len(rows) == 1


def test_with_chest_pain_nothing_is_recognised_even_by_hand(
    browser: TestClient, store: HubStore, kit: KitVoice, county: None, clock: HandClock, worklist: Worklist
) -> None:
    other_village(store, clock)
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="yes")
    kit.send(patient, encounter, kit.observation(encounter, Finding("BP09", Urgency.ORANGE)))
    case_id = worklist.rows()[0].item.id
    log_in(browser, "heart")
    page = browser.get(f"/cases/{case_id}")
    assert "必须重新做" in page.text
    assert "/recognise/" not in page.text
    with store.reading() as connection:
        ecg = connection.exec_driver_sql("select id from observations where code = 'ecg'").scalar_one()
    refused = browser.post(f"/cases/{case_id}/recognise/{ecg}", data={"csrf": csrf_of(page)})
    assert refused.status_code == 409
    assert "不能互认" in refused.text


def test_comparison_tells_what_changed_and_what_is_less_comparable(
    browser: TestClient, store: HubStore, kit: KitVoice, patient: Patient, clock: HandClock, worklist: Worklist
) -> None:
    for systolic, device in ((150, Device("bp-gatt", "示例厂", "B1", "SN1")), (171, Device(TYPED))):
        clock.pass_minutes(10 * DAY_MIN)
        encounter = kit.encounter(patient)
        values = {"bp_systolic": kit.quantity(systolic, "mm[Hg]"), "bp_diastolic": kit.quantity(80, "mm[Hg]")}
        found = (Finding("BP09", Urgency.ORANGE),) if systolic == 150 else ()
        kit.send(encounter, kit.observation(encounter, *found, values=values, device=device))
    log_in(browser, "heart")
    case_id = worklist.rows()[0].item.id
    page = unescape(browser.get(f"/cases/{case_id}/trends").text)
    for needed in ("收缩压比上次高 21 mmHg（150 → 171）", "舒张压与上次相同（80 mmHg）", "两次不是同一台设备",
                   "有一次是手工输入", "上次有、这次没有的提示"):  # fmt: skip
        assert needed in page, needed
    assert 'class="typed"' in page
    assert 'class="other-device"' in page
    assert page.count('class="measured"') == 4
    log_in(browser, "village-2")
    assert browser.get(f"/cases/{case_id}/trends").status_code == 403


def test_a_township_sees_both_villages_and_a_village_only_its_own_course(
    browser: TestClient, store: HubStore, kit: KitVoice, patient: Patient, clock: HandClock
) -> None:
    other_village(store, clock)
    log_in(browser, "town-1")
    assert "east-2卫生机构" in browser.get(f"/chronic/patients/{patient.id}/trends").text
    log_in(browser, "village-1")
    page = browser.get(f"/chronic/patients/{patient.id}/trends").text
    assert "east-2卫生机构" not in page
    assert "另有 1 次就诊不在您的权限范围内" in page


def test_the_fleet_page_shows_kits_and_no_patient(
    browser: TestClient, store: HubStore, kit: KitVoice, patient: Patient, clock: HandClock
) -> None:
    kit.send(
        KitStatus(
            uuid7(clock.ms), clock.ms, "0.0.9", ("care-brief",), 9, False, {"results": 3}, clock.ms - 3_600_000,
            certificate_until_ms=clock.ms + 10 * 86_400_000,
        )
    )  # fmt: skip
    fleet.sweep(store)
    clock.pass_minutes(26 * 60)
    fleet.sweep(store)
    log_in(browser, "tech")
    page = browser.get("/fleet")
    for needed in ("kit-001", "east-1卫生机构", "1 天 2 小时前", "0.0.9", "9 %", "失联超过 24 小时",
                   "电量低", "证书快到期", "版本与枢纽不同", "3 条", "最早 1 小时"):  # fmt: skip
        assert needed in page.text, needed
    for secret in ("演示患者", "99999919480101002X", "BP09", str(patient.id)):
        assert secret not in page.text
    noted = browser.post("/fleet/kit-001/silent", data={"csrf": csrf_of(page), "text": "已通知村里充电"})
    assert noted.status_code == 303
    assert "tech，" in browser.get("/fleet").text
    assert "已通知村里充电" in browser.get("/fleet").text
    log_in(browser, "village-1")
    assert browser.get("/fleet").status_code == 403


def test_every_page_speaks_english_too(
    browser: TestClient, store: HubStore, patient: Patient, entry: Entry, worklist: Worklist
) -> None:
    log_in(browser, "town-1")
    for path, needed in (
        ("/chronic?shown=all", "Registered patients"),
        (f"/chronic/patients/{patient.id}", "Three practitioners"),
        (f"/chronic/entries/{entry.id}/village", "nosebleed"),
        (f"/chronic/patients/{patient.id}/trends", "Compare over time"),
    ):
        page = browser.get(path, headers={"accept-language": "en"})
        assert (page.status_code, needed in page.text) == (200, True), path
    log_in(browser, "desk")
    assert "Kits" in browser.get("/fleet", headers={"accept-language": "en"}).text

"""The pages of access: a denial that says why, the emergency look, the one-time code, the password at signing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from tests.hub.conftest import PASSWORD, csrf_of, log_in
from zhenbao.hub.case_code import case_code
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, people
from zhenbao.hub.store.tables import audit as audit_table
from zhenbao.hub.watch import sweep
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = pytest.mark.slow
# RFC 6238, appendix B.
SECRET, CODE, CODE_S = b"12345678901234567890", "005924", 1234567890


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    observation, recording = kit.ecg(encounter, Finding("EC19", Urgency.RED, source="a list of critical values"))
    kit.send(patient, encounter, observation, recording)
    return worklist.rows()[0].item.id


def test_a_denial_says_why_and_who_treats_may_look_in_an_emergency(
    browser: TestClient, lungs: Practitioner, case_id: UUID, store: HubStore
) -> None:
    log_in(browser, "lungs")
    denied = browser.get(f"/cases/{case_id}")
    assert denied.status_code == 403
    assert "没有分派给您" in denied.text
    assert "演示患者" not in denied.text
    short = browser.post(f"/cases/{case_id}/break-glass", data={"csrf": csrf_of(denied), "reason": "急"})
    assert short.status_code == 403
    assert "要写明理由" in short.text
    given = {"csrf": csrf_of(denied), "reason": "患者已转入本院<b>抢救室</b>"}
    assert browser.post(f"/cases/{case_id}/break-glass", data=given).status_code == 303
    page = browser.get(f"/cases/{case_id}")
    assert page.status_code == 200
    assert "演示患者甲" in page.text
    assert "紧急调阅中" in page.text
    assert "&lt;b&gt;抢救室" in page.text, "what a person typed is never markup"
    assert "report-form" not in page.text, "an emergency look is for looking"
    with store.reading() as connection:
        assert "break-glass" in {row.action for row in audit.rows(connection, 10)}


def test_the_desk_has_no_emergency_look(browser: TestClient, desk: Practitioner, case_id: UUID) -> None:
    log_in(browser, "desk")
    denied = browser.get(f"/cases/{case_id}")
    assert "break-glass" not in denied.text
    token = csrf_of(browser.get("/"))
    data = {"csrf": token, "reason": "患者已转入本院抢救室"}
    assert browser.post(f"/cases/{case_id}/break-glass", data=data).status_code == 403
    assert browser.get(f"/cases/{case_id}").status_code == 403


def test_a_stranger_s_form_opens_nothing(browser: TestClient, lungs: Practitioner, case_id: UUID) -> None:
    log_in(browser, "lungs")
    data = {"csrf": "made up", "reason": "患者已转入本院抢救室"}
    assert browser.post(f"/cases/{case_id}/break-glass", data=data).status_code == 403
    assert browser.get(f"/cases/{case_id}").status_code == 403


def test_an_account_with_a_second_factor(
    browser: TestClient, heart: Practitioner, store: HubStore, clock: HandClock
) -> None:
    clock.ms = CODE_S * 1000
    with store.writing() as connection:
        people.set_second_factor(connection, "heart", SECRET)
    assert "动态验证码" in log_in(browser, "heart").text
    assert log_in(browser, "heart", code="111111").status_code == 403
    assert log_in(browser, "heart", "wrong horse", code=CODE).status_code == 403
    assert log_in(browser, "heart", code=CODE).status_code == 303
    browser.cookies.clear()
    assert log_in(browser, "heart", code=CODE).status_code == 403, "no code opens twice"


def test_signing_asks_for_the_password_again(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    log_in(browser, "heart")
    page = browser.get(f"/cases/{case_id}")
    data = {
        "csrf": csrf_of(page),
        "conclusion": "窦性心动过缓",
        "advice": "平卧,呼120",
        "urgency": "RED",
        "after": "",
        "checked": "yes",
        "sign": "1",
    }
    for password in ("", "wrong horse"):
        refused = browser.post(f"/cases/{case_id}/report", data=data | {"password": password})
        assert refused.status_code == 409
        assert "没有签发" in refused.text
        assert "窦性心动过缓" in refused.text, "what was written is not lost"
        assert "wrong horse" not in refused.text
    assert browser.post(f"/cases/{case_id}/report", data=data | {"password": PASSWORD}).status_code == 303


def test_the_password_never_travels_with_a_draft(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    log_in(browser, "heart")
    page = browser.get(f"/cases/{case_id}").text
    for included in re.findall(r'hx-include="([^"]+)"', page):
        assert "closest form" not in included
        assert "password" not in included


def test_the_desk_closes_the_loop_on_its_page(
    browser: TestClient, desk: Practitioner, case_id: UUID, store: HubStore, clock: HandClock
) -> None:
    clock.pass_minutes(12)
    sweep(store)
    log_in(browser, "desk")
    page = browser.get("/tasks")
    assert page.status_code == 200
    for needed in ("没有医师应答", "二线值班", "0994-0000012", "县急诊主任", case_code(case_id)):
        assert needed in page.text
    assert f'href="/cases/{case_id}/loop"' in page.text
    assert f'href="/cases/{case_id}"' not in page.text, "the desk opens no case"
    shown = browser.get(f"/cases/{case_id}/loop")
    assert "演示患者甲" not in shown.text
    assert "0994-0000101" in shown.text
    token = csrf_of(shown)
    given = {"csrf": token, "step": "notified", "person": "村医<i>甲</i>", "channel": "phone", "text": "呼120"}
    wrong = browser.post(f"/cases/{case_id}/loop", data=given | {"step": "handled"})
    assert wrong.status_code == 409
    assert "前面还有步骤没有记录" in wrong.text
    assert "呼120" in wrong.text
    assert browser.post(f"/cases/{case_id}/loop", data=given | {"minutes_ago": "20"}).status_code == 303
    after = browser.get(f"/cases/{case_id}/loop").text
    assert "村医&lt;i&gt;甲" in after
    assert "补记于" in after
    assert browser.post(f"/cases/{case_id}/loop", data=given | {"csrf": "x"}).status_code == 403


def test_tasks_of_others_are_not_shown(
    browser: TestClient, lungs: Practitioner, case_id: UUID, store: HubStore, clock: HandClock
) -> None:
    clock.pass_minutes(12)
    sweep(store)
    log_in(browser, "lungs")
    assert case_code(case_id) not in browser.get("/tasks").text
    assert browser.get(f"/cases/{case_id}/loop").status_code == 403


def test_a_technician_sees_no_task_and_no_case(browser: TestClient, case_id: UUID, store: HubStore) -> None:
    add_practitioner(store, "tech", name="演示技术员", role="technician", specialty=None, phone="", password=PASSWORD)
    log_in(browser, "tech")
    assert browser.get("/").headers["location"] == "/fleet"
    page = browser.get("/tasks")
    assert page.status_code == 200
    assert "演示" not in page.text.replace("演示技术员", "")


def test_a_temporary_identity_is_merged_on_its_page(
    browser: TestClient, heart: Practitioner, kit: KitVoice, worklist: Worklist, case_id: UUID
) -> None:
    nameless = kit.patient("无名<b>氏</b>", None)
    encounter = kit.encounter(nameless)
    observation, recording = kit.ecg(encounter, Finding("EC19", Urgency.RED, source="a list of critical values"))
    kit.send(nameless, encounter, observation, recording)
    temporary = next(row.item.id for row in worklist.rows() if row.item.id != case_id)
    log_in(browser, "heart")
    page = browser.get(f"/cases/{temporary}")
    assert f'href="/cases/{temporary}/identity"' in page.text
    page = browser.get(f"/cases/{temporary}/identity")
    assert "无名&lt;b&gt;氏" in page.text
    token = csrf_of(page)
    nothing = browser.post(f"/cases/{temporary}/identity/find", data={"csrf": token, "number": "999999195602290019"})
    assert "没有这个身份证号" in nothing.text
    found = browser.post(f"/cases/{temporary}/identity/find", data={"csrf": token, "number": "99999919480101002X"})
    assert "演示患者甲" in found.text
    other = re.search(r'name="other" value="([^"]+)"', found.text)
    assert other is not None
    given = {"csrf": token, "other": other[1], "reason": "家属持身份证核对"}
    assert browser.post(f"/cases/{temporary}/identity/merge", data=given).status_code == 303
    assert "家属持身份证核对" in browser.get(f"/cases/{temporary}/identity").text
    link = re.search(r'name="link" value="([^"]+)"', browser.get(f"/cases/{temporary}/identity").text)
    assert link is not None
    assert browser.post(f"/cases/{temporary}/identity/undo", data={"csrf": token, "link": link[1]}).status_code == 303
    assert "撤销" in browser.get(f"/cases/{temporary}/identity").text
    for data in ({"csrf": token, "other": "x"}, {"csrf": "x", "other": other[1]}):
        assert browser.post(f"/cases/{temporary}/identity/merge", data=data).status_code in (403, 404)


def test_the_director_sees_figures_and_no_patient(browser: TestClient, case_id: UUID, store: HubStore) -> None:
    add_practitioner(store, "boss", name="演示主任", role="director", specialty=None, phone="", password=PASSWORD)
    log_in(browser, "boss")
    page = browser.get("/statistics?month=2026-11")
    assert page.status_code == 200
    assert "心电图危急值数" in page.text
    file = browser.get("/statistics.csv?month=2026-11")
    assert file.content.startswith(b"\xef\xbb\xbf")
    assert file.headers["content-disposition"].endswith('zhenbao-county-2026-11.csv"')
    assert browser.get("/statistics?month=2026-13").status_code == 409
    assert browser.get("/statistics?org=elsewhere").status_code == 403
    for path in ("/", "/tasks"):
        assert str(case_id) not in browser.get(path).text
    assert browser.get("/referrals").status_code == 403


def test_a_specialist_has_no_figures(browser: TestClient, heart: Practitioner) -> None:
    log_in(browser, "heart")
    assert browser.get("/statistics").status_code == 403
    assert browser.get("/statistics.csv?month=2026-11").status_code == 403


def test_the_auditor_sees_the_chain_and_a_break_in_it(
    browser: TestClient, heart: Practitioner, case_id: UUID, store: HubStore
) -> None:
    add_practitioner(store, "audit", name="演示审计", role="auditor", specialty=None, phone="", password=PASSWORD)
    log_in(browser, "heart")
    browser.get(f"/cases/{case_id}")
    assert browser.get("/audit").status_code == 403
    browser.cookies.clear()
    log_in(browser, "audit")
    page = browser.get("/audit")
    assert "审计链完整" in page.text
    assert "查看病例" in page.text
    assert "演示患者" not in page.text
    assert "登录" in browser.get("/audit?actor=heart&action=logged-in").text
    assert f"case:{case_id}" not in browser.get("/audit?actor=nobody").text
    with store.writing() as connection:
        connection.execute(update(audit_table).where(audit_table.c.number == 2).values(actor="somebody-else"))
    assert "审计链从第 2 行起不完整" in browser.get("/audit").text


def test_the_audit_turns_its_pages(browser: TestClient, store: HubStore) -> None:
    add_practitioner(store, "audit", name="演示审计", role="auditor", specialty=None, phone="", password=PASSWORD)
    with store.writing() as connection:
        for n in range(120):
            audit.append(connection, n, "hub", "case-opened", f"case:{n}")
    log_in(browser, "audit")
    older = re.search(r'href="/audit\?before=(\d+)', browser.get("/audit").text)
    assert older is not None
    page = browser.get(f"/audit?before={older[1]}").text
    assert "case:0" in page
    assert "case:119<" not in page

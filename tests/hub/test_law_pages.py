"""The pages of sharing, consent, privacy requests, rules and sessions: who gets in, what they do, what they leave."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from tests.hub.conftest import csrf_of
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, organisations, rule_versions
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.web import vendor
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from httpx import Response

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = pytest.mark.slow
PASSWORD, NUMBER = "correct horse", "99999919480101002X"
RED = Finding("EC19", Urgency.RED, source="a list of critical values")


def client(store: HubStore, sent: list[tuple[str, str]]) -> TestClient:
    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there: run make (npm ci, then python -m zhenbao.hub.web.vendor)")
    from zhenbao.hub.web.app import create_app

    app = create_app(store, tell_family=lambda code, phone: sent.append((code, phone)))
    return TestClient(
        app, base_url="http://127.0.0.1", follow_redirects=False, headers={"accept-language": "zh-CN", "user-agent": UA}
    )


UA = "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"


@pytest.fixture
def sent() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def browser(store: HubStore, sent: list[tuple[str, str]]) -> Iterator[TestClient]:
    with client(store, sent) as made:
        yield made


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    observation, recording = kit.ecg(encounter, RED)
    kit.send(patient, encounter, observation, recording)
    return worklist.rows()[0].item.id


def log_in(browser: TestClient, login: str) -> Response:
    token = csrf_of(browser.get("/login"))
    return browser.post("/login", data={"account": login, "password": PASSWORD, "csrf": token})


def person(store: HubStore, login: str, role: Any, org: str = "county", specialty: str | None = None) -> Practitioner:
    return add_practitioner(
        store, login, name="演示人员", role=role, specialty=specialty, phone="", password=PASSWORD, org_id=org
    )


def send(browser: TestClient, page: str, path: str, **data: str) -> Response:
    return browser.post(path, data={"csrf": csrf_of(browser.get(page)), **data})


def test_a_request_to_share_goes_from_a_case_to_the_other_unit_and_back(
    browser: TestClient, store: HubStore, kit: KitVoice, worklist: Worklist
) -> None:
    with store.writing() as connection:
        for unit in (Organisation("east", "东乡卫生院", "township", "county"),
                     Organisation("west", "西乡卫生院", "township", "county")):  # fmt: skip
            organisations.add(connection, unit)
    cases = {}
    for org in ("east", "west"):
        with store.writing() as connection:
            organisations.place_kit(connection, "kit-001", org, store.clock.now_ms())
        patient = kit.patient()
        encounter = kit.encounter(patient)
        kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
        cases[org] = next(r.item.id for r in worklist.rows() if r.item.encounter_id == encounter.id)
    for org in cases:
        person(store, f"t-{org}", "township-doctor", org, "general-practice")
    log_in(browser, "t-east")
    page = browser.get(f"/cases/{cases['east']}")
    assert "另有 1 次就诊在其他机构" in page.text
    assert browser.get(f"/cases/{cases['west']}").status_code == 403
    asked = send(
        browser, f"/cases/{cases['east']}", f"/cases/{cases['east']}/share", reason="转来<b>本院</b>", days="7"
    )
    assert asked.headers["location"] == "/shares"
    assert "○ 待决定" in browser.get("/shares").text
    with client(store, []) as other:
        log_in(other, "t-west")
        page = other.get("/shares")
        assert "转来&lt;b&gt;本院" in page.text
        assert "演示患者甲" not in page.text, "a list masks names"
        (id_,) = re.findall(r'action="/shares/([0-9a-f-]{36})"', page.text)
        assert other.post(f"/shares/{id_}", data={"csrf": "made up", "do": "approve"}).status_code == 403
        refused = send(other, "/shares", f"/shares/{id_}", do="refuse")
        assert refused.status_code == 409
        assert "理由太短" in refused.text
        assert send(other, "/shares", f"/shares/{id_}", do="approve", days="2").status_code == 303
    assert "✓ 已同意" in browser.get("/shares").text
    opened = browser.get(f"/cases/{cases['west']}")
    assert "经批准的共享" in opened.text
    assert send(browser, "/shares", f"/shares/{id_}", do="end").status_code == 303
    assert browser.get(f"/cases/{cases['west']}").status_code == 403


def test_consent_and_the_family_s_sentence(
    browser: TestClient, heart: Practitioner, case_id: UUID, sent: list[tuple[str, str]]
) -> None:
    log_in(browser, "heart")
    here = f"/cases/{case_id}/consent"
    page = browser.get(here)
    assert "没有记录" in page.text
    assert "发送通知" not in page.text
    given = {"kind": "family-notice", "given": "yes", "by_name": "演示患者甲", "relation": "self", "how": "signature"}
    wrong = send(browser, here, here, **given)
    assert wrong.status_code == 409
    assert "签字要写同意书编号" in wrong.text
    assert 'value="演示患者甲"' in wrong.text, "what was typed is kept"
    assert send(browser, here, here, **given, form_number="TY-<1>").status_code == 303
    assert "TY-&lt;1&gt;" in browser.get(here).text
    contact = {"name": "演示家属", "relation": "child", "phone": "13800000000"}
    assert send(browser, here, f"/cases/{case_id}/family", **contact).status_code == 303
    assert browser.post(f"/cases/{case_id}/tell-family", data={"csrf": "made up"}).status_code == 403
    assert sent == []
    told = send(browser, here, f"/cases/{case_id}/tell-family")
    assert "已交给短信程序" in told.text
    assert [phone for _, phone in sent] == ["13800000000"]
    assert send(browser, here, here, **(given | {"given": "no"}), form_number="TY-2").status_code == 303
    refused = send(browser, here, f"/cases/{case_id}/tell-family")
    assert (refused.status_code, len(sent)) == (409, 1)


def test_the_desk_and_strangers_see_no_consent(
    browser: TestClient, desk: Practitioner, lungs: Practitioner, case_id: UUID
) -> None:
    for login in ("desk", "lungs"):
        log_in(browser, login)
        assert browser.get(f"/cases/{case_id}/consent").status_code == 403


def test_a_privacy_request_by_two_people_with_the_password_at_the_end(
    browser: TestClient, store: HubStore, case_id: UUID, heart: Practitioner
) -> None:
    person(store, "privacy-1", "privacy-officer")
    person(store, "director-1", "director")
    log_in(browser, "privacy-1")
    asked = {"kind": "access", "name": "演示患者甲", "number": NUMBER, "asked_by": "演示患者甲", "relation": "self"}
    assert browser.get(f"/cases/{case_id}").status_code == 403
    wrong = send(browser, "/privacy", "/privacy", **(asked | {"checked": "id-card", "name": "别人"}))
    assert wrong.status_code == 409
    assert "没有姓名和号码都相符" in wrong.text
    assert send(browser, "/privacy", "/privacy", **asked, checked="id-card").status_code == 303
    page = browser.get("/privacy")
    assert NUMBER not in page.text
    with client(store, []) as other:
        log_in(other, "director-1")
        (id_,) = re.findall(r'action="/privacy/([0-9a-f-]{36})"', other.get("/privacy").text)
        assert send(other, "/privacy", f"/privacy/{id_}", do="access", password=PASSWORD).status_code == 403
        assert send(other, "/privacy", f"/privacy/{id_}", do="approve").status_code == 303
    guess = send(browser, "/privacy", f"/privacy/{id_}", do="access", password="wrong")
    assert guess.status_code == 409
    got = send(browser, "/privacy", f"/privacy/{id_}", do="access", password=PASSWORD)
    assert (got.status_code, got.headers["content-type"]) == (200, "application/zip")
    assert got.headers["cache-control"] == "no-store"
    assert NUMBER not in got.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        assert NUMBER in archive.read("index.html").decode()
    assert "已办理" in browser.get("/privacy").text
    again = send(browser, "/privacy", "/privacy", **asked, checked="id-card")
    assert again.status_code == 303


def test_who_may_not_see_privacy_requests_rules_or_shares(browser: TestClient, store: HubStore) -> None:
    for login, role in (("admin-1", "admin"), ("auditor-1", "auditor"), ("tech-1", "technician")):
        person(store, login, role)
        log_in(browser, login)
        for path in ("/privacy", "/rules", "/shares"):
            assert browser.get(path).status_code == 403, (login, path)


def test_the_rules_in_force_can_be_read(browser: TestClient, store: HubStore) -> None:
    with store.writing() as connection:
        made = rule_versions.add(connection, 'profile = "zhejiang"\n', "演示<主任>", "按本省清单", "admin", 1)
        rule_versions.activate(connection, made.number, "演示<主任>", "按本省清单", "admin", 1)
    person(store, "director-1", "director")
    log_in(browser, "director-1")
    page = browser.get("/rules")
    assert "浙江省心电图危急值" in page.text
    assert "演示&lt;主任&gt;" in page.text


def test_one_s_sessions_are_listed_and_ended(browser: TestClient, store: HubStore, heart: Practitioner) -> None:
    log_in(browser, "heart")
    with client(store, []) as phone, client(store, []) as third:
        log_in(phone, "heart")
        log_in(third, "heart")
        page = browser.get("/sessions")
        assert page.text.count("Chrome Android") == 3
        assert page.text.count('<span class="badge">本机</span>') == 1
        names = re.findall(r'name="name" value="([0-9a-f]{16})"', page.text)
        assert len(names) == 2
        assert browser.post("/sessions/end", data={"csrf": "made up", "name": names[0]}).status_code == 403
        assert send(browser, "/sessions", "/sessions/end", name=names[0]).status_code == 303
        assert {phone.get("/").status_code, third.get("/").status_code} == {200, 303}
        assert send(browser, "/sessions", "/sessions/end", name=names[0]).status_code == 409
        assert send(browser, "/sessions", "/sessions/end", name="others").status_code == 303
        assert {phone.get("/").status_code, third.get("/").status_code} == {303}
    assert browser.get("/").status_code == 200
    with store.reading() as connection:
        assert [r.action for r in audit.rows(connection, 9)].count("session-ended") == 2


def test_nobody_ends_the_session_of_another(
    browser: TestClient, store: HubStore, heart: Practitioner, lungs: Practitioner
) -> None:
    from zhenbao.hub.store import people
    from zhenbao.hub.web.security import SESSION_COOKIE

    log_in(browser, "heart")
    with client(store, []) as other:
        log_in(other, "lungs")
        theirs = people.session_name(other.cookies[SESSION_COOKIE])
        assert send(browser, "/sessions", "/sessions/end", name=theirs).status_code == 409
        assert other.get("/").status_code == 200


def test_every_form_that_changes_something_wants_its_token(
    browser: TestClient, heart: Practitioner, case_id: UUID, store: HubStore
) -> None:
    """All routes by POST, found in the program itself, so that a new one cannot be forgotten."""
    log_in(browser, "heart")
    routes = [r for r in all_routes(browser.app) if "POST" in r.methods and not r.path.startswith(("/sync", "/probe"))]
    assert len(routes) >= 15
    with store.reading() as connection:
        before = audit.verify(connection).rows
    for route in routes:
        path = re.sub(r"\{[a-z_]+(:[a-z]+)?\}", str(case_id), route.path.replace("{number}", "1"))
        answer = browser.post(path, data={"csrf": "made up", "state": "sent"})
        assert answer.status_code == 403, (route.path, answer.status_code)
        assert "（csrf）" in answer.text or "csrf" in answer.text, route.path
    with store.reading() as connection:
        after = audit.verify(connection).rows
    assert after == before


def all_routes(app: Any) -> list[Any]:
    from fastapi.routing import APIRoute

    found: list[Any] = []

    def walk(routes: Any) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                found.append(route)
            elif hasattr(route, "routes") and route.routes:
                walk(route.routes)
            elif hasattr(route, "original_router"):
                walk(route.original_router.routes)

    walk(app.routes)
    return found


def test_cookies_are_secure_behind_tls(store: HubStore, heart: Practitioner) -> None:
    from zhenbao.hub.web.app import create_app

    vendor.check()
    with TestClient(create_app(store, https=True), base_url="https://127.0.0.1", follow_redirects=False) as safe:
        cookie = log_in(safe, "heart").headers["set-cookie"]
        assert re.search(r"zhenbao_session=[^;]+;.*HttpOnly.*SameSite=strict.*Secure", cookie)
        assert "Secure" in safe.get("/login").headers["set-cookie"]


def test_the_clock_of_a_session_counts_on_the_list_too(
    browser: TestClient, store: HubStore, heart: Practitioner, clock: HandClock
) -> None:
    log_in(browser, "heart")
    clock.pass_minutes(11 * 60)
    with client(store, []) as later:
        log_in(later, "heart")
        clock.pass_minutes(90)
        assert later.get("/sessions").text.count("Chrome Android") == 1

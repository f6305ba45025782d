"""The pages: who gets in, what each may see and do, and that nothing written by others becomes markup."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from tests.hub.conftest import csrf_of, log_in
from zhenbao.hub.store import people
from zhenbao.hub.web import vendor
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.observation import Device
from zhenbao.model.report import Report
from zhenbao.sync.envelope import unpack

if TYPE_CHECKING:
    from httpx import Response

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Encounter

pytestmark = pytest.mark.slow
RED = Finding("EC19", Urgency.RED, source="a list of critical values")


@pytest.fixture
def encounter(kit: KitVoice) -> Encounter:
    patient = kit.patient()
    made = kit.encounter(patient, chest_pain="yes")
    observation, recording = kit.ecg(made, RED)
    kit.send(patient, made, observation, recording)
    return made


@pytest.fixture
def case_id(worklist: Worklist, encounter: Encounter) -> UUID:
    return worklist.rows()[0].item.id


def sign(browser: TestClient, case_id: UUID, **values: str) -> Response:
    page = browser.get(f"/cases/{case_id}")
    data = {
        "conclusion": "窦性心动过缓",
        "advice": "平卧,呼120",
        "urgency": "RED",
        "after": "",
        "checked": "yes",
        "sign": "1",
        "password": "correct horse",
    }
    return browser.post(f"/cases/{case_id}/report", data=data | {"csrf": csrf_of(page)} | values)


@pytest.mark.parametrize("path", ["/", "/rows", "/cases/01a200fb-5100-793b-ade9-a0861613c191"])
def test_nothing_is_shown_without_a_login(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    part = browser.get(path, headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"], part.text) == (204, "/login", "")


def test_the_right_password_opens_and_the_wrong_does_not(browser: TestClient, heart: Practitioner) -> None:
    wrong = log_in(browser, "heart", "wrong")
    assert wrong.status_code == 403
    assert "账号或密码不对" in wrong.text
    assert browser.get("/").status_code == 303
    assert log_in(browser, "heart").headers["location"] == "/"
    assert browser.get("/").status_code == 200


def test_the_session_cookie_is_out_of_reach(browser: TestClient, heart: Practitioner, store: HubStore) -> None:
    cookie = log_in(browser, "heart").headers["set-cookie"]
    assert re.search(r"zhenbao_session=[\w-]{43};.*HttpOnly.*SameSite=strict", cookie)
    with store.reading() as connection:
        raw = connection.exec_driver_sql("select token_sha256 from web_sessions").scalar_one()
    assert len(raw) == 32  # only the hash is kept


def test_guessing_is_braked_and_the_brake_lets_go(browser: TestClient, heart: Practitioner, clock: HandClock) -> None:
    for _ in range(5):
        assert log_in(browser, "heart", "guess").status_code == 403
    braked = log_in(browser, "heart")
    assert braked.status_code == 429
    assert "5 分钟" in braked.text
    clock.pass_minutes(5.1)
    assert log_in(browser, "heart").status_code == 303


def test_an_unknown_login_is_answered_like_a_wrong_password(browser: TestClient, heart: Practitioner) -> None:
    assert unescape(log_in(browser, "nobody").text).replace("nobody", "") == unescape(
        log_in(browser, "heart", "wrong").text
    ).replace("heart", "")


def test_a_session_ends_after_a_shift_at_logout_and_when_the_account_is_disabled(
    browser: TestClient, heart: Practitioner, clock: HandClock, store: HubStore
) -> None:
    log_in(browser, "heart")
    clock.pass_minutes(12 * 60 + 1)
    assert browser.get("/").status_code == 303
    log_in(browser, "heart")
    stolen = dict(browser.cookies)
    browser.post("/logout", data={"csrf": csrf_of(browser.get("/"))})
    browser.cookies.update(stolen)
    assert browser.get("/").status_code == 303
    log_in(browser, "heart")
    with store.writing() as connection:
        people.disable(connection, "heart", clock.ms)
    assert browser.get("/").status_code == 303
    assert log_in(browser, "heart").status_code == 403


@pytest.mark.parametrize("path", ["/login", "/", "/static/hub.css", "/vendor/htmx.min.js", "/nowhere"])
def test_every_answer_carries_the_policy(browser: TestClient, path: str) -> None:
    headers = browser.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    public = path.startswith(("/static", "/vendor"))
    assert headers["cache-control"] == ("public, max-age=3600" if public else "no-store")


def test_pages_hold_no_inline_script_style_or_foreign_address(
    browser: TestClient, heart: Practitioner, case_id: UUID
) -> None:
    log_in(browser, "heart")
    for path in ("/", "/?shown=archive", f"/cases/{case_id}"):
        page = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", page)
        assert not re.search(r'(src|href|action|hx-\w+)="(?:https?:)?//', page)


def test_a_foreign_host_name_is_refused(browser: TestClient) -> None:
    assert browser.get("/login", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_every_form_needs_the_token_of_its_session(
    browser: TestClient, heart: Practitioner, case_id: UUID, store: HubStore, clock: HandClock, csrf: str
) -> None:
    assert (
        browser.post("/login", data={"account": "heart", "password": "correct horse", "csrf": csrf}).status_code == 403
    )
    log_in(browser, "heart")
    browser.get(f"/cases/{case_id}")
    data = {"csrf": csrf, "conclusion": "结论", "advice": "卧床", "sign": "1", "login": "heart"}
    for path in ("report", "draft", "assign"):
        answer = browser.post(f"/cases/{case_id}/{path}", data=data)
        assert answer.status_code == 403
        assert "表单已经失效" in answer.text
    assert browser.post("/logout", data=data).status_code == 403
    assert [e.kind for e in store.due(clock.ms, 9)] == ["viewed"]


def test_the_token_of_one_session_does_not_serve_another(
    browser: TestClient, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    log_in(browser, "heart")
    others = csrf_of(browser.get("/"))
    browser.cookies.clear()
    log_in(browser, "heart-2")
    assert sign(browser, case_id, csrf=others).status_code == 403


def test_the_list_masks_names_and_shows_what_is_needed_to_act(
    browser: TestClient, heart: Practitioner, case_id: UUID
) -> None:
    log_in(browser, "heart")
    page = browser.get("/").text
    assert "演示患者甲" not in page
    assert "99999919480101002X" not in page
    for needed in (
        "演**",
        "女 78岁",
        "● ",
        "危急",
        "演示村卫生室",
        "0994-0000101",
        "心血管内科",
        "演示医师甲",
        "0994-0000011",
    ):
        assert needed in page
    assert f"/cases/{case_id}" in page


def test_a_list_as_it_was_costs_nothing_and_never_stands_still_for_long(
    browser: TestClient, kit: KitVoice, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    def state_of(page: Response) -> str:
        found = re.search(r'id="state" name="state" value="(\w+)"', page.text)
        assert found is not None
        return found[1]

    log_in(browser, "heart")
    state = state_of(browser.get("/"))
    assert (again := browser.get(f"/rows?state={state}")).status_code == 204
    assert again.text == ""
    patient = kit.patient(name="样例患者乙", number=None)
    encounter = kit.encounter(patient)
    kit.send(encounter, kit.observation(encounter, RED, code="ecg"))
    news = browser.get(f"/rows?state={state}")
    assert news.text.count('class="case ') == 2
    kit.send(patient)  # the name comes later: that is news too
    state = state_of(browser.get(f"/rows?state={state_of(news)}"))
    clock.pass_minutes(0.6)
    assert browser.get(f"/rows?state={state}").status_code == 200


def test_a_late_case_looks_late_on_the_list_and_on_its_page(
    browser: TestClient, kit: KitVoice, heart: Practitioner, clock: HandClock, worklist: Worklist
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    observation, _ = kit.ecg(encounter, RED)
    clock.pass_minutes(200)
    kit.send(patient, encounter, observation)
    log_in(browser, "heart")
    rows = browser.get("/rows").text
    assert "迟到 3 小时 20 分" in rows
    assert "10:00" in rows  # taken, by the kit
    assert "13:20" in rows  # received, by the hub
    page = browser.get(f"/cases/{worklist.rows()[0].item.id}").text
    assert "请先打电话给村医确认患者现状" in page
    assert "波形还在路上" in page


def test_typed_values_are_marked_as_typed_and_measured_ones_are_not(
    browser: TestClient, kit: KitVoice, heart: Practitioner, worklist: Worklist
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    measured = kit.observation(encounter, RED)
    weight = {"body_weight": kit.quantity(80.0, "kg"), "bmi": kit.quantity(28.3, "kg/m2")}
    context = {"height_cm": "168"}
    typed = kit.observation(
        encounter, code="weight", values=weight, device=Device("typed"), notes=("typed", "typed-sure"), context=context
    )
    blown = {"fev1": kit.quantity(2.1, "L"), "fvc": kit.quantity(3.05, "L")}
    blow = kit.observation(
        encounter, code="spirometry", values=blown, device=Device("typed"), notes=("typed", "ungraded")
    )
    kit.send(patient, encounter, measured, typed, blow)
    log_in(browser, "heart")
    page = browser.get(f"/cases/{worklist.rows()[0].item.id}").text
    cards = page.split('<section class="card reading"')[1:]
    by_name = {name: next(c for c in cards if f"<h2>{name}</h2>" in c) for name in ("血压", "体重", "肺功能")}
    assert "手工输入" not in by_name["血压"]
    for needed in ('<span class="badge typed">手工输入</span>', "80 千克", "28.3 kg/m²", "再次看过屏幕并确认", "168"):
        assert needed in by_name["体重"], needed
    assert '<span class="badge typed">手工输入</span>' in by_name["肺功能"]
    assert "没有质量等级" in by_name["肺功能"]


def test_the_case_page_has_history_rules_sources_quality_and_calibrated_paper(
    browser: TestClient, heart: Practitioner, case_id: UUID
) -> None:
    log_in(browser, "heart")
    page = browser.get(f"/cases/{case_id}").text
    for needed in (
        "演示患者甲",
        "9999**********002X",
        "头晕两天",
        "胸痛：是",
        "EC19",
        "a list of critical values",
        "本机初筛提示，待上级医师审核",
        "已存本机",
        "枢纽已接收",
        "医师已查看",
        "报告已回传",
        "村医已读",
        "信号质量 合格",
        "25 mm/s",
        "10 mm/mV",
        'width="297mm"',
    ):
        assert needed in page
    assert "99999919480101002X" not in page
    assert "诊断为" not in page


def test_who_may_open_what(
    browser: TestClient, lungs: Practitioner, desk: Practitioner, heart: Practitioner, case_id: UUID
) -> None:
    for login in ("lungs", "desk"):
        log_in(browser, login)
        for path in ("", "/delivery", f"/earlier/{case_id}"):
            answer = browser.get(f"/cases/{case_id}{path}")
            assert answer.status_code == 403
            assert "演示患者" not in answer.text
        assert (
            browser.post(
                f"/cases/{case_id}/report",
                data={
                    "csrf": csrf_of(browser.get("/")),
                    "conclusion": "x",
                    "advice": "y",
                    "checked": "yes",
                    "sign": "1",
                    "password": "correct horse",
                },
            ).status_code
            == 403
        )
        browser.cookies.clear()
    log_in(browser, "desk")
    page = browser.get("/")
    assert f'href="/cases/{case_id}"' not in page.text
    browser.post(f"/cases/{case_id}/assign", data={"csrf": csrf_of(page), "login": "lungs"})
    browser.cookies.clear()
    log_in(browser, "lungs")
    assert browser.get(f"/cases/{case_id}").status_code == 200


def test_a_report_is_signed_once_and_then_read_only(
    browser: TestClient, heart: Practitioner, case_id: UUID, store: HubStore, clock: HandClock
) -> None:
    log_in(browser, "heart")
    assert sign(browser, case_id).headers["location"] == f"/cases/{case_id}#report"
    page = browser.get(f"/cases/{case_id}").text
    assert "窦性心动过缓" in page
    assert '<textarea name="conclusion"' not in page
    assert "不能修改" in page
    again = sign(browser, case_id, conclusion="改写", csrf=csrf_of(browser.get("/")))
    assert again.status_code == 409
    assert "已有另一份报告签发" in again.text
    assert "改写" in again.text  # what was typed is not lost
    sent = [v for e in store.due(clock.ms, 9) if isinstance(v := unpack(e.kind, store.load(e.id).body), Report)]
    assert [report.conclusion for report in sent] == ["窦性心动过缓"]


def test_a_mistake_keeps_what_was_typed(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    log_in(browser, "heart")
    answer = sign(browser, case_id, conclusion="写了很多", advice="")
    assert answer.status_code == 409
    assert "写了很多" in answer.text
    assert "都要写" in answer.text


def test_a_draft_is_kept_and_only_its_author_sees_the_text(
    browser: TestClient, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    log_in(browser, "heart")
    token = csrf_of(browser.get(f"/cases/{case_id}"))
    saved = browser.post(f"/cases/{case_id}/draft", data={"csrf": token, "conclusion": "未完", "urgency": "RED"})
    assert "草稿已自动保存" in saved.text
    assert "未完" in browser.get(f"/cases/{case_id}").text
    browser.cookies.clear()
    log_in(browser, "heart-2")
    page = browser.get(f"/cases/{case_id}").text
    assert "未完" not in page
    assert "演示医师甲 也在书写" in page


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def test_what_others_wrote_never_becomes_markup(
    browser: TestClient, kit: KitVoice, heart: Practitioner, desk: Practitioner, worklist: Worklist
) -> None:
    patient = kit.patient(name=HOSTILE, number=None, known_diabetes=HOSTILE)
    encounter = kit.encounter(patient, chest_pain=HOSTILE, reason=HOSTILE)
    reading = kit.observation(
        encounter,
        Finding(HOSTILE, Urgency.RED, (), HOSTILE),
        Finding("GL07", Urgency.ORANGE, (), HOSTILE, "undetermined", (HOSTILE,)),
        code=HOSTILE,
        context={HOSTILE: HOSTILE},
        values={HOSTILE: kit.quantity(1, HOSTILE)},
        notes=(HOSTILE,),
        device_time=HOSTILE,
    )
    kit.send(patient, encounter, reading)
    case_id = worklist.rows()[0].item.id
    worklist.assign(case_id, "heart", desk)
    log_in(browser, "heart")
    sign(browser, case_id, conclusion=HOSTILE, advice=HOSTILE)
    for path in ("/", "/?shown=archive", f"/cases/{case_id}", f"/cases/{case_id}?more=1"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
    assert HOSTILE in unescape(browser.get(f"/cases/{case_id}").text)


def test_one_bad_recording_or_number_does_not_hide_a_case(
    browser: TestClient, kit: KitVoice, heart: Practitioner, worklist: Worklist
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    observation, recording = kit.ecg(encounter, RED)
    nowhere = float("nan")
    odd = replace(
        observation,
        values={"heart_rate_ecg": kit.quantity(nowhere, "/min"), "ecg_rr_max": kit.quantity(float("inf"), "s")},
        ecg=replace(observation.ecg, heart_rate_bpm=nowhere, intervals={"rr": nowhere}, st_mm={"II": nowhere}),
    )
    kit.send(patient, encounter, odd, replace(recording, channels=(), samples=b"\x01"))
    log_in(browser, "heart")
    page = browser.get(f"/cases/{worklist.rows()[0].item.id}")
    assert page.status_code == 200
    assert "有一段波形画不出来" in page.text


def test_the_log_of_a_program_error_names_the_place_and_no_content() -> None:
    from zhenbao.hub.web.security import WITHOUT_CONTENT

    try:
        raise ValueError("演示患者甲")
    except ValueError:
        info = sys.exc_info()
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, "Exception in ASGI application\n", (), info)
    assert WITHOUT_CONTENT.filter(record)
    line = logging.Formatter().format(record)
    assert "ValueError at" in line
    assert "test_web.py" in line
    assert "演示患者甲" not in line


@pytest.mark.parametrize(
    ("path", "headers", "english"),
    [
        ("/login", {}, False),
        ("/login", {"accept-language": "fr-FR"}, False),
        ("/login", {"accept-language": "en-GB,zh;q=0.5"}, True),
        ("/login", {"accept-language": "zh-CN,en;q=0.9"}, False),
        ("/login?lang=en", {"accept-language": "zh-CN"}, True),
        ("/login?lang=zh_CN", {"accept-language": "en"}, False),
        ("/login?lang=xx", {"accept-language": "zh"}, False),
    ],
)
def test_chinese_unless_english_is_asked_for(
    browser: TestClient, path: str, headers: dict[str, str], english: bool
) -> None:
    assert ("Log in" in browser.get(path, headers=headers).text) is english


def test_both_languages_show_a_whole_case(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    log_in(browser, "heart")
    page = browser.get(f"/cases/{case_id}?lang=en").text
    assert "Write the report" in page
    assert "Preliminary on-device screening" in page
    assert "Open cases" in browser.get("/").text  # the choice stays


@pytest.mark.parametrize("path", ["/cases/not-an-id", "/cases/01a200fb-5100-793b-ade9-a0861613c191", "/nowhere"])
def test_what_is_not_there_is_said_in_words(browser: TestClient, heart: Practitioner, path: str) -> None:
    log_in(browser, "heart")
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "错误码" in answer.text


def test_missing_files_say_what_to_do(store: HubStore, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from zhenbao.hub.web.app import create_app
    from zhenbao.words import Words

    monkeypatch.setattr(vendor, "VENDOR", tmp_path)
    with pytest.raises(StorageError) as raised:
        create_app(store)
    what, do = Words().error(raised.value)
    assert "htmx.min.js" in what
    assert "make" in do


def test_vendor_takes_what_the_pages_need(tmp_path: object) -> None:
    modules = vendor.ROOT / "node_modules"
    if not modules.is_dir():
        pytest.skip("node_modules is not there: run npm ci")
    from pathlib import Path

    target = Path(str(tmp_path)) / "vendor"
    vendor.fill(modules, target)
    css = (target / "noto-sans-sc-400.css").read_text()
    named = set(re.findall(r"url\(\./files/([^)]+)\)", css))
    assert named
    assert all((target / "files" / name).is_file() for name in named)
    assert ".woff)" not in css
    assert "htmx" in (target / "htmx.min.js").read_text()


def test_an_unticked_check_signs_nothing(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    log_in(browser, "heart")
    answer = sign(browser, case_id, checked="", conclusion="写了很多")
    assert answer.status_code == 409
    assert "写了很多" in answer.text
    assert "没有勾选核对" in answer.text

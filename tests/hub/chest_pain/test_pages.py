"""The channel's pages: who sees and does what, denials say why, and what others wrote never becomes markup."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from tests.hub.conftest import change_to, csrf_of
from zhenbao.hub.chest_pain import deeds
from zhenbao.model.finding import Finding, Urgency
from zhenbao.words import Words

if TYPE_CHECKING:
    from httpx import Response

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]
RED = Finding("EC19", Urgency.RED, source="a list of critical values")
MIN = 60_000


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist, clock: HandClock) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="yes")
    clock.pass_minutes(4)
    observation, recording = kit.ecg(encounter, RED, at_ms=clock.ms - 12_000)
    kit.send(patient, encounter, observation, recording)
    return worklist.rows()[0].item.id


def text(answer: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def set_channel(browser: TestClient, case_id: UUID, **values: str) -> Response:
    data = {
        "state": "open",
        "hospital": "县医院胸痛中心",
        "decided_by": "演示医师甲",
        "csrf": csrf_of(browser.get("/")),
    } | values
    return browser.post(f"/cases/{case_id}/chest-pain/channel", data=data)


def test_the_case_shows_its_channel_and_leads_to_it(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    change_to(browser, "heart")
    page = text(browser.get(f"/cases/{case_id}"))
    assert "胸痛绿色通道：尚未开通" in page
    assert "✓ 首次接触→首份心电图：达标" in page
    assert set_channel(browser, case_id, advice="卧床,呼120").status_code == 303
    page = text(browser.get(f"/cases/{case_id}/chest-pain"))
    on_the_way = Words("zh_CN")("hub.on_the_way")
    for needed in ("开通：演示医师甲", "县医院胸痛中心", "卧床,呼120", on_the_way, "枢纽时钟", "诊包时钟"):
        assert needed in page, needed


def test_the_desk_sees_no_advice_and_no_name(
    browser: TestClient, store: HubStore, heart: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    deeds.set_channel(store, case_id, heart, state="open", hospital="县医院", advice="口服阿司匹林300mg")
    change_to(browser, "desk")
    page = browser.get(f"/cases/{case_id}/chest-pain").text
    assert "阿司匹林" not in page
    assert "演示患者甲" not in page
    assert "内容仅经治人员可见" in page
    assert 'name="advice"' not in page
    assert 'name="state"' in page


def test_who_may_not_is_told_why(browser: TestClient, lungs: Practitioner, case_id: UUID) -> None:
    change_to(browser, "lungs")
    for path in ("chest-pain", "chest-pain/chain", "live", "live/stream"):
        answer = browser.get(f"/cases/{case_id}/{path}")
        assert (answer.status_code, "没有分派给您" in answer.text) == (403, True), path
    assert set_channel(browser, case_id).status_code == 403
    data = {"milestone": "door-in", "at": "2026-11-22T10:05", "person": "某人", "csrf": csrf_of(browser.get("/"))}
    assert browser.post(f"/cases/{case_id}/chest-pain/time", data=data).status_code == 403
    assert browser.get("/chest-pain/figures").status_code == 403
    browser.cookies.clear()
    assert browser.get(f"/cases/{case_id}/chest-pain").status_code == 303
    assert browser.get(f"/cases/{case_id}/live/stream").status_code == 303


@pytest.mark.parametrize("path", ["time", "channel"])
def test_every_form_needs_its_token(browser: TestClient, heart: Practitioner, case_id: UUID, path: str) -> None:
    change_to(browser, "heart")
    data = {"state": "open", "hospital": "县医院", "milestone": "wire", "at": "2026-11-22T10:05", "person": "某人"}
    for token in ("", "x" * 43):
        answer = browser.post(f"/cases/{case_id}/chest-pain/{path}", data=data | {"csrf": token})
        assert answer.status_code == 403


def test_a_time_is_written_corrected_and_shown_with_how_late_it_was(
    browser: TestClient, desk: Practitioner, clock: HandClock, case_id: UUID
) -> None:
    clock.pass_minutes(56)  # 11:00
    change_to(browser, "desk")
    for at in ("2026-11-22T10:21", "2026-11-22T10:24"):
        data = {
            "milestone": "called-120",
            "at": at,
            "person": "村医 演示",
            "note": "电话",
            "csrf": csrf_of(browser.get("/")),
        }
        assert browser.post(f"/cases/{case_id}/chest-pain/time", data=data).status_code == 303
        clock.pass_minutes(1)
    page = text(browser.get(f"/cases/{case_id}/chest-pain"))
    assert re.search(r"呼叫120 2026-11-22 10:24:00 人工记录 村医 演示（记录：desk） · 补记，晚 37 分", page), page
    assert re.search(r"另有 1 条（更正前的记录或其他时钟） 2026-11-22 10:21:00", page)


@pytest.mark.parametrize("at", ["", "nonsense", "2026-11-22T12:00", "2026-11-22T10:00+00:00", "2020-01-01T00:00"])
def test_what_was_typed_is_not_lost_by_a_mistake(
    browser: TestClient, desk: Practitioner, case_id: UUID, at: str
) -> None:
    change_to(browser, "desk")
    data = {"milestone": "wire", "at": at, "person": "演示<b>医师</b>", "csrf": csrf_of(browser.get("/"))}
    answer = browser.post(f"/cases/{case_id}/chest-pain/time", data=data)
    assert answer.status_code == 409
    assert "时间不对" in answer.text
    assert 'value="演示&lt;b&gt;医师&lt;/b&gt;"' in answer.text


def test_pages_hold_no_inline_script_style_or_foreign_address(
    browser: TestClient, store: HubStore, heart: Practitioner, case_id: UUID
) -> None:
    deeds.set_channel(store, case_id, heart, state="open", hospital="<script>x</script>", advice="<img src=x>")
    change_to(browser, "heart")
    for path in (f"/cases/{case_id}", f"/cases/{case_id}/chest-pain", f"/cases/{case_id}/live"):
        page = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)|<img src=x", page)
        assert not re.search(r'(src|href|action|hx-\w+)="(?:https?:)?//', page)


def test_the_figures_page_and_its_file(
    browser: TestClient, heart: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    change_to(browser, "desk")
    page = text(browser.get("/chest-pain/figures?month=2026-11"))
    assert re.search(r"首次接触→首份心电图 1 1 100.0% 0 4.0 4.0 ≥75%", page), page
    assert "胸痛质控" in browser.get("/statistics").text
    file = browser.get("/chest-pain/figures.csv?month=2026-11")
    assert file.content.startswith(b"\xef\xbb\xbf")
    assert "首次接触→首份心电图,1,1,100.0%,0,4.0,4.0,≥75%" in file.content.decode("utf-8-sig")
    assert file.headers["content-disposition"].endswith('zhenbao-chest-pain-county-2026-11.csv"')


def test_english_is_complete(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    change_to(browser, "heart")
    for path in (f"/cases/{case_id}/chest-pain", f"/cases/{case_id}/live"):
        page = text(browser.get(path, headers={"accept-language": "en"}))
        page = re.sub(r"[一-鿿]{2,}(?=村|卫|\*|$)", "", page).replace("中文", "")
        for hanzi in ("胸痛", "时间", "达标", "实时", "救护"):
            assert hanzi not in page, (path, hanzi)

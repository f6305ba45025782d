"""A day of each person at the hub, in a real browser: what they are there for, by the pages' own links and buttons."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hub.full_hub import LOGINS, Full, filled
from tests.hub.test_axe import PLAIN
from tests.hub.test_browser import PASSWORD, chromium  # noqa: F401 - fixture
from zhenbao.hub.permission import Role
from zhenbao.hub.server import Hub
from zhenbao.hub.store import audit
from zhenbao.hub.web import vendor
from zhenbao.model.errors import StorageError
from zhenbao.model.time import SystemClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
NAME, NUMBER = "演示患者甲", "99999919480101002X"


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Full]]:
    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there: run make")
    folder = tmp_path_factory.mktemp("days") / "hub"
    full = filled(folder, now_ms=SystemClock().now_ms())
    hub = Hub(folder)
    hub.start()
    yield hub, full
    hub.close()


class Day:
    """Somebody at work: every page is photographed, fits its screen, and speaks words."""

    def __init__(self, browser: Browser, hub: Hub, role: Role, folder: Path, **screen: Any) -> None:
        self.hub, self.role = hub, role
        self.folder = Path(os.environ.get("ZHENBAO_PICTURES", folder))
        self.context = browser.new_context(locale="zh-CN", base_url=hub.web_url, **screen)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda r: r.url.startswith(hub.web_url) or self.complaints.append(r.url))
        self.page.goto("/login")
        self.page.fill("[name=account]", LOGINS[role])
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button.main-button")
        self.page.wait_for_url(lambda url: not url.endswith("/login"))

    def picture(self, name: str) -> str:
        """Photograph the page; its text."""
        assert self.page.evaluate(PLAIN) == [], name
        self.page.screenshot(path=self.folder / f"{self.role}-{name}.png", full_page=True)
        return self.page.inner_text("main")

    def to(self, link: str) -> None:
        """Follow a link of the page's head."""
        self.page.click(f".nav >> text={link}")
        self.page.wait_for_load_state()

    def status(self, path: str) -> int:
        """What a person gets who types an address by hand."""
        return self.context.request.get(path, max_redirects=0).status

    def leave(self) -> None:
        """Log out: nothing opens any more."""
        self.page.click("form[action='/logout'] button")
        self.page.wait_for_url("**/login")
        assert self.status("/sessions") == 303
        assert self.complaints == []
        self.context.close()

    def deeds(self) -> set[str]:
        """What the audit says they did."""
        with self.hub.store.reading() as connection:
            rows = audit.found(connection, before=None, actor=LOGINS[self.role], action=None, limit=200)
        return {row.action for row in rows}


def test_an_operator(chromium: Browser, county: tuple[Hub, Full], tmp_path: Path) -> None:  # noqa: F811
    hub, full = county
    day = Day(chromium, hub, "operator", tmp_path, **WIDE)
    page = day.page
    page.wait_for_selector(".case")
    text = day.picture("list")
    assert NAME not in text and NUMBER not in text
    assert "☎ 0994-0000101" in text
    assert day.status(f"/cases/{full.urgent_case}") == 403, "the desk has no history"
    row = page.locator(f"[id='case-{full.ids['nameless_case']}']")
    row.locator("select").select_option("heart-2")
    row.locator("form.assign button").click()
    page.wait_for_load_state()
    day.to("待办")
    assert "☎" in day.picture("tasks")
    page.click(f"[id='task-{full.urgent_case}'] .task-do a")
    for step, note in (("read-back", "已复述：平卧、呼120"), ("handled", "120已出车"), ("recorded", "")):
        page.check(f"[name=step][value={step}]")
        page.fill("[name=person]", "演示村医")
        page.check("[name=channel][value=phone]")
        page.fill("[name=text]", note)
        page.click("main .main-button")
        page.wait_for_load_state()
    text = day.picture("loop")
    assert "尚未" not in text, "the five steps are taken"
    assert NAME not in text
    day.to("设备")
    day.picture("fleet")
    day.to("指标")
    day.picture("statistics")
    assert {"case-assigned", "loop-step"} <= day.deeds()
    day.leave()


def test_a_specialist_on_a_telephone(chromium: Browser, county: tuple[Hub, Full], tmp_path: Path) -> None:  # noqa: F811
    hub, full = county
    day = Day(chromium, hub, "specialist", tmp_path, **PHONE)
    page = day.page
    page.click(".handed button")
    page.wait_for_selector(".handed", state="detached")
    day.picture("list")
    page.click(f"[id='case-{full.urgent_case}'] a.name")
    page.wait_for_selector(".paper.ecg svg .calibration")
    page.click(".claim .take")
    page.wait_for_selector(".claim.mine")
    assert NAME in day.picture("case")
    page.evaluate("document.querySelectorAll('#report-form details').forEach((each) => { each.open = true; })")
    page.check("label:has-text('窦性心动过缓') input >> nth=0")
    page.fill("[name=advice]", "平卧，呼120，转县医院")
    page.check("[name=checked]")
    page.fill("#report-form [name=password]", PASSWORD)
    page.click("[name=sign]")
    page.wait_for_selector(".signed")
    day.picture("signed")
    day.to("归档")
    assert page.locator(f"[id='case-{full.urgent_case}']").count() == 1
    day.picture("archive")
    day.to("复核")
    assert "没有等您复核" in day.picture("second"), "nobody reads their own reports a second time"
    assert {"case-viewed", "case-claimed", "report-signed"} <= day.deeds()
    day.leave()


def test_a_township_doctor(chromium: Browser, county: tuple[Hub, Full], tmp_path: Path) -> None:  # noqa: F811
    hub, full = county
    day = Day(chromium, hub, "township-doctor", tmp_path, **WIDE)
    page = day.page
    page.wait_for_selector(".case")
    day.picture("list")
    page.click(f"[id='case-{full.ids['chronic_case']}'] a.name")
    page.click("a[href$='/refer']")
    page.wait_for_url("**/refer")
    for name, value in (("department", "心内科"), ("impression", "高血压3级"), ("reason", "血压不能控制")):
        page.fill(f"[name={name}]", value)
    page.select_option("[name=to_org]", "county")
    page.check("[name=consent]")
    day.picture("refer")
    page.click("main .main-button")
    page.wait_for_url("**/referrals/*")
    assert "已发出" in day.picture("referral")
    page.goto(f"/referrals/{full.ids['returned_referral']}")
    assert "下一步护理计划" in page.inner_text("main")
    page.click("form:has([value=village-received]) button")
    page.wait_for_load_state()
    assert "村医已接收" in day.picture("returned")
    day.to("慢病管理")
    day.picture("chronic")
    page.goto(f"/chronic/entries/{full.ids['entry_id']}/township")
    day.picture("form")
    page.goto(f"/chronic/patients/{full.ids['patient_id']}")
    page.click("summary:has-text('高血压患者随访')")
    assert "152" in day.picture("patient")
    assert {"referral-sent", "referral-village-received"} <= day.deeds()
    day.leave()


def test_an_auditor(chromium: Browser, county: tuple[Hub, Full], tmp_path: Path) -> None:  # noqa: F811
    hub, full = county
    day = Day(chromium, hub, "auditor", tmp_path, **WIDE)
    page = day.page
    page.wait_for_url("**/audit")
    assert page.locator(".nav a").count() == 1, "the audit and nothing else"
    for path in (f"/cases/{full.urgent_case}", "/statistics", "/privacy", "/shares"):
        assert day.status(path) == 403, path
    page.fill("[name=actor]", "heart")
    page.click("main button")
    page.wait_for_url("**actor=heart**")
    text = day.picture("audit")
    assert "heart" in text
    assert NAME not in text and NUMBER not in text
    day.leave()


def test_a_director(chromium: Browser, county: tuple[Hub, Full], tmp_path: Path) -> None:  # noqa: F811
    hub, full = county
    day = Day(chromium, hub, "director", tmp_path, **WIDE)
    page = day.page
    page.wait_for_url("**/statistics")
    assert "%" in day.picture("statistics")
    table = day.context.request.get(str(page.get_attribute("a[href^='/statistics.csv']", "href")))
    assert table.ok
    assert NAME not in table.text()
    assert day.status(f"/cases/{full.urgent_case}") == 403, "a director reads no record"
    day.to("共享申请")
    day.picture("shares")
    page.click("button[value=approve] >> nth=0")
    page.wait_for_load_state()
    assert "✓ 已同意" in page.inner_text("main")
    day.to("个人信息")
    page.click("button[value=approve]")
    page.wait_for_load_state()
    assert NAME not in day.picture("privacy")
    day.to("规则")
    assert "浙江" in day.picture("rules")
    assert {"share-approved", "privacy-approved"} <= day.deeds()
    day.leave()

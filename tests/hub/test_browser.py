"""The pages in a real browser: a specialist finds, reads, reports and signs; a desk's list stays alive and usable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zhenbao.hub.server import Hub
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.time import SystemClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.hub.conftest import KitVoice

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    try:
        made.start()
    except StorageError as error:
        if error.code == "hub-vendor":
            pytest.skip("the page's files are not there: run make")
        raise
    made.add_practitioner("heart", name="演示医师甲", specialty="cardiology", password=PASSWORD)
    made.add_practitioner("desk", name="演示调度员", role="operator", password=PASSWORD)
    yield made
    made.close()


@pytest.fixture
def kit(hub: Hub) -> KitVoice:
    from tests.hub.conftest import HandClock, KitVoice

    return KitVoice(hub.store, HandClock(SystemClock().now_ms()))


def critical(kit: KitVoice, name: str = "演示患者甲") -> None:
    patient = kit.patient(name=name)
    encounter = kit.encounter(patient, chest_pain="yes")
    observation, recording = kit.ecg(encounter, Finding("EC19", Urgency.RED))
    kit.send(patient, encounter, observation, recording)


class Desk:
    """A logged-in page that notes every complaint of the browser."""

    def __init__(self, browser: Browser, hub: Hub, login: str, **options: object) -> None:
        self.context = browser.new_context(locale="zh-CN", base_url=hub.web_url, **options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda r: r.url.startswith(hub.web_url) or self.complaints.append(r.url))
        self.page.goto("/login")
        self.page.fill("[name=account]", login)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button.main-button")
        self.page.wait_for_url("**/")


@pytest.mark.parametrize(
    "screen",
    [
        pytest.param({"viewport": {"width": 1440, "height": 900}}, id="desktop"),
        pytest.param({"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}, id="phone"),
    ],
)
def test_a_specialist_reports_and_signs(chromium: Browser, hub: Hub, kit: KitVoice, screen: dict[str, object]) -> None:
    critical(kit)
    desk = Desk(chromium, hub, "heart", **screen)
    page = desk.page
    page.click(".case.u-RED a.name")
    page.wait_for_selector(".paper.ecg svg .calibration")
    assert "本机初筛提示" in page.inner_text(".preliminary")
    page.fill("textarea[name=conclusion]", "窦性心动过缓,心率32次/分")
    page.fill("input[name=advice]", "平卧,呼120,转县医院")
    page.fill("#report-form [name=password]", PASSWORD)
    page.wait_for_selector("#saved:has-text('草稿已自动保存')")
    page.click("button[name=sign]")
    assert page.is_visible("button[name=sign]")  # the check is not ticked: the browser holds it back
    assert hub.worklist.rows() != []
    page.check("input[name=checked]")
    page.click("button[name=sign]")
    page.wait_for_selector(".signed")
    assert "窦性心动过缓" in page.inner_text(".signed .conclusion")
    assert page.locator("textarea[name=conclusion]").count() == 0
    assert hub.open_cases() == []
    assert [e.kind for e in hub.store.due(SystemClock().now_ms() + 10**9, 9)] == ["viewed", "report"]
    if "is_mobile" in screen:
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide
    assert desk.complaints == []
    desk.context.close()


def test_the_list_refreshes_by_itself_and_takes_nothing_out_of_the_hand(
    chromium: Browser, hub: Hub, kit: KitVoice
) -> None:
    from playwright.sync_api import expect

    critical(kit, "演示患者甲")
    desk = Desk(chromium, hub, "desk")
    page = desk.page
    page.wait_for_selector(".case")
    page.focus(".case select")
    held = page.evaluate("document.activeElement.id")
    critical(kit, "样例患者乙")
    page.locator(".case").nth(1).wait_for()
    assert page.evaluate("document.activeElement.id") == held
    before = page.inner_text(".clock >> nth=0")
    expect(page.locator(".clock").first).not_to_have_text(before)
    assert not page.is_visible("#stale")
    assert desk.complaints == []
    hub.stop()
    page.wait_for_selector("#stale", state="visible")  # old data never looks live
    desk.context.close()


def test_buttons_are_large_enough_for_a_finger(chromium: Browser, hub: Hub, kit: KitVoice) -> None:
    critical(kit)
    desk = Desk(chromium, hub, "heart", viewport={"width": 390, "height": 844})
    desk.page.click(".case.u-RED a.name")
    desk.page.wait_for_selector(".report-form")
    small = desk.page.evaluate(
        """() => [...document.querySelectorAll('button, .main-button, a.phone, textarea, label.confirm, .choose label')]
        .filter(e => e.offsetParent && e.getBoundingClientRect().height < 12 / 25.4 * 96 - 0.5)
        .filter(e => !e.classList.contains('compare')).map(e => e.outerHTML)"""
    )
    assert small == []
    desk.context.close()


def test_pictures_of_an_ultrasound_are_really_drawn(chromium: Browser, hub: Hub, kit: KitVoice) -> None:
    """Under the page's policy and the files' own: each picture that the page asks for has its pixels."""
    pytest.importorskip("pydicom")
    import hashlib
    from dataclasses import replace
    from uuid import uuid4

    import pictures

    from zhenbao.model.attachment import Attachment, MediaType, Named
    from zhenbao.model.report import Report, ReturnedReport

    hub.add_practitioner("gp", name="演示全科", specialty="general-practice", password=PASSWORD)
    patient = kit.patient()
    encounter = kit.encounter(patient)
    scan = kit.observation(encounter, Finding("US01", Urgency.BLUE, source="x"), code="ultrasound", values={})
    samples = pictures.samples_of_others()
    contents = [
        ((samples / "examples_rgb_color.dcm").read_bytes(), MediaType.DICOM, 1),
        ((samples / "examples_ybr_color.dcm").read_bytes(), MediaType.DICOM, 30),
        (pictures.jpeg_bytes(), MediaType.JPEG, 1),
    ]
    files = [
        Attachment(
            uuid4(),
            encounter.id,
            patient.id,
            scan.id,
            kind,
            "胆囊 长轴",
            kit.clock.now_ms(),
            hashlib.sha256(content).digest(),
            content,
            Named.DIFFERS if frames > 1 else Named.NOBODY,
            frames,
        )
        for content, kind, frames in contents
    ]
    lost = Report(
        uuid4(), encounter.id, patient.id, (scan.id,), "演示医师", "cardiology", "胆囊结石", "随访", "BLUE", 1, "00"
    )
    scan = replace(scan, attachments=tuple(file.id for file in files))
    kit.send(patient, encounter, scan, *files, ReturnedReport(lost, 1, None))
    desk = Desk(chromium, hub, "gp", viewport={"width": 1280, "height": 900})
    page = desk.page
    page.click(".case a.name")
    page.locator(".file details summary").click()
    widths = page.evaluate(
        """async () => {
            const all = [...document.querySelectorAll('.file img')];
            for (const image of all) image.loading = 'eager';
            await Promise.all(all.map((image) => image.decode().catch(() => null)));
            return all.map((image) => image.naturalWidth);
        }"""
    )
    assert len(widths) == 3 + 12
    assert all(width >= 64 for width in widths)
    assert desk.complaints == []
    desk.context.close()


# The live list

COUNT_TONES = """
window.tones = 0;
const make = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () { window.tones += 1; return make.call(this); };
"""


def live(desk: Desk) -> None:
    desk.page.wait_for_selector("#line[data-state=live]")


def test_a_critical_case_is_told_at_once_and_rings_only_after_a_click(
    chromium: Browser, hub: Hub, kit: KitVoice
) -> None:
    desk = Desk(chromium, hub, "heart")
    page = desk.page
    page.add_init_script(COUNT_TONES)
    page.reload()
    live(desk)
    assert page.get_attribute("#sound", "data-state") == "off"
    assert "关" in page.inner_text("#sound")
    critical(kit, "演示患者甲")
    page.wait_for_selector("#told li.red >> nth=0", timeout=10000)
    page.locator(".case").first.wait_for(timeout=3000)
    assert page.evaluate("window.tones") == 0
    page.click("#sound")
    page.wait_for_selector("#sound[data-state=on]")
    before = page.evaluate("window.tones")  # it says how it sounds
    assert before > 0
    critical(kit, "样例患者乙")
    page.wait_for_function("before => window.tones > before", arg=before, timeout=10000)
    page.locator(".case").nth(1).wait_for(timeout=3000)
    assert page.evaluate("window.tones") == 2 * before  # the list that shows it does not ring again
    told = page.inner_text("#told")
    assert "患者" not in told
    page.reload()  # nobody has touched the page since: the browser keeps it silent, and the page says so
    live(desk)
    assert page.get_attribute("#sound", "data-state") in ("blocked", "on")
    page.click("h1")
    page.wait_for_selector("#sound[data-state=on]")
    assert desk.complaints == []
    desk.context.close()


def test_the_list_by_keyboard(chromium: Browser, hub: Hub, kit: KitVoice) -> None:
    for name in ("演示患者甲", "样例患者乙"):
        critical(kit, name)
    desk = Desk(chromium, hub, "heart")
    page = desk.page
    live(desk)
    rows = page.locator(".case")
    first, second = (rows.nth(n).get_attribute("id") for n in (0, 1))

    def chosen() -> str | None:
        return page.evaluate("document.activeElement.closest('.case')?.id ?? null")

    for key, expected in (("j", first), ("j", second), ("j", second), ("k", first)):
        page.keyboard.press(key)
        assert chosen() == expected
    page.keyboard.press("c")
    page.wait_for_selector(f"#{first} .badge.held.mine")
    assert chosen() == first  # what was chosen stays chosen when the list is drawn anew
    assert hub.worklist.rows()[0].holder == "演示医师甲"
    page.keyboard.press("r")
    page.wait_for_selector(f"#{first} .badge.held", state="detached")
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("jk")  # letters, while something is typed
    assert page.input_value("#search") == "jk"
    page.fill("#search", "ylhz")
    page.keyboard.press("Enter")
    page.wait_for_url("**/find")
    assert page.locator(".case").count() == 1
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/**")
    page.goto("/")
    page.click("#keys-button")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert chosen() is None  # switched off
    assert desk.complaints == []
    desk.context.close()


def test_who_loses_a_case_sees_it_on_any_page(chromium: Browser, hub: Hub, kit: KitVoice) -> None:
    hub.add_practitioner("heart-2", name="演示医师乙", specialty="cardiology", password=PASSWORD)
    critical(kit)
    loser, taker = Desk(chromium, hub, "heart"), Desk(chromium, hub, "heart-2")
    for desk in (loser, taker):
        desk.page.click(".case a.name")
        live(desk)
    loser.page.click(".claim .take")
    loser.page.wait_for_selector(".claim.mine")
    taker.page.wait_for_selector(".claim.other")  # by itself
    taker.page.click(".claim summary")
    taker.page.fill(".take-over textarea", "甲医师正在手术，由我处理")
    taker.page.click(".take-over button")
    loser.page.wait_for_selector("#told li.lost", timeout=10000)
    assert "演示医师乙已从您手中接手" in loser.page.inner_text("#told")
    loser.page.wait_for_selector(".claim.other")
    for desk in (loser, taker):
        assert desk.complaints == []
        desk.context.close()


def test_a_page_says_when_its_line_is_broken_how_old_it_is_and_when_the_session_is_over(
    chromium: Browser, hub: Hub, kit: KitVoice
) -> None:
    from zhenbao.hub.store import people

    critical(kit)
    desk = Desk(chromium, hub, "heart")
    page = desk.page
    live(desk)
    hub._newsroom._send_away()  # every line drops; the pages come back by themselves
    page.wait_for_selector("#line:not([data-state=live])")
    live(desk)
    assert not page.is_visible("#stale")
    desk.context.set_offline(True)
    hub._newsroom._send_away()
    page.wait_for_selector("#stale", state="visible")
    assert "秒前的数据" in page.inner_text("#stale")
    desk.context.set_offline(False)
    live(desk)
    page.wait_for_selector("#stale", state="hidden")
    with hub.store.writing() as connection:
        people.set_password(connection, "heart", PASSWORD)  # ends the session
    page.wait_for_selector("#over", state="visible")
    desk.context.close()


def test_many_tabs_leave_room_and_say_so(chromium: Browser, hub: Hub, kit: KitVoice) -> None:
    desk = Desk(chromium, hub, "heart")
    live(desk)
    tabs = []
    for _ in range(4):
        tab = desk.context.new_page()
        tab.goto("/")
        tab.wait_for_selector("#line[data-state=live]")
        tabs.append(tab)
    desk.page.wait_for_selector("#line[data-state=moved]")
    assert "标签页" in desk.page.inner_text("#line")
    critical(kit)
    desk.page.locator(".case").first.wait_for(timeout=20000)  # later, but it comes
    desk.context.close()


def test_the_new_pages_fit_a_telephone_and_a_finger(chromium: Browser, hub: Hub, kit: KitVoice) -> None:
    hub.add_practitioner("heart-2", name="演示医师乙", specialty="cardiology", password=PASSWORD)
    critical(kit)
    desk = Desk(chromium, hub, "heart", viewport={"width": 360, "height": 780}, is_mobile=True, has_touch=True)
    page = desk.page
    for path in ("/", "/handover?taker=heart-2", "/alerts", "/tasks"):
        page.goto(path)
        live(desk)
        if path == "/":
            page.click(".more-filters summary")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, summary, .plain, select, input[type=search], a.alerts')]
            .filter(e => e.offsetParent && e.getBoundingClientRect().height < 12 / 25.4 * 96 - 0.5)
            .map(e => e.outerHTML)"""
        )
        assert small == []
    assert desk.complaints == []
    desk.context.close()

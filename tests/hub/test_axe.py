"""Every page of the hub in a real browser, judged by axe-core: what a screen reader or a weak eye needs is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hub.full_hub import LOGINS, Full, filled
from tests.hub.test_browser import PASSWORD, chromium  # noqa: F401 - fixture
from tests.hub.test_law_pages import all_routes
from zhenbao.hub.server import Hub
from zhenbao.hub.web import vendor
from zhenbao.model.errors import StorageError
from zhenbao.model.time import SystemClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS_PX = (1280, 360)
NOT_A_PAGE = {
    "/events": "a line that stays open",
    "/sw.js": "a script",
    "/cases/{case_id}/live/stream": "a line that stays open",
    "/cases/{case_id}/reports/{report_id}/pdf": "PDF",
    "/chest-pain/figures.csv": "a table for a spreadsheet",
    "/statistics.csv": "a table for a spreadsheet",
    "/statistics.pdf": "PDF",
    "/cases/{case_id}/files/{file_id}/picture": "a picture",
    "/cases/{case_id}/files/{file_id}/original": "a download",
    "/cases/{case_id}/delivery": "a part of the page after signing",
    "/cases/{case_id}/claim": "a part of the case page",
    "/rows": "the part of the list that is drawn anew",
    "/cases/{case_id}/chest-pain/chain": "a part of the case page",
    "/quality/{drawn_id}/ecg/{recording_id}": "the ECG page of a case, which is judged, without names",
}
"""Routes by GET that give no page of their own."""
ALSO = {
    "/?shown=archive": "specialist",
    "/?lang=en": "specialist",
    "/cases/{reported_case}": "specialist",
    "/cases/{reported_case}?more=1": "specialist",
    "/cases/{chronic_case}": "specialist",
    "/cases/{nameless_case}/identity": "township-doctor",
    "/referrals/{returned_referral}": "township-doctor",
    "/referrals?shown=closed": "specialist",
    "/chronic/entries/{entry_id}/township": "township-doctor",
    "/chronic/entries/{entry_id}/county": "specialist",
    "/handover?taker=heart-2": "specialist",
    "/nowhere": "specialist",
}
"""Addresses of pages that look otherwise than the one at the route alone."""
RUN = """async () => {
    document.querySelectorAll('details').forEach((element) => { element.open = true; });
    const found = await axe.run(document, {resultTypes: ['violations']});
    return found.violations.map((v) => ({
        id: v.id, impact: v.impact, help: v.help,
        nodes: v.nodes.map((n) => {
            const why = n.any.concat(n.all, n.none).map((check) => check.message);
            return n.html.slice(0, 160) + ' | ' + why.join('; ');
        }),
    }));
}"""

PLAIN = """() => {
    const found = [], wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) found.push('wider than the screen: ' + wide);
    const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
    const twice = ids.filter((id, n) => ids.indexOf(id) !== n);
    if (twice.length) found.push('one id, two things: ' + twice);
    const key = document.body.innerText.match(/\\b(hub|context|note|observation|urgency|due_state|caution)\\.[a-z_]+/);
    if (key) found.push('a word is missing: ' + key[0]);
    return found;
}"""


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Full]]:
    if not AXE.exists():
        pytest.skip("axe-core is not there: run make (npm ci)")
    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there: run make")
    folder = tmp_path_factory.mktemp("full") / "hub"
    full = filled(folder, now_ms=SystemClock().now_ms())
    hub = Hub(folder)
    hub.start()
    yield hub, full
    hub.close()


def pages(hub: Hub) -> list[str]:
    """The paths of all routes by GET that may give a page, from the program itself."""
    from zhenbao.hub.web.app import create_app

    found = [r.path for r in all_routes(create_app(hub.store)) if "GET" in r.methods]
    unknown = set(NOT_A_PAGE) - set(found)
    assert not unknown, f"no longer there: {unknown}"
    return [path for path in found if path not in NOT_A_PAGE]


def of(full: Full, path: str) -> str:
    """An address that exists."""
    path = path.replace("/earlier/{observation_id}", "/earlier/{earlier_observation}")
    return re.sub(r"\{(\w+)\}", lambda m: full.ids[m[1]], path)


def logged_in(browser: Browser, hub: Hub, role: str) -> BrowserContext:
    context = browser.new_context(locale="zh-CN", base_url=hub.web_url)
    page = context.new_page()
    page.goto("/login")
    page.fill("[name=account]", LOGINS[role])  # type: ignore[index]
    page.fill("[name=password]", PASSWORD)
    page.click("button.main-button")
    page.wait_for_url(lambda url: not url.endswith("/login"))
    page.close()
    return context


def judge(page: Page, path: str) -> list[str]:
    """What axe finds at both widths, whatever its weight: one line for each element."""
    page.goto(path, wait_until="load")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    lines = []
    for width_px in WIDTHS_PX:
        page.set_viewport_size({"width": width_px, "height": 900})
        lines += [f"{path} {width_px} {each}" for each in page.evaluate(PLAIN)]
        for v in page.evaluate(RUN):
            lines += [f"{path} {width_px} {v['impact']} {v['id']}: {node}" for node in v["nodes"]]
    return lines


def test_every_page_of_every_role(chromium: Browser, county: tuple[Hub, Full]) -> None:  # noqa: F811
    hub, full = county
    seen: dict[str, list[set[str]]] = {path: [] for path in pages(hub)}
    found: list[str] = []
    for role in LOGINS:
        context = logged_in(chromium, hub, role)
        page = context.new_page()
        todo = []
        for path in seen:
            answer = context.request.get(of(full, path), max_redirects=0)
            if answer.status == 200 and "text/html" in answer.headers["content-type"]:
                shape = set(re.findall(r'<\w+[^>]* (?:class|name)="[^"]*"', answer.text()))
                if not any(shape <= other for other in seen[path]):
                    todo.append(path)
                    seen[path].append(shape)
        todo += [path for path, by in ALSO.items() if by == role]
        if role == "admin":
            todo.append("/cases/{case_id}")  # a denial
        for path in todo:
            found += judge(page, of(full, path))
        context.close()
    nobody = chromium.new_context(locale="zh-CN", base_url=hub.web_url)
    found += judge(nobody.new_page(), "/login")
    nobody.close()
    assert {path for path, shapes in seen.items() if not shapes} == set()
    assert found == []

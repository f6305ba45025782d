"""The README's pictures of the hub's pages, taken from a hub with one of everything: ``python tools/hub_pictures.py``.

Needs Chromium and what ``make`` installs. Pictures are reduced to a palette: they are drawings, and weigh a third so.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tests.hub.full_hub import filled  # noqa: E402
from tests.hub.test_browser import CHROMIUM, PASSWORD  # noqa: E402
from zhenbao.hub.server import Hub  # noqa: E402
from zhenbao.model.time import SystemClock  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
WIDTH_PX, LIST_PX, CASE_PX = 1280, 820, 1500
COLOURS = 64


def keep(page: Page, name: str, height_px: int) -> None:
    """The upper part of a page."""
    page.set_viewport_size({"width": WIDTH_PX, "height": height_px})
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def main() -> None:
    """Take all four."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        full = filled(Path(folder) / "hub", now_ms=SystemClock().now_ms())
        hub = Hub(Path(folder) / "hub")
        hub.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for language, locale in (("zh", "zh-CN"), ("en", "en-GB")):
            page = browser.new_context(locale=locale, base_url=hub.web_url).new_page()
            page.goto("/login")
            page.fill("[name=account]", "heart")
            page.fill("[name=password]", PASSWORD)
            page.click("button.main-button")
            page.wait_for_selector(".case")
            keep(page, f"worklist-{language}", LIST_PX)
            page.goto(f"/cases/{full.urgent_case}")
            page.wait_for_selector(".paper.ecg svg .calibration")
            keep(page, f"case-{language}", CASE_PX)
        browser.close()
        hub.close()


if __name__ == "__main__":
    main()

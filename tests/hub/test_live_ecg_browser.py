"""The running trace in a real browser: it says all the time what it is, shows a gap as a gap, and stops by itself."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.hub.test_browser import Desk, chromium, critical, hub, kit  # noqa: F401 - fixtures
from zhenbao.hub.live_ecg import Piece
from zhenbao.sync.live.chunk import Chunk

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.hub.conftest import KitVoice
    from zhenbao.hub.server import Hub

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WAVE = struct.pack("<186h", *([0] * 90 + [200] * 6 + [0] * 90))
CHUNK = Chunk(b"12345678", UUID(int=0), 125, ("II", "V1", "V5"), 0.005, 0, WAVE, 0)
GREY = "d => Array.from({length: d.width}, (_, x) => d.getContext('2d').getImageData(x, d.height - 3, 1, 1).data)"


@pytest.mark.parametrize("width", [1280, 360])
def test_a_trace_runs_is_marked_and_stops(chromium: Browser, hub: Hub, kit: KitVoice, width: int) -> None:  # noqa: F811
    critical(kit)
    (item,) = hub.open_cases()
    desk = Desk(chromium, hub, "heart", viewport={"width": width, "height": 800})
    page = desk.page
    page.goto(f"/cases/{item.id}/live")
    mark = page.locator("#live-mark")
    assert "诊包没有在传送" in mark.inner_text()
    page.wait_for_timeout(500)

    def give(first: int, delay_s: float) -> None:
        chunk = replace(CHUNK, encounter_id=item.encounter_id, first_sample=first)
        for watcher in list(hub._desk._watchers):
            watcher.give(Piece(chunk, delay_s))

    give(0, 0.5)
    page.locator("#live-mark", has_text="至少 1 秒").wait_for(timeout=20_000)
    give(62, 3.2)
    page.locator("#live-mark", has_text="至少 4 秒").wait_for(timeout=20_000)
    assert mark.inner_text().startswith("实时，未存档，有延迟")
    assert not _grey(page), "nothing is missing"
    give(248, 0.5)
    page.locator("#live-mark", has_text="至少 1 秒").wait_for(timeout=20_000)
    assert _grey(page), "what did not come is grey, and no line runs through it"
    page.locator("#live-mark", has_text="中断").wait_for(timeout=20_000)
    assert mark.inner_text().startswith("实时，未存档，有延迟"), "also when nothing comes any more"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The one complaint is about this test's own look at the pixels.
    assert [text for text in desk.complaints if "willReadFrequently" not in text] == []


def _grey(page: object) -> bool:
    """Whether the foot of the drawing has the colour of a gap anywhere."""
    pixels = page.locator("#live-trace").evaluate(GREY)  # type: ignore[attr-defined]
    return any(list(p[:3]) == [217, 223, 225] for p in pixels)

"""What the specialist reads of a 24 h blood pressure recording: means, the fall at night, the course, its limits."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from typing import TYPE_CHECKING

import pytest
from bp24_table import table
from starlette.testclient import TestClient

from zhenbao.formats.bp_csv import parse_bp_series
from zhenbao.model.bp_series import Bp24Recording
from zhenbao.signal.bp24 import analyse_bp24, judged_readings, means

if TYPE_CHECKING:
    from tests.hub.conftest import KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]


def test_the_course_and_what_it_does_not_say_are_on_the_page(
    store: HubStore, kit: KitVoice, worklist: Worklist, heart: Practitioner
) -> None:
    from zhenbao.hub.web.app import create_app

    series = parse_bp_series(table(datetime(2026, 11, 22, 9, 0)))
    analysis = analyse_bp24(series, age_years=66)
    recording = Bp24Recording(analysis, judged_readings(series))
    patient = kit.patient()
    visit = kit.encounter(patient)
    values = means(analysis.whole, analysis.day, analysis.night)
    kit.send(patient, visit, kit.observation(visit, *analysis.findings, code="bp24", values=values, bp24=recording))
    with TestClient(create_app(store), base_url="http://127.0.0.1", headers={"accept-language": "zh-CN"}) as browser:
        page = browser.get("/login")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token is not None
        browser.post("/login", data={"account": heart.login, "password": "correct horse", "csrf": token[1]})
        (row,) = worklist.rows()
        shown = unescape(browser.get(f"/cases/{row.item.id}").text)
    assert "24小时动态血压" in shown
    assert "白天平均收缩压" in shown
    assert "夜间下降率：收缩压10.8%" in shown
    assert "没有患者日记" in shown
    assert shown.count('class="reading"') == 48

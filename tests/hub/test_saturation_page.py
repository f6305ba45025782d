"""What the specialist reads of an oxygen saturation: the numbers, where it was taken, with or without oxygen."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from zhenbao import rules
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

if TYPE_CHECKING:
    from tests.hub.conftest import KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]


def test_a_saturation_is_shown_with_its_circumstances(
    store: HubStore, kit: KitVoice, worklist: Worklist, lungs: Practitioner
) -> None:
    from zhenbao.hub.web.app import create_app

    patient = kit.patient()
    visit = kit.encounter(patient)
    values = {
        "spo2": Quantity(86.0, "%"),
        "pulse_rate_oximeter": Quantity(104.0, "/min"),
        "perfusion_index": Quantity(4.2, "%"),
    }
    context = {"altitude": "1500-2500", "oxygen": "yes", "dyspnoea": "no"}
    reading = kit.observation(
        visit,
        *rules.evaluate("spo2", values, context),
        code="spo2",
        values=values,
        context=context,
        notes=("on-oxygen", "oximeter:battery-low"),
        device=Device("oximeter-nonin", "Nonin", "3230", "SN3"),
    )
    kit.send(patient, visit, reading)
    with TestClient(create_app(store), base_url="http://127.0.0.1", headers={"accept-language": "zh-CN"}) as browser:
        token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/login").text)
        assert token is not None
        browser.post("/login", data={"account": lungs.login, "password": "correct horse", "csrf": token[1]})
        (row,) = worklist.rows()
        page = unescape(browser.get(f"/cases/{row.item.id}").text)
    assert row.item.specialty == "respiratory"
    for shown in ("血氧饱和度", "86", "脉率（血氧仪）", "104", "灌注指数", "4.2", "1500–2500 米", "电量低", "吸氧"):
        assert shown in page, shown
    assert not re.search(r"(?:context|note|observation|altitude)\.[a-z]", page)

"""What the specialist reads of an ECG that a cable tore: how much is missing, and that no electrode is at fault."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from zhenbao.model.ecg import LEADS, EcgQuality
from zhenbao.model.finding import Finding, Urgency
from zhenbao.sync.envelope import pack, unpack

if TYPE_CHECKING:
    from tests.hub.conftest import KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]
LOST = EcgQuality(False, 0.8, ("data-lost",), dict.fromkeys(LEADS, ((0, 1000),)), ((1000, 1160), (2000, 2025)))


def test_lost_milliseconds_are_named_and_no_electrode(
    store: HubStore, kit: KitVoice, worklist: Worklist, heart: Practitioner
) -> None:
    from zhenbao.hub.web.app import create_app

    patient = kit.patient()
    visit = kit.encounter(patient)
    plain, recording = kit.ecg(visit, Finding("EC19", Urgency.RED, source="a table"))
    assert plain.ecg is not None
    observation = replace(plain, ecg=replace(plain.ecg, quality=LOST))
    recording = replace(recording, rr_1024=(853, 861, 849))
    # What a kit of this version adds is on the wire, and what a kit before it sent is read as nothing lost.
    assert unpack("observation", pack(observation)) == observation
    assert unpack("recording", pack(recording)) == recording
    assert unpack("recording", pack(replace(recording, rr_1024=()))).rr_1024 == ()  # type: ignore[union-attr]
    kit.send(patient, visit, observation, recording)
    with TestClient(create_app(store), base_url="http://127.0.0.1", headers={"accept-language": "zh-CN"}) as browser:
        page = browser.get("/login")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token is not None
        browser.post("/login", data={"account": heart.login, "password": "correct horse", "csrf": token[1]})
        (row,) = worklist.rows()
        shown = unescape(browser.get(f"/cases/{row.item.id}").text)
    # 160 and 25 samples of 2 ms
    assert "传输中丢失 370 毫秒" in shown
    assert "电极脱落" not in shown

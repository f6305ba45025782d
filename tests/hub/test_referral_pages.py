"""The pages of a referral: written, accepted, returned with a plan, and never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from tests.hub.conftest import PASSWORD, change_to, csrf_of
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import organisations
from zhenbao.hub.store.organisations import Organisation
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = pytest.mark.slow
UP = {
    "to_org": "county", "urgency": "RED", "department": "心内科", "impression": "疑似心梗<script>",
    "reason": "胸痛两小时",
    "physician": "演示医师", "physician_phone": "0994-0000051", "consent": "yes",
}  # fmt: skip
DOWN = {
    "diagnosis": "急性下壁心肌梗死", "next_plan": "双抗一年", "nursing_plan": "低盐饮食", "physician": "演示医师",
    "physician_phone": "0994-0000011",
}  # fmt: skip


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist, store: HubStore, clock: HandClock) -> UUID:
    with store.writing() as connection:
        organisations.add(connection, Organisation("east", "东乡卫生院", "township", "county", phone="0994-0000050"))
        organisations.place_kit(connection, "kit-001", "east", clock.now_ms())
    add_practitioner(
        store, "town", name="演示乡镇医师", role="township-doctor", specialty="general-practice",
        phone="0994-0000051", password=PASSWORD, org_id="east",
    )  # fmt: skip
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC16", Urgency.RED, (), "x"), code="ecg"))
    return worklist.rows()[0].item.id


def test_up_and_back_on_the_pages(browser: TestClient, heart: Practitioner, case_id: UUID) -> None:
    csrf = change_to(browser, "town")
    form = browser.get(f"/cases/{case_id}/refer")
    assert "县级牵头医院" in form.text
    assert 'value="演示乡镇医师"' in form.text
    refused = browser.post(f"/cases/{case_id}/refer", data=UP | {"csrf": csrf, "consent": ""})
    assert refused.status_code == 409
    assert "没有记录知情同意" in refused.text
    assert "胸痛两小时" in refused.text
    sent = browser.post(f"/cases/{case_id}/refer", data=UP | {"csrf": csrf})
    assert sent.status_code == 303
    path = sent.headers["location"]
    shown = browser.get(path).text
    assert "疑似心梗&lt;script&gt;" in shown
    assert "已发出" in shown
    assert "接收</button>" not in shown, "the receiver's step is not offered to the sender"

    csrf = change_to(browser, "heart")
    listed = browser.get("/referrals").text
    assert path in listed
    assert "演示患者" not in listed
    for state in ("accepted", "arrived"):
        assert browser.post(path, data={"csrf": csrf, "state": state}).status_code == 303
    empty = browser.post(path, data={"csrf": csrf, "state": "returned", "diagnosis": "心梗", "next_plan": "双抗"})
    assert empty.status_code == 409
    assert "双抗" in empty.text
    assert browser.post(path, data=DOWN | {"csrf": csrf, "state": "returned"}).status_code == 303

    csrf = change_to(browser, "town")
    back = browser.get(path).text
    assert "下一步护理计划" in back
    assert "低盐饮食" in back
    assert browser.post(path, data={"csrf": "x", "state": "village-received"}).status_code == 403
    assert browser.post(path, data={"csrf": csrf, "state": "village-received"}).status_code == 303


def test_who_may_not_refer_sees_no_referral(browser: TestClient, desk: Practitioner, case_id: UUID) -> None:
    change_to(browser, "town")
    csrf = csrf_of(browser.get(f"/cases/{case_id}/refer"))
    path = browser.post(f"/cases/{case_id}/refer", data=UP | {"csrf": csrf}).headers["location"]
    change_to(browser, "desk")
    assert browser.get("/referrals").status_code == 403
    assert browser.get(path).status_code == 404
    assert browser.get(f"/cases/{case_id}/refer").status_code == 403

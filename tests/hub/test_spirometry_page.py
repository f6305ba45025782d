"""What the specialist reads of a spirometry: the words of the class, never its code, and whose reference it was."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.spirometry import Session, SpirometryAnalysis
from zhenbao.signal.spirometry import interpret, reference

if TYPE_CHECKING:
    from tests.hub.conftest import KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]


def low_fev1() -> SpirometryAnalysis:
    """FEV1 79.5 % of predicted, ratio and FVC not reduced, flows normal: the platform's code is ``normal``."""
    person = reference("gli2012", sex="F", age_years=50.0, height_cm=160.0, ethnicity="NEAsia")
    fev1_l, fvc_l = 0.795 * person["FEV1"].predicted, 0.84 * person["FVC"].predicted
    found = interpret(fev1_l=fev1_l, fvc_l=fvc_l, references=person, mmef_l_s=9.0, fef75_l_s=9.0)
    assert found.cn5_class == "normal"
    session = Session("A", "A", fev1_l, fvc_l, fev1_l / fvc_l, 0.05, 0.05, None, 0)
    return SpirometryAnalysis((), session, "gli2012", person, found, (), ("group-not-chosen",), group="NEAsia")


def test_a_low_fev1_is_never_shown_as_normal(
    store: HubStore, kit: KitVoice, worklist: Worklist, lungs: Practitioner
) -> None:
    from zhenbao.hub.web.app import create_app

    patient = kit.patient()
    visit = kit.encounter(patient)
    prism = Finding("SP07", Urgency.BLUE, source="a recommendation of 2025")
    kit.send(patient, visit, kit.observation(visit, prism, code="spirometry", spirometry=low_fev1()))
    with TestClient(create_app(store), base_url="http://127.0.0.1", headers={"accept-language": "zh-CN"}) as browser:
        page = browser.get("/login")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token is not None
        browser.post("/login", data={"account": lungs.login, "password": "correct horse", "csrf": token[1]})
        (row,) = worklist.rows()
        shown = unescape(browser.get(f"/cases/{row.item.id}").text)
    assert "不能分类，PRISm 待查" in shown
    # What a physician could tick says nothing of this test.
    said = re.sub(r'<label><input type="checkbox" name="choices".*?</label>', "", shown)
    assert "通气功能正常" not in said
    assert "GLI-2012 · 东北亚人群" in shown
    assert "符合 PRISm" in shown
    assert "县里尚未选定 GLI-2012 的人群" in shown

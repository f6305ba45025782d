"""The pages of the worklist: claiming, taking over, handing over, searching; and that no name stands in an address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from tests.hub.conftest import PASSWORD, change_to
from zhenbao.hub import handover
from zhenbao.hub.case_code import case_code
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, claims
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = pytest.mark.slow
REASON = "甲医师正在手术，由我处理"


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist) -> UUID:
    patient = kit.patient(name="单雄信<b>")
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED, source="x"), code="ecg"))
    return worklist.rows()[0].item.id


def held_by(store: HubStore, case_id: UUID) -> str | None:
    with store.reading() as connection:
        claim = claims.of_case(connection, case_id, store.clock.now_ms())
    return claim.login if claim is not None else None


def test_a_case_is_claimed_and_let_go_without_a_script(
    browser: TestClient, store: HubStore, heart: Practitioner, case_id: UUID
) -> None:
    csrf = change_to(browser, "heart")
    assert f'action="/cases/{case_id}/claim"' in browser.get("/").text
    answer = browser.post(f"/cases/{case_id}/claim", data={"csrf": csrf, "back": "list"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert held_by(store, case_id) == "heart"
    assert "您正在处理" in browser.get("/").text
    assert "您正在处理" in browser.get(f"/cases/{case_id}").text
    answer = browser.post(f"/cases/{case_id}/release", data={"csrf": csrf})
    assert answer.headers["location"] == f"/cases/{case_id}"
    assert held_by(store, case_id) is None
    assert "目前没有人在处理" in browser.get(f"/cases/{case_id}").text


def test_who_opens_anothers_case_sees_who_holds_it_since_when(
    browser: TestClient, store: HubStore, heart: Practitioner, heart_2: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    csrf = change_to(browser, "heart")
    browser.post(f"/cases/{case_id}/claim", data={"csrf": csrf})
    clock.pass_minutes(4)
    csrf = change_to(browser, "heart-2")
    for path in ("/", f"/cases/{case_id}", f"/cases/{case_id}/claim"):
        page = browser.get(path).text
        assert "演示医师甲 正在处理" in page
        assert "自 10:00" in page
    # With one press from the list nothing is taken: the page asks why.
    pressed = browser.post(f"/cases/{case_id}/claim", data={"csrf": csrf}, headers={"HX-Request": "true"})
    assert (pressed.status_code, pressed.headers["HX-Redirect"]) == (204, f"/cases/{case_id}/claim")
    for data in ({}, {"over": "heart"}, {"over": "heart", "reason": "急"}, {"reason": REASON}):
        answer = browser.post(f"/cases/{case_id}/claim", data={"csrf": csrf, **data})
        assert answer.status_code == 409
        assert held_by(store, case_id) == "heart"
    assert REASON in answer.text  # nothing that was typed is lost
    answer = browser.post(f"/cases/{case_id}/claim", data={"csrf": csrf, "over": "heart", "reason": REASON})
    assert answer.status_code == 303
    assert held_by(store, case_id) == "heart-2"
    assert REASON in browser.get(f"/cases/{case_id}").text  # in the history of the case
    with store.reading() as connection:
        assert REASON not in str(audit.rows(connection, 50))


def test_the_holders_work_keeps_the_claim_and_looking_on_does_not(
    browser: TestClient, store: HubStore, heart: Practitioner, case_id: UUID, clock: HandClock
) -> None:
    csrf = change_to(browser, "heart")
    browser.get(f"/cases/{case_id}")
    assert held_by(store, case_id) is None  # looking claims nothing
    browser.post(f"/cases/{case_id}/draft", data={"csrf": csrf, "conclusion": "窦性", "urgency": "RED"})
    assert held_by(store, case_id) == "heart"  # writing does
    clock.pass_minutes(14)
    browser.get(f"/cases/{case_id}")  # opening it again: they are there
    clock.pass_minutes(14)
    assert held_by(store, case_id) == "heart"
    for path in (f"/cases/{case_id}/delivery", f"/cases/{case_id}/claim", "/rows"):
        browser.get(path, headers={"HX-Request": "true"})  # what an open page asks by itself
    clock.pass_minutes(1.1)
    assert held_by(store, case_id) is None


def test_signing_on_a_case_that_another_holds_asks_first(
    browser: TestClient, store: HubStore, heart: Practitioner, heart_2: Practitioner, case_id: UUID, worklist: Worklist
) -> None:
    browser.post(f"/cases/{case_id}/claim", data={"csrf": change_to(browser, "heart")})
    csrf = change_to(browser, "heart-2")
    assert 'name="knowing" value="heart"' in browser.get(f"/cases/{case_id}").text
    data = {"csrf": csrf, "conclusion": "窦缓", "advice": "呼120", "urgency": "RED", "checked": "yes", "sign": "1"}
    data["password"] = PASSWORD
    answer = browser.post(f"/cases/{case_id}/report", data=data)
    assert answer.status_code == 409
    assert "没有签发" in answer.text
    assert "窦缓" in answer.text
    assert worklist.rows() != []
    assert browser.post(f"/cases/{case_id}/report", data=data | {"knowing": "heart"}).status_code == 303
    assert worklist.rows() == []


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_every_new_form_needs_its_token(
    browser: TestClient, store: HubStore, heart: Practitioner, heart_2: Practitioner, case_id: UUID, csrf: str
) -> None:
    change_to(browser, "heart")
    forms = {
        f"/cases/{case_id}/claim": {},
        f"/cases/{case_id}/release": {},
        "/find": {"q": "s"},
        "/rows": {"q": "s"},
        "/handover": {"taker": "heart-2", "note": "情况"},
        f"/handover/{uuid4()}/read": {},
        "/alerts": {},
        f"/alerts/{uuid4()}/off": {},
    }
    before = _deeds(store)
    for path, data in forms.items():
        assert browser.post(path, data=data | {"csrf": csrf}).status_code == 403, path
    assert _deeds(store) == before


def test_who_may_not_is_told_why(
    browser: TestClient, store: HubStore, lungs: Practitioner, desk: Practitioner, heart: Practitioner, case_id: UUID
) -> None:
    add_practitioner(store, "director", name="院长", role="director", specialty=None, phone="", password=PASSWORD)
    for login, path, data, words in (
        ("lungs", f"/cases/{case_id}/claim", {}, "不在您的专科范围内"),
        ("lungs", f"/cases/{case_id}/release", {}, "不在您的专科范围内"),
        ("desk", f"/cases/{case_id}/claim", {}, "您的角色不能"),
        ("director", "/handover", {"taker": "heart", "note": "情况"}, "您的角色不能"),
        ("lungs", "/handover", {"giver": "heart", "taker": "lungs", "note": "情况"}, None),
    ):
        csrf = change_to(browser, login)
        answer = browser.post(path, data=data | {"csrf": csrf})
        assert answer.status_code in (403, 409), path
        if words is not None:
            assert words in answer.text
    director = change_to(browser, "director")
    for path in ("/handover", "/alerts"):
        assert browser.get(path).status_code == 403
    assert browser.post("/alerts", data={"csrf": director}).status_code == 403
    assert held_by(store, case_id) is None


def test_searching_is_posted_so_that_no_address_holds_a_name(
    browser: TestClient, heart: Practitioner, case_id: UUID
) -> None:
    csrf = change_to(browser, "heart")
    found = browser.post("/find", data={"csrf": csrf, "q": "sxx"})
    assert f"/cases/{case_id}" in found.text
    assert 'value="sxx"' in found.text
    assert "没有符合条件的病例" in browser.post("/find", data={"csrf": csrf, "q": "zzz"}).text
    assert f"/cases/{case_id}" in browser.get("/?q=zzz").text  # an address does not search
    assert not re.search(r'(?:href|action|hx-\w+)="[^"]*[?&]q=', found.text)
    form = re.search(r"<form[^>]*id=.filters.[^>]*>", found.text)
    assert form is not None
    assert 'method="post"' in form[0]
    # The part that is asked for again searches on, and says nothing where nothing is new.
    state = re.search(r'name="state" value="(\w+)"', found.text)
    assert state is not None
    again = {"csrf": csrf, "q": "sxx", "shown": "open", "page": "1"}
    assert browser.post("/rows", data=again | {"state": state[1]}).status_code == 204
    assert browser.post("/rows", data=again | {"state": "other"}).text.count('class="case ') == 1


@pytest.mark.parametrize(
    "address",
    [
        "/?urgency=PURPLE&held=x&answered=x&org=%27&kind=%3Cb%3E&specialty=x&shown=x",
        "/?page=0",
        "/?page=-5",
        "/?page=99999999999",
        "/?org=nowhere",
        "/?urgency=RED&answered=unanswered&held=unclaimed&kind=ecg&org=county&specialty=cardiology",
    ],
)
def test_any_filter_gives_a_page(browser: TestClient, heart: Practitioner, case_id: UUID, address: str) -> None:
    change_to(browser, "heart")
    page = browser.get(address)
    assert page.status_code == 200
    assert "<b>" not in page.text.replace("<b>1</b>", "").replace("<b>0</b>", "").replace("<b>10:00</b>", "")


def test_a_shift_is_handed_over_on_its_page_and_read(
    browser: TestClient, store: HubStore, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    csrf = change_to(browser, "heart")
    page = browser.get("/handover?taker=heart-2").text
    assert case_code(case_id) in page
    assert "单" not in page  # the code and the finding tell which
    missing = browser.post("/handover", data={"csrf": csrf, "taker": "heart-2", "note": " "})
    assert missing.status_code == 409
    done = browser.post("/handover", data={"csrf": csrf, "taker": "heart-2", "note": "胸痛者<i>待复查"})
    assert "已交班 1 例" in done.text
    csrf = change_to(browser, "heart-2")
    page = browser.get("/").text
    assert "演示医师甲 于" in page
    assert "胸痛者&lt;i&gt;待复查" in page
    with store.reading() as connection:
        (note,) = handover.waiting_for(connection, "heart-2")
    browser.post(f"/handover/{note.id}/read", data={"csrf": csrf})
    assert "胸痛者" not in browser.get("/").text


def test_the_new_pages_hold_no_inline_script_or_style(
    browser: TestClient, store: HubStore, heart: Practitioner, heart_2: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    for login in ("desk", "heart"):
        csrf = change_to(browser, login)
        pages = [browser.get(path).text for path in ("/", "/tasks", "/handover?taker=heart-2&giver=heart", "/alerts")]
        pages.append(browser.post("/find", data={"csrf": csrf, "q": "s"}).text)
        for page in pages:
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", page)
            assert not re.search(r'(src|href|action|hx-\w+|data-events)="(?:https?:)?//', page)
            assert csrf_of_or_none(page) in (csrf, None)


def csrf_of_or_none(page: str) -> str | None:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    return found[1] if found is not None else None


def _deeds(store: HubStore) -> list[str]:
    with store.reading() as connection:
        return [row.action for row in audit.rows(connection, 50)]

"""Logging in by an identity provider: a real one on this machine; every check that is left out would open the door."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

pytest.importorskip("authlib", reason="the extra oidc is not installed: pip install 'zhenbao[oidc]'")
from starlette.testclient import TestClient

from tests.hub.identity_provider import CLIENT_ID, SECRET, IdentityProvider, Mistakes
from zhenbao.hub.oidc import Provider, Settings, load_settings
from zhenbao.hub.store import audit, oidc_flows, people
from zhenbao.hub.web import vendor
from zhenbao.model.errors import InputError, LinkDown, StorageError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from httpx import Response

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = pytest.mark.slow
CALLBACK = "http://127.0.0.1/oidc/callback"
# RFC 6238, appendix B.
TOTP, CODE, CODE_S = b"12345678901234567890", "005924", 1234567890


@pytest.fixture
def provider(clock: HandClock) -> Iterator[IdentityProvider]:
    made = IdentityProvider(CALLBACK, lambda: clock.ms // 1000)
    yield made
    made.close()


def browser(store: HubStore, provider: IdentityProvider, **more: Any) -> TestClient:
    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there: run make (npm ci, then python -m zhenbao.hub.web.vendor)")
    from zhenbao.hub.web.app import create_app

    settings = Settings(provider.issuer, CLIENT_ID, CALLBACK, SECRET, "县统一身份", **more)
    app = create_app(store, oidc_provider=Provider(settings, store.clock))
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False, headers={"accept-language": "zh-CN"})


@pytest.fixture
def page(store: HubStore, provider: IdentityProvider, heart: Practitioner) -> Iterator[TestClient]:
    with store.writing() as connection:
        oidc_flows.join(connection, provider.issuer, "person-1", "heart", 1)
    with browser(store, provider) as client:
        yield client


def csrf_of(answer: Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
    assert found is not None
    return found[1]


def leave(client: TestClient, path: str = "/oidc/begin", page: str = "/login") -> str:
    """To the provider: its address, as the page between says it."""
    answer = client.post(path, data={"csrf": csrf_of(client.get(page))})
    assert answer.status_code == 200, answer.text
    (url,) = re.findall(r'content="0;url=([^"]+)"', answer.text)
    return url.replace("&amp;", "&")


def log_in(client: TestClient, provider: IdentityProvider) -> Response:
    return client.get(provider.log_in(leave(client)))


def test_an_identity_opens_the_account_that_was_written_down_for_it(
    page: TestClient, provider: IdentityProvider, store: HubStore
) -> None:
    assert "用县统一身份登录" in page.get("/login").text
    done = log_in(page, provider)
    assert done.status_code == 200
    assert page.get("/").status_code == 200
    assert "统一身份登录" in page.get("/sessions").text
    (asked,) = provider.asked
    assert (asked["code_challenge_method"], asked["scope"], asked["response_type"]) == ("S256", "openid", "code")
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43
    assert "prompt" not in asked
    with store.reading() as connection:
        assert (row := audit.rows(connection, 1)[0]).action == "logged-in"
        assert row.detail["way"] == "oidc"


def test_it_never_makes_an_account(page: TestClient, provider: IdentityProvider, store: HubStore) -> None:
    provider.user = "person-2"
    refused = log_in(page, provider)
    assert refused.status_code == 409
    assert "没有登记枢纽账号" in refused.text
    assert page.get("/").status_code == 303
    with store.reading() as connection:
        assert [p.login for p in people.everyone(connection)] == ["heart"]
        assert audit.rows(connection, 1)[0].action == "login-failed"


def test_a_disabled_account_and_a_parted_identity_open_nothing(
    page: TestClient, provider: IdentityProvider, store: HubStore, clock: HandClock
) -> None:
    with store.writing() as connection:
        oidc_flows.part(connection, provider.issuer, "person-1")
    assert log_in(page, provider).status_code == 409
    with store.writing() as connection:
        oidc_flows.join(connection, provider.issuer, "person-1", "heart", 1)
        people.disable(connection, "heart", clock.ms)
    assert log_in(page, provider).status_code == 409


@pytest.mark.parametrize(
    "mistakes",
    [
        pytest.param(Mistakes(claims={"nonce": "of another login"}), id="another nonce"),
        pytest.param(Mistakes(claims={"aud": ["another-client"]}), id="for another client"),
        pytest.param(Mistakes(claims={"aud": [CLIENT_ID, "another"], "azp": "another"}), id="handed to another"),
        pytest.param(Mistakes(claims={"iss": "http://127.0.0.1:1"}), id="of another issuer"),
        pytest.param(Mistakes(claims={"exp": 1}), id="expired"),
        pytest.param(Mistakes(claims={"iat": 1 << 40}), id="of the future"),
        pytest.param(Mistakes(claims={"sub": ""}), id="of nobody"),
        pytest.param(Mistakes(other_key=True), id="signed by a stranger"),
        pytest.param(Mistakes(without_token=True), id="no identity at all"),
    ],
)
def test_a_token_that_is_not_right_in_every_word_opens_nothing(
    page: TestClient, provider: IdentityProvider, mistakes: Mistakes
) -> None:
    provider.mistakes = mistakes
    refused = log_in(page, provider)
    assert refused.status_code == 409, refused.text
    assert page.get("/").status_code == 303
    provider.mistakes = Mistakes()
    assert log_in(page, provider).status_code == 200


def test_an_unsigned_token_is_refused(page: TestClient, provider: IdentityProvider, monkeypatch: Any) -> None:
    """alg none: whoever stands between could write anything."""
    from base64 import urlsafe_b64encode
    from json import dumps

    def part(value: dict[str, Any]) -> str:
        return urlsafe_b64encode(dumps(value).encode()).rstrip(b"=").decode()

    def unsigned(self: Provider, endpoint: str, code: str, verifier: str) -> dict[str, Any]:
        nonce = provider.asked[-1]["nonce"]
        now_s = provider.now_s()
        claims = {"iss": provider.issuer, "aud": CLIENT_ID, "sub": "person-1", "nonce": nonce, "iat": now_s}
        return {"id_token": f"{part({'alg': 'none'})}.{part(claims | {'exp': now_s + 300})}."}

    monkeypatch.setattr(Provider, "_token", unsigned)
    assert log_in(page, provider).status_code == 409
    assert page.get("/").status_code == 303


def test_a_state_is_this_browser_s_and_taken_once(
    page: TestClient, provider: IdentityProvider, store: HubStore, clock: HandClock
) -> None:
    back = provider.log_in(leave(page))
    with browser(store, provider) as stranger:
        assert stranger.get(back).status_code == 409, "a link logs nobody in"
        assert stranger.get("/").status_code == 303
    assert page.get(back).status_code == 200
    page.cookies.delete("zhenbao_session")
    assert page.get(back).status_code == 409, "the state was taken"
    late = provider.log_in(leave(page))
    clock.pass_minutes(11)
    assert page.get(late).status_code == 409
    assert page.get("/oidc/callback").status_code == 409
    assert page.get("/oidc/callback?state=&code=x").status_code == 409
    denied = leave(page)
    state = re.search(r"state=([\w-]+)", denied)
    assert state is not None
    assert page.get(f"/oidc/callback?state={state[1]}&error=access_denied").status_code == 409


def test_pkce_binds_the_code_to_the_browser_that_asked(
    page: TestClient, provider: IdentityProvider, store: HubStore
) -> None:
    """A code that was stolen on its way is worth nothing without the verifier."""
    from zhenbao.model.time import SystemClock

    back = provider.log_in(leave(page))
    code = re.search(r"code=([^&]+)", back)
    assert code is not None
    thief = Provider(Settings(provider.issuer, CLIENT_ID, CALLBACK, SECRET), SystemClock())
    with pytest.raises(InputError, match="oidc-refused"):
        thief.finish(code[1], nonce=provider.asked[-1]["nonce"], verifier="v" * 64, begun_ms=0)


def test_new_keys_of_the_provider_are_fetched(page: TestClient, provider: IdentityProvider) -> None:
    assert log_in(page, provider).status_code == 200
    page.cookies.delete("zhenbao_session")
    provider.change_keys()
    assert log_in(page, provider).status_code == 200


def test_a_begin_without_the_token_goes_nowhere(page: TestClient, provider: IdentityProvider) -> None:
    page.get("/login")
    assert page.post("/oidc/begin", data={"csrf": "made up"}).status_code == 403
    assert provider.asked == []


def test_the_code_is_not_asked_twice_unless_the_county_wants_it(
    store: HubStore, provider: IdentityProvider, heart: Practitioner, clock: HandClock
) -> None:
    clock.ms = CODE_S * 1000
    with store.writing() as connection:
        people.set_second_factor(connection, "heart", TOTP)
        oidc_flows.join(connection, provider.issuer, "person-1", "heart", 1)
    with browser(store, provider) as client:
        assert log_in(client, provider).status_code == 200
        assert client.get("/").status_code == 200
    with browser(store, provider, hub_code=True) as client:
        asked = log_in(client, provider)
        assert "动态验证码" in asked.text
        assert client.get("/").status_code == 303
        wrong = client.post("/oidc/code", data={"csrf": csrf_of(asked), "code": "123456"})
        assert wrong.status_code == 403
        assert client.get("/").status_code == 303
        assert client.post("/oidc/code", data={"csrf": "made up", "code": CODE}).status_code == 403
        assert client.post("/oidc/code", data={"csrf": csrf_of(wrong), "code": CODE}).status_code == 200
        assert client.get("/").status_code == 200


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED, source="x"), code="ecg"))
    return worklist.rows()[0].item.id


def sign(client: TestClient, case_id: UUID, password: str = "") -> int:
    data = {"conclusion": "窦性心动过缓", "advice": "平卧", "urgency": "RED", "checked": "yes", "sign": "1"}
    page = client.get(f"/cases/{case_id}")
    return client.post(
        f"/cases/{case_id}/report", data=data | {"csrf": csrf_of(page), "password": password}
    ).status_code


def test_signing_wants_the_password_or_a_fresh_look_at_the_provider(
    page: TestClient, provider: IdentityProvider, case_id: UUID, clock: HandClock, store: HubStore
) -> None:
    log_in(page, provider)
    assert sign(page, case_id) == 409, "a browser left open does not sign"
    clock.pass_minutes(30)
    back = provider.log_in(leave(page, "/oidc/anew", f"/cases/{case_id}"))
    assert (provider.asked[-1]["max_age"], provider.asked[-1]["prompt"]) == ("0", "login")
    with browser(store, provider) as other:
        log_in(other, provider)
        assert page.get(back).status_code == 200
        assert sign(other, case_id) == 409, "only the session that was shown anew"
    clock.pass_minutes(people.FRESH_MINUTES + 1)
    assert sign(page, case_id) == 409, "not for long"
    page.get(provider.log_in(leave(page, "/oidc/anew", f"/cases/{case_id}")))
    assert sign(page, case_id) == 303


@pytest.mark.parametrize("minutes", [2, 60])
def test_a_provider_that_did_not_ask_anew_signs_nothing(
    page: TestClient, provider: IdentityProvider, case_id: UUID, clock: HandClock, minutes: int
) -> None:
    log_in(page, provider)
    provider.auth_time = clock.ms // 1000
    clock.pass_minutes(minutes)
    back = provider.log_in(leave(page, "/oidc/anew", f"/cases/{case_id}"))
    assert page.get(back).status_code == 409
    assert sign(page, case_id) == 409


def test_another_person_at_the_provider_does_not_make_the_session_fresh(
    page: TestClient, provider: IdentityProvider, case_id: UUID, lungs: Practitioner, store: HubStore
) -> None:
    with store.writing() as connection:
        oidc_flows.join(connection, provider.issuer, "person-2", "lungs", 1)
    log_in(page, provider)
    url = leave(page, "/oidc/anew", f"/cases/{case_id}")
    provider.user = "person-2"
    assert page.get(provider.log_in(url)).status_code == 409
    assert sign(page, case_id) == 409


def test_a_provider_that_is_down_leaves_the_password(
    page: TestClient, provider: IdentityProvider, store: HubStore
) -> None:
    provider.close()
    token = csrf_of(page.get("/login"))
    down = page.post("/oidc/begin", data={"csrf": token})
    assert "连不上" in down.text
    entered = page.post("/login", data={"account": "heart", "password": "correct horse", "csrf": token})
    assert entered.headers["location"] == "/"
    with pytest.raises(LinkDown):
        Provider(Settings(provider.issuer, CLIENT_ID, CALLBACK), store.clock).begin()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "issuer = 'http://id.example.org'\nclient_id='a'\nredirect_uri='https://hub.example.org/oidc/callback'",
            "https",
        ),
        (
            "issuer = 'https://id.example.org'\nclient_id='a'\nredirect_uri='http://hub.example.org/oidc/callback'",
            "https",
        ),
        ("issuer = 'https://id.example.org'", "ValidationError"),
        ("issuer =", "TOMLDecodeError"),
        (None, "FileNotFoundError"),
    ],
)
def test_settings_that_are_not_understood_or_not_safe(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "oidc.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=reason):
        load_settings(file)


def test_settings_as_a_county_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "oidc.toml"
    file.write_text(
        'issuer = "https://id.example.org"\nclient_id = "hub"\nclient_secret = "s"\nhub_code = true\n'
        'redirect_uri = "https://hub.example.org/oidc/callback"\n'
    )
    assert load_settings(file).hub_code

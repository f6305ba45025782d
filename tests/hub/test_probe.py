"""The hub's answer to a kit that asks whether it is there: to this nonce, with this key, for nothing else."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.testclient import TestClient

from zhenbao.hub.store import HubStore
from zhenbao.hub.web.app import create_app

KEY = Ed25519PrivateKey.generate()
NONCE = "00112233445566778899aabbccddeeff"


def browser(store: HubStore, *, signs: bool = True) -> TestClient:
    app = create_app(store, sign=(lambda message, _key: KEY.sign(message)) if signs else None)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def test_the_answer_is_signed_and_needs_no_login(store: HubStore) -> None:
    answer = browser(store).get(f"/probe/{NONCE}")
    assert (answer.status_code, len(answer.content)) == (200, 64)
    KEY.public_key().verify(answer.content, b"zhenbao probe 1\0" + bytes.fromhex(NONCE))
    assert "no-store" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers


def test_the_bare_nonce_is_never_signed(store: HubStore) -> None:
    answer = browser(store).get(f"/probe/{NONCE}")
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(answer.content, bytes.fromhex(NONCE))


@pytest.mark.parametrize(
    "nonce", ["", "00", NONCE.upper(), NONCE + "00", NONCE[:-1] + "g", NONCE + "/x", "%0a" + NONCE]
)
def test_what_is_no_nonce_gets_no_signature(store: HubStore, nonce: str) -> None:
    answer = browser(store).get(f"/probe/{nonce}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_a_hub_without_a_key_does_not_answer(store: HubStore) -> None:
    assert browser(store, signs=False).get(f"/probe/{NONCE}").status_code == 404

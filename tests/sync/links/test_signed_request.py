"""Signed requests: the standard's own example, and that nothing in a request can be changed."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from zhenbao.model.errors import Rejected
from zhenbao.sync.links.signed_request import Request, Signed, content_digest, sign, signature_base, verify

# RFC 9421, appendix B.1.4 (test-key-ed25519) and B.2.6 (the signature base and its signature).
RFC_KEY = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
RFC_VALUES = [
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("@method", "POST"),
    ("@path", "/foo"),
    ("@authority", "example.com"),
    ("content-type", "application/json"),
    ("content-length", "18"),
]
RFC_PARAMETERS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)

REQUEST = Request("POST", "/sync/v1/up", "", b"body")
SIGNED = Signed("m-0123456789abcdef", 1_800_000_000, "A" * 22)


def test_the_standards_own_example_gives_the_standards_signature() -> None:
    key = load_der_private_key(base64.b64decode(RFC_KEY), None)
    assert isinstance(key, Ed25519PrivateKey)
    signature = key.sign(signature_base(RFC_VALUES, RFC_PARAMETERS))
    assert base64.b64encode(signature).decode() == RFC_SIGNATURE


def test_the_digest_is_that_of_the_standard() -> None:
    # SHA-256 of the empty message (FIPS 180-4 examples), in base64.
    assert content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def test_a_signed_request_tells_whose_it_is(key: Ed25519PrivateKey) -> None:
    headers = sign(REQUEST, key.sign, SIGNED)
    keys = {SIGNED.key_id: key.public_key().public_bytes_raw()}
    assert verify(REQUEST, headers, keys.get) == SIGNED


@pytest.mark.parametrize(
    "changed",
    [
        replace(REQUEST, method="PUT"),
        replace(REQUEST, path="/sync/v1/down"),
        replace(REQUEST, query="after=3"),
        replace(REQUEST, body=b"bodY"),
    ],
)
def test_nothing_in_it_can_be_changed(key: Ed25519PrivateKey, changed: Request) -> None:
    headers = sign(REQUEST, key.sign, SIGNED)
    keys = {SIGNED.key_id: key.public_key().public_bytes_raw()}
    with pytest.raises(Rejected, match="sync-signature"):
        verify(changed, headers, keys.get)
    # Nor with a digest that fits the new body.
    with pytest.raises(Rejected, match="sync-signature"):
        verify(changed, {**headers, "content-digest": content_digest(changed.body)}, keys.get)


@pytest.mark.parametrize(
    ("old", "new"),
    [("created=1800000000", "created=1800000001"), ("AAAA", "BBBB"), ("0123456789abcdef", "fedcba9876543210")],
)
def test_nor_can_time_nonce_or_name(key: Ed25519PrivateKey, old: str, new: str) -> None:
    headers = sign(REQUEST, key.sign, SIGNED)
    raw = key.public_key().public_bytes_raw()
    forged = {**headers, "signature-input": headers["signature-input"].replace(old, new, 1)}
    assert forged != headers
    with pytest.raises(Rejected, match="sync-signature"):
        verify(REQUEST, forged, lambda _: raw)


@pytest.mark.parametrize(
    "damage",
    [
        lambda h: {},
        lambda h: {**h, "signature": "zhenbao=::"},
        lambda h: {**h, "signature-input": h["signature-input"].replace(' "content-digest"', "")},
        lambda h: {**h, "signature-input": h["signature-input"].replace("ed25519", "hmac-sha256")},
        lambda h: {**h, "signature-input": h["signature-input"] + ', other=("@method")'},
    ],
)
def test_any_other_form_is_unsigned(key: Ed25519PrivateKey, damage: object) -> None:
    headers = damage(sign(REQUEST, key.sign, SIGNED))  # type: ignore[operator]
    with pytest.raises(Rejected, match="sync-unsigned"):
        verify(REQUEST, headers, lambda _: key.public_key().public_bytes_raw())


def test_a_stranger_and_another_kit_are_told_apart_from_the_owner(key: Ed25519PrivateKey) -> None:
    headers = sign(REQUEST, key.sign, SIGNED)
    with pytest.raises(Rejected, match="sync-stranger"):
        verify(REQUEST, headers, lambda _: None)
    with pytest.raises(Rejected, match="sync-signature"):
        verify(REQUEST, headers, lambda _: Ed25519PrivateKey.generate().public_key().public_bytes_raw())

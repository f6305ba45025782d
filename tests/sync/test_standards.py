"""Our packets are made of published standards: their own examples, and not one byte of ours."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from textwrap import wrap
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from zhenbao.model.errors import Rejected
from zhenbao.sync import cose, squeeze
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.envelope import envelope_id
from zhenbao.sync.packet import _suite

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
FACTS = tomllib.loads((VECTORS / "envelope.toml").read_text(encoding="utf-8"))
CBOR = tomllib.loads((VECTORS / "cbor.toml").read_text(encoding="utf-8"))["example"]


@pytest.mark.parametrize("example", CBOR, ids=lambda e: e["hex"][:16])
def test_cbor_of_rfc_8949_is_read(example: dict[str, Any]) -> None:
    value = loads(bytes.fromhex(example["hex"]))
    if isinstance(example["value"], float) and math.isnan(example["value"]):
        assert math.isnan(value)
    else:
        assert value == example["value"]
        assert type(value) is type(example["value"])


@pytest.mark.parametrize(
    "example",
    [e for e in CBOR if not isinstance(e["value"], float) and not ({"9f", "bf", "7f"} & set(wrap(e["hex"], 2)))],
    ids=lambda e: e["hex"][:16],
)  # fmt: skip
def test_cbor_of_rfc_8949_is_written(example: dict[str, Any]) -> None:
    """Whole numbers, text, lists and maps in their one shortest form; floats always have eight bytes here."""
    assert dumps(example["value"]).hex() == example["hex"]


def test_cose_sign1_of_the_working_group_is_made_and_verified() -> None:
    fact = FACTS["cose"]
    message = bytes.fromhex(fact["message"])
    signed = cose.read_sign1(message)
    signed.verify(bytes.fromhex(fact["public"]))
    assert signed.payload.decode() == fact["payload"]
    assert not signed.strict, "its key id stands in the unprotected header, where we never put one"
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(fact["secret"]))
    made = cose.read_sign1(cose.sign1({3: 0}, fact["payload"].encode(), key))
    # Ed25519 has one signature for one message: ours is theirs.
    assert (made.protected, made.signature) == (signed.protected, signed.signature)
    assert made.strict
    assert cose._to_be_signed(signed.protected, b"", signed.payload) == bytes.fromhex(fact["to_be_signed"])


@pytest.mark.parametrize("at", [3, 20, 40, 97])
def test_a_changed_cose_sign1_is_refused(at: int) -> None:
    message = bytearray.fromhex(FACTS["cose"]["message"])
    message[at] ^= 1
    with pytest.raises(Rejected):
        cose.read_sign1(bytes(message)).verify(bytes.fromhex(FACTS["cose"]["public"]))


def test_hpke_of_rfc_9180_is_opened() -> None:
    """By the suite that packets use. The library hides associated data behind a private name, and packets need none."""
    fact = {key: bytes.fromhex(value) for key, value in FACTS["hpke"].items() if key != "source"}
    opened = hpke.rust_openssl.hpke._decrypt_with_aad(
        _suite(), fact["enc"] + fact["ciphertext"], X25519PrivateKey.from_private_bytes(fact["secret"]),
        fact["info"], fact["aad"],
    )  # fmt: skip
    assert opened == fact["plain"]


@pytest.mark.parametrize("fact", [f for f in FACTS["zstd"] if f["size"] >= 0], ids=lambda f: f["command"][:20])
def test_a_frame_of_the_zstd_command_is_unpacked(fact: dict[str, Any]) -> None:
    plain = squeeze.unsqueeze(bytes.fromhex(fact["frame"]), 1, fact["size"])
    assert plain == (fact["line"].encode() * fact["size"])[: fact["size"]]
    with pytest.raises(Rejected, match="packet-size"):
        squeeze.unsqueeze(bytes.fromhex(fact["frame"]), 1, fact["size"] - 1)


def test_a_frame_that_does_not_say_its_size_is_not_unpacked() -> None:
    (fact,) = (f for f in FACTS["zstd"] if f["size"] < 0)
    with pytest.raises(Rejected, match="packet-size"):
        squeeze.unsqueeze(bytes.fromhex(fact["frame"]), 1, 1 << 20)


def test_an_envelopes_id_is_a_uuid_of_version_8() -> None:
    id_ = envelope_id("kit-1", "boot", 7)
    assert (id_.version, id_.variant) == (8, UUID(int=0x8 << 76 | 0b10 << 62).variant)
    assert len({envelope_id(k, b, n) for k in ("a", "b") for b in ("c", "d") for n in range(9)}) == 36

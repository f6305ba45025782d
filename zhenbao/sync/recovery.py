"""The store's key on its way through the hub, when a PIN is forgotten: what kit and hub both must know.

HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM. The kit's and the vault's names are bound in, so that a
slot that was moved to another kit does not open. Readings never travel this way: only 32 bytes of key.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

import msgspec

from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.hpke import Suite

T = TypeVar("T")
_SLOT, _ANSWER = b"zhenbao recovery slot 1", b"zhenbao recovery answer 1"
_BEGIN = "zhenbao-recovery-"


class Request(msgspec.Struct, frozen=True):
    """What a kit asks of the hub. It opens nothing without the hub's key."""

    kit_id: str
    vault_id: str
    slot: bytes
    answer_to: bytes
    """A public key made for this one request."""


class Answer(msgspec.Struct, frozen=True):
    """The store's key, for the one request alone."""

    kit_id: str
    vault_id: str
    sealed: bytes


def seal_slot(key: bytes, hub_key: bytes, kit_id: str, vault_id: str) -> bytes:
    """The recovery slot of a vault.

    Args:
        hub_key: the hub's public recovery key (X25519, 32 bytes).
    """
    return _suite().encrypt(key, _public(hub_key), _names(_SLOT, kit_id, vault_id))


def answer(request: Request, hub_private: X25519PrivateKey) -> Answer:
    """The hub's part: open the slot and seal what it held for the kit that asks.

    Raises:
        InputError: ``recovery-slot``: sealed for another hub, or for another kit.
    """
    from cryptography.exceptions import InvalidTag

    names = (request.kit_id, request.vault_id)
    try:
        key = _suite().decrypt(request.slot, hub_private, _names(_SLOT, *names))
        sealed = _suite().encrypt(key, _public(request.answer_to), _names(_ANSWER, *names))
    except (InvalidTag, ValueError):
        raise InputError("recovery-slot") from None
    return Answer(*names, sealed)


def open_answer(given: Answer, private: X25519PrivateKey) -> bytes:
    """The store's key out of the hub's answer.

    Raises:
        InputError: ``recovery-answer``: an answer to another request.
    """
    from cryptography.exceptions import InvalidTag

    try:
        return _suite().decrypt(given.sealed, private, _names(_ANSWER, given.kit_id, given.vault_id))
    except (InvalidTag, ValueError):
        raise InputError("recovery-answer") from None


def to_text(value: Request | Answer) -> str:
    """One line that can be copied, photographed or sent by any messenger."""
    kind = "request" if isinstance(value, Request) else "answer"
    return f"{_BEGIN}{kind}:{base64.urlsafe_b64encode(msgspec.json.encode(value)).decode()}"


def request_from(text: str) -> Request:
    """Raises: InputError: ``recovery-text``."""
    return _from(text, "request", Request)


def answer_from(text: str) -> Answer:
    """Raises: InputError: ``recovery-text``."""
    return _from(text, "answer", Answer)


def public_text(key: bytes) -> str:
    """The hub's public recovery key as a technician types or pastes it."""
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def public_from(text: str) -> bytes:
    """Raises: InputError: ``recovery-key``."""
    try:
        key = base64.urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise InputError("recovery-key")
    return key


def _from(text: str, kind: str, type_: type[T]) -> T:
    body = text.strip().removeprefix(f"{_BEGIN}{kind}:")
    try:
        if body == text.strip():
            raise InputError("recovery-text")
        return msgspec.json.decode(base64.urlsafe_b64decode(body), type=type_)
    except (binascii.Error, ValueError):
        raise InputError("recovery-text") from None


def _names(purpose: bytes, kit_id: str, vault_id: str) -> bytes:
    return b"\0".join((purpose, kit_id.encode(), vault_id.encode()))


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _public(raw: bytes) -> X25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    return X25519PublicKey.from_public_bytes(raw)

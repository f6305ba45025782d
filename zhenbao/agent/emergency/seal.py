"""Sealing for the hub: HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM), signed with Ed25519 (RFC 8032).

A sealed item is CBOR: ``[1, kit, kind, HPKE message, signature]``. The kit's name and the kind are bound into the HPKE
message; the signature is over the CBOR of the first four. Nothing on the kit opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERSION = 1
_INFO, _SIGNED = b"zhenbao emergency 1", b"zhenbao emergency signature 1"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs."""

    kit_id: str
    key: Ed25519PrivateKey


def seal_to(hub_card: bytes, signer: Signer, kind: str, body: bytes) -> bytes:
    """``body`` for the hub alone.

    Args:
        hub_card: the hub's public key (X25519, 32 bytes).
        kind: what it is; the hub reads it without opening.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    info = b"\0".join((_INFO, signer.kit_id.encode(), kind.encode()))
    sealed = suite.encrypt(body, X25519PublicKey.from_public_bytes(hub_card), info)
    item = [VERSION, signer.kit_id, kind, sealed]
    return cbor2.dumps([*item, signer.key.sign(_SIGNED + cbor2.dumps(item))])

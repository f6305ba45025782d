"""COSE_Sign1 with EdDSA on Ed25519 (RFC 9052 section 4.2, RFC 9053 section 2.2): read, verified, made.

Only the tagged form with an empty unprotected header is made; anything is read, but ``Sign1.strict`` tells whether
the bytes are the only ones that this library would have written for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cbor2

from zhenbao.model.errors import Rejected
from zhenbao.sync.cbor import dumps, loads

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM, KEY_ID = 1, 4
"""Labels of common header parameters (RFC 9052 table 3)."""
EDDSA = -8
_TAG = 18


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 as read; nothing of it is verified."""

    protected: bytes
    header: Mapping[Any, Any]
    """What ``protected`` holds."""
    payload: bytes
    signature: bytes
    strict: bool

    @property
    def key_id(self) -> bytes:
        """Of the signer; empty where none is named."""
        named = self.header.get(KEY_ID, b"")
        return named if isinstance(named, bytes) else b""

    def verify(self, public: bytes, external: bytes = b"") -> None:
        """Check the signature.

        Args:
            public: Ed25519 public key, 32 bytes.
            external: what both sides know without sending it (RFC 9052 section 4.3).

        Raises:
            Rejected: ``packet-signature``, or ``packet-suite`` where it is not EdDSA.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if self.header.get(ALGORITHM) != EDDSA:
            raise Rejected("packet-suite")
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(
                self.signature, _to_be_signed(self.protected, external, self.payload)
            )
        except (InvalidSignature, ValueError):
            raise Rejected("packet-signature") from None


def sign1(header: Mapping[Any, Any], payload: bytes, key: Ed25519PrivateKey, external: bytes = b"") -> bytes:
    """Sign ``payload`` under a protected header that names EdDSA and whatever ``header`` adds."""
    protected = dumps({ALGORITHM: EDDSA, **header})
    return framed(protected, payload, key.sign(_to_be_signed(protected, external, payload)))


def framed(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The tagged structure."""
    return dumps(cbor2.CBORTag(_TAG, [protected, {}, payload, signature]))


def read_sign1(data: bytes) -> Sign1:
    """Take a COSE_Sign1 apart.

    Raises:
        Rejected: ``message``.
    """
    tagged = loads(data)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != _TAG:
        raise Rejected("message", reason="no COSE_Sign1")
    match tagged.value:
        case [bytes(protected), Mapping() as open_header, bytes(payload), bytes(signature)]:
            header = loads(protected) if protected else {}
            if not isinstance(header, Mapping):
                raise Rejected("message", reason="no COSE header")
            strict = not open_header and framed(protected, payload, signature) == data
            return Sign1(protected, header, payload, signature, strict)
        case _:
            raise Rejected("message", reason="no COSE_Sign1")


def _to_be_signed(protected: bytes, external: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052 section 4.4)."""
    return dumps(["Signature1", protected, external, payload])

"""A packet: what a link carries. Signed outside (COSE_Sign1), sealed inside (HPKE), squeezed within (zstd).

The receiver reads the header, finds the signer's key, verifies, and only then opens and unpacks, each step bounded.
The header is the associated data of both: it is what COSE protects, and it is the ``info`` of HPKE. The format byte
by byte is in ``docs/envelope.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from zhenbao.model.errors import Rejected
from zhenbao.sync import squeeze
from zhenbao.sync.cose import KEY_ID, Sign1, read_sign1, sign1
from zhenbao.sync.keys import KEY_ID_BYTES, PublicKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite

VERSION = 2
"""1 was neither sealed nor signed; it is not taken any more."""
HEADER = -70001
"""The label of our header among the protected parameters (private use: RFC 9052 section 11.2)."""
X25519_AES128 = 1
"""DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM (RFC 9180 section 7): KEM 0x0020, KDF 0x0001, AEAD 0x0001."""
HYBRID_RESERVED = 2
"""Set aside for MLKEM768-X25519; not taken before both sides have such keys."""
BOOT_BYTES = 8
MOST_DIRECT_BYTES = 128 << 10
"""The largest packet that travels in one piece."""
MOST_SEALED_BYTES = 8 << 20
"""The largest packet at all, as it comes out of its parts."""
MOST_PLAIN_BYTES = 16 << 20
"""The most that a packet may unpack to: three minutes of twelve leads at 1000 Hz as plain samples are 4.3 MB."""
_EXTERNAL = b"zhenbao packet 2"
_INFO = b"zhenbao packet 2\0"
_NAME_CHARACTERS = 80
_MAX_INT = (1 << 63) - 1


class Kind(IntEnum):
    """What a packet is for."""

    MAIL = 1
    """Items, and whatever is said beside them."""
    ANSWERS = 2
    """Receipts, refusals, what has arrived of parts: nothing that is kept."""
    EMERGENCY = 3
    """One emergency, signed by the key that signs nothing else."""
    LIVE = 4
    """A piece of a running trace: shown and forgotten (``sync.live``)."""


@dataclass(frozen=True, slots=True)
class Header:
    """What may be known before anything is opened."""

    sender: str
    recipient: str
    seal_id: bytes
    """The key for which it was sealed."""
    boot: bytes
    """Names this start of the sender's engine."""
    sequence: int
    """Counts the packets of this start."""
    kind: int
    version: int = VERSION
    suite: int = X25519_AES128
    dictionary: int = squeeze.NEWEST


@dataclass(frozen=True)
class Packet:
    """A packet as it came; nothing is verified."""

    header: Header
    signed: Sign1
    data: bytes

    @cached_property
    def sha256(self) -> bytes:
        return sha256(self.data).digest()

    def verify(self, public: bytes) -> None:
        """Check the signature.

        Raises:
            Rejected: ``packet-signature`` or ``packet-suite``.
        """
        self.signed.verify(public, _EXTERNAL)

    def open(self, key: X25519PrivateKey, most_bytes: int = MOST_PLAIN_BYTES) -> bytes:
        """What is inside. Only after ``verify``.

        Raises:
            Rejected: ``packet-suite``, ``packet-sealed`` (it does not open), or as ``squeeze.unsqueeze``.
        """
        from cryptography.exceptions import InvalidTag

        if self.header.suite != X25519_AES128:
            raise Rejected("packet-suite")
        try:
            squeezed = _suite().decrypt(self.signed.payload, key, info=_INFO + self.signed.protected)
        except (InvalidTag, ValueError):
            raise Rejected("packet-sealed") from None
        return squeeze.unsqueeze(squeezed, self.header.dictionary, most_bytes)


def make_packet(
    header: Header, plain: bytes, *, sign_key: Ed25519PrivateKey, sign_id: bytes, recipient: PublicKeys
) -> bytes:
    """Squeeze, seal and sign.

    Raises:
        Rejected: ``packet-size``; it is larger than any that is taken.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    if len(plain) > MOST_PLAIN_BYTES:
        raise Rejected("packet-size", most=MOST_PLAIN_BYTES)
    squeezed = squeeze.squeeze(plain, header.dictionary)
    if len(squeezed) >= len(plain):
        # Packed already, as an ECG is: the header says that nothing was done to it.
        header, squeezed = replace(header, dictionary=squeeze.NONE), plain
    fields = {KEY_ID: sign_id, HEADER: _listed(header)}
    protected = _protected(fields)
    sealed = _suite().encrypt(
        squeezed,
        X25519PublicKey.from_public_bytes(recipient.seal),
        info=_INFO + protected,
    )
    data = sign1(fields, sealed, sign_key, _EXTERNAL)
    if len(data) > MOST_SEALED_BYTES:
        raise Rejected("packet-size", most=MOST_SEALED_BYTES)
    return data


def read_packet(data: bytes, most_bytes: int = MOST_DIRECT_BYTES) -> Packet:
    """Read the header.

    Raises:
        Rejected: ``message``, it is none of ours; ``packet-size``; ``packet-downgrade``, of the version before.
    """
    if len(data) > most_bytes:
        raise Rejected("packet-size", most=most_bytes)
    if data[:2] == b"\x83\x01":
        raise Rejected("packet-downgrade")
    signed = read_sign1(data)
    if not signed.strict:
        raise Rejected("message", reason="not in its one form")
    match signed.header.get(HEADER):
        case [int(version), *rest] if version > VERSION:
            return Packet(_future(version, rest), signed, data)
        case [int(version), *_] if version < VERSION:
            raise Rejected("packet-downgrade")
        case [2, int(suite), int(dictionary), str(sender), str(recipient), bytes(seal_id), bytes(boot), int(sequence),
              int(kind)] if (
            len(seal_id) == KEY_ID_BYTES
            and len(boot) == BOOT_BYTES
            and 0 <= sequence <= _MAX_INT
            and is_name(sender)
            and is_name(recipient)
        ):  # fmt: skip
            header = Header(sender, recipient, seal_id, boot, sequence, kind, 2, suite, dictionary)
            return Packet(header, signed, data)
        case _:
            raise Rejected("message", reason="no packet's header")


def is_name(text: str, longest: int = _NAME_CHARACTERS) -> bool:
    """Whether this may be a name that travels."""
    return 0 < len(text) <= longest and text.isprintable()


def _future(version: int, rest: list[Any]) -> Header:
    """Of a header of a later version nothing is believed but its number; it is kept for a later program."""
    return Header("", "", b"", b"", 0, 0, min(version, _MAX_INT))


def _listed(header: Header) -> list[Any]:
    return [
        header.version,
        header.suite,
        header.dictionary,
        header.sender,
        header.recipient,
        header.seal_id,
        header.boot,
        header.sequence,
        int(header.kind),
    ]


def _protected(fields: Mapping[Any, Any]) -> bytes:
    from zhenbao.sync.cbor import dumps
    from zhenbao.sync.cose import ALGORITHM, EDDSA

    return dumps({ALGORITHM: EDDSA, **fields})


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)

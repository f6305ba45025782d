"""Each HTTPS request of a kit is signed by the kit's own key: HTTP Message Signatures (RFC 9421), Ed25519.

A TLS client certificate ends at the first proxy; a signature reaches the hub. It covers method, path, query and the
body's digest (RFC 9530), a time and a nonce, so that nobody fetches another kit's mailbox or repeats a request.

This is a profile: one label, one list of components, one order of parameters. Anything else is refused, so that
there is nothing to negotiate and little to get wrong.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from zhenbao.model.errors import Rejected

COVERED = ("@method", "@path", "@query", "content-digest")
_INPUT = re.compile(
    r'zhenbao=\("@method" "@path" "@query" "content-digest"\)'
    r';created=(\d{1,12});nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9._-]{1,32})";alg="ed25519"'
)
_SIGNATURE = re.compile(r"zhenbao=:([A-Za-z0-9+/=]{88}):")


@dataclass(frozen=True, slots=True)
class Request:
    """What a signature covers."""

    method: str
    path: str
    query: str
    """Without the question mark; empty for none."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """Whose request it is, when it was made by the signer's clock (Unix s), and its nonce."""

    key_id: str
    created_s: int
    nonce: str


def signature_base(values: Iterable[tuple[str, str]], parameters: str) -> bytes:
    """What is signed (RFC 9421, section 2.5): a line for each component, and the parameters."""
    lines = [f'"{name}": {value}' for name, value in values]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def content_digest(body: bytes) -> str:
    """The ``Content-Digest`` of a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sign(request: Request, sign_bytes: Callable[[bytes], bytes], signed: Signed) -> dict[str, str]:
    """The header fields that make a request ours.

    Args:
        sign_bytes: Ed25519 over bytes, by the kit's key, wherever that lies.
    """
    covered = " ".join(f'"{name}"' for name in COVERED)
    parameters = f'({covered});created={signed.created_s};nonce="{signed.nonce}";keyid="{signed.key_id}";alg="ed25519"'
    signature = sign_bytes(_base(request, parameters))
    return {
        "content-digest": content_digest(request.body),
        "signature-input": f"zhenbao={parameters}",
        "signature": f"zhenbao=:{base64.b64encode(signature).decode()}:",
    }


def key_id(headers: Mapping[str, str]) -> str:
    """Who claims to have signed.

    Raises:
        Rejected: ``sync-unsigned``.
    """
    given = _INPUT.fullmatch(headers.get("signature-input", ""))
    if given is None:
        raise Rejected("sync-unsigned")
    return given[3]


def verify(request: Request, headers: Mapping[str, str], key_of: Callable[[str], bytes | None]) -> Signed:
    """Whose request this is. Time and nonce are the caller's to judge.

    Args:
        headers: with names in lower case, or case-insensitive.
        key_of: the raw public key of a key id; None for a stranger.

    Raises:
        Rejected: ``sync-unsigned``, ``sync-stranger`` or ``sync-signature``.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    given = _INPUT.fullmatch(headers.get("signature-input", ""))
    signature = _SIGNATURE.fullmatch(headers.get("signature", ""))
    if given is None or signature is None:
        raise Rejected("sync-unsigned")
    signed = Signed(given[3], int(given[1]), given[2])
    key = key_of(signed.key_id)
    if key is None:
        raise Rejected("sync-stranger")
    if headers.get("content-digest", "") != content_digest(request.body):
        raise Rejected("sync-signature")
    parameters = headers["signature-input"].removeprefix("zhenbao=")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature[1]), _base(request, parameters))
    except (InvalidSignature, ValueError) as error:
        raise Rejected("sync-signature") from error
    return signed


def _base(request: Request, parameters: str) -> bytes:
    # The query component always has its question mark (RFC 9421, section 2.2.7).
    values = (request.method, request.path, f"?{request.query}", content_digest(request.body))
    return signature_base(zip(COVERED, values, strict=True), parameters)

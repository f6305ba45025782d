"""Passwords as they are kept: argon2id (RFC 9106) as PHC text; those of older versions (scrypt) are understood."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
_SCRYPT_MEMORY = 64 << 20
SHORTEST = 8
"""NIST SP 800-63B, 5.1.1.2: at least 8 characters, all kinds allowed, no forced mixture."""


def hash_password(password: str) -> str:
    """``$argon2id$v=19$m=...,t=...,p=...$salt$hash`` with a fresh salt."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    derive = Argon2id(
        salt=secrets.token_bytes(16), length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    )
    return derive.derive_phc_encoded(password.encode())


def password_is(password: str, stored: str) -> bool:
    """Whether this is the password that was hashed; takes the same time either way."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    if stored.startswith("scrypt$"):
        return _scrypt_is(password, stored)
    try:
        Argon2id.verify_phc_encoded(password.encode(), stored)
    except InvalidKey:
        return False
    return True


def outdated(stored: str) -> bool:
    """Whether it should be hashed again, now that the password is at hand."""
    return not stored.startswith(f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}$")


def nobody() -> str:
    """A hash that no password has: it makes an unknown login cost the same time."""
    return f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}${'A' * 22}${'A' * 43}"


def _scrypt_is(password: str, stored: str) -> bool:
    try:
        _, n, r, p, salt, digest = stored.split("$")
        computed = hashlib.scrypt(
            password.encode(),
            salt=base64.b64decode(salt),
            n=int(n),
            r=int(r),
            p=int(p),
            maxmem=_SCRYPT_MEMORY,
            dklen=32,
        )
        return hmac.compare_digest(computed, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False

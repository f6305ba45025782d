"""The second factor: time-based codes (TOTP, RFC 6238) of an authenticator app. Pure but for the secret's making."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

STEP_S = 30
DIGITS = 6
_SECRET_BYTES = 20
"""RFC 4226, section 4: 160 bits are recommended."""
_SKEW_STEPS = 1
"""RFC 6238, section 5.2: one step of delay either way."""


def new_secret() -> bytes:
    """A fresh secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def uri(secret: bytes, login: str, issuer: str) -> str:
    """What an authenticator app reads, usually as a QR code (``otpauth://totp/...``)."""
    text: str = _totp(secret).get_provisioning_uri(login, issuer)
    return text


def matching_step(secret: bytes, code: str, now_s: float, *, after_step: int | None) -> int | None:
    """The time step whose code this is; None where it is none, or one that was used.

    Args:
        secret: of the account.
        code: six digits as typed, spaces allowed.
        now_s: Unix time, s.
        after_step: the step of the last code that was taken: none up to it is taken again (RFC 6238, section 5.2).
    """
    from cryptography.hazmat.primitives.twofactor import InvalidToken

    digits = "".join(code.split())
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    totp = _totp(secret)
    step = int(now_s // STEP_S)
    for candidate in range(step - _SKEW_STEPS, step + _SKEW_STEPS + 1):
        if after_step is not None and candidate <= after_step:
            continue
        try:
            totp.verify(digits.encode(), candidate * STEP_S)
        except InvalidToken:
            continue
        return candidate
    return None


def _totp(secret: bytes):  # type: ignore[no-untyped-def]
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    # SHA-1 is what authenticator apps understand; as an HMAC key of 160 random bits it is sound.
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303

"""A short name for a case that may leave the hub: it tells nothing and finds the case again."""

from __future__ import annotations

import hashlib
from uuid import UUID

# Without 0 O 1 I L, which people mistake for one another on the telephone.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 7


def case_code(case_id: UUID) -> str:
    """Seven characters, written ``ABC-DEFG``; one in 27 thousand million by chance."""
    number = int.from_bytes(hashlib.sha256(b"zhenbao case " + case_id.bytes).digest()[:8], "big")
    text = ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        text += _LETTERS[digit]
    return f"{text[:3]}-{text[3:]}"

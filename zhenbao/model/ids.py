"""Identifiers that sort by time of making (UUIDv7, RFC 9562 section 5.7)."""

import secrets
from collections.abc import Callable
from uuid import UUID


def uuid7(unix_ms: int, randbits: Callable[[int], int] = secrets.randbits) -> UUID:
    """Return a UUIDv7 for a Unix time in milliseconds. Later ids sort later.

    Raises:
        ValueError: ``unix_ms`` does not fit 48 bits.
    """
    if not 0 <= unix_ms < 1 << 48:
        raise ValueError(f"unix_ms {unix_ms} does not fit 48 bits")
    rand_a, rand_b = randbits(12), randbits(62)
    return UUID(int=unix_ms << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)

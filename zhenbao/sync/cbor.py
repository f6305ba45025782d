"""CBOR (RFC 8949) from outside: a value, or one kind of error."""

from __future__ import annotations

from typing import Any

import cbor2

from zhenbao.model.errors import Rejected


def loads(data: bytes) -> Any:
    """The first item in ``data``.

    Raises:
        Rejected: ``message``; these bytes are no CBOR.
    """
    try:
        return cbor2.loads(data)
    except (
        cbor2.CBORDecodeError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # cbor2 builds dates, fractions, patterns and addresses while it reads, and lets some of their errors through.
        raise Rejected("message", reason=f"not CBOR: {type(error).__name__}") from error


def dumps(value: Any) -> bytes:
    """A value as CBOR, each item in its shortest form but for floats, which stay as wide as they are."""
    return cbor2.dumps(value)

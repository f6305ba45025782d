"""SQLCipher in place of SQLite: every page of the kit's file is encrypted (AES-256) and authenticated (HMAC-SHA512).

The key is 32 random bytes (``agent.vault`` keeps it), used as it is, so that opening costs no key derivation. The salt
at the head of a file follows from the key: a file that begins with another one was not made with this key.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the same interface, and these have types
    from sqlite3 import Connection, Error
    from sqlite3 import connect as _connect
else:
    from sqlcipher3.dbapi2 import Connection, Error
    from sqlcipher3.dbapi2 import connect as _connect

__all__ = ["KEY_BYTES", "Connection", "Error", "connect", "key_literal", "kind_of", "made_with", "mark_key"]

KEY_BYTES = 32
_SALT_BYTES = 16
_PLAIN_HEADER = b"SQLite format 3\0"
_MARK = "kit.keyed"
"""Says with which key the file beside it was made, so that a wrong key is never taken for a damaged file."""

Kind = Literal["new", "plain", "ours", "strange"]


def connect(path: Path, key: bytes | None) -> Connection:
    """A connection in autocommit; nothing of the file has been read yet.

    Args:
        key: None opens a plain database.
    """
    connection = _connect(path, isolation_level=None, check_same_thread=False)
    # Else the library writes its own lines to the doctor's screen.
    connection.execute("pragma cipher_log_level=NONE")
    if key is not None:
        connection.execute(f'pragma key = "{key_literal(key)}"')
    return connection


def key_literal(key: bytes) -> str:
    """Key and salt as SQLCipher takes them raw."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a store key has {KEY_BYTES} bytes, not {len(key)}")
    return f"x'{key.hex()}{_salt(key).hex()}'"


def kind_of(path: Path, key: bytes) -> Kind:
    """What lies at ``path``: nothing, an unencrypted database, one made with this key, or something else.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SALT_BYTES)
    except FileNotFoundError:
        return "new"
    if not head:
        return "new"
    if head == _PLAIN_HEADER:
        return "plain"
    return "ours" if head == _salt(key) else "strange"


def made_with(directory: Path, key: bytes) -> bool:
    """Whether the mark says that the database in ``directory`` was made with this key."""
    with contextlib.suppress(OSError):
        return (directory / _MARK).read_text() == _name(key)
    return False


def mark_key(directory: Path, key: bytes) -> None:
    """Write the mark, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    draft = directory / f".{_MARK}.{secrets.token_hex(8)}"
    try:
        with draft.open("w") as file:
            file.write(_name(key))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(directory / _MARK)
    finally:
        draft.unlink(missing_ok=True)


def _salt(key: bytes) -> bytes:
    return hmac.digest(key, b"zhenbao store salt", hashlib.sha256)[:_SALT_BYTES]


def _name(key: bytes) -> str:
    """Tells keys apart and says nothing of them: the key has 256 random bits."""
    return hmac.digest(key, b"zhenbao store key name", hashlib.sha256).hex()[:32]

"""A key for stores that tests open, and a look into their file past the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zhenbao.agent.store import cipher
from zhenbao.agent.store.database import FILE
from zhenbao.agent.vault.unlocked import unlocked_key

KEY = bytes(range(100, 132))


@contextmanager
def raw(home: Path, key: bytes | None = KEY) -> Iterator[cipher.Connection]:
    """The database in ``home``; ``key`` None: the one its vault holds open."""
    connection = cipher.connect(home / FILE, key or unlocked_key(home))
    try:
        yield connection
    finally:
        connection.close()

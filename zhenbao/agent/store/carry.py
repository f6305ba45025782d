"""An unencrypted database of an older version becomes an encrypted one, whatever moment the power goes.

The one step that counts is a rename. Before it the old file is whole and a half-made copy is thrown away at the next
opening; after it the new one is whole, and what is left of the old file is overwritten and removed, now or at the next
opening. On flash memory overwriting reaches the file, not every cell that once held it (``docs/stolen-tablet.md``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from zhenbao.agent.store.cipher import Connection, connect, key_literal
from zhenbao.model.errors import StorageError

_PART_BYTES = 1 << 20
_BESIDE = ("-wal", "-shm", "-journal")


def carry_over(path: Path, key: bytes) -> None:
    """Encrypt the plain database at ``path`` in place. The caller is alone with it.

    Raises:
        StorageError: ``store-damaged``: the plain file is.
        Error, OSError: it could not be done; the plain file is as it was.
    """
    draft, old = _draft(path), _old(path)
    _remove(draft)
    old.unlink(missing_ok=True)  # a second name of the file itself, from an attempt that was cut short
    plain = connect(path, None)
    try:
        if plain.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise StorageError("store-damaged")
        # Everything into the one file, so that the rename below replaces everything.
        if plain.execute("pragma journal_mode=DELETE").fetchone() != ("delete",):
            raise StorageError("store-in-use")
        (version,) = plain.execute("pragma user_version").fetchone()
        plain.execute(f'attach ? as fresh key "{key_literal(key)}"', (str(draft),))
        plain.execute("select sqlcipher_export('fresh')").fetchall()
        plain.execute(f"pragma fresh.user_version={int(version)}")
        _compare(plain)
        plain.execute("detach fresh")
    finally:
        plain.close()
    draft.chmod(0o600)
    _finished(draft, key, version)
    _sync(draft)
    os.link(path, old)
    _sync(path.parent)
    draft.replace(path)
    _sync(path.parent)
    erase(old)


def finish(path: Path) -> None:
    """Remove what an interrupted ``carry_over`` left beside the encrypted database at ``path``."""
    _remove(_draft(path))
    if (old := _old(path)).exists():
        erase(old)


def seal_away(files: list[Path], container: Path, key: bytes) -> None:
    """Move plain files, byte by byte as they are, into an encrypted database of their own, then erase them.

    Raises:
        Error, OSError: they are where they were.
    """
    draft = container.with_name(f"{container.name}.new")
    _remove(draft)
    connection = connect(draft, key)
    try:
        connection.execute("create table parts (file text, n integer, body blob, primary key (file, n)) strict")
        connection.execute("begin")
        for file in files:
            for n, part in enumerate(_parts(file)):
                connection.execute("insert into parts values (?, ?, ?)", (file.name, n, part))
        connection.execute("commit")
    finally:
        connection.close()
    draft.chmod(0o600)
    _sync(draft)
    connection = connect(draft, key)
    try:
        for file in files:
            kept = connection.execute("select body from parts where file = ? order by n", (file.name,))
            if b"".join(body for (body,) in kept) != file.read_bytes():
                raise StorageError("store-io", reason="copy differs")
    finally:
        connection.close()
    draft.replace(container)
    _sync(container.parent)
    for file in files:
        erase(file)


def _compare(connection: Connection) -> None:
    """Every table of the copy holds the rows of the original, and nothing is missing from its schema.

    Raises:
        StorageError: ``store-io``.
    """
    what = "select type, name, tbl_name, sql from {}.sqlite_master order by type, name"
    schema = connection.execute(what.format("main")).fetchall()
    same = schema == connection.execute(what.format("fresh")).fetchall()
    for kind, name, _, _ in schema:
        if kind == "table" and same:
            quoted = '"' + name.replace('"', '""') + '"'
            both = [connection.execute(f"select * from {db}.{quoted}") for db in ("main", "fresh")]  # noqa: S608
            same = all(a == b for a, b in zip_longest(*both))
    if not same:
        raise StorageError("store-io", reason="copy differs")


def _finished(path: Path, key: bytes, version: int) -> None:
    """The copy is in WAL from now on, opens with the key, and is whole.

    Raises:
        StorageError: ``store-io``.
    """
    connection = connect(path, key)
    try:
        whole = (
            connection.execute("pragma journal_mode=WAL").fetchone() == ("wal",)
            and connection.execute("pragma user_version").fetchone() == (version,)
            and connection.execute("pragma cipher_integrity_check").fetchone() is None
            and connection.execute("pragma quick_check(1)").fetchone() == ("ok",)
        )
    finally:
        connection.close()
    if not whole:
        raise StorageError("store-io", reason="copy unreadable")


def erase(path: Path) -> None:
    """Overwrite, then remove."""
    with path.open("r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(bytes(min(left, _PART_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    _sync(path.parent)


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_PART_BYTES):
            yield part


def _remove(path: Path) -> None:
    for suffix in ("", *_BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.encrypting")


def _old(path: Path) -> Path:
    return path.with_name(f"{path.name}.erasing")

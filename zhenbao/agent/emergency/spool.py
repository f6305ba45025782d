"""Sealed items that wait for a road, one file each, in the kit's folder. Only the hub's receipt removes one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zhenbao.agent.store.faults import storage_error
from zhenbao.agent.store.space import NAME as BALLAST
from zhenbao.agent.vault.file import write_whole
from zhenbao.model.errors import StorageError
from zhenbao.model.ids import uuid7

FOLDER = "emergency"
_SUFFIX = ".sealed"


def put(home: Path, item: bytes, now_ms: int) -> Path:
    """Keep an item; it is on the disk when this returns. A full disk gives up the kit's reserve for it.

    Raises:
        StorageError: it was not kept.
    """
    place = home / FOLDER / f"{uuid7(now_ms)}{_SUFFIX}"
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            write_whole(place, item)
        except OSError as error:
            if storage_error(error, home).code != "store-full":
                raise
            (home / BALLAST).unlink(missing_ok=True)
            write_whole(place, item)
    except OSError as error:
        raise storage_error(error, home) from error
    return place


def waiting(home: Path) -> list[bytes]:
    """Every item, the oldest first."""
    return [place.read_bytes() for place in _places(home)]


def count(home: Path) -> int:
    """So many wait."""
    return len(_places(home))


def receipted(home: Path, sha256: bytes) -> bool:
    """The hub has committed the item with this SHA-256: remove it. False where none such waits.

    Raises:
        StorageError: it could not be removed.
    """
    for place in _places(home):
        if hashlib.sha256(place.read_bytes()).digest() == sha256:
            try:
                place.unlink()
            except OSError as error:
                raise StorageError("store-io", reason=type(error).__name__) from error
            return True
    return False


def _places(home: Path) -> list[Path]:
    # A name begins with the time it was made.
    return sorted((home / FOLDER).glob(f"*{_SUFFIX}"))

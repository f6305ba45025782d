"""What goes wrong with a disk, as errors that say what to do."""

from __future__ import annotations

import os
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from pathlib import Path

from zhenbao.agent.store.cipher import Error
from zhenbao.model.errors import StorageError

# Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _CONSTRAINT, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 19, 26
_NO_ROOM = 256 << 10
"""An input/output error on a disk with less room than this is taken for a full disk."""


def storage_error(error: Error | OSError, directory: Path) -> StorageError:
    """The error for people behind an error of SQLite or the system.

    Codes: ``store-full``, ``store-read-only``, ``store-permission``, ``store-busy``, ``store-damaged``, ``store-order``
    (a value before the one it belongs to), ``store-io``.
    """
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    if isinstance(error, OSError):
        match error.errno:
            case e if e in (ENOSPC, EDQUOT):
                return _full(directory)
            case e if e == EROFS:
                return StorageError("store-read-only")
            case e if e in (EACCES, EPERM):
                return StorageError("store-permission", place=directory)
            case _:
                return StorageError("store-io", reason=reason)
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case code if code == _FULL:
            return _full(directory)
        case code if code in (_BUSY, _LOCKED):
            return StorageError("store-busy")
        case code if code in (_CORRUPT, _NOTADB):
            return StorageError("store-damaged")
        case code if code == _CONSTRAINT:
            return StorageError("store-order", reason=reason)
        case code if code in (_READONLY, _CANTOPEN, _IOERR):
            return _disk(code, reason, directory)
        case _:
            return StorageError("store-io", reason=reason)


def _disk(code: int, reason: str, directory: Path) -> StorageError:
    """SQLite says only that it could not read, write or open: ask the disk why."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return StorageError("store-io", reason=reason)
    if disk.f_flag & os.ST_RDONLY:
        return StorageError("store-read-only")
    if code in (_READONLY, _CANTOPEN) and not os.access(directory, os.W_OK | os.X_OK):
        return StorageError("store-permission", place=directory)
    if disk.f_bavail * disk.f_frsize < _NO_ROOM:
        return _full(directory)
    if code in (_READONLY, _CANTOPEN):
        return StorageError("store-permission", place=directory)
    return StorageError("store-io", reason=reason)


def _full(directory: Path) -> StorageError:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return StorageError("store-full", free_mb=0)
    return StorageError("store-full", free_mb=disk.f_bavail * disk.f_frsize >> 20)

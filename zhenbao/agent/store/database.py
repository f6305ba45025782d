"""One encrypted SQLite file, safe against kills, power cuts, a full disk and two processes at once.

WAL with ``synchronous=FULL``: what a write acknowledged is on the disk. A damaged file is renamed, never deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from zhenbao.agent.store import carry, cipher, schema
from zhenbao.agent.store.cipher import Connection, Error
from zhenbao.agent.store.faults import storage_error
from zhenbao.agent.store.space import Ballast, Level, Room
from zhenbao.model.errors import StorageError
from zhenbao.model.time import Clock

T = TypeVar("T")
FILE = "kit.sqlite3"
_LOCK = "kit.lock"
_CHECKED = "kit.checked"
_ALWAYS_CHECKED_BYTES = 4 << 20
_LOCK_WAIT_S = 10.0
_PRAGMAS = (
    "busy_timeout=10000",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cell_size_check=ON",
    "temp_store=MEMORY",  # no patient data in temporary files
    # A small log leaves more of a full disk to what matters: the ballast is eight times its size.
    "wal_autocheckpoint=512",
    "journal_size_limit=2097152",
)


class Database:
    """The open file. Any thread may call; calls take turns.

    Attributes:
        set_aside: name of the damaged file that was put aside at this opening, or None.
    """

    def __init__(self, directory: Path, key: bytes, clock: Clock, boot: str, ballast_bytes: int) -> None:
        """Open, check, and where needed make, migrate, encrypt or replace the database in ``directory``.

        Args:
            key: the store's key, 32 bytes.

        Raises:
            StorageError: see ``faults.storage_error``; ``store-newer``, ``store-in-use``, ``store-key``.
        """
        self.directory = directory
        self.ballast = Ballast(directory, ballast_bytes)
        self.set_aside: str | None = None
        self._path = directory / FILE
        self._key = key
        self._clock = clock
        self._boot = boot
        self._turn = threading.RLock()
        self._lock_descriptor = -1
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._connection = self._opened()
            except StorageError as error:
                if error.code != "store-full" or not self.ballast.release():
                    raise
                self._connection = self._opened()
        except OSError as error:
            self._unlock()
            raise storage_error(error, directory) from error
        except StorageError:
            self._unlock()
            raise
        self.ballast.restore()

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._turn:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except Error as error:
                raise self._failed(error) from error

    def write(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """Run ``work`` in one transaction; when this returns, it is on the disk.

        Args:
            work: what to do; it may be run a second time if the first was undone by a full disk.
            urgent: may use the room that is held back.

        Raises:
            StorageError: nothing of it was kept.
        """
        with self._turn:
            if not urgent and self.room().level is Level.RED:
                raise StorageError("store-full", free_mb=self.ballast.free_bytes >> 20)
            try:
                result = self._transaction(work)
            except StorageError as error:
                if error.code != "store-full" or not urgent:
                    raise
                self.ballast.release()
                # What the log holds goes into the file, and the log's room is free as well.
                with contextlib.suppress(Error):
                    self._connection.execute("pragma wal_checkpoint(truncate)").fetchall()
                result = self._transaction(work)
            if not self.ballast.held:
                self.ballast.restore()
            return result

    def room(self) -> Room:
        """What can still be kept, on the disk and inside the file.

        Raises:
            StorageError: the database cannot be read.
        """
        (((pages,),), ((page_bytes,),)) = self.read("pragma freelist_count"), self.read("pragma page_size")
        # SQLCipher tells a page's size as text.
        return self.ballast.room(pages * int(page_bytes))

    def close(self) -> None:
        """Close the file; harmless when closed."""
        with self._turn:
            self._connection.close()
            self._unlock()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        connection = self._connection
        try:
            connection.execute("begin immediate")
            try:
                result = work(connection)
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    with contextlib.suppress(Error):
                        connection.execute("rollback")
                raise
        except Error as error:
            raise self._failed(error) from error
        return result

    def _failed(self, error: Error) -> StorageError:
        failure = storage_error(error, self.directory)
        if failure.code == "store-damaged":
            # The next opening must look at the whole file.
            with contextlib.suppress(OSError):
                (self.directory / _CHECKED).unlink()
        return failure

    # Opening

    def _opened(self) -> Connection:
        self._lock(fcntl.LOCK_SH)
        try:
            connection = self._connected()
        except StorageError as error:
            if error.code != "store-damaged":
                raise
            connection = self._replaced()
        return connection

    def _connected(self) -> Connection:
        """A connection to a database that is whole and of this version."""
        self._prepare_file()
        # Made by us first, so that SQLite gives its own files the same rights.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)
        connection = cipher.connect(self._path, self._key)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"pragma {pragma}")
            version = _version(connection)
            if version > schema.LATEST:
                raise StorageError("store-newer", found=version, known=schema.LATEST)
            # Whoever opens a new store beside us may migrate it first, and then keeps it open for good.
            if version < schema.LATEST and self._lock(
                fcntl.LOCK_EX, unless=lambda: _version(connection) == schema.LATEST
            ):
                self._checked(connection)
                if version == 0:
                    # What pruning frees can be given back to the disk; heeded only while the file is made.
                    connection.execute("pragma auto_vacuum=INCREMENTAL")
                connection.execute("pragma journal_mode=WAL")
                schema.migrate(connection)
            if connection.execute("pragma journal_mode").fetchone() != ("wal",):
                raise StorageError("store-io", reason="no WAL")
            self._checked(connection)
            self._lock(fcntl.LOCK_SH)
        except Error as error:
            connection.close()
            raise self._failed(error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare_file(self) -> None:
        """Encrypt what an older version left; refuse what was made with another key.

        Raises:
            StorageError: ``store-key``, ``store-damaged`` (of a plain file), or as the disk has it.
        """
        kind = cipher.kind_of(self._path, self._key)
        if kind == "plain" and self._lock(fcntl.LOCK_EX, unless=lambda: self._kind() != "plain"):
            try:
                if self._kind() == "plain":  # another process may have done it while this one waited
                    carry.carry_over(self._path, self._key)
            except (Error, OSError) as error:
                raise storage_error(error, self.directory) from error
            kind = self._kind()
        if kind == "strange" and not cipher.made_with(self.directory, self._key):
            # Never taken for damage: with the right key it may open.
            raise StorageError("store-key")
        if kind == "ours":
            with contextlib.suppress(OSError):
                carry.finish(self._path)
        if kind != "strange" and not cipher.made_with(self.directory, self._key):
            try:
                cipher.mark_key(self.directory, self._key)
            except OSError:
                if kind == "new":
                    raise

    def _kind(self) -> cipher.Kind:
        return cipher.kind_of(self._path, self._key)

    def _checked(self, connection: Connection) -> None:
        """Look at the whole file: always when small, once a boot when large.

        Raises:
            StorageError: ``store-damaged``.
        """
        mark = self.directory / _CHECKED
        if self._path.stat().st_size > _ALWAYS_CHECKED_BYTES:
            with contextlib.suppress(OSError):
                if mark.read_text() == self._boot:
                    return
        if connection.execute("pragma quick_check(1)").fetchone() != ("ok",):
            with contextlib.suppress(OSError):
                mark.unlink()
            raise StorageError("store-damaged")
        # A convenience only: without it the next opening checks again.
        with contextlib.suppress(OSError):
            mark.write_text(self._boot)

    def _replaced(self) -> Connection:
        """Put the damaged database aside, whole, and open a new one."""
        self._lock(fcntl.LOCK_EX)
        try:
            # Another process may have replaced it while this one waited.
            return self._connected()
        except StorageError as error:
            if error.code != "store-damaged":
                raise
        self._lock(fcntl.LOCK_EX)
        stamp = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        name, n = f"kit.damaged-{stamp}.sqlite3", 1
        while any(self.directory.glob(f"{name.removesuffix('.sqlite3')}.*")):
            n += 1
            name = f"kit.damaged-{stamp}-{n}.sqlite3"
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                (self.directory / f"{FILE}{suffix}").rename(self.directory / f"{name}{suffix}")
        self.set_aside = name
        if cipher.kind_of(self.directory / name, self._key) == "plain":
            self._seal_away(name)
        return self._connected()

    def _seal_away(self, name: str) -> None:
        """A damaged file that an older version left unencrypted: kept byte by byte, but not readable by a thief."""
        pieces = [p for s in ("", "-wal", "-shm") if (p := self.directory / f"{name}{s}").exists()]
        sealed = f"{name.removesuffix('.sqlite3')}.sealed.sqlite3"
        # Where there is no room for it the plain file stays: nothing is ever deleted unkept.
        with contextlib.suppress(Error, OSError, StorageError):
            carry.seal_away(pieces, self.directory / sealed, self._key)
            self.set_aside = sealed

    def _lock(self, kind: int, *, unless: Callable[[], bool] = lambda: False) -> bool:
        """Shared by everyone who has the file open; exclusive to migrate or replace it.

        Args:
            unless: asked while waiting; once true the lock is no longer wanted.

        Returns:
            Whether the lock is held.

        Raises:
            StorageError: ``store-in-use``, another process keeps it open.
        """
        deadline = self._clock.monotonic_s() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._lock_descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if unless():
                    return False
                if self._clock.monotonic_s() > deadline:
                    raise StorageError("store-in-use") from None
                self._clock.sleep(0.05)
            else:
                return True

    def _unlock(self) -> None:
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1


def _version(connection: Connection) -> int:
    """Of the tables."""
    return int(connection.execute("pragma user_version").fetchone()[0])

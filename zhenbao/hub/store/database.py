"""The connection to the hub's database, and the only place that knows one database from another."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from zhenbao.model.errors import StorageError


class Database:
    """Transactions on one database, brought to the newest schema when opened.

    Args:
        url: any SQLAlchemy URL. A SQLite file is made with mode 0600 and used in WAL with ``synchronous=FULL``
            (NORMAL may lose the last commits at a power cut).

    Raises:
        StorageError: ``hub-database``: it cannot be opened or brought to this version's schema; ``hub-running``: it
            is being restored.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._lock: BinaryIO | None = None
        sqlite = self.url.get_backend_name() == "sqlite"
        try:
            if sqlite and self.url.database:
                self._lock = lock(Path(self.url.database), exclusive=False)
                os.close(os.open(Path(self.url.database), os.O_RDWR | os.O_CREAT, 0o600))
            self.engine = create_engine(self.url, pool_pre_ping=not sqlite, hide_parameters=True)
            if sqlite:
                _prepare_sqlite(self.engine)
            self._writer = self.engine.execution_options(zhenbao_write=True)
            _migrate(self._writer)
        except (OSError, SQLAlchemyError, CommandError) as error:
            raise StorageError("hub-database", reason=type(error).__name__) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose reads see one moment.

        Raises:
            StorageError: ``hub-read``.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StorageError("hub-read", reason=type(error).__name__) from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it or, after any exception, nothing.

        Raises:
            StorageError: ``hub-write``: the disk is full or the database is gone. Nothing was kept.
        """
        try:
            with self._writer.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            # The driver's words may quote parameters, which are patients' data: they go no further.
            raise StorageError("hub-write", reason=type(error).__name__) from None

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def lock(database: Path, *, exclusive: bool) -> BinaryIO:
    """Hold a lock beside a SQLite file: shared by all who have it open, exclusive to whoever restores it.

    Returns:
        The open lock file; closing it ends the lock.

    Raises:
        StorageError: ``hub-running``: others hold it in a way that forbids this.
        OSError: the folder cannot be written.
    """
    held = os.fdopen(os.open(database.with_name(database.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600), "rb")
    try:
        fcntl.flock(held, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise StorageError("hub-running") from None
    return held


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late to lock; ours (below) comes first.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that turns writer half-way can fail with "database is locked" whatever it waits; so lock at once.
        immediate = connection.get_execution_options().get("zhenbao_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "zhenbao.hub.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

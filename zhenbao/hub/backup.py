"""A backup of the hub while it runs, and a hub made of a backup. SQLite here; other databases have tools of their own.

A restored hub lacks what came after its backup. It takes a new epoch that says when the backup was taken, and tells
every kit; each offers again all that it had delivered since, and gives back the signed reports (``agent.store``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy import update as sql_update

from zhenbao.hub.roster import Roster
from zhenbao.hub.store import HubStore, audit, terms
from zhenbao.hub.store.database import lock
from zhenbao.hub.store.tables import inbox, meta, web_sessions
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.hub_terms import restored_epoch
from zhenbao.model.time import Clock

_TAKEN = "backup_taken_ms"
_LAST = "last_backup_ms"


@dataclass(frozen=True, slots=True)
class Backup:
    """A file that was written and checked."""

    place: Path
    size_bytes: int
    taken_ms: int
    """Everything receipted before this is in it."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    epoch: str
    taken_ms: int
    """What was received after this is missing until the kits have sent it again."""
    told: int
    """Kits that are told."""
    set_aside: str
    """Name of the database from before; empty where there was none."""


def backup(store: HubStore, place: Path) -> Backup:
    """Write a whole copy of the database as of now, beside a running hub; it appears only once it was checked.

    Raises:
        InputError: ``hub-backup-exists``: nothing is ever written over.
        StorageError: ``hub-backup-database``: not SQLite; ``hub-backup-write``.
    """
    source = _sqlite_file(store)
    if place.exists():
        raise InputError("hub-backup-exists", name=place.name)
    taken_ms = store.clock.now_ms()
    draft = place.with_name(place.name + ".part")
    try:
        # Made by us first: a copy of patients' data is for its owner only.
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        with contextlib.closing(sqlite3.connect(source)) as connection:
            connection.execute("vacuum into ?", (str(draft),))
        with contextlib.closing(sqlite3.connect(draft)) as connection:
            connection.execute("insert or replace into meta values (?, ?)", (_TAKEN, str(taken_ms)))
            connection.commit()
            if connection.execute("pragma integrity_check").fetchone() != ("ok",):
                raise StorageError("hub-backup-write", reason="integrity_check")
        _sync(draft)
        draft.replace(place)
        _sync(place.parent)
        size_bytes = place.stat().st_size
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        raise StorageError("hub-backup-write", reason=type(error).__name__) from error
    with store.writing() as connection:
        terms.set_setting(connection, _LAST, str(taken_ms))
        audit.append(connection, taken_ms, "admin", "hub-backup", "hub", bytes=str(size_bytes))
    return Backup(place, size_bytes, taken_ms)


def last_backup_ms(store: HubStore) -> int | None:
    """When the last backup was taken; None: never, or not since a restore."""
    with store.reading() as connection:
        told = terms.setting(connection, _LAST)
    return None if told is None else int(told)


def promise(store: HubStore, hours: int) -> int:
    """Keep how often this hub is backed up, and tell the kits; returns how many are told.

    Raises:
        InputError: ``hub-backup-hours``: not between an hour and a year.
    """
    if not 1 <= hours <= 24 * 366:
        raise InputError("hub-backup-hours", hours=hours)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        terms.set_backup_every_h(connection, hours)
        known = terms.kits(connection, (kit.id for kit in store.roster.kit))
        return terms.tell(connection, store.sender, store.epoch, known, now_ms)


def restore(place: Path, database: Path, clock: Clock, roster: Roster) -> Restored:
    """Put a backup in the place of the hub's database, which is set aside whole. The hub must not run.

    Raises:
        InputError: ``hub-backup-file``: no backup of a hub, damaged, or of a newer program; nothing was changed.
        StorageError: ``hub-running``; ``hub-backup-write``.
    """
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check(place)
    draft = database.with_name(database.name + ".restoring")
    try:
        held = lock(database, exclusive=True)
    except OSError as error:
        raise StorageError("hub-backup-write", reason=type(error).__name__) from error
    try:
        _remove(draft)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT, 0o600))
        shutil.copyfile(place, draft)
        done = _renamed(draft, clock, roster)
        set_aside = _set_aside(database, clock.now_ms())
        draft.replace(database)
        _sync(database.parent)
    except OSError as error:
        raise StorageError("hub-backup-write", reason=type(error).__name__) from error
    finally:
        with contextlib.suppress(OSError):
            _remove(draft)
        held.close()
    return Restored(done.epoch, done.taken_ms, done.told, set_aside)


def announce(store: HubStore) -> Restored:
    """Give a database that another tool has restored (PostgreSQL) its new epoch, and tell the kits.

    Without a mark of ours in it, what it received last says how far it goes.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        marked = terms.setting(connection, _TAKEN)
        newest = connection.execute(select(func.max(inbox.c.received_ms))).scalar()
        taken_ms = int(marked) if marked is not None else int(newest or 0)
        epoch = restored_epoch(taken_ms)
        connection.execute(sql_update(meta).where(meta.c.key == "epoch").values(value=epoch))
        connection.execute(delete(meta).where(meta.c.key.in_((_TAKEN, _LAST))))
        # Whoever was logged in at the time of the backup logs in again.
        connection.execute(delete(web_sessions))
        audit.append(connection, now_ms, "admin", "hub-restored", "hub", epoch=epoch, taken_ms=str(taken_ms))
        known = terms.kits(connection, (kit.id for kit in store.roster.kit))
        told = terms.tell(connection, store.sender, epoch, known, now_ms)
    return Restored(epoch, taken_ms, told, "")


def _renamed(draft: Path, clock: Clock, roster: Roster) -> Restored:
    try:
        store = HubStore(f"sqlite:///{draft.absolute()}", clock, roster)
    except StorageError as error:
        raise InputError("hub-backup-file", reason=error.code) from error
    try:
        return announce(store)
    finally:
        store.close()


def _check(place: Path) -> None:
    try:
        if not place.is_file():
            raise InputError("hub-backup-file", reason="no file")
        with contextlib.closing(sqlite3.connect(f"file:{place.absolute()}?mode=ro", uri=True)) as connection:
            whole = connection.execute("pragma integrity_check").fetchone() == ("ok",)
            ours = connection.execute("select 1 from meta where key = 'epoch'").fetchone() is not None
    except sqlite3.Error as error:
        raise InputError("hub-backup-file", reason=type(error).__name__) from error
    if not whole or not ours:
        raise InputError("hub-backup-file", reason="damaged" if not whole else "not a hub")


def _set_aside(database: Path, now_ms: int) -> str:
    """Rename what is there, whole; never deleted, it may hold what no kit has any more."""
    if not database.exists():
        return ""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    name, n = f"{database.stem}.before-restore-{stamp}{database.suffix}", 1
    while database.with_name(name).exists():
        n += 1
        name = f"{database.stem}.before-restore-{stamp}-{n}{database.suffix}"
    # The log first: left beside another database it would be played into it.
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            database.with_name(database.name + suffix).rename(database.with_name(name + suffix))
    return name


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _sqlite_file(store: HubStore) -> Path:
    url = store.database.url
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StorageError("hub-backup-database")
    return Path(url.database)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

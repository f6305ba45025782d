"""What the hub tells the kits of itself: which store answers, and how often it is backed up."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from zhenbao.hub.store import outbox
from zhenbao.hub.store.tables import inbox, meta
from zhenbao.model.hub_terms import HubTerms
from zhenbao.model.ids import uuid7

_EVERY = "backup_every_h"


def setting(connection: Connection, key: str) -> str | None:
    """A value of the hub's own."""
    found: str | None = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    return found


def set_setting(connection: Connection, key: str, value: str) -> None:
    """Keep a value of the hub's own."""
    connection.execute(delete(meta).where(meta.c.key == key))
    connection.execute(insert(meta).values(key=key, value=value))


def backup_every_h(connection: Connection) -> int | None:
    """Hours between backups, as the operator promised; None: not said."""
    told = setting(connection, _EVERY)
    return None if told is None else int(told)


def set_backup_every_h(connection: Connection, hours: int) -> None:
    """Keep the promise; ``tell`` passes it on."""
    set_setting(connection, _EVERY, str(hours))


def kits(connection: Connection, more: Iterable[str] = ()) -> list[str]:
    """Every kit that ever sent something, and ``more``."""
    return sorted({*connection.execute(select(inbox.c.sender).distinct()).scalars(), *more})


def tell(connection: Connection, sender: outbox.Sender, epoch: str, recipients: Iterable[str], now_ms: int) -> int:
    """Queue the terms for kits that have not been told these; returns for how many."""
    every_h = backup_every_h(connection)
    told = 0
    for kit_id in recipients:
        key, value = f"terms:{kit_id}"[:40], f"{epoch}:{every_h}"
        if setting(connection, key) != value:
            set_setting(connection, key, value)
            outbox.post(connection, sender, HubTerms(epoch, every_h, now_ms), uuid7(now_ms), kit_id, now_ms)
            told += 1
    return told

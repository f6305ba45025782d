"""What the hub's clock said when it last confirmed something: the only time by which anything here is ever pruned.

A tablet's own clock may start in 1970 or stand three years ahead; the hub's receipts carry a time that is not its own.
"""

from __future__ import annotations

import sqlite3

from zhenbao.agent.store.database import Database
from zhenbao.model.report import Receipt

_DAY_MS = 86_400_000
MOST_APART_MS = _DAY_MS
"""Kit and hub may differ by as much at a receipt; beyond that one of them is wrong, and nobody here knows which."""
MOST_SILENT_MS = 366 * _DAY_MS
"""A kit that believes the last receipt to be older than this has a wrong clock, or lay in a drawer: nothing hurries."""


def note(connection: sqlite3.Connection, receipt: Receipt, now_ms: int) -> None:
    """Remember both clocks of a receipt; a repeated one carries an old time and says nothing."""
    if receipt.duplicate or receipt.refused:
        return
    for name, value in (("hub_time_ms", receipt.received_ms), ("hub_time_kit_ms", now_ms)):
        connection.execute("insert or replace into counters values (?, ?)", (name, value))


def trusted_now_ms(database: Database, now_ms: int) -> int | None:
    """The hub's time at the last receipt: a time that has certainly passed. None where no clock can be trusted."""
    known = dict(database.read("select name, value from counters where name in ('hub_time_ms', 'hub_time_kit_ms')"))
    if len(known) < 2:
        return None
    hub_ms, kit_ms = int(known["hub_time_ms"]), int(known["hub_time_kit_ms"])
    apart = abs(hub_ms - kit_ms) <= MOST_APART_MS
    return hub_ms if apart and -MOST_APART_MS <= now_ms - hub_ms <= MOST_SILENT_MS else None

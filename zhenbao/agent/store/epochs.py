"""Which hub database answers. One never heard of was restored from a backup, or made anew: it gets what it lost."""

from __future__ import annotations

import json
import sqlite3

from zhenbao.agent.store.outbox import Sender, post
from zhenbao.model.hub_terms import HubTerms, restored_from_ms
from zhenbao.model.report import DeliveryState, Report, ReturnedReport
from zhenbao.sync.envelope import Lane, pack, unpack

BACKUP_HOURS = "hub_backup_hours"
"""Setting: how many hours lie between two backups of the hub, as the hub told."""
_MARGIN_MS = 86_400_000
"""The hub's clock may have been set back meanwhile: a day more is offered, and what the hub has it says so."""
_UNRECEIVED = """
    delete from states where state = ?3 and subject_id in (
        select subject_id from outbox
        where state = 'delivered' and peer_epoch is not null and peer_epoch <> ?1 and coalesce(peer_ms, ?2) >= ?2)
"""
_OFFERED_AGAIN = """
    update outbox
    set state = 'waiting', tries = 0, not_before_ms = 0, closed_ms = null, peer_epoch = null, peer_ms = null
    where state = 'delivered' and peer_epoch is not null and peer_epoch <> ?1 and coalesce(peer_ms, ?2) >= ?2
"""


def take_terms(connection: sqlite3.Connection, sender: Sender, terms: HubTerms, now_ms: int) -> None:
    """The hub told of itself."""
    if terms.backup_every_h is not None:
        connection.execute(
            "insert into settings values (?, ?) on conflict(key) do update set value = excluded.value",
            (BACKUP_HOURS, str(terms.backup_every_h)),
        )
    notice(connection, sender, terms.epoch, now_ms)


def notice(connection: sqlite3.Connection, sender: Sender, epoch: str, now_ms: int) -> None:
    """A database of the hub answers under this name. On a new name, all that went to others since its backup is due.

    The ids stay the same, so the hub answers for what it still has and takes what it lost. It happens once for
    each new name, so two hubs that answer in turn cannot make it a loop.
    """
    made = connection.execute("insert into peer_epochs values (?, ?) on conflict do nothing", (epoch, now_ms)).rowcount
    (known,) = connection.execute("select count(*) from peer_epochs").fetchone()
    if not made or known == 1:
        return
    backup_ms = restored_from_ms(epoch)
    since_ms = 0 if backup_ms is None else backup_ms - _MARGIN_MS
    connection.execute(_UNRECEIVED, (epoch, since_ms, DeliveryState.RECEIVED.value))
    connection.execute(_OFFERED_AGAIN, (epoch, since_ms))
    _return_reports(connection, sender, since_ms, now_ms)
    _tell_of_pruned(connection, since_ms, now_ms)


def _return_reports(connection: sqlite3.Connection, sender: Sender, since_ms: int, now_ms: int) -> None:
    """Reports signed since then exist here and nowhere else, perhaps: the hub gets a copy of each."""
    rows = connection.execute("select body, arrived_ms, read_ms from reports order by rowid").fetchall()
    for body, arrived_ms, read_ms in rows:
        report = unpack("report", body)
        if isinstance(report, Report) and report.signed_ms >= since_ms:
            post(
                connection,
                sender,
                kind="returned-report",
                lane=Lane.REPORTS,
                subject_id=report.id,
                body=pack(ReturnedReport(report, arrived_ms, read_ms)),
                now_ms=now_ms,
            )


def _tell_of_pruned(connection: sqlite3.Connection, since_ms: int, now_ms: int) -> None:
    """What was pruned here and is newer than the backup is nowhere any more: that must be said, not hidden."""
    (gone,) = connection.execute("select count(*) from pruned where peer_ms >= ?", (since_ms,)).fetchone()
    if gone:
        connection.execute(
            "insert into notices (code, facts, at_ms) values ('hub-restored-pruned', ?, ?)",
            (json.dumps({"count": gone}), now_ms),
        )

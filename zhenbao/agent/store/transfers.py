"""Large packets under way, on the kit's disk: what it sends in parts, and what comes to it in parts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from uuid import UUID

from zhenbao.agent.store.database import Database
from zhenbao.model.errors import Rejected
from zhenbao.model.report import Receipt
from zhenbao.sync.mailbox import Transfer
from zhenbao.sync.messages import receipts_from_bytes, receipts_to_bytes
from zhenbao.sync.parts import DONE_AGE_MS, HALF_AGE_MS, MOST_FUTURE, Part, make_room


def sealed_bytes(database: Database, envelope_id: UUID) -> int | None:
    rows = database.read("select length(packet) from sealed where envelope_id = ?", (str(envelope_id),))
    return int(rows[0][0]) if rows else None


def keep_sealed(database: Database, envelope_id: UUID, packet: bytes) -> None:
    # Urgent: without it what is critical cannot leave a full disk, and it is gone again with the receipt.
    database.write(
        lambda c: c.execute("insert into sealed values (?, ?) on conflict do nothing", (str(envelope_id), packet)),
        urgent=True,
    )


def sealed_slice(database: Database, envelope_id: UUID, start: int, size: int) -> bytes:
    rows = database.read(
        "select substr(packet, ?, ?) from sealed where envelope_id = ?", (start + 1, size, str(envelope_id))
    )
    return bytes(rows[0][0]) if rows else b""


def drop_sealed(database: Database, envelope_id: UUID) -> None:
    # What came sealed cannot be sealed anew.
    database.write(
        lambda c: c.execute(
            "delete from sealed where envelope_id = ?1 and not exists"
            " (select 1 from outbox where id = ?1 and kind = 'emergency')",
            (str(envelope_id),),
        ),
        urgent=True,
    )


def keep_parts(database: Database, peer: str, parts: Sequence[Part], now_ms: int) -> None:
    """See ``PartStore.keep_parts``."""

    def keep(connection: sqlite3.Connection) -> None:
        _tidy(connection, now_ms)
        for part in parts:
            known = connection.execute(
                "select count from transfers where peer = ? and transfer = ?", (peer, part.transfer)
            ).fetchone()
            if known is None:
                half = connection.execute(
                    "select transfer, count from transfers where peer = ? and done is null order by touched_ms, rowid",
                    (peer,),
                ).fetchall()
                for gone in make_room(half, part):
                    _forget(connection, peer, gone)
                connection.execute(
                    "insert into transfers values (?, ?, ?, ?, null)", (peer, part.transfer, part.count, now_ms)
                )
            elif known[0] != part.count:
                raise Rejected("transfer-parts")
            connection.execute(
                "insert into transfer_parts values (?, ?, ?, ?) on conflict do nothing",
                (peer, part.transfer, part.number, part.data),
            )
        connection.execute(
            "update transfers set touched_ms = ? where peer = ? and transfer = ?", (now_ms, peer, parts[-1].transfer)
        )

    database.write(keep, urgent=True)


def transfer(database: Database, peer: str, name: bytes) -> Transfer | None:
    rows = database.read("select count, done from transfers where peer = ? and transfer = ?", (peer, name))
    if not rows:
        return None
    count, done = rows[0]
    have = database.read("select n from transfer_parts where peer = ? and transfer = ?", (peer, name))
    return Transfer(count, frozenset(n for (n,) in have), () if done is None else receipts_from_bytes(done))


def whole(database: Database, peer: str, name: bytes) -> bytes:
    rows = database.read("select body from transfer_parts where peer = ? and transfer = ? order by n", (peer, name))
    return b"".join(body for (body,) in rows)


def end_transfer(database: Database, peer: str, name: bytes, done: Sequence[Receipt], now_ms: int) -> None:
    def end(connection: sqlite3.Connection) -> None:
        if done:
            connection.execute("delete from transfer_parts where peer = ? and transfer = ?", (peer, name))
            connection.execute(
                "update transfers set done = ?, touched_ms = ? where peer = ? and transfer = ?",
                (receipts_to_bytes(done), now_ms, peer, name),
            )
        else:
            _forget(connection, peer, name)

    database.write(end, urgent=True)


def keep_future(database: Database, peer: str, packet: bytes, sha256: bytes, now_ms: int) -> bool:
    def keep(connection: sqlite3.Connection) -> bool:
        (count,) = connection.execute(
            "select count(*) from future_packets where peer = ? and sha256 <> ?", (peer, sha256)
        ).fetchone()
        if count >= MOST_FUTURE:
            return False
        connection.execute(
            "insert into future_packets values (?, ?, ?, ?) on conflict do nothing", (sha256, peer, now_ms, packet)
        )
        return True

    return database.write(keep)


def _forget(connection: sqlite3.Connection, peer: str, name: bytes) -> None:
    connection.execute("delete from transfer_parts where peer = ? and transfer = ?", (peer, name))
    connection.execute("delete from transfers where peer = ? and transfer = ?", (peer, name))


def _tidy(connection: sqlite3.Connection, now_ms: int) -> None:
    """Forget what nobody has gone on with. A clock that was set back only lets it live longer."""
    connection.execute("delete from transfers where done is null and touched_ms < ?", (now_ms - HALF_AGE_MS,))
    connection.execute("delete from transfers where done is not null and touched_ms < ?", (now_ms - DONE_AGE_MS,))

"""What waits for the hub. Posting is a part of the transaction that saves the subject; only a receipt ends it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from zhenbao.agent.store.database import Database
from zhenbao.agent.store.values import Account, QueueStatus
from zhenbao.model.report import DeliveryState, Receipt
from zhenbao.sync.envelope import Envelope, Lane, Waiting, envelope_id
from zhenbao.sync.packet import MOST_SEALED_BYTES, read_packet

HUB = "hub"
SEALED = b"sealed"
"""In place of a body's digest: the body lies sealed, and this side cannot open it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who posts: ``boot`` names this start of the machine with this database, for the order of what is sent."""

    name: str
    boot: str


def post(
    connection: sqlite3.Connection,
    sender: Sender,
    *,
    kind: str,
    lane: Lane,
    subject_id: UUID,
    body: bytes,
    now_ms: int,
    lies_elsewhere: bool = False,
) -> None:
    """Queue a value and mark it as saved. Call inside the transaction that saves it.

    Args:
        body: the packed value.
        lies_elsewhere: a recording or an attachment, whose body is read from its own table.
    """
    sequence = _next(connection)
    connection.execute(
        "insert into outbox (id, boot, sequence, kind, lane, subject_id, created_ms, body, sha256,"
        " state, tries, not_before_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, 0)",
        (
            str(envelope_id(sender.name, sender.boot, sequence)),
            sender.boot,
            sequence,
            kind,
            int(lane),
            str(subject_id),
            now_ms,
            None if lies_elsewhere else body,
            hashlib.sha256(body).digest(),
        ),
    )
    # A new version is not at the hub, whatever became of the old one.
    connection.execute(
        "delete from states where subject_id = ? and state = ?", (str(subject_id), DeliveryState.RECEIVED)
    )
    set_state(connection, subject_id, DeliveryState.SAVED, now_ms, replace=True)


def _next(connection: sqlite3.Connection) -> int:
    (sequence,) = connection.execute(
        "insert into counters values ('sequence', 1) on conflict(name) do update set value = value + 1 returning value"
    ).fetchone()
    return int(sequence)


def set_state(
    connection: sqlite3.Connection,
    subject_id: UUID | str,
    state: DeliveryState,
    at_ms: int,
    *,
    peer_ms: int | None = None,
    replace: bool = False,
) -> None:
    """Note that a subject has reached a state; the first time stands unless ``replace``."""
    verb = "replace" if replace else "ignore"
    connection.execute(
        f"insert or {verb} into states values (?, ?, ?, ?)",  # noqa: S608 - constant text
        (str(subject_id), state.value, at_ms, peer_ms),
    )


def hasten(connection: sqlite3.Connection, subject_ids: tuple[UUID, ...]) -> None:
    """Let what a critical reading belongs to travel with it: whose it is, and of which visit."""
    for subject_id in subject_ids:
        connection.execute(
            "update outbox set lane = ? where subject_id = ? and state = 'waiting'",
            (int(Lane.CRITICAL), str(subject_id)),
        )


def due(database: Database, now_ms: int, limit: int) -> list[Waiting]:
    """What may be sent, by lane and then in order of posting. A value's next version waits for the one before it."""
    # The length of a blob is in its row's head: no body is read for it.
    rows = database.read(
        "select o.id, o.boot, o.sequence, o.kind, o.lane, o.subject_id, o.created_ms, coalesce(length(o.body),"
        " (select length(body) from recordings where id = o.subject_id),"
        " (select length(body) from attachments where id = o.subject_id),"
        " (select length(packet) from sealed where envelope_id = o.id), 0), o.sha256 from outbox o"
        " where o.state = 'waiting' and o.not_before_ms <= ? and not exists"
        " (select 1 from outbox e where e.subject_id = o.subject_id and e.sequence < o.sequence"
        " and e.state = 'waiting') order by o.lane, o.sequence limit ?",
        (now_ms, limit),
    )
    return [
        Waiting(UUID(id_), HUB, boot, sequence, kind, Lane(lane), UUID(subject_id), created_ms, size, sha256)
        for id_, boot, sequence, kind, lane, subject_id, created_ms, size, sha256 in rows
    ]


def load(database: Database, sender: Sender, id_: UUID, now_ms: int) -> Envelope | None:
    """See ``MailboxStore.load``."""
    rows = database.read(
        "select o.boot, o.sequence, o.kind, o.lane, o.subject_id, o.created_ms, coalesce(o.body,"
        " (select body from recordings where id = o.subject_id),"
        " (select body from attachments where id = o.subject_id)), o.sha256 from outbox o"
        " where o.id = ? and o.state = 'waiting'",
        (str(id_),),
    )
    if not rows:
        return None
    boot, sequence, kind, lane, subject_id, created_ms, body, sha256 = rows[0]
    envelope = Envelope(
        id_, sender.name, HUB, boot, sequence, kind, Lane(lane), UUID(subject_id), created_ms, body or b""
    )
    if envelope.body_sha256 == sha256 or sha256 == SEALED:
        return envelope
    # The disk changed it: sending it would be worse than not sending it.
    database.write(lambda c: _refuse(c, str(id_), "body-damaged", now_ms), urgent=True)
    return None


def post_sealed(database: Database, sender: Sender, packet: bytes, subject_id: UUID, now_ms: int) -> UUID:
    """Queue a packet that was sealed while the store was closed. It goes as it is; the same one goes once.

    Raises:
        Rejected: it is no packet.
    """
    header = read_packet(packet, MOST_SEALED_BYTES).header
    id_ = envelope_id(sender.name, header.boot.hex(), header.sequence)

    def queue(connection: sqlite3.Connection) -> None:
        if connection.execute("select 1 from outbox where id = ?", (str(id_),)).fetchone() is not None:
            return
        connection.execute(
            "insert into outbox (id, boot, sequence, kind, lane, subject_id, created_ms, body, sha256,"
            " state, tries, not_before_ms) values (?, ?, ?, 'emergency', ?, ?, ?, null, ?, 'waiting', 0, 0)",
            (str(id_), header.boot.hex(), _next(connection), int(Lane.CRITICAL), str(subject_id), now_ms, SEALED),
        )
        connection.execute("insert into sealed values (?, ?)", (str(id_), packet))
        set_state(connection, subject_id, DeliveryState.SAVED, now_ms)

    database.write(queue, urgent=True)
    return id_


def tried(database: Database, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
    database.write(
        lambda c: c.executemany(
            "update outbox set tries = tries + 1, not_before_ms = ? where id = ? and state = 'waiting'",
            [(not_before_ms, str(id_)) for id_ in envelope_ids],
        ),
        urgent=True,
    )


def tries(database: Database, envelope_id: UUID) -> int:
    rows = database.read("select tries from outbox where id = ?", (str(envelope_id),))
    return int(rows[0][0]) if rows else 0


def receipted(
    database: Database,
    receipts: Sequence[Receipt],
    proof: bytes,
    now_ms: int,
    answered: Callable[[sqlite3.Connection, Receipt], None],
) -> list[bool]:
    """See ``MailboxStore.receipted``. ``answered`` is told, in the same transaction, of each item that the hub took."""

    def settle(connection: sqlite3.Connection) -> list[bool]:
        kept: list[int] = []

        def proof_id() -> int | None:
            if proof and not kept:
                cursor = connection.execute("insert into proofs (at_ms, body) values (?, ?)", (now_ms, proof))
                kept.append(cursor.lastrowid or 0)
            return kept[0] if kept else None

        return [_settle(connection, receipt, proof_id, now_ms, answered) for receipt in receipts]

    return database.write(settle, urgent=True)


def _settle(
    connection: sqlite3.Connection,
    receipt: Receipt,
    proof_id: Callable[[], int | None],
    now_ms: int,
    answered: Callable[[sqlite3.Connection, Receipt], None],
) -> bool:
    id_ = str(receipt.envelope_id)
    row = connection.execute(
        "select subject_id, sha256 from outbox where id = ? and state = 'waiting'", (id_,)
    ).fetchone()
    if row is None or row[1] not in (receipt.body_sha256, SEALED):
        return False
    if not (receipt.refused and row[1] == SEALED):
        connection.execute("delete from sealed where envelope_id = ?", (id_,))
    if receipt.refused:
        _refuse(connection, id_, receipt.refused, now_ms, proof_id())
        return True
    connection.execute(
        "update outbox set state = 'delivered', closed_ms = ?, reason = null, peer_epoch = ?, peer_ms = ?, proof_id = ?"
        " where id = ?",
        (now_ms, receipt.store_epoch, receipt.received_ms, proof_id(), id_),
    )
    newer = connection.execute("select 1 from outbox where subject_id = ? and state = 'waiting'", (row[0],)).fetchone()
    if newer is None:
        set_state(connection, row[0], DeliveryState.RECEIVED, now_ms, peer_ms=receipt.received_ms)
    connection.execute("insert or replace into counters values ('last_receipt_ms', ?)", (now_ms,))
    answered(connection, receipt)
    return True


def proofs(database: Database, subject_id: UUID) -> list[bytes]:
    """The signed receipts for a value's versions, in order of posting: read with ``messages.read_receipts``."""
    rows = database.read(
        "select p.body from outbox o join proofs p on p.id = o.proof_id where o.subject_id = ? order by o.sequence",
        (str(subject_id),),
    )
    return [bytes(body) for (body,) in rows]


def release(database: Database, envelope_id: UUID) -> bool:
    """Let a refused item try again, after somebody has removed the cause. False where none such is refused."""
    return database.write(
        lambda c: (
            c.execute(
                "update outbox set state = 'waiting', tries = 0, not_before_ms = 0, closed_ms = null, reason = null"
                " where id = ? and state = 'refused'",
                (str(envelope_id),),
            ).rowcount
            == 1
        )
    )


def status(database: Database) -> QueueStatus:
    """The queue in one look."""
    by_lane = dict.fromkeys(Lane, 0)
    oldest: int | None = None
    for lane, count, first in database.read(
        "select lane, count(*), min(created_ms) from outbox where state = 'waiting' group by lane"
    ):
        by_lane[Lane(lane)] = count
        oldest = first if oldest is None else min(oldest, first)
    ((last,),) = database.read("select max(value) from counters where name = 'last_receipt_ms'")
    ((refused_out,),) = database.read("select count(*) from outbox where state = 'refused'")
    ((refused_in,),) = database.read("select count(*) from refused")
    return QueueStatus(by_lane, by_lane[Lane.CRITICAL], refused_out + refused_in, oldest, last)


def account(database: Database) -> Account:
    """How many items were posted, and how many of them the hub has receipted."""
    ((posted, delivered),) = database.read("select count(*), count(*) filter (where state = 'delivered') from outbox")
    # What was delivered and then pruned.
    ((settled,),) = database.read("select coalesce(max(value), 0) from counters where name = 'settled'")
    return Account(posted + settled, delivered + settled)


def _refuse(connection: sqlite3.Connection, id_: str, reason: str, now_ms: int, proof_id: int | None = None) -> None:
    # What was sealed stays with an item that has nothing else.
    connection.execute(
        "update outbox set state = 'refused', closed_ms = ?, reason = ?, proof_id = ? where id = ?",
        (now_ms, reason[:200], proof_id, id_),
    )

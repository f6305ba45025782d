"""What waits for a kit. Posting is a part of the transaction that saves the subject."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from zhenbao.hub.store.tables import meta, outbox, quarantine
from zhenbao.model.ids import uuid7
from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Body, Envelope, Lane, kind_of, pack


@dataclass(frozen=True, slots=True)
class Sender:
    """Who posts: the hub's name and this start's boot id."""

    name: str
    boot: str


def post(connection: Connection, sender: Sender, value: Body, subject_id: UUID, recipient: str, now_ms: int) -> UUID:
    """Queue a value for a kit and return its envelope's id. Call inside the transaction that saves the value."""
    last = connection.execute(select(meta.c.value).where(meta.c.key == "sequence").with_for_update()).scalar_one()
    sequence = int(last) + 1
    connection.execute(update(meta).where(meta.c.key == "sequence").values(value=str(sequence)))
    envelope = Envelope(
        uuid7(now_ms),
        sender.name,
        recipient,
        sender.boot,
        sequence,
        kind_of(value),
        Lane.REPORTS,
        subject_id,
        now_ms,
        pack(value),
    )
    connection.execute(
        insert(outbox).values(
            envelope_id=envelope.id,
            recipient=recipient,
            boot=sender.boot,
            sequence=sequence,
            kind=envelope.kind,
            lane=int(envelope.lane),
            subject_id=subject_id,
            created_ms=now_ms,
            body=envelope.body,
            body_sha256=envelope.body_sha256,
            tries=0,
            not_before_ms=0,
        )
    )
    return envelope.id


def due(connection: Connection, sender: Sender, now_ms: int, limit: int) -> list[Envelope]:
    """What may be sent now: by lane, then in order of posting."""
    waiting = (
        select(outbox)
        .where(outbox.c.receipted_ms.is_(None), outbox.c.not_before_ms <= now_ms)
        .order_by(outbox.c.lane, outbox.c.sequence)
        .limit(limit)
    )
    return [
        Envelope(
            row.envelope_id,
            sender.name,
            row.recipient,
            row.boot,
            row.sequence,
            row.kind,
            Lane(row.lane),
            row.subject_id,
            row.created_ms,
            row.body,
        )
        for row in connection.execute(waiting)
    ]


def tried(connection: Connection, envelope_id: UUID, not_before_ms: int) -> None:
    """It was handed to the link."""
    connection.execute(
        update(outbox)
        .where(outbox.c.envelope_id == envelope_id, outbox.c.receipted_ms.is_(None))
        .values(tries=outbox.c.tries + 1, not_before_ms=not_before_ms)
    )


def tries(connection: Connection, envelope_id: UUID) -> int:
    """How often it was handed to the link; 0 for what is not here."""
    found = connection.execute(select(outbox.c.tries).where(outbox.c.envelope_id == envelope_id)).scalar()
    return int(found or 0)


def receipted(connection: Connection, receipt: Receipt, now_ms: int) -> bool:
    """A kit answered: the item leaves the queue, and a refused one goes to quarantine as well."""
    row = connection.execute(
        select(outbox)
        .where(outbox.c.envelope_id == receipt.envelope_id, outbox.c.receipted_ms.is_(None))
        .with_for_update()
    ).one_or_none()
    if row is None or row.body_sha256 != receipt.body_sha256:
        return False
    connection.execute(
        update(outbox)
        .where(outbox.c.envelope_id == receipt.envelope_id)
        .values(receipted_ms=now_ms, refused=receipt.refused or None)
    )
    if receipt.refused:
        connection.execute(
            insert(quarantine).values(
                direction="out",
                envelope_id=row.envelope_id,
                peer=row.recipient,
                kind=row.kind,
                subject_id=row.subject_id,
                body=row.body,
                body_sha256=row.body_sha256,
                reason=receipt.refused[:500],
                at_ms=now_ms,
            )
        )
    return True

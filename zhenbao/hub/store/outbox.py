"""What waits for a kit. Posting is a part of the transaction that saves the subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from zhenbao.hub.store.tables import meta, outbox, proofs, quarantine, sealed_packets
from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Body, Envelope, Lane, Waiting, envelope_id, kind_of, pack


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
        envelope_id(sender.name, sender.boot, sequence),
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


def due(connection: Connection, now_ms: int, limit: int) -> list[Waiting]:
    """What may be sent now: by lane, then in order of posting."""
    c = outbox.c
    waiting = (
        select(
            c.envelope_id, c.recipient, c.boot, c.sequence, c.kind, c.lane, c.subject_id, c.created_ms,
            func.length(c.body).label("size"), c.body_sha256,
        )
        .where(c.receipted_ms.is_(None), c.not_before_ms <= now_ms)
        .order_by(c.lane, c.sequence)
        .limit(limit)
    )  # fmt: skip
    return [
        Waiting(
            row.envelope_id,
            row.recipient,
            row.boot,
            row.sequence,
            row.kind,
            Lane(row.lane),
            row.subject_id,
            row.created_ms,
            row.size,
            row.body_sha256,
        )
        for row in connection.execute(waiting)
    ]


def load(connection: Connection, sender: Sender, envelope_id: UUID) -> tuple[Envelope, bool] | None:
    """An item that waits, and whether its body is as it was posted."""
    row = connection.execute(
        select(outbox).where(outbox.c.envelope_id == envelope_id, outbox.c.receipted_ms.is_(None))
    ).one_or_none()
    if row is None:
        return None
    envelope = Envelope(
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
    return envelope, envelope.body_sha256 == row.body_sha256


def tried(connection: Connection, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
    """They were handed to the link."""
    connection.execute(
        update(outbox)
        .where(outbox.c.envelope_id.in_(list(envelope_ids)), outbox.c.receipted_ms.is_(None))
        .values(tries=outbox.c.tries + 1, not_before_ms=not_before_ms)
    )


def tries(connection: Connection, envelope_id: UUID) -> int:
    """How often it was handed to the link; 0 for what is not here."""
    found = connection.execute(select(outbox.c.tries).where(outbox.c.envelope_id == envelope_id)).scalar()
    return int(found or 0)


def receipted(connection: Connection, receipts: Sequence[Receipt], proof: bytes, now_ms: int) -> list[bool]:
    """See ``MailboxStore.receipted``."""
    proof_id = None
    if proof and receipts:
        key = connection.execute(insert(proofs).values(at_ms=now_ms, body=proof)).inserted_primary_key
        proof_id = int(key[0]) if key is not None else None
    ended = [_settle(connection, receipt, proof_id, now_ms) for receipt in receipts]
    if proof_id is not None and not any(ended):
        connection.execute(delete(proofs).where(proofs.c.id == proof_id))
    return ended


def _settle(connection: Connection, receipt: Receipt, proof_id: int | None, now_ms: int) -> bool:
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
        .values(receipted_ms=now_ms, refused=receipt.refused or None, proof_id=proof_id)
    )
    connection.execute(delete(sealed_packets).where(sealed_packets.c.envelope_id == receipt.envelope_id))
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


def set_aside(connection: Connection, envelope_id: UUID, reason: str, now_ms: int) -> None:
    """Put an item that must not be sent into quarantine."""
    row = connection.execute(
        select(outbox.c.body_sha256).where(outbox.c.envelope_id == envelope_id, outbox.c.receipted_ms.is_(None))
    ).one_or_none()
    if row is not None:
        _settle(connection, Receipt(envelope_id, row.body_sha256, "", now_ms, refused=reason), None, now_ms)

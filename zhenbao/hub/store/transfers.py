"""Large packets under way, in the hub's database: what it sends in parts, and what comes to it in parts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from zhenbao.hub.store.tables import future_packets, sealed_packets, transfer_parts, transfers
from zhenbao.model.errors import Rejected
from zhenbao.model.report import Receipt
from zhenbao.sync.mailbox import Transfer
from zhenbao.sync.messages import receipts_from_bytes, receipts_to_bytes
from zhenbao.sync.parts import DONE_AGE_MS, HALF_AGE_MS, MOST_FUTURE, Part, make_room


def sealed_bytes(connection: Connection, envelope_id: UUID) -> int | None:
    size = select(func.length(sealed_packets.c.packet)).where(sealed_packets.c.envelope_id == envelope_id)
    return connection.execute(size).scalar()


def keep_sealed(connection: Connection, envelope_id: UUID, packet: bytes) -> None:
    if sealed_bytes(connection, envelope_id) is None:
        connection.execute(insert(sealed_packets).values(envelope_id=envelope_id, packet=packet))


def sealed_slice(connection: Connection, envelope_id: UUID, start: int, size: int) -> bytes:
    piece = select(func.substr(sealed_packets.c.packet, start + 1, size)).where(
        sealed_packets.c.envelope_id == envelope_id
    )
    return bytes(connection.execute(piece).scalar() or b"")


def drop_sealed(connection: Connection, envelope_id: UUID) -> None:
    connection.execute(delete(sealed_packets).where(sealed_packets.c.envelope_id == envelope_id))


def keep_parts(connection: Connection, peer: str, parts: Sequence[Part], now_ms: int) -> None:
    """See ``PartStore.keep_parts``."""
    _tidy(connection, now_ms)
    for part in parts:
        mine = and_(transfers.c.peer == peer, transfers.c.transfer == part.transfer)
        count = connection.execute(select(transfers.c.n_parts).where(mine).with_for_update()).scalar()
        if count is None:
            half = (
                select(transfers.c.transfer, transfers.c.n_parts)
                .where(transfers.c.peer == peer, transfers.c.done.is_(None))
                .order_by(transfers.c.touched_ms, transfers.c.transfer)
            )
            for gone in make_room([(row.transfer, row.n_parts) for row in connection.execute(half)], part):
                end_transfer(connection, peer, gone, (), now_ms)
            connection.execute(
                insert(transfers).values(peer=peer, transfer=part.transfer, n_parts=part.count, touched_ms=now_ms)
            )
        elif count != part.count:
            raise Rejected("transfer-parts")
        else:
            connection.execute(update(transfers).where(mine).values(touched_ms=now_ms))
        there = select(transfer_parts.c.number).where(
            _parts_of(peer, part.transfer), transfer_parts.c.number == part.number
        )
        if connection.execute(there).first() is None:
            connection.execute(
                insert(transfer_parts).values(peer=peer, transfer=part.transfer, number=part.number, body=part.data)
            )


def transfer(connection: Connection, peer: str, name: bytes) -> Transfer | None:
    row = connection.execute(
        select(transfers).where(transfers.c.peer == peer, transfers.c.transfer == name)
    ).one_or_none()
    if row is None:
        return None
    have = connection.execute(select(transfer_parts.c.number).where(_parts_of(peer, name))).scalars()
    return Transfer(row.n_parts, frozenset(have), () if row.done is None else receipts_from_bytes(row.done))


def whole(connection: Connection, peer: str, name: bytes) -> bytes:
    bodies = select(transfer_parts.c.body).where(_parts_of(peer, name)).order_by(transfer_parts.c.number)
    return b"".join(connection.execute(bodies).scalars())


def end_transfer(connection: Connection, peer: str, name: bytes, done: Sequence[Receipt], now_ms: int) -> None:
    mine = and_(transfers.c.peer == peer, transfers.c.transfer == name)
    connection.execute(delete(transfer_parts).where(_parts_of(peer, name)))
    if done:
        answer = receipts_to_bytes(done)
        connection.execute(update(transfers).where(mine).values(done=answer, touched_ms=now_ms))
    else:
        connection.execute(delete(transfers).where(mine))


def keep_future(connection: Connection, peer: str, packet: bytes, sha256: bytes, now_ms: int) -> bool:
    kept = connection.execute(select(future_packets.c.sha256).where(future_packets.c.peer == peer)).scalars().all()
    if sha256 in kept:
        return True
    if len(kept) >= MOST_FUTURE:
        return False
    connection.execute(insert(future_packets).values(sha256=sha256, peer=peer, at_ms=now_ms, packet=packet))
    return True


def _parts_of(peer: str, name: bytes) -> ColumnElement[bool]:
    return and_(transfer_parts.c.peer == peer, transfer_parts.c.transfer == name)


def _tidy(connection: Connection, now_ms: int) -> None:
    """Forget what nobody has gone on with."""
    old = select(transfers.c.peer, transfers.c.transfer).where(
        or_(
            and_(transfers.c.done.is_(None), transfers.c.touched_ms < now_ms - HALF_AGE_MS),
            and_(transfers.c.done.is_not(None), transfers.c.touched_ms < now_ms - DONE_AGE_MS),
        )
    )
    for peer, name in connection.execute(old).all():
        end_transfer(connection, peer, name, (), now_ms)

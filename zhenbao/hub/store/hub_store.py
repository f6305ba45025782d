"""The hub's end of the mailbox: what a kit sends is committed together with its receipt and its consequences."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import DataError

from zhenbao.hub.roster import Roster, load_roster
from zhenbao.hub.store import audit, outbox, terms, transfers
from zhenbao.hub.store.database import Database
from zhenbao.hub.store.ingest import Cases, place_all, take
from zhenbao.hub.store.tables import inbox, meta, quarantine
from zhenbao.model.errors import Rejected
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Waiting
from zhenbao.sync.mailbox import Transfer
from zhenbao.sync.parts import Part


@dataclass(frozen=True, slots=True)
class Counters:
    """What came since this start; ``quarantined`` counts all that lies in quarantine."""

    accepted: int
    duplicates: int
    refused: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A thing that was set aside, and why. Its body stays in the database and is not shown here."""

    number: int
    direction: str
    """``in``: refused by the hub; ``out``: refused by a kit."""
    peer: str
    kind: str
    envelope_id: UUID
    size: int
    reason: str
    at_ms: int


class HubStore:
    """Implements ``sync.mailbox.MailboxStore`` on any database that SQLAlchemy speaks. Safe to use from many threads.

    Args:
        url: SQLAlchemy URL, for instance ``sqlite:////var/lib/zhenbao/hub.db``.
        clock: the hub's time.
        roster: who is on duty; None: the example that comes with the program.

    Raises:
        StorageError: ``hub-database``.
    """

    def __init__(self, url: str, clock: Clock, roster: Roster | None = None) -> None:
        self.clock = clock
        self.roster = roster or load_roster()
        self.database = Database(url)
        with self.database.write() as connection:
            known: dict[str, str] = {row.key: row.value for row in connection.execute(select(meta))}
            for key, value in {
                "epoch": secrets.token_hex(8),
                "sequence": "0",
                "audit": f"0:{audit.GENESIS}",
            }.items():
                if key not in known:
                    connection.execute(insert(meta).values(key=key, value=value))
                    known[key] = value
        self._epoch = known["epoch"]
        self.sender = outbox.Sender("hub", secrets.token_hex(8))
        self._counts = {"accepted": 0, "duplicates": 0, "refused": 0}
        self._counts_lock = Lock()

    @property
    def name(self) -> str:
        return self.sender.name

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def counters(self) -> Counters:
        """What came since this start."""
        with self.reading() as connection:
            lying = connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
        with self._counts_lock:
            return Counters(**self._counts, quarantined=lying)

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with."""
        return self.database.read()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction.

        Raises:
            StorageError: ``hub-write``.
        """
        with self.database.write() as connection:
            yield connection

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        with self.reading() as connection:
            return outbox.due(connection, now_ms, limit)

    def load(self, envelope_id: UUID) -> Envelope | None:
        with self.reading() as connection:
            found = outbox.load(connection, self.sender, envelope_id)
        if found is None or found[1]:
            return None if found is None else found[0]
        with self.writing() as connection:
            # The disk changed it: sending it would be worse than not sending it.
            outbox.set_aside(connection, envelope_id, "body-damaged", self.clock.now_ms())
        return None

    def tried(self, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
        with self.writing() as connection:
            outbox.tried(connection, envelope_ids, not_before_ms)

    def tries(self, envelope_id: UUID) -> int:
        with self.reading() as connection:
            return outbox.tries(connection, envelope_id)

    def receipted(self, receipts: Sequence[Receipt], proof: bytes = b"") -> list[bool]:
        with self.writing() as connection:
            return outbox.receipted(connection, receipts, proof, self.clock.now_ms())

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        """Commit envelopes, their receipts and their consequences (the cases they belong to) in one transaction.

        Raises:
            StorageError: ``hub-write``: nothing was kept and nothing may be receipted; the kit sends it again.
        """
        with self.writing() as connection:
            seen = _Seen(connection, [envelope.id for envelope in envelopes])
            receipts = [self._accept(connection, seen, envelope, now_ms) for envelope in envelopes]
            seen.keep(connection)
            place_all(connection, seen.cases, self.roster, now_ms)
            if seen.visited and terms.backup_every_h(connection) is not None:
                terms.tell(connection, self.sender, self._epoch, sorted(seen.visited), now_ms)
        for receipt in receipts:
            self._count(receipt)
        return receipts

    def _accept(self, connection: Connection, seen: _Seen, envelope: Envelope, now_ms: int) -> Receipt:
        known = self._known(seen, envelope)
        if known is not None:
            return known
        try:
            with connection.begin_nested():
                if envelope.recipient != self.name:
                    raise Rejected("other-recipient")
                if envelope.id in seen.taken:
                    raise Rejected("other-body")
                cases = take(connection, envelope, now_ms)
        except Rejected as refusal:
            return self._set_aside(connection, seen, envelope, refusal, now_ms)
        except (DataError, OverflowError):
            # A number or a text that no column holds: this envelope alone is set aside, nothing is held up.
            too_large = Rejected("envelope-body", reason="a value is beyond what can be stored")
            return self._set_aside(connection, seen, envelope, too_large, now_ms)
        seen.take(envelope, self._epoch, now_ms)
        if envelope.kind == "encounter":
            seen.visited.add(envelope.sender)
        for encounter_id, completed in cases.items():
            seen.cases[encounter_id] = completed or seen.cases.get(encounter_id, False)
        return Receipt(envelope.id, envelope.body_sha256, self._epoch, now_ms)

    # Parts

    def sealed_bytes(self, envelope_id: UUID) -> int | None:
        with self.reading() as connection:
            return transfers.sealed_bytes(connection, envelope_id)

    def keep_sealed(self, envelope_id: UUID, packet: bytes) -> None:
        with self.writing() as connection:
            transfers.keep_sealed(connection, envelope_id, packet)

    def sealed_slice(self, envelope_id: UUID, start: int, size: int) -> bytes:
        with self.reading() as connection:
            return transfers.sealed_slice(connection, envelope_id, start, size)

    def drop_sealed(self, envelope_id: UUID) -> None:
        with self.writing() as connection:
            transfers.drop_sealed(connection, envelope_id)

    def keep_parts(self, peer: str, parts: Sequence[Part], now_ms: int) -> None:
        with self.writing() as connection:
            transfers.keep_parts(connection, peer, parts, now_ms)

    def transfer(self, peer: str, transfer: bytes) -> Transfer | None:
        with self.reading() as connection:
            return transfers.transfer(connection, peer, transfer)

    def whole(self, peer: str, transfer: bytes) -> bytes:
        with self.reading() as connection:
            return transfers.whole(connection, peer, transfer)

    def end_transfer(self, peer: str, transfer: bytes, done: Sequence[Receipt], now_ms: int) -> None:
        with self.writing() as connection:
            transfers.end_transfer(connection, peer, transfer, done, now_ms)

    def keep_future(self, peer: str, packet: bytes, now_ms: int) -> bool:
        with self.writing() as connection:
            return transfers.keep_future(connection, peer, packet, sha256(packet).digest(), now_ms)

    def quarantined(self, limit: int = 200) -> list[Quarantined]:
        """What was set aside, newest first."""
        newest = select(quarantine).order_by(quarantine.c.number.desc()).limit(limit)
        with self.reading() as connection:
            return [
                Quarantined(
                    row.number,
                    row.direction,
                    row.peer,
                    row.kind,
                    row.envelope_id,
                    len(row.body),
                    row.reason,
                    row.at_ms,
                )
                for row in connection.execute(newest)
            ]

    def received_from(self, sender: str) -> list[UUID]:
        """The ids of all envelopes that a kit has delivered, in order of arrival: for reconciling with its outbox."""
        with self.reading() as connection:
            rows = connection.execute(
                select(inbox.c.envelope_id).where(inbox.c.sender == sender).order_by(inbox.c.received_ms)
            )
            return [row.envelope_id for row in rows]

    def close(self) -> None:
        self.database.close()

    def _known(self, seen: _Seen, envelope: Envelope) -> Receipt | None:
        """The answer that was given before to this id with this body."""
        sha256_ = envelope.body_sha256
        taken = seen.taken.get(envelope.id)
        if taken is not None and taken["body_sha256"] == sha256_:
            return Receipt(envelope.id, sha256_, taken["epoch"], taken["received_ms"], duplicate=True)
        refused = seen.refused.get((envelope.id, sha256_))
        if refused is not None:
            reason, at_ms = refused
            return Receipt(envelope.id, sha256_, self._epoch, at_ms, duplicate=True, refused=_code(reason))
        return None

    def _set_aside(
        self, connection: Connection, seen: _Seen, envelope: Envelope, refusal: Rejected, now_ms: int
    ) -> Receipt:
        reason = str(refusal)[:500]
        seen.refused[envelope.id, envelope.body_sha256] = (reason, now_ms)
        connection.execute(
            insert(quarantine).values(
                direction="in",
                envelope_id=envelope.id,
                peer=envelope.sender,
                kind=envelope.kind,
                subject_id=envelope.subject_id,
                body=envelope.body,
                body_sha256=envelope.body_sha256,
                reason=reason,
                at_ms=now_ms,
            )
        )
        return Receipt(envelope.id, envelope.body_sha256, self._epoch, now_ms, refused=refusal.code)

    def _count(self, receipt: Receipt) -> None:
        name = "refused" if receipt.refused else "duplicates" if receipt.duplicate else "accepted"
        with self._counts_lock:
            self._counts[name] += 1


class _Seen:
    """What is known of the ids of one batch: asked once for all, and written once at the end."""

    def __init__(self, connection: Connection, ids: Sequence[UUID]) -> None:
        self.taken: dict[UUID, dict[str, Any]] = {
            row.envelope_id: dict(row._mapping)
            for row in connection.execute(select(inbox).where(inbox.c.envelope_id.in_(ids)))
        }
        aside = select(
            quarantine.c.envelope_id, quarantine.c.body_sha256, quarantine.c.reason, quarantine.c.at_ms
        ).where(quarantine.c.direction == "in", quarantine.c.envelope_id.in_(ids))
        self.refused: dict[tuple[UUID, bytes], tuple[str, int]] = {
            (row.envelope_id, row.body_sha256): (row.reason, row.at_ms) for row in connection.execute(aside)
        }
        self.cases: Cases = {}
        self.visited: set[str] = set()
        """Kits of which an encounter was taken."""
        self._new: list[dict[str, Any]] = []

    def take(self, envelope: Envelope, epoch: str, now_ms: int) -> None:
        row = {
            "envelope_id": envelope.id,
            "sender": envelope.sender,
            "boot": envelope.boot,
            "sequence": envelope.sequence,
            "kind": envelope.kind,
            "subject_id": envelope.subject_id,
            "created_ms": envelope.created_ms,
            "body_sha256": envelope.body_sha256,
            "received_ms": now_ms,
            "epoch": epoch,
        }
        self.taken[envelope.id] = row
        self._new.append(row)

    def keep(self, connection: Connection) -> None:
        if self._new:
            connection.execute(insert(inbox), self._new)


def _code(reason: str) -> str:
    """The error's code in front of its facts."""
    return reason.partition(":")[0]

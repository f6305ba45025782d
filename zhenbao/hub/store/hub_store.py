"""The hub's end of the mailbox: what a kit sends is committed together with its receipt and its consequences."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from threading import Lock
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from zhenbao.hub.roster import Roster, load_roster
from zhenbao.hub.store import audit, news, outbox, search, terms, transfers
from zhenbao.hub.store.database import Database
from zhenbao.hub.store.ingest import Here, take_all
from zhenbao.hub.store.placing import place_all
from zhenbao.hub.store.tables import inbox, meta, quarantine
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Waiting, unpack
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
                news.COUNTER: "0",
                "audit": f"0:{audit.GENESIS}",
            }.items():
                if key not in known:
                    connection.execute(insert(meta).values(key=key, value=value))
                    known[key] = value
            search.ensure(connection)
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
            news.bump(connection)
            return outbox.receipted(connection, receipts, proof, self.clock.now_ms())

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        """Commit envelopes, their receipts and their consequences (the cases they belong to) in one transaction.

        Raises:
            StorageError: ``hub-write``: nothing was kept and nothing may be receipted; the kit sends it again.
        """
        unpack_once = cache(unpack)
        with self.writing() as connection:
            taken = take_all(connection, envelopes, Here(self.name, self._epoch, now_ms), unpack_once)
            place_all(connection, taken.cases, self.roster, now_ms, unpack_once)
            if taken.receipts:
                news.bump(connection)
            if taken.visited and terms.backup_every_h(connection) is not None:
                terms.tell(connection, self.sender, self._epoch, sorted(taken.visited), now_ms)
        self._count(taken.receipts)
        return taken.receipts

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

    def _count(self, receipts: Sequence[Receipt]) -> None:
        with self._counts_lock:
            for receipt in receipts:
                name = "refused" if receipt.refused else "duplicates" if receipt.duplicate else "accepted"
                self._counts[name] += 1

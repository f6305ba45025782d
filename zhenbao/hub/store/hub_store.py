"""The hub's end of the mailbox: what a kit sends is committed together with its receipt and its consequences."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import DataError

from zhenbao.hub.roster import Roster, load_roster
from zhenbao.hub.store import audit, outbox, terms
from zhenbao.hub.store.database import Database
from zhenbao.hub.store.ingest import take
from zhenbao.hub.store.tables import inbox, meta, quarantine
from zhenbao.model.errors import Rejected
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope


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

    def due(self, now_ms: int, limit: int) -> list[Envelope]:
        with self.reading() as connection:
            return outbox.due(connection, self.sender, now_ms, limit)

    def tried(self, envelope_id: UUID, not_before_ms: int) -> None:
        with self.writing() as connection:
            outbox.tried(connection, envelope_id, not_before_ms)

    def tries(self, envelope_id: UUID) -> int:
        with self.reading() as connection:
            return outbox.tries(connection, envelope_id)

    def receipted(self, receipt: Receipt) -> bool:
        with self.writing() as connection:
            return outbox.receipted(connection, receipt, self.clock.now_ms())

    def accept(self, envelope: Envelope, now_ms: int) -> Receipt:
        """Commit an envelope, its receipt and its consequences (the case it belongs to) in one transaction.

        Raises:
            StorageError: ``hub-write``: nothing was kept and nothing may be receipted; the kit sends it again.
        """
        with self.writing() as connection:
            receipt = self._known(connection, envelope)
            if receipt is None:
                try:
                    with connection.begin_nested():
                        if envelope.recipient != self.name:
                            raise Rejected("other-recipient")
                        take(connection, envelope, self.roster, now_ms)
                        receipt = self._take_in(connection, envelope, now_ms)
                        if envelope.kind == "encounter" and terms.backup_every_h(connection) is not None:
                            terms.tell(connection, self.sender, self._epoch, (envelope.sender,), now_ms)
                except Rejected as refusal:
                    receipt = self._set_aside(connection, envelope, refusal, now_ms)
                except (DataError, OverflowError):
                    # A number or a text that no column holds: this envelope alone is set aside, nothing is held up.
                    too_large = Rejected("envelope-body", reason="a value is beyond what can be stored")
                    receipt = self._set_aside(connection, envelope, too_large, now_ms)
        self._count(receipt)
        return receipt

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

    def _known(self, connection: Connection, envelope: Envelope) -> Receipt | None:
        """The answer that was given before to this id with this body."""
        taken = connection.execute(select(inbox).where(inbox.c.envelope_id == envelope.id)).one_or_none()
        if taken is not None and taken.body_sha256 == envelope.body_sha256:
            return Receipt(envelope.id, envelope.body_sha256, taken.epoch, taken.received_ms, duplicate=True)
        refused = connection.execute(
            select(quarantine).where(
                quarantine.c.direction == "in",
                quarantine.c.envelope_id == envelope.id,
                quarantine.c.body_sha256 == envelope.body_sha256,
            )
        ).one_or_none()
        if refused is not None:
            return Receipt(
                envelope.id,
                envelope.body_sha256,
                self._epoch,
                refused.at_ms,
                duplicate=True,
                refused=_code(refused.reason),
            )
        return None

    def _take_in(self, connection: Connection, envelope: Envelope, now_ms: int) -> Receipt:
        if connection.execute(select(inbox.c.kind).where(inbox.c.envelope_id == envelope.id)).first() is not None:
            raise Rejected("other-body")
        connection.execute(
            insert(inbox).values(
                envelope_id=envelope.id,
                sender=envelope.sender,
                boot=envelope.boot,
                sequence=envelope.sequence,
                kind=envelope.kind,
                subject_id=envelope.subject_id,
                created_ms=envelope.created_ms,
                body_sha256=envelope.body_sha256,
                received_ms=now_ms,
                epoch=self._epoch,
            )
        )
        return Receipt(envelope.id, envelope.body_sha256, self._epoch, now_ms)

    def _set_aside(self, connection: Connection, envelope: Envelope, refusal: Rejected, now_ms: int) -> Receipt:
        reason = str(refusal)[:500]
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


def _code(reason: str) -> str:
    """The error's code in front of its facts."""
    return reason.partition(":")[0]

"""The mailbox of a locked kit: the spool is its outbox, and it takes nothing in.

What the hub sends meanwhile is not receipted, so that the hub sends it again when the store is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from zhenbao.agent.emergency import spool
from zhenbao.agent.emergency.spool import Answer
from zhenbao.agent.store.outbox import HUB, SEALED
from zhenbao.model.errors import Rejected, StorageError
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Lane, Waiting, envelope_id
from zhenbao.sync.mailbox import Transfer
from zhenbao.sync.names import emergency_side
from zhenbao.sync.packet import MOST_SEALED_BYTES, read_packet
from zhenbao.sync.parts import Part

_KIND = "emergency"


@dataclass(frozen=True, slots=True)
class _Item:
    id: UUID
    """Of the envelope."""
    subject_id: UUID
    boot: str
    sequence: int
    size_bytes: int

    @property
    def created_ms(self) -> int:
        return self.subject_id.int >> 80


class SpoolMailbox:
    """Implements ``sync.mailbox.MailboxStore`` for an engine that runs while the kit is locked.

    Args:
        home: the kit's folder.
        kit_id: whose.
    """

    def __init__(self, home: Path, kit_id: str, clock: Clock) -> None:
        self._home = home
        self._kit_id = kit_id
        self._clock = clock
        self._items: dict[UUID, _Item] = {}
        """By the id of the emergency."""
        self._tries: dict[UUID, int] = {}

    @property
    def name(self) -> str:
        return emergency_side(self._kit_id)

    @property
    def epoch(self) -> str:
        return "spool"

    # Out

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        return [
            Waiting(
                item.id,
                HUB,
                item.boot,
                item.sequence,
                _KIND,
                Lane.CRITICAL,
                item.subject_id,
                item.created_ms,
                item.size_bytes,
                SEALED,
            )
            for subject_id in spool.waiting(self._home)[:limit]
            if (item := self._item(subject_id)) is not None
        ]

    def load(self, envelope_id: UUID) -> Envelope | None:
        """The item, without its body: nothing here can open that."""
        item = self._known(envelope_id)
        if item is None:
            return None
        name, created_ms = self._kit_id, item.created_ms
        return Envelope(
            item.id, name, HUB, item.boot, item.sequence, _KIND, Lane.CRITICAL, item.subject_id, created_ms, b""
        )

    def tried(self, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
        for id_ in envelope_ids:
            self._tries[id_] = self.tries(id_) + 1

    def tries(self, envelope_id: UUID) -> int:
        return self._tries.get(envelope_id, 0)

    def receipted(self, receipts: Sequence[Receipt], proof: bytes = b"") -> list[bool]:
        return [self._settle(receipt, proof) for receipt in receipts]

    def sealed_bytes(self, envelope_id: UUID) -> int | None:
        item = self._known(envelope_id)
        return None if item is None else item.size_bytes

    def sealed_slice(self, envelope_id: UUID, start: int, size: int) -> bytes:
        item = self._known(envelope_id)
        packet = spool.packet(self._home, item.subject_id) if item is not None else None
        return (packet or b"")[start : start + size]

    def keep_sealed(self, envelope_id: UUID, packet: bytes) -> None:
        """Everything here came sealed."""

    def drop_sealed(self, envelope_id: UUID) -> None:
        """What came sealed cannot be sealed anew."""

    # In

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        """
        Raises:
            StorageError: ``vault-locked``.
        """
        raise StorageError("vault-locked")

    def keep_parts(self, peer: str, parts: Sequence[Part], now_ms: int) -> None:
        """
        Raises:
            StorageError: ``vault-locked``.
        """
        raise StorageError("vault-locked")

    def transfer(self, peer: str, transfer: bytes) -> Transfer | None:
        return None

    def whole(self, peer: str, transfer: bytes) -> bytes:
        return b""

    def end_transfer(self, peer: str, transfer: bytes, done: Sequence[Receipt], now_ms: int) -> None:
        """There is none."""

    def keep_future(self, peer: str, packet: bytes, now_ms: int) -> bool:
        return False

    # Inside

    def _known(self, envelope_id: UUID) -> _Item | None:
        return next((item for item in self._items.values() if item.id == envelope_id), None)

    def _item(self, subject_id: UUID) -> _Item | None:
        if (known := self._items.get(subject_id)) is not None:
            return known
        packet = spool.packet(self._home, subject_id)
        if packet is None:
            return None
        try:
            header = read_packet(packet, MOST_SEALED_BYTES).header
        except Rejected:
            # The disk changed it: sending it would help nobody.
            spool.answered(self._home, subject_id, Answer(self._clock.now_ms(), "body-damaged"))
            return None
        id_ = envelope_id(self._kit_id, header.boot.hex(), header.sequence)
        item = _Item(id_, subject_id, header.boot.hex(), header.sequence, len(packet))
        self._items[subject_id] = item
        return item

    def _settle(self, receipt: Receipt, proof: bytes) -> bool:
        item = self._known(receipt.envelope_id)
        if item is None:
            return False
        spool.answered(self._home, item.subject_id, Answer(self._clock.now_ms(), receipt.refused, proof))
        del self._items[item.subject_id]
        return True

"""What a mailbox store must do.

The kit's (SQLite) and the hub's (SQLAlchemy) each do it; one contract test runs on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Envelope, Waiting
from zhenbao.sync.parts import Part


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is known of a packet that comes in parts."""

    count: int
    have: frozenset[int]
    done: tuple[Receipt, ...] = ()
    """Not empty: it was whole and taken in, and this was the answer; the parts are gone."""


class PartStore(Protocol):
    """Large packets under way, on both sides: whatever is told to the other side is on the disk before."""

    def sealed_bytes(self, envelope_id: UUID) -> int | None:
        """Size of the packet that was sealed for an item; None where none is kept."""

    def keep_sealed(self, envelope_id: UUID, packet: bytes) -> None:
        """Keep a packet until its item is receipted, so that every part of it stays the same."""

    def sealed_slice(self, envelope_id: UUID, start: int, size: int) -> bytes:
        """Bytes of a kept packet; empty where none is kept."""

    def drop_sealed(self, envelope_id: UUID) -> None:
        """Forget a packet: it must be sealed anew."""

    def keep_parts(self, peer: str, parts: Sequence[Part], now_ms: int) -> None:
        """Keep parts; one that is there stays. Where too much of this peer is half there, ``parts.make_room`` says what
        a critical transfer pushes out.

        Raises:
            Rejected: ``transfer-quota``, too much of this peer is half there, and this is not critical;
                ``transfer-parts``, it does not fit to what came before.
        """

    def transfer(self, peer: str, transfer: bytes) -> Transfer | None:
        """What is there of a transfer."""

    def whole(self, peer: str, transfer: bytes) -> bytes:
        """All parts joined."""

    def end_transfer(self, peer: str, transfer: bytes, done: Sequence[Receipt], now_ms: int) -> None:
        """Drop the parts; with an answer, remember it for a while, else forget the transfer altogether."""


class MailboxStore(PartStore, Protocol):
    """Outbox and inbox of one side.

    Posting has no verb here: each store posts inside the transaction that saves the subject, through its own
    ``save_...`` methods, so that nothing can be kept without being queued, nor queued without being kept.

    Any verb may raise ``StorageError``: nothing was changed, and trying again later is right; except with the code
    ``store-damaged``, after which the store must be opened anew.
    """

    @property
    def name(self) -> str:
        """Whose mailbox: the kit's id, or ``hub``."""

    @property
    def epoch(self) -> str:
        """Changes when the store was restored from a backup."""

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        """What may be sent now: by lane, then in order of posting. Items waiting for their next try are left out.

        No body is read: a backlog of waveforms does not fit into memory.
        """

    def load(self, envelope_id: UUID) -> Envelope | None:
        """An item that waits, with its body; None where it does not wait any more.

        One that the disk has changed is set aside with the reason ``body-damaged``, and is None as well.
        """

    def tried(self, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
        """They were handed to the link; without a receipt they are due again at ``not_before_ms``."""

    def tries(self, envelope_id: UUID) -> int:
        """How often it was handed to the link."""

    def receipted(self, receipts: Sequence[Receipt], proof: bytes = b"") -> list[bool]:
        """The other side answered. Delivered items leave the outbox; refused ones go to quarantine with the reason.

        False, and nothing changed, for a receipt that names no item here or another body.

        Args:
            proof: the signed receipts as they came; kept with the items, to be shown later. Empty for what this side
                refuses by itself.
        """

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        """Commit received envelopes and their receipts in one transaction, each for itself.

        An id seen before with the same body gives its first receipt again, marked ``duplicate``. What can never be
        taken (another body under a known id, an unknown kind, a body that is no such value) is kept in quarantine
        and gives a receipt with ``refused``; the first version stays, and the others of the batch are taken.
        """

    def keep_future(self, peer: str, packet: bytes, now_ms: int) -> bool:
        """Keep a packet of a later version for a later program. False where it is full of them."""

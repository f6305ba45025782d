"""A mailbox whose outbox is shown to the engine only as far as the policy lets it go. It changes nothing in it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Envelope
from zhenbao.sync.mailbox import MailboxStore


class Gated:
    """Implements ``sync.mailbox.MailboxStore`` for another one.

    What waits stays where it is, untried and in order, and receipts for it are taken as ever: it may have gone out
    before the road became a worse one.

    Args:
        store: the mailbox.
        may_go: whether an item may go now. A lower lane never may where a higher one may not.
    """

    def __init__(self, store: MailboxStore, may_go: Callable[[Envelope], bool]) -> None:
        self._store = store
        self._may_go = may_go

    @property
    def name(self) -> str:
        return self._store.name

    @property
    def epoch(self) -> str:
        return self._store.epoch

    def due(self, now_ms: int, limit: int) -> list[Envelope]:
        """As the store's, without what must wait."""
        # What comes first has the highest lane: if that waits, so does the rest, whose bodies need not be read.
        first = self._store.due(now_ms, 1)
        if not first or limit < 1 or not self._may_go(first[0]):
            return []
        return [item for item in self._store.due(now_ms, limit) if self._may_go(item)]

    def tried(self, envelope_id: UUID, not_before_ms: int) -> None:
        self._store.tried(envelope_id, not_before_ms)

    def tries(self, envelope_id: UUID) -> int:
        return self._store.tries(envelope_id)

    def receipted(self, receipt: Receipt) -> bool:
        return self._store.receipted(receipt)

    def accept(self, envelope: Envelope, now_ms: int) -> Receipt:
        return self._store.accept(envelope, now_ms)

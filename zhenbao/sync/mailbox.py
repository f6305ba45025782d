"""What a mailbox store must do.

The kit's (SQLite) and the hub's (SQLAlchemy) each do it; one contract test runs on both.
"""

from typing import Protocol
from uuid import UUID

from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Envelope


class MailboxStore(Protocol):
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

    def due(self, now_ms: int, limit: int) -> list[Envelope]:
        """What may be sent now: by lane, then in order of posting. Items waiting for their next try are left out."""

    def tried(self, envelope_id: UUID, not_before_ms: int) -> None:
        """It was handed to the link; without a receipt it is due again at ``not_before_ms``."""

    def tries(self, envelope_id: UUID) -> int:
        """How often it was handed to the link."""

    def receipted(self, receipt: Receipt) -> bool:
        """The other side answered. Delivered items leave the outbox; refused ones go to quarantine with the reason.

        Returns False, and changes nothing, for a receipt that names no item here or another body.
        """

    def accept(self, envelope: Envelope, now_ms: int) -> Receipt:
        """Commit a received envelope and its receipt in one transaction.

        An id seen before with the same body gives its first receipt again, marked ``duplicate``. What can never be
        taken (another body under a known id, an unknown kind, a body that is no such value) is kept in quarantine
        and gives a receipt with ``refused``; the first version stays.
        """

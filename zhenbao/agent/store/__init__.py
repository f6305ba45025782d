"""The kit's store: record and outbox in one transaction of one SQLite file."""

from zhenbao.agent.store.kit import KitStore
from zhenbao.agent.store.moment import boot_id
from zhenbao.agent.store.values import Account, Capture, InboxReport, KeptFile, Pruned, Quarantined, QueueStatus

__all__ = [
    "Account",
    "Capture",
    "InboxReport",
    "KeptFile",
    "KitStore",
    "Pruned",
    "Quarantined",
    "QueueStatus",
    "boot_id",
]

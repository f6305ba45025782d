"""Which kit has which mailbox name, certificate and key: the CA's own list, ``issued.csv``, and the hub's address book.

The list is the only place where a mailbox name and a kit's id stand side by side; it stays on the hub.
"""

from __future__ import annotations

import csv
import logging
import os
import threading
from dataclasses import dataclass, fields
from pathlib import Path

from zhenbao.model.errors import StorageError

_log = logging.getLogger(__name__)
FOLDER = "ca"
"""In the hub's folder."""
FILE = "issued.csv"


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate of a kit. Times are Unix ms."""

    kit_id: str
    """Or its emergency side (``sync.names.emergency_side``)."""
    mailbox: str
    serial: str
    """Hexadecimal."""
    public_key: str
    """The raw Ed25519 key, hexadecimal."""
    not_after_ms: int
    revoked_ms: int = 0
    """0: not revoked."""


def read_issued(directory: Path) -> list[Issued]:
    """All certificates of kits, in order of issue; none where there is no list.

    Raises:
        StorageError: ``ca-list``: the list cannot be read.
    """
    path = directory / FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            Issued(
                row["kit_id"],
                row["mailbox"],
                row["serial"],
                row["public_key"],
                int(row["not_after_ms"]),
                int(row["revoked_ms"]),
            )
            for row in rows
        ]
    except FileNotFoundError:
        return []
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StorageError("ca-list", path=path.name, reason=type(error).__name__) from error


def write_issued(directory: Path, rows: list[Issued]) -> None:
    """Write the list whole or not at all."""
    draft = directory / f".{FILE}.new"
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
    ) as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Issued)])
        writer.writerows([getattr(row, field.name) for field in fields(Issued)] for row in rows)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / FILE)


class IssuedBook:
    """Implements ``sync.names.AddressBook`` by the list, which is read again when it changes: no restart to add a kit.

    A list that cannot be read when it changes is logged, and the one before it still counts: a slip of an editor must
    not throw off a county.

    Args:
        directory: the CA's folder.

    Raises:
        StorageError: ``ca-list``, at the first reading.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stamp: tuple[int, int] | None = None
        self._by_mailbox: dict[str, Issued] = {}
        self._by_kit: dict[str, Issued] = {}
        self._lock = threading.Lock()
        read_issued(directory)

    def kit_of(self, mailbox: str) -> str | None:
        found = self._now().get(mailbox)
        return found.kit_id if found is not None else None

    def mailbox_of(self, kit_id: str) -> str | None:
        self._now()
        found = self._by_kit.get(kit_id)
        return found.mailbox if found is not None else None

    def key_of(self, mailbox: str) -> bytes | None:
        """The public key with which the kit signs its requests; None for a stranger or a revoked kit."""
        found = self._now().get(mailbox)
        return bytes.fromhex(found.public_key) if found is not None else None

    def _now(self) -> dict[str, Issued]:
        try:
            found = (self._directory / FILE).stat()
            stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            stamp = None
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    valid = [row for row in read_issued(self._directory) if not row.revoked_ms]
                except StorageError as error:
                    _log.error("the list of certificates cannot be read, the one before it counts: %s", error.code)
                    return self._by_mailbox
                # A renewal stands below the certificate that it replaces, and wins.
                self._by_mailbox = {row.mailbox: row for row in valid}
                self._by_kit = {row.kit_id: row for row in valid}
            return self._by_mailbox

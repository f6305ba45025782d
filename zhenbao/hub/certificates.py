"""Certificates whose end is near: kits', the hub's own, and the CA's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zhenbao.hub.ca import CA_CERTIFICATE, HUB_CLIENT, SERVER
from zhenbao.hub.issued import read_issued
from zhenbao.sync.links.tls import ends_ms, warn_ms


@dataclass(frozen=True, slots=True)
class Ending:
    """One that ends soon, or has ended."""

    whose: str
    """A kit, its emergency side, or the file of one of the hub's own."""
    ends_ms: int


def ending(directory: Path, now_ms: int) -> list[Ending]:
    """What must be renewed now, the first to end first; empty where there is no CA.

    Args:
        directory: the CA's folder.

    Raises:
        StorageError: ``ca-list``.
        InputError: ``tls-file``: a certificate that is there cannot be read.
    """
    # A renewal stands below the certificate that it replaces.
    kits = {row.kit_id: row.not_after_ms for row in read_issued(directory) if not row.revoked_ms}
    own = [directory / name for name in (CA_CERTIFICATE, SERVER, HUB_CLIENT)]
    found = [Ending(path.name, ends_ms(path)) for path in own if path.exists()]
    found += [Ending(kit_id, end) for kit_id, end in kits.items()]
    return sorted((each for each in found if each.ends_ms - now_ms < warn_ms()), key=lambda each: each.ends_ms)

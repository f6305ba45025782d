"""A village doctor forgot the PIN: the hub opens the kit's recovery slot for a named technician.

The private key lies in its own file, ``recovery.key``, which the hub's server never reads: it may be kept on another
machine or a memory stick in a safe, and be put in place for the one command.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.hub.store import HubStore, audit
from zhenbao.model.errors import InputError, StorageError
from zhenbao.sync import recovery

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

FILE = "recovery.key"


def public_key(directory: Path) -> str:
    """The public recovery key, as technicians give it to kits; the first call makes the pair.

    Raises:
        StorageError: ``recovery-key-file``.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    place = directory / FILE
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(X25519PrivateKey.generate().private_bytes_raw())
            file.flush()
            os.fsync(file.fileno())
    return recovery.public_text(_private(place).public_key().public_bytes_raw())


def recover(store: HubStore, key_file: Path, text: str, *, technician: str, reason: str) -> str:
    """Answer a kit's request. What was done stands in the audit before anybody sees the answer.

    Args:
        text: the line that the kit printed.
        technician: who asked; a name.
        reason: why.

    Returns:
        One line for the kit. It opens nothing but the store of the kit that asked, on that kit.

    Raises:
        InputError: ``recovery-text``, ``recovery-slot``, ``recovery-who``.
        StorageError: ``recovery-key-file``, or the database's.
    """
    if not technician.strip() or not reason.strip():
        raise InputError("recovery-who")
    request = recovery.request_from(text)
    answer = recovery.answer(request, _private(key_file))
    with store.writing() as connection:
        audit.append(
            connection,
            store.clock.now_ms(),
            "admin",
            "kit-key-recovered",
            f"kit:{request.kit_id}",
            technician=technician.strip()[:80],
            reason=reason.strip()[:200],
            vault=request.vault_id,
        )
    return recovery.to_text(answer)


def _private(place: Path) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    try:
        return X25519PrivateKey.from_private_bytes(place.read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError("recovery-key-file", file=place, reason=type(error).__name__) from error

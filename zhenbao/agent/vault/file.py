"""``vault.json``: the store's key, sealed several ways. Nothing in it opens anything by itself.

Two copies lie in the kit's folder, each with a checksum; a damaged one is replaced from the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from zhenbao.model.errors import StorageError

FILE = "vault.json"
BACKUP = "vault.backup.json"
FORMAT = 1


class Cost(msgspec.Struct, frozen=True):
    """What one try of a PIN costs (Argon2id, RFC 9106)."""

    memory_kib: int
    iterations: int
    lanes: int


class TpmBlob(msgspec.Struct, frozen=True):
    """A secret that one TPM alone can open, and only with the right authorisation."""

    public: bytes
    private: bytes


class PinSlot(msgspec.Struct, frozen=True):
    """The store's key under a PIN or passphrase, and under the TPM's secret where ``tpm`` is there."""

    salt: bytes
    cost: Cost
    nonce: bytes
    sealed: bytes
    tpm: TpmBlob | None = None


class RecoverySlot(msgspec.Struct, frozen=True):
    """The store's key under the hub's recovery key (``sync.recovery``)."""

    hub_key: bytes
    sealed: bytes


class Vault(msgspec.Struct, frozen=True):
    """All slots of one kit."""

    id: str
    """Random; names the key in the runtime folder."""
    kit_id: str
    pin: PinSlot
    recovery: RecoverySlot | None = None
    format: int = FORMAT


class _Kept(msgspec.Struct, frozen=True):
    sha256: str
    vault: msgspec.Raw


def exists(home: Path) -> bool:
    """Whether this kit has a vault, be it damaged."""
    return (home / FILE).exists() or (home / BACKUP).exists()


def load(home: Path) -> Vault:
    """The kit's vault; a damaged copy is made good from the other.

    Raises:
        StorageError: ``vault-missing``, ``vault-damaged`` (both copies), ``vault-newer``.
    """
    if not exists(home):
        raise StorageError("vault-missing")
    main, backup = _read(home / FILE), _read(home / BACKUP)
    if main is None and backup is None:
        raise StorageError("vault-damaged")
    good = main or backup
    assert good is not None
    if main != backup:
        # The main one is written first: after a change of PIN the other still has the old slot.
        with contextlib.suppress(OSError):
            save(home, good)
    return good


def save(home: Path, vault: Vault) -> None:
    """Write both copies, one after the other, each whole or not at all.

    Raises:
        OSError: the disk refused; a copy that was there is still there.
    """
    body = msgspec.json.encode(vault)
    kept = msgspec.json.encode(_Kept(hashlib.sha256(body).hexdigest(), msgspec.Raw(body)))
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(home / FILE, kept)
    write_whole(home / BACKUP, kept)


def write_whole(path: Path, content: bytes) -> None:
    """A file of mode 0600 that is old or new after a power cut, never half.

    Raises:
        OSError: the disk refused.
    """
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> Vault | None:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        if hashlib.sha256(bytes(kept.vault)).hexdigest() != kept.sha256:
            return None
        vault = msgspec.json.decode(kept.vault, type=Vault)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if vault.format > FORMAT:
        raise StorageError("vault-newer", found=vault.format, known=FORMAT)
    return vault

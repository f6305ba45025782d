"""Making, opening and changing a kit's vault."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from zhenbao.agent.store import cipher
from zhenbao.agent.store.database import FILE as STORE
from zhenbao.agent.store.faults import storage_error
from zhenbao.agent.store.space import NAME as BALLAST
from zhenbao.agent.vault import tpm, tries
from zhenbao.agent.vault.file import Cost, RecoverySlot, Vault, exists, load, save
from zhenbao.agent.vault.rules import check_pin
from zhenbao.agent.vault.rules import cost as usual_cost
from zhenbao.agent.vault.slots import open_pin, seal_pin
from zhenbao.agent.vault.unlocked import hold
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.time import Clock


def create(home: Path, kit_id: str, pin: str, *, hub_key: bytes | None = None, cost: Cost | None = None) -> bytes:
    """Make the vault of a kit that has none, and give the new key of its store.

    Args:
        hub_key: the hub's public recovery key; without it a forgotten PIN cannot be helped.
        cost: of a try; the usual one where None.

    Raises:
        InputError: ``vault-exists``; ``pin-...`` as :func:`zhenbao.agent.vault.rules.check_pin`.
        StorageError: ``vault-lost``: encrypted records lie here whose vault is gone; ``vault-tpm``; the disk's.
    """
    refuse_second(home)
    key = secrets.token_bytes(cipher.KEY_BYTES)
    with_tpm = tpm.present()
    check_pin(pin, tpm=with_tpm)
    vault_id = secrets.token_hex(16)
    slot = seal_pin(key, pin, vault_id, cost or usual_cost(), with_tpm=with_tpm)
    _save(home, Vault(vault_id, kit_id, slot, _recovery(key, hub_key, kit_id, vault_id)))
    return key


def refuse_second(home: Path) -> None:
    """Whether a new vault may be made here.

    Raises:
        InputError: ``vault-exists``.
        StorageError: ``vault-lost``.
    """
    if exists(home):
        raise InputError("vault-exists")
    if cipher.kind_of(home / STORE, bytes(cipher.KEY_BYTES)) == "strange":
        # A new key would not open what lies here, and would hide that the old one is missing.
        raise StorageError("vault-lost")


def unlock(home: Path, pin: str, clock: Clock, *, idle_s: float = 0.0) -> bytes:
    """Open the vault with the PIN and hold the key until the kit is locked or restarted.

    Raises:
        InputError: ``pin-wrong``, ``pin-wait``, ``pin-tpm-lockout``.
        StorageError: ``vault-...``, or the disk's: without a count on the disk nothing is tried.
    """
    key = _opened(home, load(home), pin, clock)
    hold(home, key, idle_s)
    return key


def change_pin(home: Path, old: str, new: str, clock: Clock) -> None:
    """Another PIN for the same key. Whoever has an old copy of ``vault.json`` and the old PIN still opens with them.

    Raises:
        InputError, StorageError: as :func:`unlock` and :func:`create`.
    """
    vault = load(home)
    reset_pin(home, _opened(home, vault, old, clock), new)


def reset_pin(home: Path, key: bytes, new: str) -> None:
    """Another PIN, by whoever has the key itself (recovery).

    Raises:
        InputError: ``pin-...``; ``recovery-answer``: not the key of this kit's store.
    """
    vault = load(home)
    if cipher.kind_of(home / STORE, key) == "strange" and not cipher.made_with(home, key):
        raise InputError("recovery-answer")
    with_tpm = tpm.present()
    check_pin(new, tpm=with_tpm)
    slot = seal_pin(key, new, vault.id, usual_cost(), with_tpm=with_tpm)
    _save(home, msgspec.structs.replace(vault, pin=slot))
    _on_disk(home, lambda: tries.right(home))


def set_recovery(home: Path, key: bytes, hub_key: bytes) -> None:
    """Give the hub's recovery key a slot, or a new one."""
    vault = load(home)
    _save(home, msgspec.structs.replace(vault, recovery=_recovery(key, hub_key, vault.kit_id, vault.id)))


def _opened(home: Path, vault: Vault, pin: str, clock: Clock) -> bytes:
    _on_disk(home, lambda: tries.begin_try(home, clock))
    key = open_pin(vault.pin, pin, vault.id)
    _on_disk(home, lambda: tries.right(home))
    return key


def _recovery(key: bytes, hub_key: bytes | None, kit_id: str, vault_id: str) -> RecoverySlot | None:
    from zhenbao.sync.recovery import seal_slot

    return None if hub_key is None else RecoverySlot(hub_key, seal_slot(key, hub_key, kit_id, vault_id))


def _save(home: Path, vault: Vault) -> None:
    _on_disk(home, lambda: save(home, vault))


def _on_disk(home: Path, work: Callable[[], None]) -> None:
    """Do what writes; a full disk gives up the kit's reserve for it, or nothing critical could be kept any more."""
    try:
        try:
            work()
        except OSError as error:
            if storage_error(error, home).code != "store-full":
                raise
            (home / BALLAST).unlink(missing_ok=True)
            work()
    except OSError as error:
        raise storage_error(error, home) from error

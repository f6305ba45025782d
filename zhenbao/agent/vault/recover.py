"""A forgotten PIN: the kit asks, the hub answers for a named technician, and a new PIN is set.

The private key of a request lies in memory: a request that a restart came after is made anew.
"""

from __future__ import annotations

from pathlib import Path

from zhenbao.agent.vault.file import load, write_whole
from zhenbao.agent.vault.unlocked import runtime_folder
from zhenbao.agent.vault.vault import reset_pin
from zhenbao.model.errors import InputError, StorageError
from zhenbao.sync import recovery


def make_request(home: Path) -> str:
    """One line for the hub.

    Raises:
        InputError: ``recovery-none``: this vault has no slot for a hub.
        StorageError: ``vault-...``.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    vault = load(home)
    if vault.recovery is None:
        raise InputError("recovery-none")
    private = X25519PrivateKey.generate()
    write_whole(_place(vault.id), private.private_bytes_raw())
    public = private.public_key().public_bytes_raw()
    return recovery.to_text(recovery.Request(vault.kit_id, vault.id, vault.recovery.sealed, public))


def finish_request(home: Path, text: str, new_pin: str) -> None:
    """Set a new PIN with the hub's answer.

    Raises:
        InputError: ``recovery-text``, ``recovery-answer``, ``recovery-restarted``, ``pin-...``.
        StorageError: ``vault-...``.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    vault = load(home)
    place = _place(vault.id)
    answer = recovery.answer_from(text)
    if (answer.kit_id, answer.vault_id) != (vault.kit_id, vault.id):
        raise InputError("recovery-answer")
    try:
        private = X25519PrivateKey.from_private_bytes(place.read_bytes())
    except FileNotFoundError:
        raise InputError("recovery-restarted") from None
    reset_pin(home, recovery.open_answer(answer, private), new_pin)
    place.unlink(missing_ok=True)


def _place(vault_id: str) -> Path:
    try:
        return runtime_folder() / f"{vault_id}.request"
    except OSError as error:
        raise StorageError("vault-no-memory") from error

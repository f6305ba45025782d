"""The store's key under a PIN: Argon2id makes the PIN dear, the TPM's secret makes a copied disk useless."""

from __future__ import annotations

import secrets

from zhenbao.agent.vault import tpm
from zhenbao.agent.vault.file import Cost, PinSlot
from zhenbao.agent.vault.rules import normal
from zhenbao.model.errors import InputError

_TPM_SECRET_BYTES = 32
_AUTHORISATION_BYTES = 16


def seal_pin(key: bytes, pin: str, vault_id: str, cost: Cost, *, with_tpm: bool) -> PinSlot:
    """A slot that ``pin`` opens.

    Raises:
        StorageError: ``vault-tpm``.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    authorisation, stretched = _stretch(pin, salt, cost)
    secret = secrets.token_bytes(_TPM_SECRET_BYTES) if with_tpm else b""
    blob = tpm.seal(secret, authorisation) if with_tpm else None
    sealed = AESGCM(_wrapping_key(stretched, secret)).encrypt(nonce, key, vault_id.encode())
    return PinSlot(salt, cost, nonce, sealed, blob)


def open_pin(slot: PinSlot, pin: str, vault_id: str) -> bytes:
    """The store's key.

    Raises:
        InputError: ``pin-wrong``, ``pin-tpm-lockout``.
        StorageError: ``vault-tpm``.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    authorisation, stretched = _stretch(pin, slot.salt, slot.cost)
    secret = b"" if slot.tpm is None else tpm.unseal(slot.tpm, authorisation)
    try:
        return AESGCM(_wrapping_key(stretched, secret)).decrypt(slot.nonce, slot.sealed, vault_id.encode())
    except InvalidTag:
        raise InputError("pin-wrong") from None


def _stretch(pin: str, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    """What the TPM is told, and what stays here: neither gives the other."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    argon2id = Argon2id(
        salt=salt,
        length=_AUTHORISATION_BYTES + 32,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    made = argon2id.derive(normal(pin).encode())
    return made[:_AUTHORISATION_BYTES], made[_AUTHORISATION_BYTES:]


def _wrapping_key(stretched: bytes, tpm_secret: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=b"zhenbao vault pin slot 1").derive(stretched + tpm_secret)

"""The kit's private keys on its disk: behind the PIN, but for the emergency side's, which must work without it.

``keys.sealed`` holds what signs and opens for the kit, under the store's key; ``road.key`` is an encrypted PKCS#8 whose
passphrase follows from the same. ``emergency.cbor`` and ``emergency.key`` lie open: they bring emergencies and reach
nothing else. Before a kit has a PIN there is nothing to seal with, and ``keys.cbor`` holds all of them; so it was in
older versions, too. ``move_inside`` makes the one of the other, whatever moment the power goes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.agent.store.carry import erase
from zhenbao.agent.vault.file import exists
from zhenbao.agent.vault.unlocked import unlocked_key
from zhenbao.model.errors import Rejected, StorageError
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.keys import (
    FILE,
    EmergencyKey,
    OwnKeys,
    keys_from_bytes,
    keys_to_bytes,
    load_keys,
    make_emergency_key,
    rotated,
    save_keys,
    write_whole,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED, EMERGENCY = "keys.sealed", "emergency.cbor"
_ERASING = ".erasing"
_LOCK = "keys.lock"
_NONCE_BYTES = 12
_KEYS, _PASSPHRASE = b"zhenbao kit keys 1", b"zhenbao road key 1"


def held_key(home: Path) -> bytes | None:
    """The store's key; None for a kit that has no PIN yet.

    Raises:
        StorageError: ``vault-locked``, or as the vault has it.
    """
    return unlocked_key(home, counts_as_use=False) if exists(home) else None


def load_own(home: Path, key: bytes | None) -> OwnKeys | None:
    """The kit's keys; None where there are none yet.

    Args:
        key: of the store; None: this kit has no PIN yet.

    Raises:
        StorageError: ``keys-unreadable``.
    """
    if key is None:
        return load_keys(home)
    sealed = _sealed(home, key)
    # Set up again by an older version, or by a technician before the PIN: what is newer counts.
    plain = _plain_beside(home, sealed)
    own = plain or sealed
    return replace(own, emergency=load_emergency(home) or own.emergency) if own is not None else None


def save_own(home: Path, own: OwnKeys, key: bytes | None) -> None:
    """Keep the kit's keys, each in its place.

    Raises:
        StorageError: ``keys-unwritable``.
    """
    if key is None:
        save_keys(home, own)
        return
    if own.emergency is not None:
        write_whole(home / EMERGENCY, dumps([1, own.emergency.name, own.emergency.secret]))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    data = keys_to_bytes(replace(own, emergency=None))
    write_whole(home / SEALED, nonce + _aead(key).encrypt(nonce, data, _KEYS))
    if _sealed(home, key) != replace(own, emergency=None):
        raise StorageError("keys-unwritable", reason="copy differs")


def set_aside(home: Path, name: str, now_ms: int) -> None:
    """Put away a file that this kit's PIN will never open: damaged, or of a vault that was lost. It is not deleted.

    Raises:
        StorageError: ``keys-unwritable``.
    """
    try:
        (home / name).replace(home / f"{name}.lost-{now_ms}")
        _sync(home)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError("keys-unwritable", reason=error.strerror or type(error).__name__) from error


def load_emergency(home: Path) -> EmergencyKey | None:
    """The emergency side's key, which needs no PIN; None where there is none.

    Raises:
        StorageError: ``keys-unreadable``.
    """
    try:
        match loads((home / EMERGENCY).read_bytes()):
            case [1, str(name), bytes(secret)] if len(secret) == 32:
                return EmergencyKey(name, secret)
            case _:
                raise StorageError("keys-unreadable", reason=EMERGENCY)
    except FileNotFoundError:
        plain = load_keys(home) if (home / FILE).exists() else None
        return plain.emergency if plain is not None else None
    except (OSError, Rejected) as error:
        raise StorageError("keys-unreadable", reason=EMERGENCY) from error


def stamp(home: Path, *names: str) -> tuple[tuple[int, int], ...]:
    """Changes when the keys on the disk do, or other files in the folder."""
    return tuple(_stamped(home / name) for name in names or (SEALED, FILE))


def road_passphrase(key: bytes | None) -> bytes | None:
    """What encrypts the road's key; None: nothing does, as the kit has no PIN yet."""
    return _derived(key, _PASSPHRASE).hex().encode() if key is not None else None


def move_inside(home: Path, key: bytes, road_key: str, now_ms: int) -> bool:
    """Seal what lies open from before the PIN, or from an older version, and erase it. True if there was anything.

    The sealed copy is on the disk and was read back before the open one goes. What lay open may be left in a flash
    cell: so a new generation is made, which the hub learns from the one before, and that one ends after its overlap.

    Args:
        road_key: name of the file of the road's key.

    Raises:
        StorageError: ``keys-unreadable``, ``keys-unwritable``: what lay open still does, and nothing is lost.
        InputError: ``tls-file``: the road's key is none.
    """
    from zhenbao.sync.links.identity import encrypt_key, is_encrypted

    with _alone(home):
        moved = False
        if (home / FILE).exists():
            # An erasing that was cut short has its own name: under this one the file is whole.
            sealed = _sealed(home, key)
            plain = _plain_beside(home, sealed)
            if plain is not None:
                spare = plain.emergency or load_emergency(home) or make_emergency_key(plain.name)
                # Where one waits for the hub's word already, a third would push out the only one that it knows.
                fresh = rotated(plain, now_ms) if len(plain.pairs) == 1 else plain
                save_own(home, replace(fresh, emergency=spare), key)
            _retire(home / FILE)
            moved = True
        _erase_left(home / FILE)
        road = home / road_key
        if road.exists() and not is_encrypted(road):
            _erase_left(road)
            old = road.with_name(road.name + _ERASING)
            try:
                os.link(road, old)
            except OSError as error:
                raise StorageError("keys-unwritable", reason=error.strerror or type(error).__name__) from error
            write_whole(road, encrypt_key(road, road_passphrase(key) or b""))
            moved = True
        _erase_left(road)
        return moved


# Inside


def _sealed(home: Path, key: bytes) -> OwnKeys | None:
    from cryptography.exceptions import InvalidTag

    try:
        data = (home / SEALED).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError("keys-unreadable", reason=error.strerror or type(error).__name__) from error
    try:
        return keys_from_bytes(_aead(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _KEYS))
    except (InvalidTag, ValueError) as error:
        raise StorageError("keys-unreadable", reason=SEALED) from error


def _plain_beside(home: Path, sealed: OwnKeys | None) -> OwnKeys | None:
    """What lies open and is not among the sealed ones; None where there is no such thing."""
    plain = load_keys(home)
    if plain is None or sealed is None:
        return plain
    return None if plain.newest.sign_secret in {pair.sign_secret for pair in sealed.pairs} else plain


def _retire(path: Path) -> None:
    """Give a file the name under which it is erased, now or after the next start."""
    try:
        path.replace(path.with_name(path.name + _ERASING))
        _sync(path.parent)
    except OSError as error:
        raise StorageError("keys-unwritable", reason=error.strerror or type(error).__name__) from error


def _erase_left(path: Path) -> None:
    """Overwrite and remove what was left to be erased; a second name of the file itself only goes."""
    old = path.with_name(path.name + _ERASING)
    try:
        if not old.exists():
            return
        if path.exists() and path.samefile(old):
            old.unlink()
        else:
            erase(old)
    except OSError as error:
        raise StorageError("keys-unwritable", reason=error.strerror or type(error).__name__) from error


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process moves keys at a time."""
    try:
        descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError("keys-unwritable", reason=error.strerror or type(error).__name__) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _aead(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derived(key, _KEYS))


def _derived(key: bytes, use: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=use).derive(key)


def _stamped(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_ino


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

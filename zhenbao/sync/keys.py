"""Keys of a kit or a hub: made here, renewed here, shown to the other side as a card.

A *generation* is an Ed25519 key to sign with and an X25519 key to be sealed to. A *card* shows the public halves; each
generation on it is proved by a signature of its own. A new generation is announced on a card that travels in a packet
signed by the old one, and both are accepted for a while.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.model.errors import InputError, Rejected, StorageError
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.cose import KEY_ID, read_sign1, sign1

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

FILE = "keys.cbor"
KEY_ID_BYTES = 8
KEPT_GENERATIONS = 2
"""The newest, and the one before it: what is under way was sealed for that, and signed by it."""
_TEXT = "zhenbao-card-1."
_EXTERNAL = b"zhenbao card 1"
_CARD_CHARACTERS = 4000
_NAME_CHARACTERS = 80


def key_id_of(public: bytes) -> bytes:
    """The name of a public key: the first eight bytes of its SHA-256."""
    return sha256(public).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What others know of a generation."""

    number: int
    """From 1."""
    sign: bytes
    """Ed25519, 32 bytes."""
    seal: bytes
    """X25519, 32 bytes."""

    @property
    def sign_id(self) -> bytes:
        return key_id_of(self.sign)

    @property
    def seal_id(self) -> bytes:
        return key_id_of(self.seal)


@dataclass(frozen=True, slots=True)
class Card:
    """The public keys of one side, the newest last; proved to be held by whoever made the card."""

    name: str
    """The kit's id, or ``hub``."""
    keys: tuple[PublicKeys, ...]
    emergency: bytes | None = None
    """Ed25519: may sign what is of kind ``emergency`` and nothing else."""
    emergency_seal: bytes | None = None
    """X25519: receipts for emergencies are sealed for it, and nothing else. None on cards of older versions."""
    data: bytes = b""
    """The card as it was made."""

    @property
    def newest(self) -> PublicKeys:
        return self.keys[-1]

    @property
    def text(self) -> str:
        """One line to copy, print or show as a QR code."""
        return _TEXT + base64.urlsafe_b64encode(self.data).decode().rstrip("=")

    @property
    def fingerprint(self) -> str:
        """What two people compare by telephone: 32 hexadecimal digits in groups of four."""
        spare = (self.emergency or b"") + (self.emergency_seal or b"")
        digits = sha256(b"".join(key.sign + key.seal for key in self.keys) + spare).hexdigest()[:32]
        return " ".join(digits[n : n + 4] for n in range(0, 32, 4))


@dataclass(frozen=True)
class KeyPair:
    """A generation with its private halves. Never leaves the machine it was made on."""

    number: int
    sign_secret: bytes
    seal_secret: bytes
    made_ms: int

    @cached_property
    def sign_key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.sign_secret)

    @cached_property
    def seal_key(self) -> X25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return X25519PrivateKey.from_private_bytes(self.seal_secret)

    @cached_property
    def public(self) -> PublicKeys:
        return PublicKeys(
            self.number, self.sign_key.public_key().public_bytes_raw(), self.seal_key.public_key().public_bytes_raw()
        )


@dataclass(frozen=True, slots=True)
class EmergencyKey:
    """Signs while the tablet is locked; the hub takes nothing but emergencies from it, and answers with receipts."""

    name: str
    """The kit's id."""
    secret: bytes

    @property
    def sign_key(self) -> Ed25519PrivateKey:
        return self.pair.sign_key

    @property
    def public(self) -> bytes:
        return self.pair.public.sign

    @property
    def pair(self) -> KeyPair:
        """With the key for which the hub seals receipts; it follows from the secret, so that one secret is kept."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        seal_secret = HKDF(SHA256(), 32, salt=None, info=b"zhenbao emergency receipts 1").derive(self.secret)
        return KeyPair(1, self.secret, seal_secret, 0)


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """One side's own keys."""

    name: str
    pairs: tuple[KeyPair, ...]
    """The newest last; at most ``KEPT_GENERATIONS``."""
    emergency: EmergencyKey | None = None

    @property
    def newest(self) -> KeyPair:
        return self.pairs[-1]

    def sealed_for(self, seal_id: bytes) -> KeyPair | None:
        """The generation that can open what was sealed for this key."""
        return next((pair for pair in self.pairs if pair.public.seal_id == seal_id), None)


def make_keys(name: str, now_ms: int, *, emergency: bool = False) -> OwnKeys:
    """New keys for ``name``.

    Args:
        emergency: with a key that signs while the tablet is locked.
    """
    return OwnKeys(name, (_pair(1, now_ms),), make_emergency_key(name) if emergency else None)


def make_emergency_key(name: str) -> EmergencyKey:
    """A new key of a kit's emergency side."""
    return EmergencyKey(name, secrets.token_bytes(32))


def rotated(keys: OwnKeys, now_ms: int) -> OwnKeys:
    """The same with a new generation; the oldest is forgotten where there are more than ``KEPT_GENERATIONS``."""
    pairs = (*keys.pairs, _pair(keys.newest.number + 1, now_ms))
    return replace(keys, pairs=pairs[-KEPT_GENERATIONS:])


def without_old(keys: OwnKeys) -> OwnKeys:
    """The newest generation alone."""
    return replace(keys, pairs=keys.pairs[-1:])


def _pair(number: int, now_ms: int) -> KeyPair:
    return KeyPair(number, secrets.token_bytes(32), secrets.token_bytes(32), now_ms)


def card_of(keys: OwnKeys) -> Card:
    """What others may know. Each generation signs the whole, the newest outside."""
    public = tuple(pair.public for pair in keys.pairs)
    spare = keys.emergency.pair.public if keys.emergency else None
    shown = [spare.sign, spare.seal] if spare else [None]
    data = dumps([keys.name, [[key.number, key.sign, key.seal] for key in public], *shown])
    for pair in keys.pairs:
        data = sign1({KEY_ID: pair.public.sign_id}, data, pair.sign_key, _EXTERNAL)
    return Card(keys.name, public, spare.sign if spare else None, spare.seal if spare else None, data)


@lru_cache(maxsize=1024)
def read_card(data: bytes) -> Card:
    """A card from its bytes, every signature checked.

    Raises:
        Rejected: ``card``; it is none, or not made by who holds its keys.
    """
    signed, inner = [], data
    try:
        for _ in range(KEPT_GENERATIONS):
            outer = read_sign1(inner)
            signed.append(outer)
            inner = outer.payload
            if inner[:1] != b"\xd2":
                break
        match loads(inner):
            case [str(name), [*listed], bytes() | None as emergency, *more] if 0 < len(name) <= _NAME_CHARACTERS:
                keys = tuple(_public(each) for each in listed)
                seal = _emergency_seal(emergency, more)
            case _:
                raise Rejected("card")
        if len(keys) != len(signed) or (emergency is not None and len(emergency) != 32):
            raise Rejected("card")
        for key, outer in zip(reversed(keys), signed, strict=True):
            outer.verify(key.sign, _EXTERNAL)
    except Rejected as error:
        raise Rejected("card") from error
    return Card(name, keys, emergency, seal, data)


def _public(listed: object) -> PublicKeys:
    match listed:
        case [int(number), bytes(sign), bytes(seal)] if 0 < number < 1 << 31 and len(sign) == len(seal) == 32:
            return PublicKeys(number, sign, seal)
        case _:
            raise Rejected("card")


def _emergency_seal(emergency: bytes | None, more: list[object]) -> bytes | None:
    match more:
        case []:
            return None
        case [bytes(seal)] if emergency is not None and len(seal) == 32:
            return seal
        case _:
            raise Rejected("card")


def parse_card(text: str) -> Card:
    """A card from its line of text.

    Raises:
        InputError: ``card-text``.
    """
    line = "".join(text.split())
    try:
        if not line.startswith(_TEXT) or len(line) > _CARD_CHARACTERS:
            raise InputError("card-text")
        coded = line.removeprefix(_TEXT)
        return read_card(base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, Rejected):
        raise InputError("card-text") from None


# On the disk: the hub's keys, and a kit's before it has a PIN (``agent.own_keys``).


def load_keys(directory: Path) -> OwnKeys | None:
    """The keys in a folder; None where there are none yet.

    Raises:
        StorageError: ``keys-unreadable``.
    """
    try:
        data = (directory / FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError("keys-unreadable", reason=error.strerror or type(error).__name__) from error
    return keys_from_bytes(data)


def keys_from_bytes(data: bytes) -> OwnKeys:
    """Own keys as ``keys_to_bytes`` wrote them.

    Raises:
        StorageError: ``keys-unreadable``.
    """
    try:
        match loads(data):
            case [1, str(name), [*pairs], bytes() | None as emergency] if pairs:
                made = tuple(KeyPair(*pair) for pair in pairs)
                spare = EmergencyKey(name, emergency) if emergency is not None else None
                if all(len(p.sign_secret) == len(p.seal_secret) == 32 for p in made):
                    return OwnKeys(name, made, spare)
    except (Rejected, TypeError):
        pass
    raise StorageError("keys-unreadable", reason="format")


def keys_to_bytes(keys: OwnKeys) -> bytes:
    """Own keys with their private halves, for the one place that keeps them."""
    pairs = [[p.number, p.sign_secret, p.seal_secret, p.made_ms] for p in keys.pairs]
    return dumps([1, keys.name, pairs, keys.emergency.secret if keys.emergency else None])


def save_keys(directory: Path, keys: OwnKeys) -> None:
    """Keep keys in a folder, readable by this user alone, whole or not at all.

    Raises:
        StorageError: ``keys-unwritable``.
    """
    write_whole(directory / FILE, keys_to_bytes(keys))


def write_whole(place: Path, data: bytes) -> None:
    """Write a file for this user alone, whole or not at all, and onto the disk.

    Raises:
        StorageError: ``keys-unwritable``.
    """
    draft = place.with_name(f".{place.name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
        _sync_folder(place.parent)
    except OSError as error:
        raise StorageError("keys-unwritable", reason=error.strerror or type(error).__name__) from error


def ensure_keys(directory: Path, name: str, now_ms: int, *, emergency: bool = False) -> OwnKeys:
    """The keys in a folder; made where there are none, or where they are another's."""
    kept = load_keys(directory)
    if kept is not None and kept.name == name:
        return kept
    made = make_keys(name, now_ms, emergency=emergency)
    save_keys(directory, made)
    return made


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

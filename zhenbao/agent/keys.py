"""The kit's keys, and the card of its hub. They lie in the kit's folder; the private ones never leave it."""

from __future__ import annotations

from pathlib import Path

from zhenbao.model.errors import InputError, Rejected, StorageError
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.keys import (
    FILE,
    Card,
    EmergencyKey,
    OwnKeys,
    card_of,
    ensure_keys,
    load_keys,
    parse_card,
    read_card,
    rotated,
    save_keys,
    write_whole,
)
from zhenbao.sync.names import HUB
from zhenbao.sync.peers import Peer, Signer, signer_on

CARD_FILE = "kit.card"
"""The kit's own public card as text, to be registered at the hub."""
PINNED_FILE = "hub.card"


class KitKeyring:
    """Implements ``sync.peers.Keyring``: one peer, the hub that was pinned at set-up.

    Args:
        home: the kit's folder.
        kit_id: whose.

    Raises:
        InputError: ``keys-missing`` or ``hub-card-missing``: a technician has not set this kit up for sending.
        StorageError: ``keys-unreadable``.
    """

    def __init__(self, home: Path, kit_id: str) -> None:
        self._home = home
        own = load_keys(home)
        if own is None or own.name != kit_id:
            raise InputError("keys-missing")
        self._own = own
        self._stamp = self._stamped()
        self._hub = pinned(home)

    @property
    def own(self) -> OwnKeys:
        # Another process may have renewed them.
        if (stamp := self._stamped()) != self._stamp:
            renewed = load_keys(self._home)
            if renewed is not None and renewed.name == self._own.name:
                self._own, self._stamp = renewed, stamp
        return self._own

    def peer(self, name: str) -> Peer | None:
        return self._hub if name == HUB else None

    def signer(self, key_id: bytes) -> Signer | None:
        return signer_on(self._hub, key_id)

    def pin(self, card: Card) -> bool:
        if card.newest.number <= self._hub.card.newest.number:
            return False
        self._hub = Peer(card, knows=self._hub.knows)
        _keep(self._home, self._hub)
        return True

    def known(self, name: str, sign_id: bytes) -> None:
        if name == HUB and self._hub.knows != sign_id:
            self._hub = Peer(self._hub.card, knows=sign_id)
            _keep(self._home, self._hub)

    def _stamped(self) -> tuple[int, int]:
        try:
            stat = (self._home / FILE).stat()
        except OSError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_ino


def set_up_keys(home: Path, kit_id: str, now_ms: int) -> Card:
    """Make the kit's keys where there are none, and write its card beside them as text.

    Raises:
        StorageError: ``keys-unreadable`` or ``keys-unwritable``.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    card = card_of(ensure_keys(home, kit_id, now_ms, emergency=True))
    write_whole(home / CARD_FILE, f"{card.text}\n".encode())
    return card


def renew_keys(home: Path, kit_id: str, now_ms: int) -> Card:
    """A new generation; the running service announces it, signed by the one before.

    Raises:
        InputError: ``keys-missing``; ``keys-pending``, the hub has not confirmed the last new one.
        StorageError: ``keys-unreadable`` or ``keys-unwritable``.
    """
    own = load_keys(home)
    if own is None or own.name != kit_id:
        raise InputError("keys-missing")
    if len(own.pairs) > 1 and pinned(home).knows != own.newest.public.sign_id:
        # A third generation would push out the only one that the hub knows.
        raise InputError("keys-pending")
    made = rotated(own, now_ms)
    save_keys(home, made)
    card = card_of(made)
    write_whole(home / CARD_FILE, f"{card.text}\n".encode())
    return card


def pin_hub(home: Path, text: str) -> Card:
    """Pin the hub's card: reports are taken from whoever holds its keys, and from nobody else.

    Raises:
        InputError: ``card-text``; ``card-name``, it is no hub's.
        StorageError: ``keys-unwritable``.
    """
    card = parse_card(text)
    if card.name != HUB:
        raise InputError("card-name")
    _keep(home, Peer(card))
    return card


def read_text(file: Path) -> str:
    """A card's file.

    Raises:
        InputError: ``card-file``.
    """
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise InputError("card-file", path=file) from None


def pinned(home: Path) -> Peer:
    """The hub as it is pinned.

    Raises:
        InputError: ``hub-card-missing``.
        StorageError: ``keys-unreadable``.
    """
    try:
        match loads((home / PINNED_FILE).read_bytes()):
            case [1, bytes(card), bytes(knows)]:
                return Peer(read_card(card), knows=knows)
            case _:
                raise StorageError("keys-unreadable", reason=PINNED_FILE)
    except FileNotFoundError:
        raise InputError("hub-card-missing") from None
    except (OSError, Rejected) as error:
        raise StorageError("keys-unreadable", reason=PINNED_FILE) from error


def for_emergencies(home: Path) -> tuple[Card, EmergencyKey]:
    """The hub's card and the kit's emergency key. Neither needs the PIN; the key opens nothing.

    Raises:
        InputError: ``emergency-unset``: a technician has not set this kit up for it.
        StorageError: ``keys-unreadable``.
    """
    own = load_keys(home)
    if own is None or own.emergency is None or not (home / PINNED_FILE).exists():
        raise InputError("emergency-unset")
    return pinned(home).card, own.emergency


def _keep(home: Path, hub: Peer) -> None:
    write_whole(home / PINNED_FILE, dumps([1, hub.card.data, hub.knows]))

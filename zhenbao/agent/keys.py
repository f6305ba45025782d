"""The kit's keys, and the card of its hub. They lie in the kit's folder; the private ones never leave it, and lie
behind the PIN (``own_keys``).
"""

from __future__ import annotations

from pathlib import Path

from zhenbao.agent.own_keys import (
    SEALED,
    held_key,
    load_emergency,
    load_own,
    move_inside,
    save_own,
    set_aside,
    stamp,
)
from zhenbao.agent.settings import KitSettings
from zhenbao.model.errors import InputError, Rejected, StorageError
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.keys import (
    Card,
    EmergencyKey,
    OwnKeys,
    card_of,
    make_keys,
    parse_card,
    read_card,
    rotated,
    write_whole,
)
from zhenbao.sync.names import HUB, emergency_side
from zhenbao.sync.peers import Peer, Signer, signer_on

CARD_FILE = "kit.card"
"""The kit's own public card as text, to be registered at the hub."""
PINNED_FILE = "hub.card"


class KitKeyring:
    """Implements ``sync.peers.Keyring``: one peer, the hub that was pinned at set-up.

    Args:
        home: the kit's folder.
        kit_id: whose.
        key: the store's; None: the one that the vault holds open.

    Raises:
        InputError: ``keys-missing`` or ``hub-card-missing``: a technician has not set this kit up for sending.
        StorageError: ``keys-unreadable``; ``vault-locked``.
    """

    def __init__(self, home: Path, kit_id: str, key: bytes | None = None) -> None:
        self._home = home
        self._key = key or held_key(home)
        self._stamp = stamp(home)
        own = load_own(home, self._key)
        if own is None or own.name != kit_id:
            raise InputError("keys-missing")
        self._own = own
        self._hub_stamp = stamp(home, PINNED_FILE)
        self._hub = pinned(home)

    @property
    def own(self) -> OwnKeys:
        # Another process may have renewed them.
        if (now := stamp(self._home)) != self._stamp:
            renewed = load_own(self._home, self._key)
            if renewed is not None and renewed.name == self._own.name:
                self._own, self._stamp = renewed, now
        return self._own

    @property
    def hub(self) -> Peer:
        """As it is pinned now: a technician may have pinned another card beside the running service."""
        if (now := stamp(self._home, PINNED_FILE)) != self._hub_stamp:
            self._hub, self._hub_stamp = pinned(self._home), now
        return self._hub

    def peer(self, name: str) -> Peer | None:
        return self.hub if name == HUB else None

    def signer(self, key_id: bytes) -> Signer | None:
        return signer_on(self.hub, key_id)

    def pin(self, card: Card) -> bool:
        if card.newest.number <= self.hub.card.newest.number:
            return False
        _keep(self._home, Peer(card, knows=self.hub.knows))
        return True

    def known(self, name: str, sign_id: bytes) -> None:
        if name == HUB and self.hub.knows != sign_id:
            _keep(self._home, Peer(self.hub.card, knows=sign_id))


class EmergencyKeyring:
    """Implements ``sync.peers.Keyring`` for a locked kit: its emergency side, and the hub as it is pinned.

    Raises:
        InputError: ``emergency-unset``.
        StorageError: ``keys-unreadable``.
    """

    def __init__(self, home: Path) -> None:
        card, key = for_emergencies(home)
        self.own = OwnKeys(emergency_side(key.name), (key.pair,))
        self._hub = Peer(card)

    def peer(self, name: str) -> Peer | None:
        return self._hub if name == HUB else None

    def signer(self, key_id: bytes) -> Signer | None:
        return signer_on(self._hub, key_id)

    def pin(self, card: Card) -> bool:
        """The unlocked kit does that, and says so to the hub."""
        return False

    def known(self, name: str, sign_id: bytes) -> None:
        """Nobody confirms this key: the card shows it."""


def set_up_keys(home: Path, kit_id: str, now_ms: int) -> Card:
    """Make the kit's keys where there are none, and write its card beside them as text.

    What the right PIN does not open (it is damaged, or its vault was lost) is put aside, and new ones are made: the hub
    must then be given the new card.

    Raises:
        StorageError: ``keys-unreadable`` or ``keys-unwritable``; ``vault-locked``: behind a PIN that was not given,
            nothing can be looked up.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = held_key(home)
    try:
        own = load_own(home, key)
    except StorageError as error:
        if key is None or error.facts.get("reason") != SEALED:
            raise
        set_aside(home, SEALED, now_ms)
        own = load_own(home, key)
    if own is None or own.name != kit_id:
        own = make_keys(kit_id, now_ms, emergency=True)
        save_own(home, own, key)
    return _show(home, own)


def put_inside(home: Path, settings: KitSettings, key: bytes, now_ms: int) -> bool:
    """What lies open from before the PIN, or from an older version, goes behind it. True if there was anything.

    Raises:
        InputError, StorageError: as ``own_keys.move_inside``.
    """
    moved = move_inside(home, key, settings.hub_key, now_ms)
    if moved and (own := load_own(home, key)) is not None:
        _show(home, own)
    return moved


def renew_keys(home: Path, kit_id: str, now_ms: int) -> Card:
    """A new generation; the running service announces it, signed by the one before.

    Raises:
        InputError: ``keys-missing``; ``keys-pending``, the hub has not confirmed the last new one.
        StorageError: ``keys-unreadable`` or ``keys-unwritable``; ``vault-locked``.
    """
    key = held_key(home)
    own = load_own(home, key)
    if own is None or own.name != kit_id:
        raise InputError("keys-missing")
    if len(own.pairs) > 1 and pinned(home).knows != own.newest.public.sign_id:
        # A third generation would push out the only one that the hub knows.
        raise InputError("keys-pending")
    made = rotated(own, now_ms)
    save_own(home, made, key)
    return _show(home, made)


def pin_hub(home: Path, text: str) -> Card:
    """Pin the hub's card: reports are taken from whoever holds its keys, and from nobody else.

    Raises:
        InputError: ``card-text``; ``card-name``, it is no hub's.
        StorageError: ``keys-unwritable``.
    """
    card = parse_card(text)
    if card.name != HUB:
        raise InputError("card-name")
    # What the hub knows of us stays: by now it may take nothing but our newest key.
    knows = pinned(home).knows if (home / PINNED_FILE).exists() else b""
    _keep(home, Peer(card, knows=knows))
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
    key = load_emergency(home)
    if key is None or not (home / PINNED_FILE).exists():
        raise InputError("emergency-unset")
    return pinned(home).card, key


def _show(home: Path, own: OwnKeys) -> Card:
    """Write the card that others may see."""
    card = card_of(own)
    write_whole(home / CARD_FILE, f"{card.text}\n".encode())
    return card


def _keep(home: Path, hub: Peer) -> None:
    write_whole(home / PINNED_FILE, dumps([1, hub.card.data, hub.knows]))

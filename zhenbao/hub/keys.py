"""The hub's keys, and the register of kits: which cards are known, and which are revoked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from zhenbao.hub.store import HubStore, audit
from zhenbao.hub.store.tables import kit_keys, kits
from zhenbao.model.errors import InputError
from zhenbao.sync.keys import (
    FILE,
    Card,
    OwnKeys,
    card_of,
    ensure_keys,
    key_id_of,
    load_keys,
    parse_card,
    read_card,
    rotated,
    save_keys,
    without_old,
)
from zhenbao.sync.names import HUB, is_emergency_side, is_kit_id, kit_behind
from zhenbao.sync.peers import Peer, Signer, emergency_peer, signer_on

_DAY_MS = 86_400_000
_PEER = select(kits).where(kits.c.kit_id == bindparam("wanted"))
_SIGNER = (
    select(kits).join(kit_keys, kit_keys.c.kit_id == kits.c.kit_id).where(kit_keys.c.key_id == bindparam("wanted"))
)


@cache
def overlap_ms() -> int:
    """How long a kit's older key is taken after its newer one is known."""
    return _days("kit_overlap_days") * _DAY_MS


@cache
def grace_ms() -> int:
    """How long the hub keeps its older key after a renewal."""
    return _days("hub_grace_days") * _DAY_MS


@dataclass(frozen=True, slots=True)
class RegisteredKit:
    """A row of the register."""

    kit_id: str
    card: Card
    added_ms: int
    revoked_ms: int | None
    knows: bytes
    """The newest key of the hub's that it has confirmed; empty: it has what it was given at the beginning."""


class HubKeyring:
    """Implements ``sync.peers.Keyring``.

    Args:
        store: where kits are registered.
        directory: the hub's folder, where its private keys lie; made there when they are not.

    Raises:
        StorageError: ``keys-unreadable`` or ``keys-unwritable``.
    """

    def __init__(self, store: HubStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._own = ensure_keys(directory, HUB, store.clock.now_ms())
        self._stamp = self._stamped()

    @property
    def own(self) -> OwnKeys:
        # A command beside the running hub may have renewed them.
        if (stamp := self._stamped()) != self._stamp and (renewed := load_keys(self._directory)) is not None:
            self._own, self._stamp = renewed, stamp
        if len(self._own.pairs) > 1 and self._store.clock.now_ms() - self._own.newest.made_ms >= grace_ms():
            self._own = without_old(self._own)
            save_keys(self._directory, self._own)
            self._stamp = self._stamped()
        return self._own

    @property
    def card(self) -> Card:
        """For the kits."""
        return card_of(self.own)

    def peer(self, name: str) -> Peer | None:
        with self._store.reading() as connection:
            peer = _peer(connection, kit_behind(name))
        return emergency_peer(peer) if peer is not None and is_emergency_side(name) else peer

    def signer(self, key_id: bytes) -> Signer | None:
        with self._store.reading() as connection:
            row = connection.execute(_SIGNER, {"wanted": key_id}).one_or_none()
        if row is None:
            return None
        overlap = self._store.clock.now_ms() - row.pinned_ms < overlap_ms()
        return signer_on(_as_peer(row), key_id, old_accepted=overlap)

    def pin(self, card: Card) -> bool:
        with self._store.writing() as connection:
            peer = _peer(connection, card.name)
            if peer is None or card.newest.number <= peer.card.newest.number:
                return False
            _keep(connection, card, self._store.clock.now_ms())
            return True

    def known(self, name: str, sign_id: bytes) -> None:
        with self._store.writing() as connection:
            connection.execute(update(kits).where(kits.c.kit_id == name).values(knows=sign_id))

    def sign_probe(self, message: bytes, key_id: bytes) -> bytes:
        """The hub's answer to a kit that asks whether it is there, by the key that the kit knows, or the newest."""
        pairs = self.own.pairs
        known = next((pair for pair in pairs if pair.public.sign_id == key_id), pairs[-1])
        return known.sign_key.sign(message)

    def _stamped(self) -> tuple[int, int]:
        try:
            stat = (self._directory / FILE).stat()
        except OSError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_ino


def renew(store: HubStore, directory: Path, *, anyway: bool = False) -> Card:
    """Give the hub new keys. Each kit learns them by a message signed with the old ones, which count for a while yet.

    Args:
        anyway: though kits have not learnt the last new ones; those then need the new card by hand.

    Raises:
        InputError: ``hub-keys-pending``, with those kits.
        StorageError: ``keys-unreadable`` or ``keys-unwritable``.
    """
    keyring = HubKeyring(store, directory)
    if not anyway and (behind := kits_behind(store, keyring.own)):
        raise InputError("hub-keys-pending", count=len(behind), kits=", ".join(behind[:20]))
    now_ms = store.clock.now_ms()
    made = rotated(keyring.own, now_ms)
    save_keys(directory, made)
    card = card_of(made)
    with store.writing() as connection:
        audit.append(connection, now_ms, "admin", "hub-keys-renewed", "hub", fingerprint=card.fingerprint)
    return card


def kits_behind(store: HubStore, own: OwnKeys) -> list[str]:
    """Kits in use that have not confirmed the hub's newest keys; none while the hub has one generation."""
    if len(own.pairs) == 1:
        return []
    newest = own.newest.public.sign_id
    return [kit.kit_id for kit in registered(store) if kit.revoked_ms is None and kit.knows != newest]


def read_card_file(file: Path) -> Card:
    """A kit's card from its file.

    Raises:
        InputError: ``card-file`` or ``card-text``.
    """
    try:
        return parse_card(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        raise InputError("card-file", path=file) from None


def add_kit(store: HubStore, card: Card) -> bool:
    """Register a kit, or give a registered one a new card (and its rights back). False where nothing changed.

    Raises:
        InputError: ``card-name``, the card is no kit's.
    """
    if not is_kit_id(card.name):
        raise InputError("card-name")
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        row = connection.execute(select(kits).where(kits.c.kit_id == card.name)).one_or_none()
        if row is not None and row.card == card.data and row.revoked_ms is None:
            return False
        if row is None:
            connection.execute(
                insert(kits).values(kit_id=card.name, card=card.data, pinned_ms=now_ms, added_ms=now_ms, knows=b"")
            )
        connection.execute(update(kits).where(kits.c.kit_id == card.name).values(revoked_ms=None, knows=b""))
        _keep(connection, card, now_ms)
        audit.append(connection, now_ms, "admin", "kit-added", f"kit:{card.name}", fingerprint=card.fingerprint)
    return True


def revoke_kit(store: HubStore, kit_id: str) -> None:
    """Take nothing more from a kit, and send it nothing more but that.

    Raises:
        InputError: ``kit-unknown``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        changed = connection.execute(update(kits).where(kits.c.kit_id == kit_id).values(revoked_ms=now_ms)).rowcount
        if not changed:
            raise InputError("kit-unknown", kit=kit_id[:40])
        audit.append(connection, now_ms, "admin", "kit-revoked", f"kit:{kit_id}")


def registered(store: HubStore) -> list[RegisteredKit]:
    """The register, by name."""
    with store.reading() as connection:
        rows = connection.execute(select(kits).order_by(kits.c.kit_id)).all()
    return [RegisteredKit(row.kit_id, read_card(row.card), row.added_ms, row.revoked_ms, row.knows) for row in rows]


def _keep(connection: Connection, card: Card, now_ms: int) -> None:
    connection.execute(update(kits).where(kits.c.kit_id == card.name).values(card=card.data, pinned_ms=now_ms))
    connection.execute(delete(kit_keys).where(kit_keys.c.kit_id == card.name))
    ids = [key.sign_id for key in card.keys]
    if card.emergency is not None:
        ids.append(key_id_of(card.emergency))
    # Whoever registers a key that is another kit's takes it from that one: it was proved to be theirs.
    connection.execute(delete(kit_keys).where(kit_keys.c.key_id.in_(ids)))
    connection.execute(insert(kit_keys), [{"key_id": id_, "kit_id": card.name} for id_ in ids])


def _days(name: str) -> int:
    table = tomllib.loads(files("zhenbao.hub").joinpath("renewal.toml").read_text("utf-8"))
    return int(table["keys"][name])


def _peer(connection: Connection, name: str) -> Peer | None:
    row = connection.execute(_PEER, {"wanted": name}).one_or_none()
    return None if row is None else _as_peer(row)


def _as_peer(row: Row[Any]) -> Peer:
    return Peer(read_card(row.card), row.revoked_ms is not None, row.knows)

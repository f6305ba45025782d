"""The hub's keys, and the register of kits: which cards are known, and which are revoked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from zhenbao.hub.store import HubStore, audit
from zhenbao.hub.store.tables import kit_keys, kits
from zhenbao.model.errors import InputError
from zhenbao.sync.keys import Card, OwnKeys, card_of, ensure_keys, key_id_of, parse_card, read_card, rotated, save_keys
from zhenbao.sync.names import HUB, is_kit_id
from zhenbao.sync.peers import Peer, Signer, signer_on

OVERLAP_MS = 30 * 86_400_000
"""How long a kit's older key is taken after its newer one is known: a kit may lie in a drawer for a month."""
_PEER = select(kits).where(kits.c.kit_id == bindparam("wanted"))
_SIGNER = (
    select(kits).join(kit_keys, kit_keys.c.kit_id == kits.c.kit_id).where(kit_keys.c.key_id == bindparam("wanted"))
)


@dataclass(frozen=True, slots=True)
class RegisteredKit:
    """A row of the register."""

    kit_id: str
    card: Card
    added_ms: int
    revoked_ms: int | None


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
        self._own = ensure_keys(directory, HUB, store.clock.now_ms())

    @property
    def own(self) -> OwnKeys:
        return self._own

    @property
    def card(self) -> Card:
        """For the kits."""
        return card_of(self._own)

    def peer(self, name: str) -> Peer | None:
        with self._store.reading() as connection:
            return _peer(connection, name)

    def signer(self, key_id: bytes) -> Signer | None:
        with self._store.reading() as connection:
            row = connection.execute(_SIGNER, {"wanted": key_id}).one_or_none()
        if row is None:
            return None
        overlap = self._store.clock.now_ms() - row.pinned_ms < OVERLAP_MS
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


def rotate(directory: Path, now_ms: int) -> OwnKeys:
    """Give the hub new keys; running kits are told by the running hub after its next start."""
    made = rotated(ensure_keys(directory, HUB, now_ms), now_ms)
    save_keys(directory, made)
    return made


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
    return [RegisteredKit(row.kit_id, read_card(row.card), row.added_ms, row.revoked_ms) for row in rows]


def _keep(connection: Connection, card: Card, now_ms: int) -> None:
    connection.execute(update(kits).where(kits.c.kit_id == card.name).values(card=card.data, pinned_ms=now_ms))
    connection.execute(delete(kit_keys).where(kit_keys.c.kit_id == card.name))
    ids = [key.sign_id for key in card.keys]
    if card.emergency is not None:
        ids.append(key_id_of(card.emergency))
    # Whoever registers a key that is another kit's takes it from that one: it was proved to be theirs.
    connection.execute(delete(kit_keys).where(kit_keys.c.key_id.in_(ids)))
    connection.execute(insert(kit_keys), [{"key_id": id_, "kit_id": card.name} for id_ in ids])


def _peer(connection: Connection, name: str) -> Peer | None:
    row = connection.execute(_PEER, {"wanted": name}).one_or_none()
    return None if row is None else _as_peer(row)


def _as_peer(row: Row[Any]) -> Peer:
    return Peer(read_card(row.card), row.revoked_ms is not None, row.knows)

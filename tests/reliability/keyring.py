"""Keys of the tests' kits and hub, made from their names, so that every process knows them without a file."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace

from zhenbao.sync.keys import Card, EmergencyKey, KeyPair, OwnKeys, card_of, key_id_of, read_card
from zhenbao.sync.names import is_emergency_side, kit_behind
from zhenbao.sync.peers import Peer, Signer, emergency_peer, signer_on

HUB = "hub"
REGISTERED = ("kit-001", *(f"kit-{n:04d}" for n in range(600)))


@functools.cache
def keys_of(name: str) -> OwnKeys:
    """The keys of a side."""

    def secret(use: str) -> bytes:
        return hashlib.sha256(f"{use} of {name} in reliability tests".encode()).digest()

    spare = EmergencyKey(name, secret("emergency")) if name != HUB else None
    return OwnKeys(name, (KeyPair(1, secret("sign"), secret("seal"), 1),), spare)


class Keyring:
    """Implements ``sync.peers.Keyring``: the hub knows every registered kit, a kit the hub."""

    def __init__(self, name: str) -> None:
        self.own = keys_of(name)
        self._names = set(REGISTERED if name == HUB else (HUB,))
        self._peers: dict[str, Peer] = {}

    def peer(self, name: str) -> Peer | None:
        if is_emergency_side(name):
            kit = self.peer(kit_behind(name))
            return emergency_peer(kit) if kit is not None else None
        if name in self._names and name not in self._peers:
            self._peers[name] = Peer(read_card(card_of(keys_of(name)).data))
        return self._peers.get(name)

    def signer(self, key_id: bytes) -> Signer | None:
        name = _names_by_key().get(key_id, "")
        peer = self.peer(name)
        return signer_on(peer, key_id) if peer is not None else None

    def pin(self, card: Card) -> bool:
        return False

    def known(self, name: str, sign_id: bytes) -> None:
        peer = self.peer(name)
        if peer is not None:
            self._peers[name] = replace(peer, knows=sign_id)


@functools.cache
def _names_by_key() -> dict[bytes, str]:
    known = {keys_of(name).newest.public.sign_id: name for name in (HUB, *REGISTERED)}
    spare = {name: keys_of(name).emergency for name in REGISTERED}
    return known | {key_id_of(key.public): name for name, key in spare.items() if key is not None}

"""Whom one talks to: whose keys are known, and what of one's own they know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from zhenbao.sync.keys import Card, KeyPair, OwnKeys, PublicKeys, key_id_of
from zhenbao.sync.names import emergency_side


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side, as registered or pinned."""

    card: Card
    revoked: bool = False
    knows: bytes = b""
    """The newest of our signing keys that it has confirmed; empty: it has what it was given at the beginning."""

    @property
    def name(self) -> str:
        return self.card.name


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose a signing key is."""

    peer: Peer
    public: bytes
    emergency_only: bool = False


def emergency_peer(peer: Peer) -> Peer | None:
    """A kit's emergency side, to which nothing but answers is sealed; None where its card shows none."""
    card = peer.card
    if card.emergency is None or card.emergency_seal is None:
        return None
    shown = Card(emergency_side(card.name), (PublicKeys(1, card.emergency, card.emergency_seal),))
    return Peer(shown, peer.revoked, peer.knows)


class Keyring(Protocol):
    """Own keys, and those of others. Looked at for every packet: another process may revoke or renew."""

    @property
    def own(self) -> OwnKeys:
        """This side's keys."""

    def peer(self, name: str) -> Peer | None:
        """By name; None for whom nobody has registered."""

    def signer(self, key_id: bytes) -> Signer | None:
        """By the id of a signing key that is accepted now, a revoked peer's too."""

    def pin(self, card: Card) -> bool:
        """Take a newer card of a known peer, which came signed by a key on the card before. False: it is no newer."""

    def known(self, name: str, sign_id: bytes) -> None:
        """A peer has confirmed our key."""


def pair_for(own: OwnKeys, peer: Peer) -> tuple[KeyPair, bool]:
    """With which generation to sign for a peer, and whether the newest must still be announced to it."""
    newest = own.newest
    if len(own.pairs) == 1 or peer.knows == newest.public.sign_id:
        return newest, False
    return own.pairs[-2], True


def signer_on(peer: Peer, key_id: bytes, *, old_accepted: bool = True) -> Signer | None:
    """The key of this id on a peer's card.

    Args:
        old_accepted: whether the overlap of the generation before the newest still lasts.
    """
    for key in peer.card.keys if old_accepted else peer.card.keys[-1:]:
        if key.sign_id == key_id:
            return Signer(peer, key.sign)
    emergency = peer.card.emergency
    if emergency is not None and key_id_of(emergency) == key_id:
        return Signer(peer, emergency, emergency_only=True)
    return None

"""From messages to packets and back, with the keys of both sides."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from zhenbao.model.errors import Rejected
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync import squeeze
from zhenbao.sync.envelope import Envelope, Lane, envelope_id
from zhenbao.sync.keys import Card, EmergencyKey, card_of, key_id_of
from zhenbao.sync.messages import (
    LATEST_MS,
    CardShown,
    ClockShown,
    Message,
    Receipts,
    decode,
    encode,
    signed_receipts,
    subject_in,
)
from zhenbao.sync.names import emergency_side
from zhenbao.sync.packet import BOOT_BYTES, MOST_DIRECT_BYTES, VERSION, Header, Kind, Packet, make_packet, read_packet
from zhenbao.sync.peers import Keyring, Peer, Signer, pair_for

_REMEMBERED = 1024
"""Packets of one start, and starts."""


class Sealer:
    """Makes and opens the packets of one engine, which names its start and counts what it makes.

    Args:
        name: whose packets.
        keyring: the keys of both sides.
        clock: shown to the other side with every packet, right or wrong; None: not shown.
    """

    def __init__(self, name: str, keyring: Keyring, clock: Clock | None = None) -> None:
        self.name = name
        self.keyring = keyring
        self._clock = clock
        self.boot = secrets.token_bytes(BOOT_BYTES)
        self.sequence = 0
        """Of the newest packet."""
        self._seen: dict[tuple[str, bytes], dict[int, bytes]] = {}

    def seal(
        self, peer: Peer, messages: Sequence[Message], kind: Kind = Kind.MAIL, *, dictionary: int = squeeze.NEWEST
    ) -> tuple[bytes, int]:
        """A packet for a peer, and its number. A new generation of keys is announced along with it.

        Raises:
            Rejected: ``packet-size``.
        """
        pair, announce = pair_for(self.keyring.own, peer)
        if announce and not any(isinstance(message, CardShown) for message in messages):
            messages = [*messages, CardShown(card_of(self.keyring.own).data)]
        if self._clock is not None:
            messages = [*messages, ClockShown(min(max(0, self._clock.now_ms()), LATEST_MS - 1))]
        self.sequence += 1
        to = peer.card.newest
        header = Header(self.name, peer.name, to.seal_id, self.boot, self.sequence, kind, dictionary=dictionary)
        plain = encode(messages)
        return (
            make_packet(header, plain, sign_key=pair.sign_key, sign_id=pair.public.sign_id, recipient=to),
            self.sequence,
        )

    def receipts(self, peer: Peer, listed: Sequence[Receipt]) -> Receipts:
        """Receipts for a peer, signed as they will be shown later."""
        pair, _ = pair_for(self.keyring.own, peer)
        return signed_receipts(listed, peer.name, pair)

    def read(self, data: bytes, road: str, most_bytes: int = MOST_DIRECT_BYTES) -> tuple[Packet, Signer]:
        """Who sent a packet, verified; nothing of it is opened.

        Args:
            road: the sender as the link names it.

        Raises:
            Refused: with the packet where it can be answered; ``Rejected`` inside says why.
        """
        packet = read_packet(data, most_bytes)
        signer = self.keyring.signer(packet.signed.key_id)
        if signer is None:
            raise Refused(Rejected("packet-signer"), packet, None)
        # From here on it is known who it was; before, anybody could have been.
        packet.verify(signer.public)
        header, refuse = packet.header, ""
        # Once the kit is unlocked, what was sealed while it was locked may come by its ordinary road.
        roads = {signer.peer.name, emergency_side(signer.peer.name)} if signer.emergency_only else {signer.peer.name}
        if road not in roads:
            refuse = "packet-sender"
        elif signer.peer.revoked:
            refuse = "packet-revoked"
        elif header.version > VERSION:
            refuse = "packet-version"
        elif header.sender != signer.peer.name:
            refuse = "packet-sender"
        elif header.recipient != self.name:
            refuse = "packet-recipient"
        elif signer.emergency_only is not (header.kind == Kind.EMERGENCY) or header.kind not in set(Kind):
            refuse = "packet-kind"
        elif not self._first(packet):
            refuse = "packet-replay"
        if refuse:
            raise Refused(Rejected(refuse), packet, signer)
        return packet, signer

    def open(self, packet: Packet, signer: Signer) -> list[Message]:
        """What is inside a packet that ``read`` let through.

        Raises:
            Refused: likewise.
        """
        header = packet.header
        try:
            pair = self.keyring.own.sealed_for(header.seal_id)
            if pair is None:
                raise Rejected("packet-key")
            plain = packet.open(pair.seal_key)
            key = next((key for key in signer.peer.card.keys if key.sign == signer.public), None)
            messages = decode(plain, header.sender, header.recipient, key)
            if signer.emergency_only and [m.kind for m in messages if isinstance(m, Envelope)] != ["emergency"]:
                raise Rejected("packet-kind")
        except Rejected as error:
            raise Refused(error, packet, signer) from error
        return messages if not signer.emergency_only else [m for m in messages if isinstance(m, Envelope)]

    def _first(self, packet: Packet) -> bool:
        """False for a number that came before with other bytes: one sender never counts a packet twice."""
        header = packet.header
        seen = self._seen.setdefault((header.sender, header.boot), {})
        digest = seen.setdefault(header.sequence, packet.sha256[:16])
        if len(seen) > _REMEMBERED:
            del seen[next(iter(seen))]
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return digest == packet.sha256[:16]


class Refused(Exception):
    """A packet that is not taken.

    Attributes:
        reason: why.
        signer: whose signature it bears; None where nobody here knows the key.
    """

    def __init__(self, reason: Rejected, packet: Packet, signer: Signer | None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.packet = packet
        self.signer = signer


def seal_to(recipient: Card, signer: EmergencyKey, kind: str, body: bytes) -> bytes:
    """Seal one body for the hub without any store: what is recorded while the tablet is locked.

    Args:
        recipient: the hub's card.
        signer: the kit's emergency key.
        kind: ``emergency``; the hub takes nothing else from this key.
        body: the packed value.

    Returns:
        A packet, to be kept as it is and handed to ``KitStore.post_sealed`` once the store is open.

    Raises:
        Rejected: ``packet-size``.
    """
    boot = secrets.token_bytes(BOOT_BYTES)
    subject_id = subject_in(body)
    if subject_id is None:
        raise Rejected("envelope-body")
    envelope = Envelope(
        envelope_id(signer.name, boot.hex(), 1),
        signer.name,
        recipient.name,
        boot.hex(),
        1,
        kind,
        Lane.CRITICAL,
        subject_id,
        subject_id.int >> 80 if subject_id.version == 7 else 0,
        body,
    )
    header = Header(signer.name, recipient.name, recipient.newest.seal_id, boot, 1, Kind.EMERGENCY)
    return make_packet(
        header,
        encode([envelope]),
        sign_key=signer.sign_key,
        sign_id=key_id_of(signer.public),
        recipient=recipient.newest,
    )

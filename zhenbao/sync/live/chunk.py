"""A piece of a running trace, in the clear between two processes of one kit and sealed on its way to the hub.

On a road it is a packet like others (signed, sealed for the hub), of a kind of its own and inside an array that says
so, so that a hub tells it from what is to be kept without opening it, and an older hub drops it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from zhenbao.model.errors import Rejected
from zhenbao.sync import squeeze
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.packet import BOOT_BYTES, Header, Kind, is_name, make_packet
from zhenbao.sync.peers import Keyring, Signer, pair_for
from zhenbao.sync.sealing import Refused, Sealer

MOST_BYTES = 16 << 10
STREAM_BYTES = 8
_HEAD = b"\x83\x02\x0a"
"""A CBOR array of three that begins with version 2 and message 10."""
_MOST_LEADS, _MOST_RATE_HZ, _MOST_SAMPLE = 12, 1000, 1 << 31
_LATEST_MS = 1 << 47


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some samples of one recording under way; the last one has none and says that it has ended."""

    stream: bytes
    """Names the recording; random."""
    encounter_id: UUID
    rate_hz: int
    leads: tuple[str, ...]
    lsb_mv: float
    first_sample: int
    """Counted in samples of this rate from the recording's begin: what is missing between two chunks is a gap."""
    samples: bytes
    """Little-endian int16 ``[n, leads]``; -32768 is no value."""
    kit_ms: int
    """What the kit's clock showed when the last sample came."""
    ended: bool = False

    @property
    def n_samples(self) -> int:
        """Of each lead."""
        return len(self.samples) // (2 * len(self.leads))


def to_bytes(chunk: Chunk) -> bytes:
    """A chunk in the clear."""
    return dumps(
        [
            chunk.stream,
            chunk.encounter_id.bytes,
            chunk.rate_hz,
            list(chunk.leads),
            chunk.lsb_mv,
            chunk.first_sample,
            chunk.samples,
            chunk.kit_ms,
            chunk.ended,
        ]
    )


def from_bytes(data: bytes) -> Chunk:
    """What ``to_bytes`` made, strictly checked.

    Raises:
        Rejected: ``message``.
    """
    match loads(data):
        case [bytes(stream), bytes(encounter), int(rate_hz), [*leads], float(lsb_mv), int(first), bytes(samples),
              int(kit_ms), bool(ended)] if (
            len(stream) == STREAM_BYTES
            and len(encounter) == 16
            and 0 < rate_hz <= _MOST_RATE_HZ
            and 0 < len(leads) <= _MOST_LEADS
            and all(isinstance(lead, str) and is_name(lead, 8) for lead in leads)
            and 0 < lsb_mv < 1
            and 0 <= first < _MOST_SAMPLE
            and len(samples) % (2 * len(leads)) == 0
            and 0 <= kit_ms < _LATEST_MS
        ):  # fmt: skip
            return Chunk(stream, UUID(bytes=encounter), rate_hz, tuple(leads), lsb_mv, first, samples, kit_ms, ended)
        case _:
            raise Rejected("message", reason="no live chunk")


def is_live(data: bytes) -> bool:
    """Whether these bytes claim to be a chunk on its way."""
    return data.startswith(_HEAD)


class LiveSealer:
    """Makes the packets of a kit's running traces. They are counted apart from those of its engine."""

    def __init__(self, name: str, keyring: Keyring) -> None:
        self._name = name
        self._keyring = keyring
        self._boot = secrets.token_bytes(BOOT_BYTES)
        self._sequence = 0

    def seal(self, recipient: str, chunk: bytes) -> bytes | None:
        """A chunk as it travels; None where the recipient is not known.

        Raises:
            Rejected: ``packet-size``.
        """
        peer = self._keyring.peer(recipient)
        if peer is None or peer.revoked:
            return None
        pair, _ = pair_for(self._keyring.own, peer)
        to = peer.card.newest
        self._sequence += 1
        header = Header(
            self._name, peer.name, to.seal_id, self._boot, self._sequence, Kind.LIVE, dictionary=squeeze.NONE
        )
        packet = make_packet(header, chunk, sign_key=pair.sign_key, sign_id=pair.public.sign_id, recipient=to)
        return dumps([2, 10, packet])


class LiveReader:
    """Opens what came. On one thread."""

    def __init__(self, name: str, keyring: Keyring) -> None:
        self._sealer = Sealer(name, keyring)

    def read(self, data: bytes, road: str) -> tuple[Signer, Chunk]:
        """Who sent a chunk, verified, and the chunk.

        Args:
            road: the sender as the link names it.

        Raises:
            Rejected: why it is not taken; nobody is told.
        """
        match loads(data):
            case [2, 10, bytes(inner)]:
                pass
            case _:
                raise Rejected("message", reason="no live chunk")
        try:
            packet, signer = self._sealer.read(inner, road, MOST_BYTES)
        except Refused as refused:
            raise refused.reason from None
        pair = self._sealer.keyring.own.sealed_for(packet.header.seal_id)
        if packet.header.kind != Kind.LIVE or pair is None:
            raise Rejected("packet-kind")
        return signer, from_bytes(packet.open(pair.seal_key, MOST_BYTES))

"""Parts of a packet that is too large to travel in one piece.

A packet is sealed and signed once; its parts are slices of those very bytes. A part carries no signature: a wrong one
is found when the packet, put together, does not verify. Around its bytes there are 22 more.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from zhenbao.model.errors import Rejected
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.envelope import Lane
from zhenbao.sync.messages import TRANSFER_BYTES
from zhenbao.sync.packet import MOST_SEALED_BYTES

PART_BYTES = 4096
"""Half a second of a 64 kbit/s uplink: what a critical item waits for."""
MOST_PARTS = MOST_SEALED_BYTES // PART_BYTES
MOST_HALF = 24
"""Transfers of one peer that may be half there: a kit that is cut off begins few."""
MOST_HALF_BYTES = 64 << 20
"""Of one peer, so that nobody fills the disk."""
HALF_AGE_MS = 14 * 86_400_000
"""A kit may be without a network for days; after two weeks it begins again."""
DONE_AGE_MS = 3 * 86_400_000
"""How long the answer to a transfer is remembered: a lost one is asked for within minutes, or after an outage."""
MOST_FUTURE = 200
"""Packets of a later version that are kept of one peer."""
_HEAD = b"\x87\x02\x09"
"""A CBOR array of seven that begins with version 2 and message 9."""
_LANES = frozenset(Lane)


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of a packet."""

    transfer: bytes
    """The first eight bytes of the whole packet's SHA-256."""
    number: int
    """From 0."""
    count: int
    data: bytes
    lane: Lane = Lane.BULK
    """Of the item in the packet, as the sender says: a critical one finds room."""


def transfer_of(packet: bytes) -> bytes:
    """The name of a transfer."""
    return sha256(packet).digest()[:TRANSFER_BYTES]


def count_of(size_bytes: int) -> int:
    """How many parts a packet makes."""
    return -(-size_bytes // PART_BYTES)


def is_part(data: bytes) -> bool:
    """Whether these bytes claim to be a part."""
    return data.startswith(_HEAD)


def encode_part(part: Part) -> bytes:
    """A part for the wire."""
    body = zlib.crc32(part.data).to_bytes(4, "big") + part.data
    return dumps([2, 9, part.transfer, part.number, part.count, int(part.lane), body])


def decode_part(data: bytes) -> Part:
    """A part from the wire.

    Raises:
        Rejected: ``message``.
    """
    if len(data) > PART_BYTES + 64:
        raise Rejected("message", reason="part")
    match loads(data):
        case [2, 9, bytes(transfer), int(number), int(count), int(lane), bytes(body)] if (
            len(transfer) == TRANSFER_BYTES
            and 0 <= number < count <= MOST_PARTS
            and lane in _LANES
            and 4 < len(body) <= PART_BYTES + 4
            and (len(body) == PART_BYTES + 4 or number == count - 1)
            and zlib.crc32(body[4:]) == int.from_bytes(body[:4], "big")
        ):
            return Part(transfer, number, count, body[4:], Lane(lane))
        case _:
            raise Rejected("message", reason="part")


def make_room(known: Sequence[tuple[bytes, int]], new: Part) -> list[bytes]:
    """Which half transfers of a peer must go so that it may begin another: for a critical one's sake, the oldest.

    What goes is sent again, later. A peer that calls everything critical throws out its own, and holds no more than
    any other.

    Args:
        known: transfers of this peer that are half there, with their counts; the one gone on with last, last.
        new: the first part of another one.

    Raises:
        Rejected: ``transfer-quota``.
    """
    gone = 0
    while (
        len(known) - gone >= MOST_HALF
        or PART_BYTES * (new.count + sum(count for _, count in known[gone:])) > MOST_HALF_BYTES
    ):
        if new.lane is not Lane.CRITICAL or gone == len(known):
            raise Rejected("transfer-quota")
        gone += 1
    return [transfer for transfer, _ in known[:gone]]

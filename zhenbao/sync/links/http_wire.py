"""What travels in the HTTPS road's bodies: CBOR arrays, strictly read on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import cbor2

from zhenbao.model.errors import Rejected

UP_PATH, DOWN_PATH = "/sync/v1/up", "/sync/v1/down"
EMERGENCY_PATH, RECEIPT_PATH = "/sync/v1/emergency", "/sync/v1/receipt"
"""The same two for a locked kit's emergency side, which the others are closed to."""
CONTENT_TYPE = "application/cbor"
MOST_PACKETS = 256
MOST_BYTES = 4 << 20
"""The largest packet."""
MOST_BODY_BYTES = 6 << 20
"""The largest body: a batch is closed before the packet that would exceed a quarter of a packet's limit."""
LONGEST_WAIT_S = 50
"""How long the hub may keep a request for the mailbox open; proxies commonly cut at 60 s."""
REFUSED_HEADER, TIME_HEADER = "zhenbao-refused", "zhenbao-time"
"""Why a request was refused (an error's code), and the hub's time then (Unix s)."""
TAKEN, TOO_LARGE, BUSY = "taken", "link-too-large", "busy"
"""What became of each packet: handed to the hub's engine (no receipt!), never to be carried, or to be sent again."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What lay in a kit's mailbox."""

    epoch: str
    """Of this mailbox in the hub's memory; another one means that numbers began anew."""
    last: int
    """Number of the last packet here; asking for what comes after it says that these arrived."""
    packets: list[bytes]


def pack_batch(packets: list[bytes]) -> bytes:
    """Packets for one POST."""
    return cbor2.dumps(packets)


def unpack_batch(body: bytes) -> list[bytes]:
    """The packets of one POST.

    Raises:
        Rejected: ``message``.
    """
    match _loads(body):
        case list(packets) if len(packets) <= MOST_PACKETS and all(type(packet) is bytes for packet in packets):
            return packets
        case _:
            raise Rejected("message", reason="not a batch")


def pack_results(results: list[str]) -> bytes:
    """What became of each packet."""
    return cbor2.dumps(results)


def unpack_results(body: bytes, count: int) -> list[str]:
    """What became of each of ``count`` packets.

    Raises:
        Rejected: ``message``.
    """
    match _loads(body):
        case list(results) if len(results) == count and all(type(result) is str for result in results):
            return results
        case _:
            raise Rejected("message", reason="not a batch's results")


def pack_mail(mail: Mail) -> bytes:
    return cbor2.dumps([mail.epoch, mail.last, mail.packets])


def unpack_mail(body: bytes) -> Mail:
    """Raises Rejected, ``message``, where these bytes are no mail."""
    match _loads(body):
        case [str(epoch), int(last), list(packets)] if last >= 0 and all(type(packet) is bytes for packet in packets):
            return Mail(epoch, last, packets)
        case _:
            raise Rejected("message", reason="not a mailbox's content")


def _loads(body: bytes) -> object:
    try:
        return cbor2.loads(body)
    except (
        cbor2.CBORDecodeError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # As in sync.envelope: cbor2 builds dates and patterns while it reads, and lets some of their errors through.
        raise Rejected("message", reason=f"not CBOR: {type(error).__name__}") from error

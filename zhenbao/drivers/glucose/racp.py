"""Record Access Control Point (2A52): how a collector asks a meter for its stored records.

Source: Bluetooth Glucose Service 1.0.1, section 3.4. Only requests that read are built here; none deletes.
"""

from dataclasses import dataclass

from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError

REPORT_ALL = bytes.fromhex("0101")
REPORT_LAST = bytes.fromhex("0106")
COUNT_ALL = bytes.fromhex("0401")
_NUMBER_OF_RECORDS, _RESPONSE = 0x05, 0x06
_COUNT_SIZES = (1, 2, 4)

SUCCESS, NO_RECORDS = 1, 6
UNSUPPORTED = frozenset({2, 3, 4, 5, 9})
"""Operation or operator unsupported or invalid, operand invalid or unsupported: asking in another way may work."""


@dataclass(frozen=True, slots=True)
class RecordCount:
    """How many records match."""

    count: int


@dataclass(frozen=True, slots=True)
class RacpResponse:
    """How a request ended."""

    request: int
    code: int
    """1 success, 2 to 5 and 9 not supported or invalid, 6 no records, 7 abort failed, 8 not completed."""


def report_from(sequence: int) -> bytes:
    """Ask for all records with this sequence number or a later one.

    Raises:
        ValueError: not an unsigned 16-bit number.
    """
    if not 0 <= sequence <= 0xFFFF:
        raise ValueError(f"{sequence} is not a sequence number")
    return b"\x01\x03\x01" + sequence.to_bytes(2, "little")


def decode_response(frame: bytes) -> RecordCount | RacpResponse:
    """What the meter indicates on 2A52.

    The count is two bytes in the specification; one and four bytes are taken too, as other collectors do.

    Raises:
        FrameError: another operation, an operator other than null, or a wrong length.
    """
    reader = Reader(frame)
    operation = reader.u8("operation")
    if operation not in (_NUMBER_OF_RECORDS, _RESPONSE):
        raise FrameError(frame, 0, "operation 5 or 6")
    if reader.u8("operator") != 0:
        raise FrameError(frame, 1, "a null operator")
    if operation == _NUMBER_OF_RECORDS:
        if reader.left not in _COUNT_SIZES:
            raise FrameError(frame, 2, "a count of 1, 2 or 4 bytes")
        return RecordCount(int.from_bytes(reader.take(reader.left, "count"), "little"))
    response = RacpResponse(reader.u8("request"), reader.u8("response code"))
    reader.end()
    return response

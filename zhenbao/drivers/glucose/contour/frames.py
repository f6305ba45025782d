"""ASTM E1381: bytes to frames and control characters, and back to checked text.

A frame is STX, one digit, text, ETX or ETB, two hexadecimal digits, CR, LF. The digits are the sum, modulo 256, of all
bytes from the first digit to ETX or ETB.

Source: ASTM E1381 as glucometerutils (MIT) and tidepool-org/uploader (BSD-2) use it for Bayer and Ascensia meters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

STX, ETX, EOT, ENQ, ACK, LF, CR, NAK, ETB = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0D, 0x15, 0x17
LONGEST_TEXT = 2048
"""The standard allows 240; headers of these meters are longer."""
_TAIL = 4
_CONTROLS = frozenset({EOT, ENQ, ACK, NAK})


@dataclass(frozen=True, slots=True)
class Control:
    """A control character outside any frame: ENQ, ACK, NAK or EOT."""

    byte: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose sum is right."""

    number: int
    """0 to 7."""
    text: bytes
    last: bool
    """It ended with ETX: the message ends here."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A frame that must be sent again."""

    frame: bytes
    offset: int
    expected: str


Piece = Control | Frame | Damaged


@dataclass(slots=True)
class Decoder:
    """Cuts a byte stream, however it is chunked, into pieces; bytes between them are noise and dropped."""

    _frame: bytearray = field(default_factory=bytearray)
    _end: int = 0
    """Where ETX or ETB stands in the frame; 0 before it came."""

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Add received bytes; yield what they complete."""
        for byte in chunk:
            yield from self._take(byte)

    def give_up(self) -> bool:
        """Silence: forget a frame that was begun. True where one was."""
        begun = bool(self._frame)
        self._frame.clear()
        self._end = 0
        return begun

    def _take(self, byte: int) -> Iterator[Piece]:
        if not self._frame:
            if byte == STX:
                self._frame.append(byte)
            elif byte in _CONTROLS:
                yield Control(byte)
            return
        if byte == STX or byte in _CONTROLS:
            # None of them may stand in a frame: its end was lost.
            yield self._damaged(len(self._frame), "ETX or ETB")
            yield from self._take(byte)
            return
        if self._end:
            self._frame.append(byte)
            if len(self._frame) == self._end + 1 + _TAIL:
                yield self._finished()
            return
        self._frame.append(byte)
        if byte in (ETX, ETB):
            self._end = len(self._frame) - 1
        elif len(self._frame) > LONGEST_TEXT:
            yield self._damaged(len(self._frame), "ETX or ETB")

    def _finished(self) -> Piece:
        frame, end = bytes(self._frame), self._end
        total = sum(frame[1 : end + 1]) & 0xFF
        if frame[end + 1 : end + 3] != b"%02X" % total:
            return self._damaged(end + 1, f"the sum {total:02X}")
        if frame[end + 3 :] != bytes([CR, LF]):
            return self._damaged(end + 3, "CR and LF")
        if end < 2 or not 0x30 <= frame[1] <= 0x37:
            return self._damaged(1, "a digit from 0 to 7")
        self.give_up()
        return Frame(frame[1] - 0x30, frame[2:end], frame[end] == ETX)

    def _damaged(self, offset: int, expected: str) -> Damaged:
        frame = bytes(self._frame)
        self.give_up()
        return Damaged(frame, offset, expected)

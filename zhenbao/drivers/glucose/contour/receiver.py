"""ASTM E1381, the receiver's side without any input or output: bytes in, bytes to answer and whole records out.

The meter offers with ENQ and is accepted with ACK. Each frame is acknowledged, or refused with NAK and sent again.
EOT ends it. A frame that comes a second time (its ACK was lost) is acknowledged and not taken again.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from zhenbao.drivers.glucose.contour.frames import ACK, ENQ, EOT, NAK, Control, Damaged, Decoder, Frame, Piece
from zhenbao.model.errors import FrameError


class State(Enum):
    """Where the transfer stands."""

    WAITING = auto()
    """For the meter's ENQ."""
    RECEIVING = auto()
    ENDED = auto()
    """EOT came."""


@dataclass(slots=True)
class Receiver:
    """One transfer."""

    state: State = State.WAITING
    busy: bool = False
    """The meter answered with NAK: it is not ready to send."""
    refused: FrameError | None = None
    """The last damage, until a good frame came."""
    failures: int = 0
    """What did not bring the transfer on since the last good frame: refusals, silences, repetitions, new offers."""
    frames: int = 0
    """Good frames taken."""
    _decoder: Decoder = field(default_factory=Decoder)
    _number: int | None = None
    """Of the last good frame; None before the first, which is 1."""
    _text: bytearray = field(default_factory=bytearray)
    _records: list[bytes] = field(default_factory=list)

    def receive(self, chunk: bytes) -> bytes:
        """What to answer to received bytes; may be nothing."""
        return b"".join(self._answer(piece) for piece in self._decoder.feed(chunk))

    def silence(self) -> bytes:
        """What to send after a silence: before the transfer a nudge (EOT), in it a request to send again (NAK)."""
        self.failures += 1
        self._decoder.give_up()
        if self.state is State.WAITING:
            return bytes([EOT])
        return b"" if self.state is State.ENDED else bytes([NAK])

    def take_records(self) -> list[bytes]:
        """The records completed since the last call, without their CR."""
        records, self._records = self._records, []
        return records

    def _answer(self, piece: Piece) -> bytes:
        if self.state is State.ENDED:
            return b""
        if isinstance(piece, Control):
            return self._control(piece.byte)
        if self.state is State.WAITING:
            return b""  # some meters send their header before they offer; it comes again after ENQ
        if isinstance(piece, Damaged):
            return self._refuse(FrameError(piece.frame, piece.offset, piece.expected))
        return self._frame(piece)

    def _control(self, byte: int) -> bytes:
        if byte == ENQ:
            # Also in mid-transfer: the meter begins anew, and so do its numbers.
            self.failures = 0 if self.state is State.WAITING else self.failures + 1
            self.state, self.busy = State.RECEIVING, False
            self._number = None
            self._text = bytearray()
            return bytes([ACK])
        if byte == EOT and self.state is State.RECEIVING:
            self._complete()
            self.state = State.ENDED
        elif byte == NAK and self.state is State.WAITING:
            self.busy = True
        return b""

    def _frame(self, frame: Frame) -> bytes:
        expected = ((self._number or 0) + 1) % 8
        if frame.number == self._number:
            self.failures += 1
            return bytes([ACK])
        if frame.number != expected:
            return self._refuse(FrameError(frame.text, 0, f"frame number {expected}"))
        self._number = frame.number
        self.failures, self.refused = 0, None
        self.frames += 1
        self._text += frame.text
        *whole, rest = bytes(self._text).split(b"\r")
        self._records += [record for record in whole if record.strip()]
        self._text = bytearray(rest)
        if frame.last:
            self._complete()
        return bytes([ACK])

    def _complete(self) -> None:
        if self._text.strip():
            self._records.append(bytes(self._text))
        self._text = bytearray()

    def _refuse(self, error: FrameError) -> bytes:
        self.failures += 1
        self.refused = error
        return bytes([NAK])

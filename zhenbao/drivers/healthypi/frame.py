"""HealthyPi frames: bytes to ECG samples. Layouts: docs/devices/healthypi5.md.

There is no checksum and no counter. A frame counts only where header, length, type and footer agree; after anything
else the decoder hunts for the next header, and says that something was lost.

What is not read, on purpose: the blood pressure of v4 (the firmware writes the constants 80 and 120), and the
temperature of type 04 (the firmware sends its high byte twice).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError

_HEADER, _FOOTER = b"\x0a\xfa", b"\x00\x0b"
_FIXED = 5
"""Bytes before the payload: header, length, type."""
_LENGTHS = {2: (20, 22), 3: (50,), 4: (19,)}
"""Payload bytes by type; type 02 has 22 on a HealthyPi 5 and 20 on v4."""
_V4_BYTES = 20
_PER_FRAME = 8
MOST_BYTES = _FIXED + 50 + len(_FOOTER)


@dataclass(frozen=True, slots=True)
class EcgCounts:
    """ECG of one frame, in the converter's counts; one sample (type 02) or eight (type 03)."""

    counts: tuple[int, ...]
    lead_off: int | None = None
    """The status byte of v4's amplifier; None where the board sends none."""
    firmware: str = "5"


@dataclass(frozen=True, slots=True)
class Damage:
    """So many bytes belonged to no frame: samples were lost here."""

    n_bytes: int


def decode_payload(type_: int, payload: bytes) -> EcgCounts | None:
    """The ECG in a frame; None in a type without one.

    Raises:
        FrameError: no such type, or not its length.
    """
    if len(payload) not in _LENGTHS.get(type_, ()):
        raise FrameError(payload, 0, f"the length of a known type, not {len(payload)} bytes of type {type_}")
    reader = Reader(payload)
    if type_ == 2 and len(payload) == _V4_BYTES:
        return EcgCounts((reader.s16("ecg"),), payload[-1], "4")
    if type_ == 2:
        return EcgCounts((_s32(reader),))
    if type_ == 3:
        return EcgCounts(tuple(_s32(reader) for _ in range(_PER_FRAME)))
    return None


@dataclass(slots=True)
class Decoder:
    """Cuts a byte stream, however it is chunked, into checked frames."""

    damaged: int = 0
    """How often something was lost."""
    _buffer: bytearray = field(default_factory=bytearray)
    _dropped: int = 0
    _synchronous: bool = False
    """A frame was seen: what lies before the first one is only where the kit began to listen."""

    def feed(self, chunk: bytes) -> Iterator[EcgCounts | Damage]:
        """Add received bytes; yield every ECG they complete, and every damage before it."""
        self._buffer += chunk
        while (size := self._frame_size()) is not None:
            if size == 0:
                del self._buffer[0]
                self._dropped += 1
                continue
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            if self._dropped and self._synchronous:
                self.damaged += 1
                yield Damage(self._dropped)
            self._dropped, self._synchronous = 0, True
            ecg = decode_payload(frame[4], frame[_FIXED : -len(_FOOTER)])
            if ecg is not None:
                yield ecg

    def _frame_size(self) -> int | None:
        """Bytes of the frame at the buffer's beginning; 0 if there is none, None if more bytes must tell."""
        buffer = self._buffer
        if not _HEADER.startswith(bytes(buffer[:2])):
            return 0
        if len(buffer) < _FIXED:
            return None
        length = int.from_bytes(buffer[2:4], "little")
        if length not in _LENGTHS.get(buffer[4], ()):
            return 0
        size = _FIXED + length + len(_FOOTER)
        if len(buffer) < size:
            return None
        return size if buffer[size - 2 : size] == _FOOTER else 0


def _s32(reader: Reader) -> int:
    return int.from_bytes(reader.take(4, "ecg"), "little", signed=True)

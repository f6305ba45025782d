"""Frames of the front-end's serial protocol (docs/devices/front-end.md, section 1), without input or output."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SYNC = b"\xa5\x5a"
MAX_PAYLOAD = 1024
_HEADER = struct.Struct("<2sBHHQ")
_CRC = struct.Struct("<I")
OVERHEAD = _HEADER.size + _CRC.size
MAX_FRAME = OVERHEAD + MAX_PAYLOAD


@dataclass(frozen=True, slots=True)
class Frame:
    """One checked frame."""

    type: int
    sequence: int
    """Counts the sender's frames, modulo 65536."""
    time_us: int
    """Device to host: microseconds since its power-up; host to device: 0."""
    payload: bytes


def encode(frame: Frame) -> bytes:
    """A frame for the wire.

    Raises:
        ValueError: the payload is longer than 1024 bytes.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(frame.payload)} bytes does not fit a frame")
    header = _HEADER.pack(SYNC, frame.type, len(frame.payload), frame.sequence, frame.time_us)
    return header + frame.payload + _CRC.pack(zlib.crc32(header[2:] + frame.payload))


@dataclass(slots=True)
class Decoder:
    """Cuts a byte stream, however it is chunked, into checked frames.

    Damage is counted, never guessed over: after a wrong sum or an impossible length the decoder drops one byte and
    hunts for the next sync mark in what it holds. It never holds more than one frame (1043 bytes).
    """

    bad_sums: int = 0
    bad_lengths: int = 0
    dropped_bytes: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    @property
    def held_bytes(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Add received bytes; yield every frame they complete."""
        # In slices, so that a burst of any size is searched in place and the buffer stays small.
        for start in range(0, len(chunk), MAX_FRAME):
            self._buffer += chunk[start : start + MAX_FRAME]
            yield from self._complete()

    def flush(self) -> Iterator[Frame]:
        """Give up the frame that is waiting for its rest, and yield the whole frames that stand behind it.

        For a line that went silent: a damaged length field can make the decoder wait for bytes that never come, while
        good frames are already held. With nothing held, or nothing whole behind, it yields nothing.
        """
        while self._buffer:
            self._drop(1)
            yield from self._complete()

    def _complete(self) -> Iterator[Frame]:
        buffer = self._buffer
        while True:
            start = buffer.find(SYNC)
            if start < 0:
                # The last byte may be the first half of a sync mark.
                self._drop(len(buffer) - (buffer[-1:] == SYNC[:1]))
                return
            self._drop(start)
            if len(buffer) < _HEADER.size:
                return
            _, type_, length, sequence, time_us = _HEADER.unpack_from(buffer)
            if length > MAX_PAYLOAD:
                self.bad_lengths += 1
                self._drop(1)
                continue
            end = _HEADER.size + length
            if len(buffer) < end + _CRC.size:
                return
            (crc,) = _CRC.unpack_from(buffer, end)
            if zlib.crc32(buffer[2:end]) != crc:
                self.bad_sums += 1
                self._drop(1)
                continue
            payload = bytes(buffer[_HEADER.size : end])
            del buffer[: end + _CRC.size]
            yield Frame(type_, sequence, time_us, payload)

    def _drop(self, size: int) -> None:
        self.dropped_bytes += size
        del self._buffer[:size]

"""Contec spirometer frames: where they begin and end, and their sums. Facts: docs/devices/contec-sp10.md.

A frame begins with the only byte that has bit 7 set, and ends with the sum of all bytes before, modulo 128. Of two
kinds of greeting (F2, F3) the length is not known: they end where the next frame begins, or with silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

HELLO, READY, CLOCK_SET, PREDICTED, COUNT, RECORD, WAVE = 0xF0, 0xF2, 0xF3, 0xE4, 0xE0, 0xE1, 0xE2
_SIZES = {HELLO: 2, PREDICTED: 23, COUNT: 10, RECORD: 44}
_OPEN = (READY, CLOCK_SET)
_WAVE_FIXED, _WAVE_POINT = 4, 8


def check_sum(frame: bytes) -> int:
    """The last byte of a frame that begins like this."""
    return sum(frame) & 0x7F


def summed(*values: int) -> bytes:
    """A frame with its sum."""
    return bytes((*values, check_sum(bytes(values))))


@dataclass(slots=True)
class Decoder:
    """Cuts a byte stream, however it is chunked, into frames whose sum is right."""

    bad_sums: int = 0
    dropped: int = 0
    """Bytes that belonged to no frame."""
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Add received bytes; yield every frame they complete, its sum included. F2 and F3 come as one byte."""
        self._buffer += chunk
        while self._buffer:
            head = self._buffer[0]
            if head in _OPEN:
                del self._buffer[0]
                yield bytes((head,))
                continue
            if head < 0x80 or (head not in _SIZES and head != WAVE):
                # Also what follows F2 and F3, whose length nobody has written down.
                del self._buffer[0]
                self.dropped += 1
                continue
            size = self._size(head)
            cut = next((i for i in range(1, min(size or 0, len(self._buffer))) if self._buffer[i] >= 0x80), None)
            if cut is not None:
                # A new frame begins inside this one: its rest was lost.
                del self._buffer[:cut]
                self.bad_sums += 1
                continue
            if size is None or len(self._buffer) < size:
                return
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            if check_sum(frame[:-1]) != frame[-1]:
                self.bad_sums += 1
                continue
            yield frame

    def _size(self, head: int) -> int | None:
        """Bytes of the frame that begins here; None if more bytes must tell."""
        if head != WAVE:
            return _SIZES[head]
        if len(self._buffer) < 3:
            return None
        return _WAVE_FIXED + _WAVE_POINT * (self._buffer[2] & 0x7F)

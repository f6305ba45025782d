"""Reads a frame field by field, little-endian, and says exactly where and what is missing."""

from dataclasses import dataclass
from decimal import Decimal

from zhenbao.drivers.medfloat import Special, sfloat
from zhenbao.model.errors import FrameError


@dataclass(slots=True)
class Reader:
    """A position in a frame. Every taker raises ``FrameError`` with the field's name if the frame ends before it."""

    frame: bytes
    offset: int = 0

    def take(self, size: int, field: str) -> bytes:
        """The next ``size`` bytes."""
        part = self.frame[self.offset : self.offset + size]
        if len(part) != size:
            raise FrameError(self.frame, self.offset, f"{field} ({size} bytes)")
        self.offset += size
        return part

    def u8(self, field: str) -> int:
        return self.take(1, field)[0]

    def u16(self, field: str) -> int:
        return int.from_bytes(self.take(2, field), "little")

    def u32(self, field: str) -> int:
        return int.from_bytes(self.take(4, field), "little")

    def s16(self, field: str) -> int:
        return int.from_bytes(self.take(2, field), "little", signed=True)

    def sfloat(self, field: str) -> Decimal | Special:
        return sfloat(self.u16(field))

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.frame) - self.offset

    def end(self) -> None:
        """Nothing may follow: bytes that no flag announces mean that the fields before them were read wrongly."""
        if self.left:
            raise FrameError(self.frame, self.offset, "the end of the frame")

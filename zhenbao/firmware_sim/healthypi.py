"""A simulated HealthyPi: ECG frames over USB serial, as long as it has power. Facts: docs/devices/healthypi5.md."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zhenbao.firmware_sim.serial_board import SerialBoard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["sample", "block", "v4"]
"""Type 02 of a HealthyPi 5, types 03 and 04 of a HealthyPi 5, type 02 of v4."""
_BLOCK = 8


@dataclass(frozen=True, slots=True)
class HealthyPiFaults:
    """What happens to the frames; counted from 1, 0 is never."""

    drop_every: int = 0
    """Every k-th frame loses its second half."""
    garbage_every: int = 0
    """Noise that looks like a header comes before every k-th frame."""
    footer_every: int = 0
    """The footer of every k-th frame is bent."""
    silent_after: int = 0
    lead_off: tuple[int, int] = (0, 0)
    """Samples [start, stop) at which v4's amplifier reports an electrode off."""
    cut_after_bytes: int | None = None
    """The cable is pulled after so many bytes."""


class HealthyPi(SerialBoard):
    """The board. ``counts`` is what its converter reads; it begins again at its end."""

    def __init__(
        self,
        counts: Sequence[int],
        *,
        rate_hz: float = 125.0,
        kind: Kind = "sample",
        speed: float = 1.0,
        faults: HealthyPiFaults = HealthyPiFaults(),
        chunk_bytes: int = 4096,
        link: Path | None = None,
    ) -> None:
        super().__init__(chunk_bytes, link=link, cut_after_bytes=faults.cut_after_bytes)
        self._counts = counts
        self._rate_hz = rate_hz
        self._kind = kind
        self._speed = speed
        self._faults = faults

    def run(self) -> None:
        began_s = time.monotonic()
        for number, (at, frame) in enumerate(self._frames(), 1):
            if not self.wait(max(0.0, began_s + at / (self._rate_hz * self._speed) - time.monotonic())):
                return
            if self._faults.silent_after and number > self._faults.silent_after:
                continue
            self.send(self._bent(number, frame))

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        while True:
            if self._kind == "block":
                ecg = [self._count(at + k) for k in range(_BLOCK)]
                block = _frame(3, struct.pack("<8i4iBB", *ecg, 0, 0, 0, 0, 72, 16))
                yield at + _BLOCK, block + _frame(4, struct.pack("<8hBBB", *([100] * _BLOCK), 97, 14, 14))
                at += _BLOCK
                continue
            ecg_now = self._count(at)
            if self._kind == "v4":
                start, stop = self._faults.lead_off
                off = 1 if start <= at < stop else 0
                # 80 and 120: the blood pressure that this firmware makes up.
                payload = struct.pack("<hhiihBBBBBB", ecg_now, 0, 1000, 1000, 3650, 16, 97, 72, 80, 120, off)
            else:
                payload = struct.pack("<iiBiihBBB", ecg_now, 0, 0xFF, 1000, 1000, 3650, 97, 72, 16)
            yield at + 1, _frame(2, payload)
            at += 1

    def _count(self, at: int) -> int:
        return int(self._counts[at % len(self._counts)])

    def _bent(self, number: int, frame: bytes) -> bytes:
        faults = self._faults
        if faults.drop_every and number % faults.drop_every == 0:
            frame = frame[: len(frame) // 2]
        if faults.footer_every and number % faults.footer_every == 0:
            frame = frame[:-1] + b"\x7f"
        if faults.garbage_every and number % faults.garbage_every == 0:
            frame = bytes.fromhex("0a fa 16 00 07 0a 0a fa") + frame
        return frame


def _frame(type_: int, payload: bytes) -> bytes:
    return b"\x0a\xfa" + struct.pack("<HB", len(payload), type_) + payload + b"\x00\x0b"

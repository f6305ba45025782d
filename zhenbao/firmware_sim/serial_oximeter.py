"""A simulated Contec CMS50D+ (firmware up to 4.4) on a pseudo-terminal: 60 packets a second, on a thread of its own."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from zhenbao.firmware_sim import oximeter_layouts as layouts
from zhenbao.firmware_sim.oximeter import Finger

PACKETS_PER_S = 60
_BURST_S = 0.02
_HOST_READS_WITHIN_S = 0.2


@dataclass(frozen=True, slots=True)
class SerialOximeterFaults:
    """What may be wrong with the oximeter or its cable. Counts are of bytes, from 1; 0 is never."""

    silent: bool = False
    searching: bool = False
    """It never finds the pulse; its packets carry zeros."""
    probe: bool = False
    """Its packets say probe error beside their numbers."""
    moving: bool = False
    """The saturation jumps by three per cent every second."""
    corrupt_every: int = 0
    """One bit of every k-th byte is flipped."""
    lose_every: int = 0
    """Every k-th byte is lost."""
    stops_after_s: float | None = None
    """It switches itself off after so many seconds of its own time."""
    cut_after_bytes: int = 0
    """The cable is pulled after so many bytes."""


class SerialOximeter:
    """The oximeter; ``with SerialOximeter() as oximeter``, the host opens ``oximeter.port``.

    Args:
        finger: what is in it at the start.
        speed: how many times faster than real time it sends.
        link: symbolic link to its port, for a name that stays.
    """

    def __init__(
        self,
        finger: Finger | None = None,
        *,
        faults: SerialOximeterFaults = SerialOximeterFaults(),
        speed: float = 1.0,
        link: Path | None = None,
    ) -> None:
        self.finger = finger
        self.faults = faults
        self.port = ""
        self._speed = speed
        self._link = link
        self._bytes = 0
        self._plugged = True
        self._off = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cms50d-plus", daemon=True)

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()
        # The slave stays open here too: the line then outlives a host that closes and opens its port.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.port)
            self.port = str(self._link)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._off.set()
        self._thread.join()
        if self._plugged:
            self._pull_cable()
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def packet(self, n: int) -> bytes:
        """The n-th packet since power-on."""
        pleth = round(64 + 50 * math.sin(2 * math.pi * 1.2 * n / PACKETS_PER_S))
        finger, faults = self.finger, self.faults
        if finger is None:
            return layouts.cms50d_plus(0, 0, 0, finger_out=True)
        if faults.searching:
            return layouts.cms50d_plus(0, 0, pleth, searching=True)
        jump = 3 * (n // PACKETS_PER_S % 2) if faults.moving else 0
        return layouts.cms50d_plus(finger.saturation - jump, finger.pulse, pleth, probe=faults.probe)

    def _run(self) -> None:
        began, sent = time.monotonic(), 0
        while not self._off.wait(_BURST_S):
            due = round((time.monotonic() - began) * self._speed * PACKETS_PER_S)
            stop = self.faults.stops_after_s
            if self.faults.silent or (stop is not None and sent >= stop * PACKETS_PER_S):
                continue
            burst = b"".join(self._on_the_line(self.packet(n)) for n in range(sent, due))
            sent = due
            # Nobody reads: what does not fit is lost, as on a real line.
            cut = self.faults.cut_after_bytes
            pulled = cut and self._bytes >= cut
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, burst[: len(burst) - (self._bytes - cut)] if pulled else burst)
            if pulled:
                time.sleep(_HOST_READS_WITHIN_S)  # a pty forgets what was not read when it closes; a cable does not
                self._pull_cable()
                return

    def _pull_cable(self) -> None:
        self._plugged = False
        os.close(self._master)
        os.close(self._slave)

    def _on_the_line(self, packet: bytes) -> bytes:
        sent = bytearray()
        for byte in packet:
            self._bytes += 1
            if self.faults.lose_every and self._bytes % self.faults.lose_every == 0:
                continue
            wrong = self.faults.corrupt_every and self._bytes % self.faults.corrupt_every == 0
            sent.append(byte ^ (1 << self._bytes // self.faults.corrupt_every % 8) if wrong else byte)
        return bytes(sent)

"""A device on a pseudo-terminal that lives in a thread: what the simulated serial devices have in common."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

_PATIENCE_S = 2.0
_HOST_READS_WITHIN_S = 0.2


class CableOut(Exception):
    """The host takes nothing any more, the cable was pulled, or the device was switched off."""


class SerialBoard(ABC):
    """``with Board() as board: board.port``; `run` is the device's life.

    Args:
        chunk_bytes: the bytes are written in pieces of so many.
        link: symbolic link to the port, for a name that stays.
        cut_after_bytes: the cable is pulled when so many bytes were sent; None is never.
        bytes_per_s: a slow line; 0 is as fast as the host reads.
    """

    def __init__(
        self,
        chunk_bytes: int = 4096,
        *,
        link: Path | None = None,
        cut_after_bytes: int | None = None,
        bytes_per_s: float = 0.0,
    ) -> None:
        self._chunk_bytes = chunk_bytes
        self._cut_after_bytes = cut_after_bytes
        self._bytes_per_s = bytes_per_s
        self._link = link
        self._master, self._slave = os.openpty()
        # The slave stays open here too: the line then outlives a host that closes and opens its port.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.port)
            self.port = str(link)
        self.sent_bytes = 0
        self._off = threading.Event()
        self._plugged = True
        self._thread = threading.Thread(target=self._live, name=type(self).__name__, daemon=True)

    @abstractmethod
    def run(self) -> None:
        """Live until `wait` says that the power is off."""

    def wait(self, seconds: float) -> bool:
        """Let time pass; False once the device is switched off."""
        return not self._off.wait(seconds)

    def send(self, data: bytes) -> None:
        """Write to the host, in pieces.

        Raises:
            CableOut: the host does not read, or the cable has been pulled.
        """
        left = len(data) if self._cut_after_bytes is None else max(self._cut_after_bytes - self.sent_bytes, 0)
        pulled, data = left < len(data), data[:left]
        while data:
            if self._off.is_set() or not select.select([], [self._master], [], _PATIENCE_S)[1]:
                raise CableOut
            with contextlib.suppress(BlockingIOError):
                written = os.write(self._master, data[: self._chunk_bytes])
                data = data[written:]
                self.sent_bytes += written
                if self._bytes_per_s and not self.wait(written / self._bytes_per_s):
                    raise CableOut
        if pulled:
            self.pull_cable()
            raise CableOut

    def receive(self, seconds: float) -> bytes:
        """What the host sent within so long; empty if nothing."""
        if select.select([self._master], [], [], seconds)[0]:
            return os.read(self._master, 4096)
        return b""

    def pull_cable(self) -> None:
        """The host sees the port vanish. Called in the device's own thread, or after its end."""
        if self._plugged:
            time.sleep(_HOST_READS_WITHIN_S)  # a pty forgets what was not read when it closes; a cable does not
            self._plugged = False
            os.close(self._master)
            os.close(self._slave)

    @property
    def is_on(self) -> bool:
        return not self._off.is_set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._off.set()
        self._thread.join()
        if self._plugged:
            self._plugged = False
            os.close(self._master)
            os.close(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def _live(self) -> None:
        with contextlib.suppress(CableOut, OSError):
            self.run()

"""A device on a pseudo-terminal that lives in a thread: what the simulated serial devices have in common."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

_PATIENCE_S = 2.0


class CableOut(Exception):
    """The host takes nothing any more, or the device was switched off."""


class SerialBoard(ABC):
    """``with Board() as board: board.port``; `run` is the device's life."""

    def __init__(self, chunk_bytes: int = 4096) -> None:
        self._chunk_bytes = chunk_bytes
        self._master, self._slave = os.openpty()
        # The slave stays open here too: the line then outlives a host that closes and opens its port.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._off = threading.Event()
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
            CableOut: the host does not read.
        """
        while data:
            if self._off.is_set() or not select.select([], [self._master], [], _PATIENCE_S)[1]:
                raise CableOut
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._master, data[: self._chunk_bytes]) :]

    def receive(self, seconds: float) -> bytes:
        """What the host sent within so long; empty if nothing."""
        if select.select([self._master], [], [], seconds)[0]:
            return os.read(self._master, 4096)
        return b""

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
        os.close(self._master)
        os.close(self._slave)

    def _live(self) -> None:
        with contextlib.suppress(CableOut, OSError):
            self.run()

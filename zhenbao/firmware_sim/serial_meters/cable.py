"""A cable with a meter at its end: a pseudo-terminal, and a thread that is the meter."""

from __future__ import annotations

import os
import select
import threading
import tty
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self


class CablePulled(Exception):
    """The host cannot be reached any more."""


class SerialMeter(ABC):
    """A meter on a pty; ``with Meter(...) as meter: meter.port``.

    Args:
        link: a symbolic link to the port, for a name that stays; made, and removed at the end.
        cut_after_bytes: the cable is pulled after so many bytes of the meter, over all requests.
    """

    def __init__(self, *, link: Path | None = None, cut_after_bytes: int | None = None) -> None:
        self.sent = b""
        """All that the meter has put on the line."""
        self.heard = b""
        """All that the host has put on the line."""
        self._link = link
        self._cut_after_bytes = cut_after_bytes
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> str:
        """What the host opens."""
        return str(self._link or self._path)

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._path = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._path)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="serial-meter", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    @abstractmethod
    def hear(self, data: bytes) -> None:
        """Bytes of the host arrived."""

    def send(self, data: bytes) -> None:
        """Put bytes on the line."""
        left = len(data) if self._cut_after_bytes is None else self._cut_after_bytes - len(self.sent)
        piece = data[: max(left, 0)]
        self.sent += piece
        while piece:
            piece = piece[os.write(self._master, piece) :]
        if left < len(data):
            raise CablePulled

    def _run(self) -> None:
        try:
            while True:
                readable, _, _ = select.select([self._master, self._wake_read], [], [])
                if self._wake_read in readable:
                    break
                data = os.read(self._master, 4096)
                self.heard += data
                self.hear(data)
        except CablePulled:
            self._let_the_host_read()
        finally:
            os.close(self._master)
            os.close(self._slave)

    def _let_the_host_read(self) -> None:
        """A pty forgets what was not read when it closes; a cable does not."""
        select.select([self._wake_read], [], [], 0.2)

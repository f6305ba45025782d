"""A TCP road with faults of the kinds that a byte stream can have: late, cut after so many bytes, half-open, shut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Literal

HOST = "127.0.0.1"
_PIECE = 4096
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""


@dataclass(slots=True)
class Faults:
    """What is wrong now. May be changed at any time; what is on the road feels it at once.

    Attributes:
        delay_s: each way, for each piece.
        half_open: bytes vanish in both directions, and nobody is told; new connections are taken and stay mute.
        shut: new connections are reset.
        reset_after: bytes of a connection, both ways together, after which it is reset.
    """

    delay_s: float = 0.0
    half_open: bool = False
    shut: bool = False
    reset_after: int | None = None


class FaultProxy:
    """``with FaultProxy(port) as proxy``: connect to ``proxy.port`` and change ``proxy.faults``."""

    def __init__(self, target_port: int, target_host: str = HOST) -> None:
        self.faults = Faults()
        self.port = 0
        self.connections = 0
        self.resets = 0
        self.carried = {"up": 0, "down": 0}
        self._target = (target_host, target_port)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)

    def break_all(self) -> None:
        """Reset every connection that is open."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _end(self) -> None:
        self._server.close()
        self._reset_all()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.shut:
            _reset(writer)
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, far_writer}
        both = [0]
        try:
            await asyncio.gather(
                self._carry("up", reader, far_writer, both), self._carry("down", far_reader, writer, both)
            )
        except (OSError, EOFError):
            self.resets += 1
        finally:
            for end in (writer, far_writer):
                self._open.discard(end)
                _reset(end)

    async def _carry(
        self,
        way: Literal["up", "down"],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: list[int],
    ) -> None:
        """One direction, until it ends.

        Raises:
            EOFError: so many bytes went that the connection is to be reset, or one side ended it.
        """
        while data := await reader.read(_PIECE):
            await asyncio.sleep(self.faults.delay_s)
            if self.faults.half_open:
                continue
            most = self.faults.reset_after
            if most is not None and both[0] + len(data) >= most:
                # The last bytes before the cut still go: a message is torn in its middle.
                writer.write(data[: most - both[0]])
                with contextlib.suppress(OSError):
                    await writer.drain()
                raise EOFError
            both[0] += len(data)
            self.carried[way] += len(data)
            writer.write(data)
            await writer.drain()
        raise EOFError


def _reset(writer: asyncio.StreamWriter) -> None:
    opened = writer.get_extra_info("socket")
    if opened is not None:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

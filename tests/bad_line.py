"""A TCP line between two ports of this machine that can be slow, lossy, deaf, cut, or break after so many bytes."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from dataclasses import dataclass

SEGMENT = 1400


@dataclass
class Quality:
    """What the line is like now; may be changed at any time.

    A lost segment costs what it costs TCP: a retransmission a round trip (and a bit) later, and everything behind it
    waits.
    """

    bytes_per_s: float = 1e9
    """In each direction, for all connections together: they share one modem."""
    one_way_s: float = 0.0
    loss: float = 0.0
    deaf: bool = False
    """Takes everything, carries nothing, closes nothing: half-open."""
    down: bool = False
    """Refuses connections."""
    reset_after_bytes: int | None = None
    """Of each connection, upwards; then it is reset."""


class BadLine:
    """Forwards ``127.0.0.1:port`` to ``target_port`` as well as its quality allows. A context manager."""

    def __init__(self, target_port: int, quality: Quality | None = None, seed: int = 1) -> None:
        self.quality = quality or Quality()
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        self.resets = 0
        """Connections that broke after so many bytes."""
        self.up_bytes = 0
        self._rng = random.Random(seed)
        self._free_s = {"up": 0.0, "down": 0.0}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> BadLine:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        async def close() -> None:
            self._server.close()
            self._abort()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self, *, down: bool = False) -> None:
        """Reset every connection; with ``down``, refuse others."""
        self.quality.down = down
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _listen(self) -> None:
        listening = socket.socket()
        # Little room before the line, so that its slowness is felt at once by who sends.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listening.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=4096)
        self.port = listening.getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.quality.down:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port, limit=4096)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        for direction, source, sink in (("up", reader, far_writer), ("down", far_reader, writer)):
            task = asyncio.ensure_future(self._pump(direction, source, sink, (writer, far_writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        direction: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        """Serialise on the shared line, then let segments arrive one way later, in order."""
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        task = asyncio.ensure_future(self._arrive(arriving, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        passed, late_s = 0, 0.0
        try:
            while data := await reader.read(SEGMENT):
                while self.quality.deaf:  # noqa: ASYNC110 - set from another thread
                    await asyncio.sleep(0.1)
                quality, now_s = self.quality, self._loop.time()
                sent_s = max(now_s, self._free_s[direction]) + len(data) / quality.bytes_per_s
                self._free_s[direction] = sent_s
                if self._rng.random() < quality.loss:
                    late_s = max(late_s, sent_s + 2.2 * quality.one_way_s)
                late_s = max(late_s, sent_s)
                arriving.put_nowait((late_s + quality.one_way_s, data))
                await asyncio.sleep(sent_s - now_s)
                passed += len(data)
                if direction == "up":
                    self.up_bytes += len(data)
                    if quality.reset_after_bytes is not None and passed >= quality.reset_after_bytes:
                        self.resets += 1
                        break
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            if self._loop.is_running() and passed and self.quality.reset_after_bytes is None:
                await asyncio.wait([task], timeout=2 * self.quality.one_way_s + 0.01)
            task.cancel()
            for one in both:
                one.transport.abort()
                self._open.discard(one)

    async def _arrive(self, arriving: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            at_s, data = await arriving.get()
            await asyncio.sleep(at_s - self._loop.time())
            writer.write(data)
            await writer.drain()

"""The road between kit and hub, as a switch: a TCP forwarder that can be cut and mended while both sides run."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class SwitchableUplink:
    """Forwards ``127.0.0.1:<port>`` to a TCP port of this machine while it is up; refuses and drops while it is down.

    Runs on a thread of its own. ``bytes_forwarded`` counts both directions.

    Args:
        target_port: where the hub listens, on 127.0.0.1.
        bytes_per_s: how much passes in each direction and connection; None: as fast as it comes.
    """

    def __init__(self, target_port: int, *, bytes_per_s: int | None = None) -> None:
        self._target_port = target_port
        self._bytes_per_s = bytes_per_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="uplink", daemon=True)
        self._connections: set[asyncio.Task[object]] = set()
        self._up = False
        self.port = 0
        self.bytes_forwarded = 0

    def start(self) -> None:
        """Open the kit's side on a free port, with the road cut."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def mend(self) -> None:
        """Let connections through from now on."""
        self._loop.call_soon_threadsafe(setattr, self, "_up", True)

    def cut(self) -> None:
        """Drop every connection and let none through."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        self._up = False
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _close(self) -> None:
        self._server.close()
        await self._cut()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if self._up:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                try:
                    pumps = [
                        asyncio.ensure_future(self._pump(reader, far_writer)),
                        asyncio.ensure_future(self._pump(far_reader, writer)),
                    ]
                    try:
                        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for pump in pumps:
                            pump.cancel()
                finally:
                    far_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the other side is not there, or the road was cut: the near side is dropped below
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(16384):
                if self._bytes_per_s is not None:
                    await asyncio.sleep(len(chunk) / self._bytes_per_s)
                self.bytes_forwarded += len(chunk)
                writer.write(chunk)
                await writer.drain()

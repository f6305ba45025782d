"""An MQTT broker inside the hub, for a demonstration or a hub on one machine (amqtt: MQTT 3.1.1).

It is a road, not a memory: nothing is lost with it that would not be sent again. A county uses Mosquitto.

The sockets are ours and only handed to amqtt ("external listener"): amqtt 0.12's own shutdown can wait for ever
for a client that is in the middle of a message, and a broker that cannot be stopped cannot be restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from zhenbao.model.errors import LinkDown

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from amqtt.broker import Broker

HOST = "127.0.0.1"
_START_S = 20.0
_POLITE_S = 1.0


class EmbeddedBroker:
    """Runs in a thread with an event loop of its own, on the loopback address only.

    Args:
        port: 0 takes a free one at the first start; a restart keeps it, so that kits come back by themselves.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def start(self) -> None:
        """Listen. Returns when connections are taken. Harmless when it runs.

        Raises:
            LinkDown: ``broker-start``: the port is taken, or the broker did not start in time.
        """
        if self._loop is not None:
            return
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._loop = asyncio.new_event_loop()
        # A connection that breaks half-way ends its task with an error; kits come back, so it is no news.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="zhenbao-broker", daemon=True)
        self._thread.start()
        try:
            self._call(self._listen())
        except (OSError, TimeoutError) as error:
            self._end_loop()
            raise LinkDown("broker-start", port=self.port) from error

    def stop(self) -> None:
        """Break every connection and close the port. Harmless when it does not run."""
        if self._loop is not None:
            self._call(self._cut())
            self._end_loop()

    def restart(self) -> None:
        """As after a power cut: all connections break, nothing is remembered, the port is the same."""
        self.stop()
        self.start()

    async def _listen(self) -> None:
        from amqtt.broker import Broker
        from amqtt.errors import BrokerError

        # No $SYS topics and no packet logger: the one is noise, the other would write messages to the log.
        config: dict[str, Any] = {
            "listeners": {"default": {"type": "external"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        self._broker = Broker(config)
        try:
            await self._broker.start()
        except BrokerError as error:
            raise OSError("the broker did not start") from error
        self._server = await asyncio.start_server(self._connected, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter

        if self._broker is None:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            await self._broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default")
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._broker is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broker.shutdown(), _POLITE_S)
        self._broker = self._server = None

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            coroutine.close()
            return
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_S)

    def _end_loop(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        self._writers.clear()
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_START_S)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=_POLITE_S) if left else asyncio.sleep(0))
        loop.close()

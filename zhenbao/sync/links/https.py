"""HTTPS as a road: packets up in batches, the mailbox down by a request that the hub keeps open while it is empty.

For networks that let nothing but the web through, and for bulk beside MQTT. Urgent packets go up by a connection of
their own, so that they never stand behind a batch that is being sent. A batch is as large as the road carries in about
a second (``sync.links.window``): what a broken connection costs is one batch, and what arrived before needs no repeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from zhenbao.model.errors import LinkDown, Rejected
from zhenbao.sync.links.address import check_url
from zhenbao.sync.links.backoff import FIRST_S, LAST_S, Backoff
from zhenbao.sync.links.bound import BoundLoop, leaves_by
from zhenbao.sync.links.http_wire import (
    BUSY,
    CONTENT_TYPE,
    DOWN_PATH,
    EMERGENCY_PATH,
    LONGEST_WAIT_S,
    MOST_BYTES,
    MOST_PACKETS,
    RECEIPT_PATH,
    REFUSED_HEADER,
    TIME_HEADER,
    UP_PATH,
    pack_batch,
    unpack_mail,
    unpack_results,
)
from zhenbao.sync.links.outgoing import Outgoing, Packet
from zhenbao.sync.links.signed_request import Request, Signed, sign
from zhenbao.sync.links.tcp import options
from zhenbao.sync.links.tls import trouble_of
from zhenbao.sync.names import HUB, check_kit_id, kit_behind

if TYPE_CHECKING:
    import ssl

    import httpx

_log = logging.getLogger(__name__)
_CONNECT_S, _ANSWER_S = 10.0, 20.0
_SLOWEST_BYTES_PER_S = 4000.0
_BUSY_S = 2.0


class _Moved(Exception):
    """Another interface was chosen: connect anew."""


class HttpsLink:
    """Implements ``sync.link.Link`` for a kit.

    Args:
        url: of the hub's web server, ``https://host[:port]``; plain ``http`` only on this machine.
        own_name: the kit's name on this road (see ``sync.names``): the id of the key that signs.
        sign_bytes: Ed25519 by the kit's key.
        tls: a context from ``sync.links.tls.client_context``.
        emergency: this is a locked kit's emergency side.

    Raises:
        InputError: ``link-url``; ``kit-id``.
    """

    def __init__(
        self,
        url: str,
        own_name: str,
        sign_bytes: Callable[[bytes], bytes],
        *,
        tls: ssl.SSLContext | None = None,
        emergency: bool = False,
        first_wait_s: float = FIRST_S,
        last_wait_s: float = LAST_S,
    ) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.trouble: LinkDown | None = None
        """Why the last attempt failed; None while connected, and before the first."""
        self._url = check_url(url)
        check_kit_id(kit_behind(own_name) if emergency else own_name)
        self._name = own_name
        self._up_path, self._down_path = (EMERGENCY_PATH, RECEIPT_PATH) if emergency else (UP_PATH, DOWN_PATH)
        self._sign_bytes = sign_bytes
        self._tls = tls
        self._backoff = Backoff(first_wait_s, last_wait_s)
        self._clock_offset_s = 0.0
        self._outgoing: Outgoing | None = None
        self._wake: tuple[asyncio.Event, asyncio.Event] | None = None
        self._interface = ""
        self._ends: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None
        """Our address and the hub's, of the newest connection; None: there is none."""
        self._moved: asyncio.Event | None = None
        self._loop: BoundLoop | None = None
        self._pause: asyncio.Event | None = None
        self._work: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        return self._outgoing is not None

    @property
    def backlog_bytes(self) -> int:
        """Bytes that the hub's web server has not answered for."""
        outgoing = self._outgoing
        return outgoing.backlog_bytes if outgoing is not None else 0

    def start(self) -> None:
        """Connect, and connect again for ever, on a thread of its own."""
        if self._thread is not None:
            return
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="https-link", daemon=True)
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        """Leave every request where it is; returns when the thread has ended."""
        thread, loop, work = self._thread, self._loop, self._work
        if thread is None or loop is None or work is None:
            return
        if not loop.is_closed():
            loop.call_soon_threadsafe(work.cancel)
        thread.join(_CONNECT_S + 5)
        self._thread = None

    def hurry(self) -> None:
        """Try to connect now: somebody waits, or the network has just come. Harmless while connected."""
        loop, pause = self._loop, self._pause
        if loop is not None and pause is not None and not loop.is_closed():
            loop.call_soon_threadsafe(pause.set)

    def via(self, interface: str) -> None:
        """Leave by this network interface from now on; connections by another one end and are made anew at once.

        Args:
            interface: empty: as the routes say, and connections that stand stay.
        """
        self._interface = interface
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._turn)

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """Take a packet for the hub. Urgent ones have a connection of their own.

        Raises:
            LinkDown: ``link-down``.
            Rejected: ``link-too-large``.
        """
        if len(data) > MOST_BYTES:
            raise Rejected("link-too-large", size=len(data), most=MOST_BYTES)
        outgoing, wake, loop = self._outgoing, self._wake, self._loop
        if outgoing is None or wake is None or loop is None or loop.is_closed():
            raise LinkDown("link-down")
        outgoing.put(Packet(recipient, data, urgent))
        loop.call_soon_threadsafe(wake[0 if urgent else 1].set)

    # On the link's own thread

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            self._work = asyncio.create_task(self._keep_up())
            started.set()
            await asyncio.wait([self._work])
            if not self._work.cancelled():
                self._work.result()  # a mistake of ours is never silent

        self._loop = loop = BoundLoop()
        loop.interface = self._interface
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    def _turn(self) -> None:
        """Whoever connects from now on leaves by the new interface, and what stands elsewhere ends."""
        if self._loop is None or self._moved is None or self._pause is None:
            return
        if self._loop.interface == self._interface:
            return
        self._loop.interface = self._interface
        self._pause.set()
        if self._interface and not (self._ends and leaves_by(self._interface, *self._ends)):
            self._moved.set()

    async def _keep_up(self) -> None:
        import httpx

        self._pause, self._moved = asyncio.Event(), asyncio.Event()
        verify = self._tls if self._tls is not None else self._url.startswith("https:")
        while True:
            self._moved.clear()
            # One for each connection: nothing of it is used again by another interface.
            transport = httpx.AsyncHTTPTransport(
                verify=verify,
                socket_options=options(),
                limits=httpx.Limits(max_connections=4, keepalive_expiry=120),
            )
            try:
                async with httpx.AsyncClient(base_url=self._url, transport=transport, trust_env=False) as client:
                    await self._connected(client)
            except (httpx.HTTPError, OSError) as error:
                self.trouble = trouble_of(error, _now_ms()) or LinkDown("link-nobody", reason=type(error).__name__)
            except LinkDown as error:
                self.trouble = error
            except Rejected as error:
                self.trouble = LinkDown("link-refused", reason=error.code)
            except _Moved:
                pass
            if self._moved.is_set():
                continue
            _log.debug("the HTTPS road is down: %s", self.trouble)
            self._pause.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._backoff.next_s()):
                    await self._pause.wait()

    async def _connected(self, client: httpx.AsyncClient) -> None:
        """Be connected until something fails, or the connection must move, which is raised."""
        outgoing = Outgoing(time.monotonic)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._until_moved())
                epoch, after = await self._fetch(client, "", 0, 0)
                self._wake = asyncio.Event(), asyncio.Event()
                self._outgoing = outgoing
                self._backoff.succeeded()
                self.trouble = None
                self.on_up()
                tasks.create_task(self._read(client, epoch, after))
                tasks.create_task(self._write(client, outgoing, self._wake[0], urgent=True))
                tasks.create_task(self._write(client, outgoing, self._wake[1], urgent=False))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._ends = None
            if self._outgoing is not None:
                self._outgoing = None
                self.on_down()

    async def _until_moved(self) -> None:
        assert self._moved is not None
        await self._moved.wait()
        raise _Moved

    async def _read(self, client: httpx.AsyncClient, epoch: str, after: int) -> None:
        while True:
            epoch, after = await self._fetch(client, epoch, after, LONGEST_WAIT_S)

    async def _fetch(self, client: httpx.AsyncClient, epoch: str, after: int, wait_s: int) -> tuple[str, int]:
        query = urlencode({"after": after, "epoch": epoch, "wait": wait_s})
        mail = unpack_mail(await self._ask(client, "GET", self._down_path, query, b"", wait_s + _ANSWER_S))
        for packet in mail.packets:
            self.on_message(HUB, packet)
        return mail.epoch, mail.last

    async def _write(self, client: httpx.AsyncClient, outgoing: Outgoing, wake: asyncio.Event, *, urgent: bool) -> None:
        while True:
            batch = _batch(outgoing, urgent=urgent)
            if not batch:
                wake.clear()
                if not (batch := _batch(outgoing, urgent=urgent)):
                    await wake.wait()
                    continue
            await self._post(client, outgoing, batch)

    async def _post(self, client: httpx.AsyncClient, outgoing: Outgoing, batch: list[Packet]) -> None:
        while batch:
            body = pack_batch([packet.data for packet in batch])
            answer_s = _ANSWER_S + len(body) / _SLOWEST_BYTES_PER_S
            results = unpack_results(await self._ask(client, "POST", self._up_path, "", body, answer_s), len(batch))
            again = []
            for packet, result in zip(batch, results, strict=True):
                if result == BUSY:
                    again.append(packet)
                else:
                    outgoing.answered(packet)
            if again:
                await asyncio.sleep(_BUSY_S)
            batch = again

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, query: str, body: bytes, answer_s: float
    ) -> bytes:
        """The body of the answer to one signed request.

        Raises:
            httpx.HTTPError: the road broke, twice running.
            LinkDown: ``link-refused``: the hub does not let us in.
        """
        import httpx

        broken = 0
        while True:
            signed = Signed(self._name, round(time.time() + self._clock_offset_s), secrets.token_urlsafe(16))
            headers = sign(Request(method, path, query, body), self._sign_bytes, signed)
            timeout = httpx.Timeout(answer_s, connect=_CONNECT_S)
            try:
                answer = await client.request(
                    method,
                    f"{path}?{query}" if query else path,
                    content=body,
                    headers={**headers, "content-type": CONTENT_TYPE},
                    timeout=timeout,
                )
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # A kept connection that the other side has closed looks like this, once.
                broken += 1
                if broken > 1:
                    raise
                continue
            with contextlib.suppress(OSError):  # closed behind the answer
                stream = answer.extensions["network_stream"]
                self._ends = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
            if answer.status_code == 200:
                return answer.content
            if answer.status_code == 429:
                await asyncio.sleep(_seconds(answer.headers.get("retry-after"), _BUSY_S))
            elif answer.headers.get(REFUSED_HEADER) == "sync-clock" and not broken:
                # Our clock is wrong, the hub's is what counts: the time in a request only bounds its repetition.
                self._clock_offset_s = _seconds(answer.headers.get(TIME_HEADER), 0.0) - time.time()
                broken += 1
            else:
                raise LinkDown("link-refused", reason=answer.headers.get(REFUSED_HEADER, answer.status_code))


def _batch(outgoing: Outgoing, *, urgent: bool) -> list[Packet]:
    """What may go in one POST now."""
    batch: list[Packet] = []
    size = 0
    while len(batch) < MOST_PACKETS and size < MOST_BYTES // 4 and (packet := outgoing.take(urgent=urgent)) is not None:
        batch.append(packet)
        size += len(packet.data)
    return batch


def _seconds(text: str | None, otherwise: float) -> float:
    try:
        return max(0.0, float(text)) if text is not None else otherwise
    except ValueError:
        return otherwise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

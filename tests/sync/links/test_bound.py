"""A connection leaves by the interface that it was told, before its first packet; elsewhere it is not made at all."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from zhenbao.sync.links.bound import BoundLoop, dial, leaves_by
from zhenbao.sync.links.bound_client import BoundClient
from zhenbao.sync.links.tcp import options

NOWHERE = "nowhere7"
BOUND_BYTES = 16


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def bound_to(opened: socket.socket) -> str:
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, BOUND_BYTES).rstrip(b"\0").decode()


def test_a_dialled_connection_is_bound_or_is_not_made(listening: int) -> None:
    found = socket.getaddrinfo("127.0.0.1", listening, type=socket.SOCK_STREAM)
    with dial(found, "lo", 2) as opened:
        assert bound_to(opened) == "lo"
    with dial(found, "", 2) as opened:
        assert bound_to(opened) == ""
    with pytest.raises(OSError, match="No such device"):
        dial(found, NOWHERE, 2)


def test_the_mqtt_library_asks_for_our_socket(listening: int) -> None:
    client = BoundClient("lo", client_id="a")
    client.connect("127.0.0.1", listening)
    opened = client.socket()
    assert isinstance(opened, socket.socket)
    assert bound_to(opened) == "lo"
    client.disconnect()
    opened.close()
    with pytest.raises(OSError, match="No such device"):
        BoundClient(NOWHERE, client_id="a").connect("127.0.0.1", listening)


@contextmanager
def web() -> Iterator[int]:
    """Answers one request."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            """And leaves it to the other side to close."""
            opened, _ = server.accept()
            with opened:
                opened.recv(4096)
                opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                opened.recv(4096)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("interface", ["lo", ""])
def test_the_web_library_connects_through_the_loop(interface: str) -> None:
    """It would set the option itself only after connecting, when the routes have chosen."""

    async def main(port: int) -> str:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(socket_options=options())) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/")
            assert answer.text == "hi"
            return bound_to(answer.extensions["network_stream"].get_extra_info("socket"))

    loop = BoundLoop()
    loop.interface = interface
    with web() as port, asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(main(port)) == interface


def test_the_web_library_gets_no_connection_where_there_is_no_interface(listening: int) -> None:
    async def main() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{listening}/")

    loop = BoundLoop()
    loop.interface = NOWHERE
    with asyncio.Runner(loop_factory=lambda: loop) as runner, pytest.raises(httpx.ConnectError):
        runner.run(main())


def test_what_leaves_by_the_interface_already_may_stay() -> None:
    assert leaves_by("lo", ("127.0.0.1", 1), ("127.0.0.1", 2))
    assert not leaves_by("lo", ("127.0.0.9", 1), ("127.0.0.1", 2))
    # Nothing can leave by one that is gone: moving there would only end what works.
    assert leaves_by(NOWHERE, ("127.0.0.9", 1), ("127.0.0.1", 2))

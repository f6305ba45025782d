"""The roads with faults do what they say, measured from outside."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from reliability.fault_proxy import FaultProxy
from reliability.slow_link import ADDRESS, SlowLink, measure, usable

needs_root = pytest.mark.skipif(not usable(), reason="network namespaces and TUN devices need root")


@needs_root
@pytest.mark.slow
def test_the_slow_link_is_as_slow_and_as_lossy_as_it_says() -> None:
    with SlowLink(512_000, 0.2, 0.1, seed=5) as link:
        found = measure(link, datagrams=1500, busy_s=4)
    assert found.round_trip_s == pytest.approx(0.2, abs=0.03)
    assert found.lost == pytest.approx(0.1, abs=0.025)  # three standard deviations
    assert found.rate_bit_s == pytest.approx(512_000, rel=0.1)


@needs_root
@pytest.mark.slow
def test_a_blocked_way_says_nothing_and_a_connection_survives_it() -> None:
    with SlowLink(1_000_000, 0.05, 0.0, seed=1) as link:
        with link.inside("hub"):
            listening = socket.create_server((ADDRESS["hub"], 0))
        with link.inside("kit"):
            near = socket.create_connection(listening.getsockname(), timeout=5)
        far, _ = listening.accept()
        with listening, near, far:
            far.settimeout(1)
            link.ways["kit"].blocked = True
            near.sendall(b"lost for now")
            with pytest.raises(TimeoutError):
                far.recv(100)
            link.ways["kit"].blocked = False
            far.settimeout(10)
            assert far.recv(100) == b"lost for now"


def test_a_full_queue_drops_and_no_more_than_it_must() -> None:
    link = SlowLink(64_000, 0.6, 0.0, queue_bytes=8000, seed=1)
    way = link.ways["kit"]
    arrivals = [way.arrival_s(1500, 100.0, link._rng) for _ in range(8)]
    assert [round(a - 100, 4) for a in arrivals if a is not None] == [0.4875, 0.675, 0.8625, 1.05, 1.2375]
    assert way.overflowed == 3


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says back what it hears."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_say_back, args=(near,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def _say_back(near: socket.socket) -> None:
    with near:
        try:
            while data := near.recv(4096):
                near.sendall(data)
        except OSError:
            pass


def _connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=2)


def test_the_proxy_carries_and_delays(echo: int) -> None:
    with FaultProxy(echo) as proxy, _connect(proxy) as near:
        near.sendall(b"hello")
        assert near.recv(100) == b"hello"
        proxy.faults.delay_s = 0.1
        start_s = time.monotonic()
        near.sendall(b"again")
        assert near.recv(100) == b"again"
        assert time.monotonic() - start_s >= 0.2


def test_half_open_is_mute_and_does_not_end(echo: int) -> None:
    with FaultProxy(echo) as proxy, _connect(proxy) as near:
        proxy.faults.half_open = True
        near.sendall(b"anybody?")
        near.settimeout(0.3)
        with pytest.raises(TimeoutError):
            near.recv(100)
        with _connect(proxy) as other:
            other.settimeout(0.3)
            other.sendall(b"anybody?")
            with pytest.raises(TimeoutError):
                other.recv(100)


def test_a_connection_is_reset_after_so_many_bytes_in_the_middle_of_a_message(echo: int) -> None:
    with FaultProxy(echo) as proxy:
        proxy.faults.reset_after = 150
        with _connect(proxy) as near:
            near.sendall(bytes(100))
            came = b""
            with pytest.raises(ConnectionResetError):  # noqa: PT012 - which read it comes with is the kernel's affair
                while True:
                    piece = near.recv(100)
                    came += piece
                    assert piece, "closed politely, not reset"
            assert len(came) <= 50


def test_shut_and_break(echo: int) -> None:
    with FaultProxy(echo) as proxy:
        with _connect(proxy) as near:
            near.sendall(b"x")
            assert near.recv(10) == b"x"
            proxy.break_all()
            with pytest.raises(ConnectionResetError):
                near.recv(10)
        proxy.faults.shut = True
        with pytest.raises(OSError), _connect(proxy) as near:  # noqa: PT011, PT012 - reset while connecting or after
            near.sendall(b"x")
            assert near.recv(10)
            raise OSError

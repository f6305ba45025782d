"""Connections that leave by one network interface, whatever the routes prefer.

``SO_BINDTODEVICE`` is set before the connection is made: afterwards the routes have already chosen. Everybody may set
it since Linux 5.7, and it looks for a route on that interface alone, so that no rules of policy routing are needed. A
source address does not do it: Linux sends it by the route that it likes best.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence
from typing import Any

Found = Sequence[tuple[Any, ...]]
"""What ``socket.getaddrinfo`` gives."""


def bind(opened: socket.socket, interface: str) -> None:
    """Let a socket that is not yet connected leave by an interface; empty: as the routes say.

    Raises:
        OSError: there is no such interface.
    """
    if interface:
        # Linux before 5.7 lets only root choose, other systems nobody: there the routes decide.
        with contextlib.suppress(PermissionError, AttributeError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())


def dial(found: Found, interface: str, timeout_s: float) -> socket.socket:
    """A connection to the first address that takes it.

    Args:
        timeout_s: for all of them together.

    Raises:
        OSError: none does.
    """
    error: OSError = OSError("no address")
    until_s = time.monotonic() + timeout_s
    for family, kind, protocol, _, where in found:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(max(0.1, until_s - time.monotonic()))
            bind(opened, interface)
            opened.connect(where)
        except OSError as failed:
            opened.close()
            error = failed
        else:
            return opened
    raise error


def leaves_by(interface: str, own: tuple[Any, ...], peer: tuple[Any, ...]) -> bool:
    """Whether a connection between these two ends may stay where it is: it leaves by the interface, or nothing could.

    Nothing is sent: a datagram's socket only asks the kernel which address of ours it would take there.
    """
    family = socket.AF_INET6 if ":" in own[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            bind(asked, interface)
            asked.connect(peer)
            return bool(asked.getsockname()[0] == own[0])
    except OSError:
        return True


class BoundLoop(asyncio.SelectorEventLoop):
    """A loop whose connections leave by ``interface``. (HTTP libraries set a socket's options once it is connected.)"""

    interface = ""

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        bind(sock, self.interface)
        await super().sock_connect(sock, address)

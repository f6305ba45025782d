"""What our sockets are told: small packets at once, little in the kernel's hands, and no dead peer for long."""

from __future__ import annotations

import contextlib
import socket

UNSENT_BYTES = 16 << 10
"""More than this does not wait unsent in the kernel, where nothing could overtake it."""
SILENT_S = 30
"""A peer that acknowledges no byte for so long is gone (a half-open connection; RFC 5482)."""

_NOTSENT_LOWAT = 25
"""``TCP_NOTSENT_LOWAT`` of Linux (linux/tcp.h); Python knows the name from 3.12 on."""


def options() -> list[tuple[int, int, int]]:
    """Level, option and value, as far as this system has them."""
    wanted = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        wanted.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1000))
        wanted.append((socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES))
    return wanted


def tune(opened: socket.socket) -> None:
    """Set what can be set; an option that a system refuses is no reason not to speak."""
    for level, option, value in options():
        with contextlib.suppress(OSError):
            opened.setsockopt(level, option, value)

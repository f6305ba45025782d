"""Does the hub itself answer? A question with a nonce; only the hub can sign it.

A page that answers 200 to everything (a captive portal, a proxy, a wrong address) is not the hub, and neither is an
answer to an earlier question. The question is ``GET /probe/<nonce>?key=<id>``, 16 random bytes in hex and the id of the
key by which the hub is known here; the answer is the hub's Ed25519 signature (RFC 8032, 64 bytes) of ``CONTEXT`` and
the nonce.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from zhenbao.model.errors import InputError
from zhenbao.sync.links.bound import dial
from zhenbao.sync.uplink.state import Miss, Outcome

CONTEXT = b"zhenbao probe 1\0"
NONCE_BYTES = 16
_SIGNATURE_BYTES = 64

Verify = Callable[[bytes, bytes], bool]
"""(signature, message): whether the hub signed it."""


def verifier(public_keys: Sequence[bytes]) -> Verify:
    """Whether one of the hub's Ed25519 keys (32 bytes each; the one before is valid for a while) signed a message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = [Ed25519PublicKey.from_public_bytes(key) for key in public_keys]

    def verify(signature: bytes, message: bytes) -> bool:
        for key in keys:
            with contextlib.suppress(InvalidSignature):
                key.verify(signature, message)
                return True
        return False

    return verify


@dataclass(frozen=True, slots=True)
class Address:
    """Where the hub is asked."""

    host: str
    port: int
    https: bool


def parse_address(url: str) -> Address:
    """``https://hub.example`` or ``http://127.0.0.1:8000``; nothing after the port.

    Raises:
        InputError: ``link-address``.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.path.strip("/") and not parts.query:
            https = parts.scheme == "https"
            return Address(parts.hostname, parts.port or (443 if https else 80), https)
    except ValueError:
        pass
    raise InputError("link-address")


def probe(
    address: Address,
    verify: Verify,
    *,
    interface: str = "",
    timeout_s: float = 10.0,
    tls: ssl.SSLContext | None = None,
    key_id: bytes = b"",
    nonce: Callable[[int], bytes] = secrets.token_bytes,
) -> Outcome:
    """Ask the hub once. Never raises for what a network may do.

    Args:
        interface: ask over this network interface, whatever the routes say; empty: as the routes say.
        timeout_s: for everything after the name is resolved (that has a limit of its own in the system).
        tls: None: the system's certificates.
        key_id: the hub's key that should sign (``sync.keys.key_id_of``); empty: its newest.
    """
    asked = nonce(NONCE_BYTES)
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Outcome(miss=Miss.NO_NAME)
    began_s = time.monotonic()
    try:
        with _Deadline(timeout_s) as deadline:
            opened = deadline.watch(dial(found, interface, timeout_s))
            if address.https:
                context = tls or ssl.create_default_context()
                opened = deadline.watch(context.wrap_socket(opened, server_hostname=address.host))
            answer = _ask(opened, address, asked, key_id)
    except TimeoutError:
        return Outcome(miss=Miss.SILENT)
    except (ssl.SSLCertVerificationError, http.client.HTTPException):
        return Outcome(miss=Miss.SILENT if deadline.passed else Miss.OTHER)
    except OSError:
        return Outcome(miss=Miss.SILENT if deadline.passed else Miss.NO_ROUTE)
    if len(answer) == _SIGNATURE_BYTES and verify(answer, CONTEXT + asked):
        return Outcome(time.monotonic() - began_s)
    return Outcome(miss=Miss.SILENT if deadline.passed else Miss.OTHER)


class _Deadline:
    """Cuts a socket when the time is over: a time limit of each read alone would let a trickle last for ever."""

    def __init__(self, timeout_s: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(timeout_s, self._cut)
        self._timer.daemon = True

    def watch(self, opened: socket.socket) -> socket.socket:
        self._socket = opened
        if self.passed:
            raise TimeoutError
        return opened

    def _cut(self) -> None:
        self.passed = True
        if (opened := self._socket) is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()


def _ask(opened: socket.socket, address: Address, asked: bytes, key_id: bytes) -> bytes:
    connection = http.client.HTTPConnection(address.host, address.port)
    connection.sock = opened
    by = f"?key={key_id.hex()}" if key_id else ""
    connection.putrequest("GET", f"/probe/{asked.hex()}{by}", skip_accept_encoding=True)
    connection.endheaders()
    response = connection.getresponse()
    return response.read(_SIGNATURE_BYTES + 1) if response.status == http.HTTPStatus.OK else b""

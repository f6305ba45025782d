"""What may be a web address of a hub."""

from __future__ import annotations

from urllib.parse import urlsplit

from zhenbao.model.errors import InputError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_url(url: str) -> str:
    """The URL as given, if a kit may use it.

    Raises:
        InputError: ``link-url``: not ``https://host[:port]``.
    """
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in LOOPBACK
        named = (
            bool(parts.hostname) and parts.port != 0 and not (parts.path.strip("/") or parts.query or parts.username)
        )
    except ValueError:
        plain = named = False
        parts = urlsplit("")
    if not named or not (parts.scheme == "https" or plain):
        raise InputError("link-url", url=url[:80])
    return url.rstrip("/")

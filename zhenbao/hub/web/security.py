"""What keeps strangers out of the pages: headers, sessions, the CSRF token, and a brake on guessing."""

from __future__ import annotations

import hmac
import logging
import secrets
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from zhenbao.hub.store import people
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Session
    from zhenbao.model.time import Clock

SESSION_COOKIE = "zhenbao_session"
LOGIN_COOKIE = "zhenbao_login"

# No inline script or style anywhere; drawings are inline SVG with presentation attributes, which the policy allows.
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


# What a kit sent is a picture or a download and nothing else, whatever it holds.
FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


class NotLoggedIn(Exception):
    """No valid session: to the login page."""


class WithoutContent(logging.Filter):
    """A log line says where a program error happened, never its text: that may quote a patient."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
            record.msg, record.args = "a page failed: %s at %s", (kind.__name__, place)
            record.exc_info = record.exc_text = None
        return True


WITHOUT_CONTENT = WithoutContent()


class Headers:
    """Adds the security headers to every answer; what shows patients is never kept by a browser or a proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        public = scope["path"].startswith(("/static/", "/vendor/"))
        sent = scope["path"].startswith("/cases/") and "/files/" in scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = FILE_POLICY if sent else POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cache-Control"] = "public, max-age=3600" if public else "no-store"
            await send(message)

        await self.app(scope, receive, send_with_headers)


def session_of(request: Request, store: HubStore) -> Session:
    """The session of a request.

    Raises:
        NotLoggedIn: there is none, or it has ended.
    """
    token = request.cookies.get(SESSION_COOKIE, "")
    with store.reading() as connection:
        found = people.session(connection, token, store.clock.now_ms()) if token else None
    if found is None:
        raise NotLoggedIn
    return found


def check_csrf(expected: str, given: object) -> None:
    """The form must carry the token that only our own page knows.

    Raises:
        InputError: ``csrf``.
    """
    if not (isinstance(given, str) and expected and hmac.compare_digest(expected.encode(), given.encode())):
        raise InputError("csrf")


def login_token(request: Request) -> str:
    """The token of the login form, before there is a session."""
    return request.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe(32)


@dataclass(slots=True)
class LoginBrake:
    """Counts wrong passwords by login and by address; after ``most`` of one it must rest ``rest_s`` seconds.

    OWASP Authentication Cheat Sheet, "account lockout": counted by account as well as by address. It is kept in
    memory: a restart forgives.
    """

    clock: Clock
    most: int = 5
    rest_s: float = 300.0
    _wrong: dict[str, tuple[int, float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def check(self, login: str, address: str) -> None:
        """Raises InputError, code ``login-rest``, while the login or the address must rest."""
        now_s = self.clock.monotonic_s()
        with self._lock:
            self._wrong = {key: value for key, value in self._wrong.items() if now_s - value[1] < self.rest_s}
            for key, most in self._keys(login, address):
                count, last_s = self._wrong.get(key, (0, now_s))
                if count >= most:
                    minutes = max(1, round((self.rest_s - (now_s - last_s)) / 60))
                    raise InputError("login-rest", minutes=minutes)

    def wrong(self, login: str, address: str) -> None:
        """A wrong password was given."""
        now_s = self.clock.monotonic_s()
        with self._lock:
            for key, _ in self._keys(login, address):
                self._wrong[key] = (self._wrong.get(key, (0, 0.0))[0] + 1, now_s)

    def right(self, login: str, address: str) -> None:
        """The right password was given: the login's count is forgotten, the address's is not."""
        with self._lock:
            self._wrong.pop(self._keys(login, address)[0][0], None)

    def _keys(self, login: str, address: str) -> tuple[tuple[str, int], ...]:
        # A whole hospital may share one address, so that an address may err more often than a login.
        return (f"login {login[:40]} {address}", self.most), (f"address {address}", 10 * self.most)

"""Practitioners, their passwords and their sessions at the web page."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, delete, insert, select, update

from zhenbao.hub.store.tables import practitioners, web_sessions
from zhenbao.model.errors import InputError

Role = Literal["specialist", "operator"]

# OWASP Password Storage Cheat Sheet: scrypt with N=2^15, r=8, p=3 (32 MiB a try).
_N, _R, _P = 1 << 15, 8, 3
_MEMORY = 64 << 20
SHORTEST_PASSWORD = 8
"""NIST SP 800-63B, 5.1.1.2: at least 8 characters, all kinds allowed, no forced mixture."""

SESSION_HOURS = 12
"""A shift."""


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A person who may log in. ``specialty`` is a key of the specialties; an operator has none."""

    login: str
    name: str
    role: Role
    specialty: str | None
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in browser."""

    practitioner: Practitioner
    csrf: str


def add(connection: Connection, person: Practitioner, password: str, now_ms: int) -> None:
    """Add a practitioner.

    Raises:
        InputError: ``login-form``, ``login-taken``, ``specialty-missing`` or ``password-short``.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,39}", person.login):
        raise InputError("login-form", login=person.login[:40])
    if (person.role == "specialist") != bool(person.specialty):
        raise InputError("specialty-missing")
    if len(password) < SHORTEST_PASSWORD:
        raise InputError("password-short", shortest=SHORTEST_PASSWORD)
    if find(connection, person.login) is not None:
        raise InputError("login-taken", login=person.login)
    connection.execute(
        insert(practitioners).values(
            login=person.login,
            name=person.name,
            role=person.role,
            specialty=person.specialty,
            phone=person.phone,
            password=hash_password(password),
            created_ms=now_ms,
        )
    )


def check_role(text: str) -> Role:
    """A role from what a person typed.

    Raises:
        InputError: ``hub-role``.
    """
    known: dict[str, Role] = {role: role for role in get_args(Role)}
    if text not in known:
        raise InputError("hub-role", role=text[:20])
    return known[text]


def find(connection: Connection, login: str) -> Practitioner | None:
    """The practitioner, also a disabled one (old reports name them)."""
    row = connection.execute(select(practitioners).where(practitioners.c.login == login)).one_or_none()
    return None if row is None else Practitioner(row.login, row.name, row.role, row.specialty, row.phone)


def everyone(connection: Connection) -> list[Practitioner]:
    """All who may log in, by login."""
    found = connection.execute(
        select(practitioners).where(practitioners.c.disabled_ms.is_(None)).order_by(practitioners.c.login)
    )
    return [Practitioner(row.login, row.name, row.role, row.specialty, row.phone) for row in found]


def with_password(connection: Connection, login: str, password: str) -> Practitioner | None:
    """The practitioner whose login and password these are. An unknown login takes as long as a wrong password."""
    row = connection.execute(
        select(practitioners).where(practitioners.c.login == login, practitioners.c.disabled_ms.is_(None))
    ).one_or_none()
    right = password_is(password, row.password if row is not None else _NOBODY)
    if row is None or not right:
        return None
    return Practitioner(row.login, row.name, row.role, row.specialty, row.phone)


def open_session(connection: Connection, login: str, now_ms: int) -> tuple[str, str]:
    """Begin a session; returns its token (for the cookie; only its hash is kept) and its CSRF token."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    connection.execute(delete(web_sessions).where(web_sessions.c.created_ms < now_ms - SESSION_HOURS * 3_600_000))
    connection.execute(
        insert(web_sessions).values(token_sha256=_digest(token), login=login, csrf=csrf, created_ms=now_ms)
    )
    return token, csrf


def session(connection: Connection, token: str, now_ms: int) -> Session | None:
    """The session of a cookie, if it has not ended and its practitioner may still log in."""
    row = connection.execute(
        select(practitioners, web_sessions.c.csrf)
        .join(web_sessions, web_sessions.c.login == practitioners.c.login)
        .where(
            web_sessions.c.token_sha256 == _digest(token),
            web_sessions.c.created_ms >= now_ms - SESSION_HOURS * 3_600_000,
            practitioners.c.disabled_ms.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    return Session(Practitioner(row.login, row.name, row.role, row.specialty, row.phone), row.csrf)


def close_session(connection: Connection, token: str) -> None:
    """End a session."""
    connection.execute(delete(web_sessions).where(web_sessions.c.token_sha256 == _digest(token)))


def disable(connection: Connection, login: str, now_ms: int) -> None:
    """Take the right to log in, at once; what they signed stays theirs.

    Raises:
        InputError: ``login-unknown``.
    """
    if find(connection, login) is None:
        raise InputError("login-unknown", login=login[:40])
    connection.execute(update(practitioners).where(practitioners.c.login == login).values(disabled_ms=now_ms))
    connection.execute(delete(web_sessions).where(web_sessions.c.login == login))


def hash_password(password: str) -> str:
    """``scrypt$N$r$p$salt$hash`` with a fresh salt."""
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", str(_N), str(_R), str(_P), _b64(salt), _b64(_scrypt(password, salt, _N, _R, _P))])


def password_is(password: str, stored: str) -> bool:
    """Whether this is the password that was hashed; takes the same time either way."""
    try:
        _, n, r, p, salt, digest = stored.split("$")
        computed = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(computed, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# A hash that no password has: it makes an unknown login cost the same time.
_NOBODY = "$".join(["scrypt", str(_N), str(_R), str(_P), _b64(bytes(16)), _b64(bytes(32))])

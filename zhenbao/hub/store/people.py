"""Practitioners, their passwords and their sessions at the web page."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import get_args

from sqlalchemy import Connection, Row, delete, insert, select, update

from zhenbao.hub import passwords, second_factor
from zhenbao.hub.permission import CLINICAL, Role
from zhenbao.hub.store import organisations
from zhenbao.hub.store.tables import practitioners, web_sessions
from zhenbao.model.errors import InputError

MOST_WRONG = 10
"""NIST SP 800-63B, 5.2.2, allows 100 in a row; ten are enough for a cold hand."""
REST_MINUTES = 15
"""How long an account rests after that."""
SESSION_HOURS = 12
"""A shift."""
FRESH_MINUTES = 5
"""So long after the identity provider has asked anew a person may sign without their password."""


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A person who may log in. ``specialty`` is a key of the specialties; only those who write reports have one."""

    login: str
    name: str
    role: Role
    specialty: str | None
    phone: str = ""
    org_id: str = organisations.ROOT


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in browser."""

    practitioner: Practitioner
    csrf: str
    id: bytes = b""
    """The hash of its token: what may be kept of it."""
    way: str = "password"
    """``password`` or ``oidc``: how it began."""
    fresh_ms: int = 0
    """When the identity provider last asked anew who this is; 0: never."""


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One of a person's sessions, as a list shows it."""

    name: str
    created_ms: int
    address: str
    browser: str
    way: str


def add(connection: Connection, person: Practitioner, password: str, now_ms: int) -> None:
    """Add a practitioner.

    Raises:
        InputError: ``login-form``, ``login-taken``, ``specialty-missing``, ``org-unknown`` or ``password-short``.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,39}", person.login):
        raise InputError("login-form", login=person.login[:40])
    if (person.role in CLINICAL) != bool(person.specialty):
        raise InputError("specialty-missing")
    organisations.check(connection, person.org_id)
    _check_password(password)
    if find(connection, person.login) is not None:
        raise InputError("login-taken", login=person.login)
    connection.execute(
        insert(practitioners).values(
            login=person.login,
            name=person.name,
            role=person.role,
            specialty=person.specialty,
            phone=person.phone,
            password=passwords.hash_password(password),
            created_ms=now_ms,
            org_id=person.org_id,
        )
    )


def check_role(text: str) -> Role:
    """A role from what a person typed.

    Raises:
        InputError: ``hub-role``.
    """
    known: dict[str, Role] = {role: role for role in get_args(Role)}
    if text not in known:
        raise InputError("hub-role", role=text[:20], known=", ".join(known))
    return known[text]


def find(connection: Connection, login: str) -> Practitioner | None:
    """The practitioner, also a disabled one (old reports name them)."""
    row = connection.execute(select(practitioners).where(practitioners.c.login == login)).one_or_none()
    return None if row is None else _practitioner(row)


def names(connection: Connection, logins: Collection[str]) -> dict[str, str]:
    """What people are called, by login; the login itself where there is no account of it yet."""
    known = select(practitioners.c.login, practitioners.c.name).where(practitioners.c.login.in_(list(logins)))
    return {login: login for login in logins} | dict(map(tuple, connection.execute(known))) if logins else {}


def name_of(connection: Connection, login: str | None) -> str:
    """What a person is called; empty for nobody."""
    return "" if login is None else names(connection, [login])[login]


def everyone(connection: Connection) -> list[Practitioner]:
    """All who may log in, by login."""
    found = connection.execute(
        select(practitioners).where(practitioners.c.disabled_ms.is_(None)).order_by(practitioners.c.login)
    )
    return [_practitioner(row) for row in found]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a try to log in came to."""

    practitioner: Practitioner | None
    """None: login and password do not belong together, or the account rests."""
    needs_code: bool = False
    """Right so far; the code of the second factor is missing or wrong."""
    rests: bool = False


def enter(connection: Connection, login: str, password: str, code: str, now_ms: int) -> Entry:
    """Judge a try to log in, count it, and rest the account after too many wrong ones. Call inside a transaction.

    An unknown login takes as long as a wrong password.
    """
    row = connection.execute(
        select(practitioners)
        .where(practitioners.c.login == login, practitioners.c.disabled_ms.is_(None))
        .with_for_update()
    ).one_or_none()
    right = passwords.password_is(password, row.password if row is not None else passwords.nobody())
    if row is None:
        return Entry(None)
    if row.rests_until_ms > now_ms:
        return Entry(None, rests=True)
    step = None
    if right and row.totp_secret is not None:
        step = second_factor.matching_step(row.totp_secret, code, now_ms / 1000, after_step=row.totp_counter)
    account = update(practitioners).where(practitioners.c.login == login)
    if not right or (row.totp_secret is not None and step is None):
        if right and not code.strip():
            # Only asked for: no guess was made.
            return Entry(None, needs_code=True)
        wrong = row.wrong + 1
        rests = wrong >= MOST_WRONG
        until_ms = now_ms + REST_MINUTES * 60_000 if rests else row.rests_until_ms
        connection.execute(account.values(wrong=0 if rests else wrong, rests_until_ms=until_ms))
        return Entry(None, needs_code=right, rests=rests)
    values: dict[str, object] = {"wrong": 0}
    if step is not None:
        values["totp_counter"] = step
    if passwords.outdated(row.password):
        values["password"] = passwords.hash_password(password)
    connection.execute(account.values(**values))
    return Entry(_practitioner(row))


def confirm(connection: Connection, login: str, password: str) -> bool:
    """Whether a person who is logged in typed their password again, as before signing."""
    stored = select(practitioners.c.password).where(practitioners.c.login == login)
    return passwords.password_is(password, connection.execute(stored).scalar() or passwords.nobody())


def set_password(connection: Connection, login: str, password: str) -> None:
    """Give an account another password; whoever was logged in with the old one is logged out.

    Raises:
        InputError: ``login-unknown`` or ``password-short``.
    """
    _check_password(password)
    _check_login(connection, login)
    connection.execute(
        update(practitioners)
        .where(practitioners.c.login == login)
        .values(password=passwords.hash_password(password), wrong=0, rests_until_ms=0)
    )
    connection.execute(delete(web_sessions).where(web_sessions.c.login == login))


def set_second_factor(connection: Connection, login: str, secret: bytes | None) -> None:
    """Ask this account for a code from now on, or no longer (None, for a lost telephone).

    Raises:
        InputError: ``login-unknown``.
    """
    _check_login(connection, login)
    connection.execute(
        update(practitioners).where(practitioners.c.login == login).values(totp_secret=secret, totp_counter=None)
    )
    connection.execute(delete(web_sessions).where(web_sessions.c.login == login))


def open_session(
    connection: Connection,
    login: str,
    now_ms: int,
    *,
    address: str = "",
    browser: str = "",
    way: str = "password",
    fresh_ms: int = 0,
) -> tuple[str, str]:
    """Begin a session; returns its token (for the cookie; only its hash is kept) and its CSRF token."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    connection.execute(delete(web_sessions).where(web_sessions.c.created_ms < now_ms - SESSION_HOURS * 3_600_000))
    connection.execute(
        insert(web_sessions).values(
            token_sha256=_digest(token),
            login=login,
            csrf=csrf,
            created_ms=now_ms,
            address=address[:60],
            browser=browser[:60],
            way=way,
            fresh_ms=fresh_ms,
        )
    )
    return token, csrf


def session(connection: Connection, token: str, now_ms: int) -> Session | None:
    """The session of a cookie, if it has not ended and its practitioner may still log in."""
    row = connection.execute(
        select(practitioners, web_sessions.c.csrf, web_sessions.c.way, web_sessions.c.fresh_ms)
        .join(web_sessions, web_sessions.c.login == practitioners.c.login)
        .where(
            web_sessions.c.token_sha256 == _digest(token),
            web_sessions.c.created_ms >= now_ms - SESSION_HOURS * 3_600_000,
            practitioners.c.disabled_ms.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    return Session(_practitioner(row), row.csrf, _digest(token), row.way, row.fresh_ms)


def alive(connection: Connection, ids: Collection[bytes], now_ms: int) -> frozenset[bytes]:
    """Which of these sessions have not ended."""
    if not ids:
        return frozenset()
    found = (
        select(web_sessions.c.token_sha256)
        .join(practitioners, web_sessions.c.login == practitioners.c.login)
        .where(
            web_sessions.c.token_sha256.in_(list(ids)),
            web_sessions.c.created_ms >= now_ms - SESSION_HOURS * 3_600_000,
            practitioners.c.disabled_ms.is_(None),
        )
    )
    return frozenset(connection.execute(found).scalars())


def session_name(token: str) -> str:
    """What a list calls a session: tells nothing of its token."""
    return _digest(token).hex()[:16]


def sessions_of(connection: Connection, login: str, now_ms: int) -> list[OwnSession]:
    """A person's sessions that have not ended, newest first."""
    found = (
        select(web_sessions)
        .where(web_sessions.c.login == login, web_sessions.c.created_ms >= now_ms - SESSION_HOURS * 3_600_000)
        .order_by(web_sessions.c.created_ms.desc())
    )
    return [
        OwnSession(r.token_sha256.hex()[:16], r.created_ms, r.address, r.browser, r.way)
        for r in connection.execute(found)
    ]


def end_session(connection: Connection, login: str, name: str) -> None:
    """End one of a person's sessions by its name in the list."""
    own = connection.execute(select(web_sessions.c.token_sha256).where(web_sessions.c.login == login)).scalars()
    for digest in [d for d in own if d.hex()[:16] == name]:
        connection.execute(delete(web_sessions).where(web_sessions.c.token_sha256 == digest))


def refresh_session(connection: Connection, login: str, token_sha256: bytes, now_ms: int) -> None:
    """The identity provider has just asked anew who sits at this browser."""
    connection.execute(
        update(web_sessions)
        .where(web_sessions.c.token_sha256 == token_sha256, web_sessions.c.login == login)
        .values(fresh_ms=now_ms)
    )


def has_second_factor(connection: Connection, login: str) -> bool:
    """Whether an account has a one-time code."""
    stored = select(practitioners.c.totp_secret).where(practitioners.c.login == login)
    return connection.execute(stored).scalar() is not None


def take_code(connection: Connection, login: str, code: str, now_ms: int) -> bool:
    """Judge a one-time code alone; a wrong one counts and rests the account as a wrong password does."""
    row = connection.execute(select(practitioners).where(practitioners.c.login == login).with_for_update()).one()
    if row.rests_until_ms > now_ms or row.totp_secret is None:
        return False
    account = update(practitioners).where(practitioners.c.login == login)
    step = second_factor.matching_step(row.totp_secret, code, now_ms / 1000, after_step=row.totp_counter)
    if step is None:
        rests = row.wrong + 1 >= MOST_WRONG
        until_ms = now_ms + REST_MINUTES * 60_000 if rests else row.rests_until_ms
        connection.execute(account.values(wrong=0 if rests else row.wrong + 1, rests_until_ms=until_ms))
        return False
    connection.execute(account.values(wrong=0, totp_counter=step))
    return True


def close_session(connection: Connection, token: str) -> None:
    """End a session."""
    connection.execute(delete(web_sessions).where(web_sessions.c.token_sha256 == _digest(token)))


def disable(connection: Connection, login: str, now_ms: int) -> None:
    """Take the right to log in, at once; what they signed stays theirs.

    Raises:
        InputError: ``login-unknown``.
    """
    _check_login(connection, login)
    connection.execute(update(practitioners).where(practitioners.c.login == login).values(disabled_ms=now_ms))
    connection.execute(delete(web_sessions).where(web_sessions.c.login == login))


def _practitioner(row: Row[tuple[object, ...]]) -> Practitioner:
    r = row._mapping
    return Practitioner(r["login"], r["name"], r["role"], r["specialty"], r["phone"], r["org_id"])


def _check_login(connection: Connection, login: str) -> None:
    if find(connection, login) is None:
        raise InputError("login-unknown", login=login[:40])


def _check_password(password: str) -> None:
    if len(password) < passwords.SHORTEST:
        raise InputError("password-short", shortest=passwords.SHORTEST)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

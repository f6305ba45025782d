"""Who is on the way to the identity provider, and which of its identities opens which account."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from zhenbao.hub.oidc import FLOW_MINUTES
from zhenbao.hub.store import people
from zhenbao.hub.store.law_tables import login_identities, oidc_flows
from zhenbao.model.errors import InputError

Purpose = Literal["login", "sign", "code"]


@dataclass(frozen=True, slots=True)
class Flow:
    """One way to the provider and back."""

    nonce: str
    verifier: str
    purpose: Purpose
    login: str | None
    """Of whom it is about: who signs, or who still owes a one-time code."""
    begun_ms: int
    session_sha256: bytes | None = None
    """Of the session that is to be made fresh, and of no other."""


def begin(
    connection: Connection,
    state: str,
    nonce: str,
    verifier: str,
    purpose: Purpose,
    login: str | None,
    now_ms: int,
    session_token: str = "",
) -> None:
    """Remember a way; forgotten ones are cleared away."""
    connection.execute(delete(oidc_flows).where(oidc_flows.c.begun_ms < now_ms - FLOW_MINUTES * 60_000))
    connection.execute(
        insert(oidc_flows).values(
            state_sha256=_digest(state),
            nonce=nonce,
            verifier=verifier,
            purpose=purpose,
            login=login,
            session_sha256=_digest(session_token) if session_token else None,
            begun_ms=now_ms,
        )
    )


def take(connection: Connection, state: str, now_ms: int) -> Flow | None:
    """The way of a state, once: a second use finds nothing."""
    row = connection.execute(select(oidc_flows).where(oidc_flows.c.state_sha256 == _digest(state))).one_or_none()
    connection.execute(delete(oidc_flows).where(oidc_flows.c.state_sha256 == _digest(state)))
    if row is None or now_ms - row.begun_ms > FLOW_MINUTES * 60_000:
        return None
    return Flow(row.nonce, row.verifier, row.purpose, row.login, row.begun_ms, row.session_sha256)


def join(connection: Connection, issuer: str, subject: str, login: str, now_ms: int) -> None:
    """Say that an identity of the provider opens an account, instead of any it opened before.

    Raises:
        InputError: ``login-unknown``.
    """
    if people.find(connection, login) is None:
        raise InputError("login-unknown", login=login[:40])
    part(connection, issuer, subject)
    connection.execute(
        insert(login_identities).values(issuer=issuer[:200], subject=subject[:200], login=login, added_ms=now_ms)
    )


def part(connection: Connection, issuer: str, subject: str) -> int:
    """An identity opens nothing any more; returns how many it opened."""
    gone = delete(login_identities).where(login_identities.c.issuer == issuer, login_identities.c.subject == subject)
    return connection.execute(gone).rowcount


def login_of(connection: Connection, issuer: str, subject: str) -> str | None:
    """The account that an identity opens; None where it opens none, or the account was disabled."""
    found: str | None = connection.execute(
        select(login_identities.c.login).where(
            login_identities.c.issuer == issuer, login_identities.c.subject == subject
        )
    ).scalar()
    active = {person.login for person in people.everyone(connection)}
    return found if found in active else None


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()

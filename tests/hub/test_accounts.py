"""Passwords, the second factor, and the rest after wrong tries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zhenbao.hub import passwords, second_factor
from zhenbao.hub.store import people
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from conftest import HandClock

    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Entry, Practitioner

PASSWORD = "correct horse"
hash_anew = passwords.hash_password
"""The product's own; within a test it is computed once for all accounts."""
# RFC 6238, appendix B, SHA-1: the last six of the eight digits printed there.
RFC_SECRET = b"12345678901234567890"
RFC_CODES = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
]


def enter(store: HubStore, password: str = PASSWORD, code: str = "", login: str = "heart") -> Entry:
    with store.writing() as connection:
        return people.enter(connection, login, password, code, store.clock.now_ms())


@pytest.mark.parametrize(("now_s", "code"), RFC_CODES)
def test_the_codes_of_the_standard(now_s: int, code: str) -> None:
    assert second_factor.matching_step(RFC_SECRET, code, now_s, after_step=None) == now_s // 30


def test_a_code_is_good_for_its_step_and_one_beside_and_never_twice() -> None:
    now_s, code = RFC_CODES[2]
    step = now_s // 30
    for shift, good in ((-61, False), (-30, True), (30, True), (61, False)):
        assert (second_factor.matching_step(RFC_SECRET, code, now_s + shift, after_step=None) == step) is good
    assert second_factor.matching_step(RFC_SECRET, code, now_s, after_step=step) is None
    assert second_factor.matching_step(RFC_SECRET, f" {code[:3]} {code[3:]}", now_s, after_step=step - 1) == step


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "２８７０８２", "28708２"])
def test_what_is_no_code(code: str) -> None:
    assert second_factor.matching_step(RFC_SECRET, code, 59, after_step=None) is None


def test_passwords_are_argon2id_and_salted() -> None:
    one, two = hash_anew(PASSWORD), hash_anew(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert passwords.password_is(PASSWORD, one)
    assert not passwords.password_is("wrong horse", one)
    assert not passwords.password_is(PASSWORD, passwords.nobody())


def test_a_password_of_an_older_version_still_opens_and_is_hashed_anew(store: HubStore, heart: Practitioner) -> None:
    import base64
    import hashlib

    from sqlalchemy import select, update

    from zhenbao.hub.store.tables import practitioners

    salt = bytes(16)
    digest = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=1 << 15, r=8, p=3, maxmem=64 << 20, dklen=32)
    old = f"scrypt$32768$8$3${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
    with store.writing() as connection:
        connection.execute(update(practitioners).values(password=old))
    assert enter(store, "wrong horse").practitioner is None
    assert enter(store).practitioner == heart
    with store.reading() as connection:
        assert connection.execute(select(practitioners.c.password)).scalar_one().startswith("$argon2id$")
    assert enter(store).practitioner == heart


def test_an_account_rests_after_ten_wrong_tries_even_across_a_restart(
    store: HubStore, heart: Practitioner, clock: HandClock
) -> None:
    for _ in range(people.MOST_WRONG - 1):
        assert not enter(store, "wrong horse").rests
    assert enter(store).practitioner == heart, "a right one forgives"
    for _ in range(people.MOST_WRONG - 1):
        enter(store, "wrong horse")
    assert enter(store, "wrong horse").rests
    assert enter(store).rests
    clock.pass_minutes(people.REST_MINUTES)
    assert enter(store).practitioner == heart


def test_the_second_factor_is_asked_for_and_counts_as_a_guess(
    store: HubStore, heart: Practitioner, clock: HandClock
) -> None:
    clock.ms = RFC_CODES[2][0] * 1000
    with store.writing() as connection:
        people.set_second_factor(connection, "heart", RFC_SECRET)
    assert enter(store).needs_code
    assert enter(store, code="123456").needs_code
    assert enter(store, "wrong horse", RFC_CODES[2][1]).needs_code is False
    assert enter(store, code=RFC_CODES[2][1]).practitioner == heart
    assert enter(store, code=RFC_CODES[2][1]).practitioner is None, "no code twice"
    for _ in range(people.MOST_WRONG):
        last = enter(store, code="123456")
    assert last.rests


def test_another_password_or_factor_ends_the_sessions(store: HubStore, heart: Practitioner) -> None:
    for change in (
        lambda c: people.set_password(c, "heart", "another horse"),
        lambda c: people.set_second_factor(c, "heart", None),
        lambda c: people.disable(c, "heart", store.clock.now_ms()),
    ):
        with store.writing() as connection:
            token, _ = people.open_session(connection, "heart", store.clock.now_ms())
        with store.writing() as connection:
            assert people.session(connection, token, store.clock.now_ms()) is not None
            change(connection)
            assert people.session(connection, token, store.clock.now_ms()) is None


def test_unknown_logins_cannot_be_changed(store: HubStore) -> None:
    with store.writing() as connection, pytest.raises(InputError, match="login-unknown"):
        people.set_password(connection, "nobody", PASSWORD)

"""Asking for a PIN: on the terminal, unseen, or from the first line of standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.agent.vault.unlocked import is_unlocked, swap_in_clear
from zhenbao.model.errors import InputError, ZhenbaoError
from zhenbao.model.time import Clock
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.settings import KitSettings


def unlock_at_terminal(home: Path, settings: KitSettings, clock: Clock, screen: Screen) -> None:
    """Where the kit is locked and a person sits at the terminal, ask and unlock; else leave it to the store to say so.

    Raises:
        InputError, StorageError: as :func:`zhenbao.agent.vault.vault.unlock`.
    """
    from zhenbao.agent.vault.file import exists

    if screen.json_lines or not sys.stdin.isatty() or not exists(home) or is_unlocked(home):
        return
    unlock_with(home, settings, read_pin(screen.words, "vault.prompt", stdin=False), clock, screen)


def unlock_with(home: Path, settings: KitSettings, pin: str, clock: Clock, screen: Screen) -> None:
    """Unlock, and see to what the settings say of the vault.

    Raises:
        InputError, StorageError: as :func:`zhenbao.agent.vault.vault.unlock`.
    """
    from zhenbao.agent.vault.file import load
    from zhenbao.agent.vault.vault import set_recovery, unlock
    from zhenbao.sync.recovery import public_from

    key = unlock(home, pin, clock, idle_s=60.0 * settings.lock_after_min)
    put_keys_inside(home, settings, key, clock, screen)
    slot = load(home).recovery
    if settings.recovery_key and (slot is None or slot.hub_key != public_from(settings.recovery_key)):
        set_recovery(home, key, public_from(settings.recovery_key))
        screen.say("vault.recovery_set")
    if swap_in_clear():
        screen.say("vault.swap")


def put_keys_inside(home: Path, settings: KitSettings, key: bytes, clock: Clock, screen: Screen) -> None:
    """What lies open from before the PIN goes behind it; a disk that refuses is told, and unlocks all the same."""
    from zhenbao.agent.keys import put_inside

    try:
        if put_inside(home, settings, key, clock.now_ms()):
            screen.say("vault.keys_inside")
    except ZhenbaoError as error:
        screen.trouble(error)


def read_pin(words: Words, prompt: str, *, stdin: bool) -> str:
    """A PIN as typed.

    Args:
        prompt: key of the words that ask for it.
        stdin: take a line from standard input, for scripts.

    Raises:
        InputError: ``pin-nobody``: there is no terminal to ask on.
    """
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("pin-nobody")
    from getpass import getpass

    return getpass(words(prompt) + " ")


def read_new_pin(words: Words, *, stdin: bool) -> str:
    """A new PIN, typed twice on a terminal.

    Raises:
        InputError: ``pin-differs``, ``pin-nobody``.
    """
    pin = read_pin(words, "vault.new_prompt", stdin=stdin)
    if not stdin and read_pin(words, "vault.again_prompt", stdin=False) != pin:
        raise InputError("pin-differs")
    return pin

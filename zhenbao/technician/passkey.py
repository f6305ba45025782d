"""The six digits that a device shows while it is paired, typed by the technician."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from zhenbao.words import Words

_DIGITS = 6


async def ask_passkey(words: Words) -> int | None:
    """Ask for the digits until six are typed; None where the technician gives up (an empty line, or no keyboard)."""
    typer.echo(words("tech.passkey"))
    while line := (await _line()).strip():
        digits = line.replace(" ", "")
        if len(digits) == _DIGITS and digits.isascii() and digits.isdigit():
            return int(digits)
        typer.echo(words("tech.passkey_again"))
    return None


async def _line() -> str:
    """A line of what is typed. Whoever waits may be cancelled: the device gives up after half a minute, and the command
    must end then although nobody has pressed a key."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def give(line: str) -> None:
        if not answer.done():
            answer.set_result(line)

    def read() -> None:
        # Not through sys.stdin: its lock, held by a thread that waits for ever, would abort the interpreter's end.
        typed = b""
        while not typed.endswith(b"\n") and (key := os.read(0, 1)):
            typed += key
        with suppress(RuntimeError):  # the command has ended meanwhile
            loop.call_soon_threadsafe(give, typed.decode(errors="replace"))

    threading.Thread(target=read, name="passkey", daemon=True).start()
    return await answer

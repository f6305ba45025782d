"""Wrong PINs are counted on the disk before each try, so that neither a restart nor a pulled battery forgets one."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from zhenbao.agent.vault.file import write_whole
from zhenbao.agent.vault.rules import wait_s
from zhenbao.model.errors import InputError
from zhenbao.model.time import Clock

FILE = "vault.tries.json"


class _Tries(msgspec.Struct, frozen=True):
    wrong: int = 0
    last_ms: int = 0


def begin_try(home: Path, clock: Clock) -> None:
    """Count a try as wrong until it proves right.

    Raises:
        InputError: ``pin-wait``: too many wrong ones, not long enough ago.
        OSError: the count cannot be kept; then nothing may be tried.
    """
    tries, now_ms = _read(home), clock.now_ms()
    wait_ms = 1000 * wait_s(tries.wrong)
    last_ms = tries.last_ms
    if last_ms > now_ms:
        # The clock went back (a flat clock battery): the wait begins anew, and never lasts years.
        last_ms = now_ms
        _write(home, _Tries(tries.wrong, last_ms))
    if (left_ms := last_ms + wait_ms - now_ms) > 0:
        raise InputError("pin-wait", seconds=math.ceil(left_ms / 1000), wrong=tries.wrong)
    _write(home, _Tries(tries.wrong + 1, now_ms))


def right(home: Path) -> None:
    """The last try was right: the count begins anew."""
    _write(home, _Tries())


def wrong_tries(home: Path) -> int:
    """So many wrong ones since the last right one."""
    return _read(home).wrong


def _read(home: Path) -> _Tries:
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=_Tries)
    except (FileNotFoundError, msgspec.DecodeError):
        return _Tries()


def _write(home: Path, tries: _Tries) -> None:
    write_whole(home / FILE, msgspec.json.encode(tries))

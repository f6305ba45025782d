"""Where the key lies between ``unlock`` and ``lock``: a file on tmpfs, gone with the power, that only its owner reads.

The time of its last use is its modification time, in seconds since the machine started: no wrong clock unlocks a kit
or locks a doctor out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from zhenbao.agent.vault.file import load
from zhenbao.model.errors import StorageError

_MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


class _Held(msgspec.Struct, frozen=True):
    key: bytes
    idle_s: float
    """Locked after so long without use; 0: never."""


def unlocked_key(home: Path, *, counts_as_use: bool = True) -> bytes:
    """The key of the store in ``home``.

    Args:
        counts_as_use: a doctor's command does; the service in the background does not keep a kit unlocked.

    Raises:
        StorageError: ``vault-locked``, or as :func:`zhenbao.agent.vault.file.load`.
    """
    name = _name(load(home).id)
    for folder in _folders():
        path = folder / name
        try:
            held = msgspec.json.decode(path.read_bytes(), type=_Held)
            used_s = path.stat().st_mtime
        except (FileNotFoundError, msgspec.DecodeError):
            continue
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        if held.idle_s and now_s - used_s > held.idle_s:
            path.unlink(missing_ok=True)
            continue
        if counts_as_use:
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (now_s, now_s))
        return held.key
    raise StorageError("vault-locked")


def is_unlocked(home: Path) -> bool:
    """Whether the key is at hand; asking does not count as use."""
    try:
        unlocked_key(home, counts_as_use=False)
    except StorageError:
        return False
    return True


def hold(home: Path, key: bytes, idle_s: float = 0.0) -> None:
    """Keep the key until :func:`forget`, a restart, or ``idle_s`` without use.

    Raises:
        StorageError: ``vault-no-memory``: this system offers no folder that dies with the power.
    """
    folder = runtime_folder()
    draft = folder / f".{secrets.token_hex(8)}.new"
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(_Held(key, idle_s)))
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    os.utime(draft, (now_s, now_s))
    draft.replace(folder / _name(load(home).id))


def forget(home: Path) -> None:
    """Lock: nothing that starts after this opens the store."""
    name = _name(load(home).id)
    for folder in _folders():
        (folder / name).unlink(missing_ok=True)


def runtime_folder() -> Path:
    """A folder of this user's own in memory.

    Raises:
        StorageError: ``vault-no-memory``.
    """
    for folder in _folders():
        return folder
    raise StorageError("vault-no-memory")


def swap_in_clear() -> bool:
    """Whether memory may be written to a disk: an active swap that is not compressed memory itself."""
    try:
        lines = Path("/proc/swaps").read_text().splitlines()[1:]
    except OSError:
        return False
    return any(not line.startswith(("/dev/zram", "/dev/dm-")) for line in lines)


def _folders() -> Iterator[Path]:
    """This user's folders in memory, the best first; a command and a service may not see the same best one."""
    user = os.geteuid()
    places = [Path(p) for p in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}", "/dev/shm", "/run") if p]  # noqa: S108
    for place in places:
        folder = place / f"zhenbao-{user}"
        try:
            if _in_memory(place):
                folder.mkdir(mode=0o700, exist_ok=True)
                found = folder.lstat()
                if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
                    yield folder
        except OSError:
            continue


def _in_memory(place: Path) -> bool:
    """Whether ``place`` lies on a file system that is gone after a power cut."""
    device = place.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        mounted, _, source = line.partition(" - ")
        if mounted.split(" ")[2] == wanted:
            return source.split(" ")[0] in _MEMORY_FILE_SYSTEMS
    return False


def _name(vault_id: str) -> str:
    return f"{vault_id}.key"

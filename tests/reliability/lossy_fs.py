"""A file system of the tests' own (FUSE) that remembers in which order what was written, synced, and said.

Run as a process beside the program under test, whose data lie on it:

    python -m reliability.lossy_fs MOUNT_POINT JOURNAL [--kills]

It keeps everything in memory and writes each event to the journal (with ``--kills``: only whom it killed, and where);
``power.py`` makes from it what a disk holds after
a power cut at any moment. Two names are not files but words to it (asking for their attributes is enough, so that they
stand in the journal exactly between the writes before and after):

    .said-TEXT        the program has told somebody TEXT
    .kill-N-PID       kill that process at the N-th write or sync from now (SIGKILL, from inside its own system call)
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = tuple[Any, ...]
"""("mkdir", path) ("create", path, file) ("write", file, offset, data) ("truncate", file, size) ("sync", file)
("syncdir", path) ("rename", old, new) ("unlink", path) ("said", text) ("killed", operation, path)"""
SAID, KILL = ".said-", ".kill-"
_START_S = 10.0


def usable() -> bool:
    """Whether file systems can be mounted here."""
    return os.geteuid() == 0 and Path("/dev/fuse").exists()


@contextlib.contextmanager
def mounted(mount: Path, journal: Path, *options: str) -> Iterator[Path]:
    """The file system at ``mount``, empty, until the block ends."""
    mount.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "reliability.lossy_fs", mount, journal, *options])
    try:
        deadline_s = time.monotonic() + _START_S
        while not mount.is_mount():
            assert process.poll() is None and time.monotonic() < deadline_s, "the file system did not come up"
            time.sleep(0.02)
        yield mount
    finally:
        subprocess.run(["fusermount3", "-u", mount], check=False, capture_output=True)
        process.wait(30)


def say(mount: Path, text: str) -> None:
    """Put into the journal that this was said."""
    (mount / f"{SAID}{text}").exists()


def kill_at(mount: Path, n: int, pid: int) -> None:
    """Kill a process at its n-th write or sync from now."""
    (mount / f"{KILL}{n}-{pid}").exists()


def read_journal(file: Path) -> list[Event]:
    """What happened, in order."""
    events = []
    with file.open("rb") as stream:
        while True:
            try:
                events.append(pickle.load(stream))  # noqa: S301 - written by ourselves a moment ago
            except EOFError:
                return events


def main() -> None:
    import mfusepy

    mount, journal, *options = sys.argv[1:]
    kinds = ("killed",) if "--kills" in options else None
    with open(journal, "wb") as stream:
        mfusepy.FUSE(
            _operations(mfusepy, stream, kinds),
            mount,
            foreground=True,
            nothreads=True,
            hard_remove=True,
            fsname="lossy",
        )


def _operations(mfusepy: Any, stream: Any, kinds: tuple[str, ...] | None) -> Any:
    """The file system itself; made here, since the package asks for libfuse when it is imported."""

    class File:
        def __init__(self, number: int, mode: int) -> None:
            self.number, self.mode, self.data = number, mode, bytearray()

    class LossyFs(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            self.folders: dict[str, int] = {"/": stat.S_IFDIR | 0o700}
            self.names: dict[str, File] = {}
            self.open_files: dict[int, File] = {}
            self.next = 1
            self.victim, self.left = 0, 0

        def note(self, *event: object) -> None:
            if kinds is None or event[0] in kinds:
                pickle.dump(event, stream)

        def counted(self, operation: str, path: str) -> None:
            """A write or a sync: the one at which somebody is to die?"""
            if self.left > 0 and mfusepy.fuse_get_context()[2] == self.victim:
                self.left -= 1
                if self.left == 0:
                    self.note("killed", operation, path)
                    os.kill(self.victim, signal.SIGKILL)

        def file(self, path: str, handle: int | None) -> File:
            found = self.open_files.get(handle or 0) or self.names.get(path)
            if found is None:
                raise mfusepy.FuseOSError(errno.ENOENT)
            return found

        def opened(self, file: File) -> int:
            self.next += 1
            self.open_files[self.next] = file
            return self.next

        # Looking

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            name = path.rpartition("/")[2]
            if name.startswith(SAID):
                self.note("said", name[len(SAID) :])
                raise mfusepy.FuseOSError(errno.ENOENT)
            if name.startswith(KILL):
                n, pid = name[len(KILL) :].split("-")
                self.left, self.victim = int(n), int(pid)
                raise mfusepy.FuseOSError(errno.ENOENT)
            if path in self.folders:
                return {"st_mode": self.folders[path], "st_nlink": 2, "st_uid": os.getuid(), "st_gid": os.getgid()}
            file = self.file(path, fh)
            return {
                "st_mode": file.mode,
                "st_nlink": 1,
                "st_size": len(file.data),
                "st_ino": file.number,
                "st_uid": os.getuid(),
                "st_gid": os.getgid(),
                "st_blocks": -(-len(file.data) // 512),
            }

        def readdir(self, path: str, fh: int) -> list[str]:
            own = path.rstrip("/")
            inside = [p for p in (*self.folders, *self.names) if p != "/" and p.rpartition("/")[0] == own]
            return [".", "..", *(p.rpartition("/")[2] for p in inside)]

        def statfs(self, path: str) -> dict[str, int]:
            return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 20, "f_bfree": 1 << 19, "f_bavail": 1 << 19}

        # Names

        def mkdir(self, path: str, mode: int) -> int:
            self.note("mkdir", path)
            self.folders[path] = stat.S_IFDIR | mode
            return 0

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            self.next += 1
            self.names[path] = File(self.next, stat.S_IFREG | mode)
            self.note("create", path, self.next)
            return self.opened(self.names[path])

        def open(self, path: str, flags: int) -> int:
            return self.opened(self.file(path, None))

        def release(self, path: str, fh: int) -> int:
            self.open_files.pop(fh, None)
            return 0

        def rename(self, old: str, new: str) -> int:
            self.note("rename", old, new)
            self.names[new] = self.names.pop(old)
            return 0

        def unlink(self, path: str) -> int:
            self.note("unlink", path)
            del self.names[path]
            return 0

        def chmod(self, path: str, mode: int) -> int:
            if path in self.folders:
                self.folders[path] = mode
            else:
                self.file(path, None).mode = mode
            return 0

        def utimens(self, path: str, times: Any = None) -> int:
            return 0

        # Bytes

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return bytes(self.file(path, fh).data[offset : offset + size])

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            self.counted("write", path)
            file = self.file(path, fh)
            self.note("write", file.number, offset, bytes(data))
            if offset > len(file.data):
                file.data += bytes(offset - len(file.data))
            file.data[offset : offset + len(data)] = data
            return len(data)

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            file = self.file(path, fh)
            self.note("truncate", file.number, length)
            if length < len(file.data):
                del file.data[length:]
            else:
                file.data += bytes(length - len(file.data))
            return 0

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            self.counted("sync", path)
            self.note("sync", self.file(path, fh).number)
            return 0

        def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
            self.note("syncdir", path)
            return 0

    return LossyFs()


if __name__ == "__main__":
    main()

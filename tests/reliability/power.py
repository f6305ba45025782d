"""What a disk holds after a power cut: what was synced, and of the rest any part of any of it.

The model is what disks and file systems promise and no more: a file's bytes are safe after its fsync or fdatasync; a
new, renamed or removed name after an fsync of its folder, and names change in the order in which they were changed;
an unsynced write may be there, or not, or some of its sectors of 512 bytes, and the one under the head may be half
written.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reliability.lossy_fs import Event

Mode = Literal["nothing", "everything", "some"]
"""Of what was not synced."""
_SECTOR = 512


@dataclass
class Disk:
    """The state of the disk as events come in."""

    folders: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    """Safe ones."""
    content: dict[int, bytes] = field(default_factory=dict)
    """Safe bytes by file."""
    changes: dict[int, list[Event]] = field(default_factory=dict)
    """Writes and truncations since the file's last sync."""
    renaming: list[Event] = field(default_factory=list)
    """Changes of names since the folder's last sync."""

    def take(self, event: Event) -> None:
        """The next thing that happened."""
        match event:
            case ("mkdir", path):
                self.folders.append(path)
            case ("create" | "rename" | "unlink", *_):
                self.renaming.append(event)
            case ("write" | "truncate", file, *_):
                self.changes.setdefault(file, []).append(event)
            case ("sync", file):
                data = bytearray(self.content.get(file, b""))
                for change in self.changes.pop(file, []):
                    _change(data, change)
                self.content[file] = bytes(data)
            case ("syncdir", path):
                own = path.rstrip("/")
                self.names = _named(self.names, [e for e in self.renaming if e[1].rpartition("/")[0] == own])
                self.renaming = [e for e in self.renaming if e[1].rpartition("/")[0] != own]
            case _:
                pass

    def cut(self, rng: random.Random, mode: Mode, into: Path) -> None:
        """Write what is left after a power cut now into a folder."""
        upto = {"nothing": 0, "everything": len(self.renaming), "some": rng.randint(0, len(self.renaming))}[mode]
        names = _named(self.names, self.renaming[:upto])
        for folder in self.folders:
            (into / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, file in names.items():
            data = bytearray(self.content.get(file, b""))
            for change in self.changes.get(file, []):
                if mode == "everything" or (mode == "some" and rng.random() < 0.6):
                    _change(data, change if mode == "everything" else _torn(bytes(data), change, rng))
            (into / path.lstrip("/")).write_bytes(data)


def _named(names: dict[str, int], events: Iterable[Event]) -> dict[str, int]:
    names = dict(names)
    for event in events:
        match event:
            case ("create", path, file):
                names[path] = file
            case ("rename", old, new):
                if old in names:
                    names[new] = names.pop(old)
            case ("unlink", path):
                names.pop(path, None)
    return names


def _change(data: bytearray, change: Event) -> None:
    match change:
        case ("write", _, offset, new):
            if offset > len(data):
                data += bytes(offset - len(data))
            data[offset : offset + len(new)] = new
        case ("truncate", _, size):
            if size < len(data):
                del data[size:]
            else:
                data += bytes(size - len(data))


def _torn(old: bytes, change: Event, rng: random.Random) -> Event:
    """The write as it may lie on the disk: whole, or some sectors of it, one of them in half."""
    if change[0] != "write" or rng.random() < 0.5:
        return change
    _, file, offset, new = change
    before = old[offset : offset + len(new)]
    mixed = bytearray(before + bytes(len(new) - len(before)))
    start = 0
    while start < len(new):
        end = min(len(new), start + _SECTOR - (offset + start) % _SECTOR)
        kept = rng.random()
        if kept < 0.5:
            mixed[start:end] = new[start:end]
        elif kept < 0.6:
            half = rng.randint(start, end)
            mixed[start:half] = new[start:half]
        start = end
    return ("write", file, offset, bytes(mixed))

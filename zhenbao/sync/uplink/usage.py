"""What this month has cost: bytes over paid roads, counted from the kernel's counters and kept across restarts.

The kernel counts an interface's bytes since it appeared. All of them are paid, also those of other programs, so all
of them count. The count is a floor after a power cut: what passed since the last look is not seen.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from zhenbao.model.time import local_time

FILE = "traffic.json"
SYSTEM = Path("/sys/class/net")
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Usage:
    """One month's bytes."""

    month: str = ""
    """``2026-11``, Beijing time."""
    used_bytes: int = 0
    boot: str = ""
    """The machine's start that ``seen`` belongs to."""
    seen: dict[str, int] = field(default_factory=dict)
    """The kernel's counter of each interface at the last look."""


def counted(before: Usage, counters: dict[str, int], boot: str, now_ms: int) -> Usage:
    """The month after one more look at the paid interfaces.

    A counter that went back, or of another start of the machine, began again at 0. A new month begins at 0 with what
    passed since the last look. The very first look counts nothing: nobody knows when those bytes passed.
    """
    month = local_time(now_ms).strftime("%Y-%m")
    seen = before.seen if before.boot == boot else {}
    passed = sum(
        count - seen[name] if name in seen and count >= seen[name] else count for name, count in counters.items()
    )
    passed = passed if before.boot else 0
    base = before.used_bytes if before.month == month else 0
    # An interface that is not paid now keeps its last count: what it carries free of charge is not counted later.
    return Usage(month, base + passed, boot, seen | counters)


def skipped(before: Usage, counters: dict[str, int], boot: str) -> Usage:
    """The month after a look at interfaces that cost nothing now: their bytes are passed by."""
    seen = before.seen if before.boot == boot else {}
    return replace(before, boot=boot, seen=seen | counters)


def read_counters(interfaces: list[str], system: Path = SYSTEM) -> dict[str, int]:
    """Bytes received and sent by each interface since it appeared; those that are gone are left out."""
    found = {}
    for name in interfaces:
        folder = system / name / "statistics"
        try:
            found[name] = sum(int((folder / file).read_text("ascii")) for file in ("rx_bytes", "tx_bytes"))
        except (OSError, ValueError):
            continue
    return found


def boot_id(file: Path = BOOT) -> str:
    """What names this start of the machine; empty where the system has no such name."""
    try:
        return file.read_text("ascii").strip()
    except OSError:
        return ""


def load_usage(folder: Path) -> Usage:
    """What was kept; nothing where it cannot be read: a count is no reason to stop."""
    try:
        kept = Usage(**json.loads((folder / FILE).read_text("utf-8")))
        right = isinstance(kept.used_bytes, int) and isinstance(kept.seen, dict)
        return kept if right and all(isinstance(count, int) for count in kept.seen.values()) else Usage()
    except (OSError, ValueError, TypeError):
        return Usage()


def save_usage(folder: Path, usage: Usage) -> None:
    """Keep it, whole or not at all.

    Raises:
        OSError: the disk is full, or read-only.
    """
    draft = folder / f".{FILE}.new"
    draft.write_text(json.dumps(asdict(usage)), "utf-8")
    draft.replace(folder / FILE)

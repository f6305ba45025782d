"""The tablet's battery, as Linux tells it (``Documentation/ABI/testing/sysfs-class-power``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")


@dataclass(frozen=True, slots=True)
class Battery:
    """None: the machine does not tell, or has none."""

    percent: int | None = None
    on_mains: bool | None = None


def battery(supplies: Path = SUPPLIES) -> Battery:
    """How full it is, the lowest of several, and whether it is being charged or full on the cable."""
    levels, mains = [], []
    for supply in sorted(supplies.glob("*")):
        kind, scope = _text(supply / "type"), _text(supply / "scope")
        # A mouse has a battery too.
        if scope == "Device":
            continue
        if kind == "Battery":
            level, state = _text(supply / "capacity"), _text(supply / "status")
            if level.isdigit() and int(level) <= 100:
                levels.append(int(level))
            if state in ("Charging", "Full", "Not charging", "Discharging"):
                mains.append(state != "Discharging")
        elif kind in ("Mains", "USB"):
            online = _text(supply / "online")
            if online in ("0", "1"):
                mains.append(online == "1")
    return Battery(min(levels, default=None), any(mains) if mains else None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""

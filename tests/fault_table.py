"""The table of docs/devices/faults.md: what each device says of each fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "devices" / "faults.md"
UNPLUGGED, BATTERY, HELD, HANGS_UP, OTHER = (
    "unplugged, out of range",
    "battery dies, falls silent",
    "another program has it",
    "hangs up after sending",
    "another device, same name",
)


class Cell(NamedTuple):
    """A device, what goes wrong with it, and the code of the message; no code: nothing is wrong, a normal end."""

    device: str
    fault: str
    code: str


def cells_of_the_page() -> tuple[list[Cell], list[tuple[str, str, str]]]:
    """The cells, one for each code in them; and every cell as it is written."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    first, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    written = []
    for row in rows[1:]:
        if len(row) != len(first):
            break  # the next table
        written += [(row[0], fault, text) for fault, text in zip(first[1:], row[1:], strict=True)]
    cells = []
    for device, fault, text in written:
        codes = re.findall(r"`([a-z0-9-]+)`", text)
        if "a normal end" in text:
            codes.append("")
        cells += [Cell(device, fault, code) for code in codes]
    return cells, written

"""Looking for a person in raw bytes: names, numbers and readings, in every form in which a program may keep them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import cbor2


@dataclass(frozen=True)
class Secrets:
    """What a thief must not find."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]
    """Resident numbers, telephones, ids: digits."""
    samples: tuple[bytes, ...] = ()
    """Pieces of recordings as they are kept."""
    values: tuple[dict[str, tuple[float, str]], ...] = ()
    """Readings with their units, by the key under which they are kept."""


def forms(secrets: Secrets) -> dict[str, bytes]:
    """Every form searched for, by what it is called."""
    wanted: dict[str, bytes] = {}
    for text in (*secrets.names, *secrets.numbers):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gbk"):
            wanted[f"{text} {encoding}"] = text.encode(encoding)
        wanted[f"{text} escaped"] = text.encode("unicode_escape")
    for number in secrets.numbers:
        digits = "".join(c for c in number if c.isdigit())
        packed = digits if len(digits) % 2 == 0 else "0" + digits
        wanted[f"{number} BCD"] = bytes.fromhex(packed)
        wanted[f"{number} BCD swapped"] = bytes(b >> 4 | (b & 15) << 4 for b in bytes.fromhex(packed))
        if len(digits) > 8:
            for order in ("<", ">"):
                wanted[f"{number} integer {order}"] = struct.pack(f"{order}Q", int(digits[-18:]))
    for n, piece in enumerate(secrets.samples):
        wanted[f"samples {n}"] = piece
    for reading in secrets.values:
        for key, (value, unit) in reading.items():
            wanted[f"{key} key"] = key.encode()
            wanted[f"{value} CBOR by name"] = cbor2.dumps("value") + cbor2.dumps(value)
            number = int(value) if value.is_integer() else value
            wanted[f"{value} CBOR"] = b"".join(map(cbor2.dumps, (1, number, 2, unit)))
            for order in ("<", ">"):
                wanted[f"{value} double {order}"] = struct.pack(f"{order}d", value)
    return {name: form for name, form in wanted.items() if len(form) >= 4}


def found(folder: Path, secrets: Secrets) -> dict[str, list[str]]:
    """Which forms lie in which files below ``folder``; file names are searched too."""
    wanted = forms(secrets)
    hits: dict[str, list[str]] = {}
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = file.read_bytes() + b"\0" + str(file.relative_to(folder)).encode()
        if names := [name for name, form in wanted.items() if form in content]:
            hits[str(file.relative_to(folder))] = names
    return hits

"""Bluetooth bonds in a file that only its owner can read.

Bumble's own key store writes its file readable for everyone; a long-term key opens the link to a patient's meter.
The file is JSON: ``{our address: {peer address: keys}}``. Our address is made once, with the first bond's file, because
a meter knows a kit by it.
"""

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import Any

from bumble import hci
from bumble.keys import PairingKeys

from zhenbao.model.errors import StorageError

_Bonds = dict[str, dict[str, Any]]


class BondFile:
    """Bumble's ``KeyStore`` on one file. Writing is atomic: a power cut leaves the old bonds or the new ones.

    Raises:
        StorageError: ``bond-file``: the file is there but is none of ours, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            stored: dict[str, _Bonds] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            stored = {}
        except (OSError, ValueError) as error:
            raise StorageError("bond-file", path=path) from error
        self.own_address, self._bonds = next(iter(stored.items()), (_random_static_address(), {}))
        if not stored:
            self._save()

    async def get(self, name: str) -> Any:
        keys = self._bonds.get(name)
        return None if keys is None else PairingKeys.from_dict(keys)

    async def get_all(self) -> list[tuple[str, Any]]:
        return [(name, PairingKeys.from_dict(keys)) for name, keys in self._bonds.items()]

    async def get_resolving_keys(self) -> list[tuple[bytes, Any]]:
        """The identity keys by which changing addresses of bonded devices are recognised."""
        return [
            (keys.irk.value, hci.Address(name, keys.address_type or hci.Address.RANDOM_DEVICE_ADDRESS))
            for name, keys in await self.get_all()
            if keys.irk is not None
        ]

    async def update(self, name: str, keys: Any) -> None:
        self._bonds[name] = keys.to_dict()
        await asyncio.to_thread(self._save)

    async def delete(self, name: str) -> None:
        if self._bonds.pop(name, None) is not None:
            await asyncio.to_thread(self._save)

    async def delete_all(self) -> None:
        self._bonds.clear()
        await asyncio.to_thread(self._save)

    def _save(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({self.own_address: self._bonds}, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def _random_static_address() -> str:
    """A random static address: the two highest bits set (Core Specification, Vol 6, Part B, 1.3.2.1)."""
    raw = bytearray(secrets.token_bytes(6))
    raw[0] |= 0xC0
    return ":".join(f"{byte:02X}" for byte in raw)

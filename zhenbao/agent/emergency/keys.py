"""``emergency.json``: what an emergency record needs while the kit is locked. A thief of the tablet has it too.

So it opens nothing: the hub's key only seals, the kit's emergency key only signs, and the hub takes nothing from it
but sealed emergency items, which a person looks at. Reported as stolen, the hub strikes it off.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zhenbao.agent.store.faults import storage_error
from zhenbao.agent.vault.file import write_whole
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "emergency.json"


class EmergencyKeys(msgspec.Struct, frozen=True):
    """All of it outside the PIN."""

    kit_id: str
    hub_key: bytes
    """The hub's public key for emergency items (X25519)."""
    signing_key: bytes
    """The kit's emergency key (Ed25519, private); signs emergency items and nothing else."""
    credential: str = ""
    """What the broker asks of this kit where only emergency items may be published; empty: none."""

    def signer(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.signing_key)


def load_keys(home: Path) -> EmergencyKeys:
    """The kit's emergency keys.

    Raises:
        InputError: ``emergency-unset``: a technician has not set them up, or the file is damaged.
    """
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=EmergencyKeys)
    except (OSError, msgspec.DecodeError):
        raise InputError("emergency-unset") from None


def make_keys(home: Path, kit_id: str, hub_key: bytes, credential: str = "") -> bytes:
    """Make a new emergency key for this kit; gives the public part, for the hub's register.

    Raises:
        StorageError: as the disk has it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    keys = EmergencyKeys(kit_id, hub_key, private.private_bytes_raw(), credential)
    try:
        write_whole(home / FILE, msgspec.json.encode(keys))
    except OSError as error:
        raise storage_error(error, home) from error
    return private.public_key().public_bytes_raw()

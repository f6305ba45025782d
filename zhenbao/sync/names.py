"""Names of mailboxes: a kit's id and the name under which a road knows it, or ``hub``.

On a road a kit has a *mailbox name*: random, given when its certificate is asked for, so that a broker sees neither
village nor number. Where no certificates are used (a demonstration, one machine) it is the kit's id itself.

What a locked kit sends comes from its *emergency side*, ``<kit>~em``, with a key, a certificate and a mailbox name of
its own: it brings emergencies, is answered with receipts, and reaches nothing else.
"""

from __future__ import annotations

import re
import secrets
from typing import Protocol

from zhenbao.model.errors import InputError

HUB = "hub"
_KIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_MAILBOX = re.compile(r"m-[0-9a-f]{16}")
_EMERGENCY_MAILBOX = re.compile(r"e-[0-9a-f]{16}")
_EMERGENCY = "~em"
"""No kit's id can end so."""


def is_kit_id(name: str) -> bool:
    """Whether a name may stand in a topic (no ``+ # /``) and is not the hub's."""
    return _KIT_ID.fullmatch(name) is not None and name != HUB


def check_kit_id(kit_id: str) -> str:
    """The id itself.

    Raises:
        InputError: ``kit-id``, see ``is_kit_id``.
    """
    if not is_kit_id(kit_id):
        raise InputError("kit-id")
    return kit_id


def emergency_side(kit_id: str) -> str:
    """The name of a kit's emergency side."""
    return f"{kit_id}{_EMERGENCY}"


def is_emergency_side(name: str) -> bool:
    """Whether this names the emergency side of a kit."""
    return name.endswith(_EMERGENCY) and is_kit_id(kit_behind(name))


def kit_behind(name: str) -> str:
    """The kit of an emergency side; any other name as it is."""
    return name.removesuffix(_EMERGENCY)


def new_mailbox(*, emergency: bool = False) -> str:
    """A mailbox name nobody can guess or trace: 64 random bits."""
    return f"{'e' if emergency else 'm'}-{secrets.token_hex(8)}"


def is_mailbox(name: str) -> bool:
    """Whether this is a random mailbox name of a kit."""
    return _MAILBOX.fullmatch(name) is not None


def is_emergency_mailbox(name: str) -> bool:
    """Whether this is a random mailbox name of a kit's emergency side."""
    return _EMERGENCY_MAILBOX.fullmatch(name) is not None


class AddressBook(Protocol):
    """Who is behind which mailbox name: the hub's knowledge."""

    def kit_of(self, mailbox: str) -> str | None:
        """The kit's id, or its emergency side; None for a name that nobody has (any more)."""

    def mailbox_of(self, kit_id: str) -> str | None:
        """The kit's name on the road; None for a kit that has none."""


class OpenBook:
    """Every kit is known by its own id: for a hub without certificates, on one machine."""

    def kit_of(self, mailbox: str) -> str | None:
        return mailbox if is_kit_id(mailbox) or is_emergency_side(mailbox) else None

    def mailbox_of(self, kit_id: str) -> str | None:
        return self.kit_of(kit_id)

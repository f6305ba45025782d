"""Names of mailboxes, as they stand in topics and client ids: a kit's id, or ``hub``."""

from __future__ import annotations

import re

from zhenbao.model.errors import InputError

HUB = "hub"
_KIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


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

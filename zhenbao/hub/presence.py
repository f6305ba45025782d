"""Which kit came by which road when, kept where commands beside the running hub can see it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from zhenbao.hub.store import HubStore
from zhenbao.hub.store.tables import presence
from zhenbao.model.errors import StorageError
from zhenbao.sync.links.several_hub import Presence

_log = logging.getLogger(__name__)
EVERY_S = 15.0
"""One small transaction for all kits, however many speak: nobody asks to the second."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A kit's last sign of life, over restarts of the hub."""

    kit_id: str
    """Or its emergency side."""
    road: str
    heard_ms: int
    here: bool
    """False once the road said that its line broke. What a hub that was killed left says nothing of now."""


def heard(store: HubStore) -> dict[str, Heard]:
    """By kit."""
    with store.reading() as connection:
        rows = connection.execute(select(presence)).all()
    return {row.kit_id: Heard(row.kit_id, row.road, row.heard_ms, row.here) for row in rows}


def keep(store: HubStore, seen: Sequence[Presence]) -> None:
    """Write what was seen.

    Raises:
        StorageError: ``hub-write``.
    """
    now_ms, now_s = store.clock.now_ms(), store.clock.monotonic_s()
    if not seen:
        return
    with store.writing() as connection:
        connection.execute(delete(presence).where(presence.c.kit_id.in_([each.kit_id for each in seen])))
        connection.execute(
            insert(presence),
            [
                {
                    "kit_id": each.kit_id,
                    "road": each.road,
                    "heard_ms": now_ms - round(1000 * (now_s - each.heard_s)),
                    "here": each.here,
                }
                for each in seen
            ],
        )


def keep_up(store: HubStore, look: Callable[[], Sequence[Presence]], stop: threading.Event) -> None:
    """Write what changed, until ``stop`` is set, and once more then; for a thread of the hub's."""
    before: dict[str, Presence] = {}
    while True:
        ended = stop.wait(EVERY_S)
        now = {each.kit_id: each for each in look()}
        try:
            keep(store, [each for name, each in now.items() if before.get(name) != each])
            before = now
        except StorageError as error:
            # It only shows who was here: the next time will do.
            _log.warning("who was heard could not be kept: %s", error.code)
        if ended:
            return

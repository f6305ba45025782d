"""Once the kit is unlocked, what was spooled goes the way of everything else: through the store's outbox.

The packet stays in the spool until the store knows that the hub has it, so that a lock in between holds nothing up:
the locked kit sends it again, and the hub knows it by its id.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zhenbao.agent.emergency import spool
from zhenbao.agent.emergency.spool import Answer
from zhenbao.agent.store import KitStore
from zhenbao.model.errors import Rejected, StorageError
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import Clock

_log = logging.getLogger(__name__)
_EVERY_S = 1.0


def hand_over(home: Path, store: KitStore, clock: Clock) -> None:
    """Post what the store does not have yet; note what the hub has answered to the store.

    Raises:
        StorageError: as the store or the disk has it.
    """
    kept = spool.kept(home)
    if not kept:
        return
    waiting = set(spool.waiting(home))
    refused = {item.subject_id: item for item in store.quarantined() if item.direction == "out"}
    for id_ in kept:
        states = store.delivery(id_)
        if DeliveryState.RECEIVED in states:
            proofs = store.proofs(id_)
            spool.answered(home, id_, Answer(states[DeliveryState.RECEIVED], proof=proofs[-1] if proofs else b""))
        elif id_ in refused:
            if id_ in waiting:
                spool.answered(home, id_, Answer(refused[id_].at_ms, refused[id_].reason))
        elif not states and (packet := spool.packet(home, id_)) is not None:
            try:
                store.post_sealed(packet, id_)
            except Rejected:
                spool.answered(home, id_, Answer(clock.now_ms(), "body-damaged"))


@contextmanager
def handing_over(home: Path, store: KitStore, clock: Clock) -> Iterator[None]:
    """Hand over, and go on doing so on a thread of its own until the block is left."""
    hand_over(home, store, clock)
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(_EVERY_S):
            try:
                hand_over(home, store, clock)
            except StorageError as error:
                # The service's own loop meets the same trouble and answers it; the packet is still in the spool.
                _log.warning("an emergency was not handed over yet: %s", error.code)

    thread = threading.Thread(target=run, name="emergency-handover", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

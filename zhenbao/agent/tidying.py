"""Pruning beside the service: now and then, sooner when room is scarce, and never in the way of anything else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zhenbao.agent.store import KitStore
from zhenbao.agent.store.space import Level
from zhenbao.model.errors import StorageError

_log = logging.getLogger(__name__)
_FIRST_S = 60.0
"""After a start, what waits for the hub goes first."""
_LOOK_S = 300.0
"""How often the room is looked at."""
_ROUND_S = 6 * 3600.0
"""How often the rules are applied while there is room."""


@contextmanager
def tidying(store: KitStore, stop: threading.Event, *, first_s: float = _FIRST_S) -> Iterator[None]:
    """Prune on a thread of its own until the block is left or ``stop`` is set."""
    ended = threading.Event()

    def stopped() -> bool:
        return stop.is_set() or ended.is_set()

    thread = threading.Thread(target=_run, args=(store, ended, stopped, first_s), name="zhenbao-tidy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run(store: KitStore, ended: threading.Event, stopped: Callable[[], bool], first_s: float) -> None:
    waited_s, next_s = 0.0, first_s
    while not ended.wait(next_s) and not stopped():
        try:
            due = waited_s == 0.0 or waited_s >= _ROUND_S or store.room().level is not Level.GREEN
            if due:
                _once(store, stopped)
                waited_s = 0.0
        except StorageError as error:
            # The service's own loop meets the same trouble and answers it.
            _log.warning("pruning was put off: %s", error.code)
        waited_s += _LOOK_S
        next_s = _LOOK_S


def _once(store: KitStore, stopped: Callable[[], bool]) -> None:
    done = store.tidy(stopped=stopped)
    if done.clock_refused:
        _log.info("nothing was pruned: no clock can be trusted")
    elif done.any:
        _log.info(
            "pruned %d waveforms, %d files, %d delivered copies, %d bytes",
            done.waveforms,
            done.attachments,
            done.sent,
            done.freed_bytes,
        )

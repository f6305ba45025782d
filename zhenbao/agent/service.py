"""The kit's service: sends what waits and takes in what comes, beside the doctor's short commands."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from zhenbao.agent.keys import KitKeyring
from zhenbao.agent.store import KitStore
from zhenbao.model.errors import StorageError
from zhenbao.model.report import Report
from zhenbao.model.time import Clock
from zhenbao.sync.engine import Engine, Event
from zhenbao.sync.links.mqtt import MqttLink

_log = logging.getLogger(__name__)
_STORE_RETRY_S = 5.0


def run_service(
    store_dir: Path,
    kit_id: str,
    *,
    host: str,
    port: int,
    clock: Clock,
    stop: threading.Event,
    on_report: Callable[[Report], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_store: Callable[[StorageError], None] | None = None,
) -> None:
    """Run until ``stop`` is set. The caller's hooks run on this thread.

    Args:
        store_dir: the kit's folder.
        host: the hub's broker.
        on_report: a report arrived and is kept.
        on_event: anything else that happened on the road; see ``sync.engine.Event``.
        on_store: the store has something to say (its ``notices``), or was found damaged and is opened again.

    Raises:
        StorageError: the store cannot be opened at all.
        InputError: ``kit-id``, ``link-address``, ``keys-missing`` or ``hub-card-missing``.
    """
    while not stop.is_set():
        with KitStore.open(store_dir, kit_id=kit_id, clock=clock) as store:
            for notice in store.notices:
                _tell(on_store, notice)
            engine = Engine(
                store,
                MqttLink(host, port, kit_id),
                clock,
                KitKeyring(store_dir, kit_id),
                on_event=_announcer(store, on_report, on_event),
            )
            try:
                engine.run(stop)
            except StorageError as error:
                # Damaged under our hands: opening it anew puts it aside, whole, and goes on with a new one.
                _log.error("the store is opened again: %s", error.code)
                _tell(on_store, error)
                stop.wait(_STORE_RETRY_S)


def send_waiting(store: KitStore, home: Path, host: str, port: int, clock: Clock, *, timeout_s: float) -> None:
    """Send until nothing waits any more, or ``timeout_s`` is over: for the doctor who wants to see it go.

    Raises:
        StorageError: ``store-damaged``.
        InputError: ``kit-id`` or ``link-address``.
    """
    stop = threading.Event()

    def watch(_: Event) -> None:
        if store.queue().total == 0:
            stop.set()

    if store.queue().total == 0:
        return
    timer = threading.Timer(timeout_s, stop.set)
    timer.start()
    try:
        keyring = KitKeyring(home, store.name)
        Engine(store, MqttLink(host, port, store.name), clock, keyring, on_event=watch).run(stop)
    finally:
        timer.cancel()


def _announcer(
    store: KitStore, on_report: Callable[[Report], None] | None, on_event: Callable[[Event], None] | None
) -> Callable[[Event], None]:
    def announce(event: Event) -> None:
        if on_event is not None:
            on_event(event)
        if (
            on_report is not None
            and event.name == "accepted"
            and event.kind == "report"
            and (kept := store.inbox(limit=1))
        ):
            on_report(kept[0].report)

    return announce


def _tell(hook: Callable[[StorageError], None] | None, error: StorageError) -> None:
    if hook is not None:
        hook(error)

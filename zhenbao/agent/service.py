"""The kit's service: sends what waits and takes in what comes, beside the doctor's short commands."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zhenbao.agent.emergency import spool
from zhenbao.agent.emergency.handover import handing_over
from zhenbao.agent.emergency.mailbox import SpoolMailbox
from zhenbao.agent.keys import EmergencyKeyring, KitKeyring
from zhenbao.agent.live_feed import listening
from zhenbao.agent.road_status import report
from zhenbao.agent.status import telling
from zhenbao.agent.store import KitStore
from zhenbao.agent.tidying import tidying
from zhenbao.agent.vault.unlocked import is_unlocked, unlocked_key
from zhenbao.model.chest_pain import ChannelNews
from zhenbao.model.errors import InputError, LinkDown, StorageError, ZhenbaoError
from zhenbao.model.report import Report
from zhenbao.model.time import Clock
from zhenbao.sync.engine import Engine, Event
from zhenbao.sync.envelope import Lane, Waiting
from zhenbao.sync.links.several import SeveralRoads
from zhenbao.sync.live.chunk import LiveSealer
from zhenbao.sync.live.pump import Pump

_log = logging.getLogger(__name__)
_STORE_RETRY_S = 5.0
_LOCK_POLL_S = 0.5
_LOCKED = ("vault-locked", "vault-missing")


def run_service(
    store_dir: Path,
    kit_id: str,
    *,
    make_roads: Callable[[bytes], SeveralRoads],
    make_emergency_roads: Callable[[], SeveralRoads],
    clock: Clock,
    stop: threading.Event,
    on_report: Callable[[Report], None] | None = None,
    on_news: Callable[[ChannelNews], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_store: Callable[[ZhenbaoError], None] | None = None,
    on_unlocked: Callable[[], None] | None = None,
    may_go: Callable[[Waiting], bool] = lambda item: True,
    may_run_live: Callable[[], bool] = lambda: True,
    on_trouble: Callable[[LinkDown], None] | None = None,
) -> None:
    """Run until ``stop`` is set. The caller's hooks run on this thread, ``on_trouble`` on another.

    While the kit is locked nothing is opened, nothing taken in, and nothing sent but emergencies that were sealed
    meanwhile; it goes on as soon as somebody unlocks it.

    Args:
        store_dir: the kit's folder.
        make_roads: the roads to the hub, new ones, given the store's key.
        make_emergency_roads: those of the emergency side, which need no key.
        on_report: a report arrived and is kept.
        on_news: the hub told of a chest-pain channel, and it is kept.
        on_event: anything else that happened on the road; see ``sync.engine.Event``.
        on_store: the store has something to say (its ``notices``), is locked, or was found damaged and is opened again.
        on_unlocked: the store was locked and is open now.
        may_go: whether an item may go over the road that there is now.
        may_run_live: whether a running trace may.
        on_trouble: a road does not work, for a new reason.

    Raises:
        StorageError: the store cannot be opened at all.
        InputError: ``keys-missing``, ``hub-card-missing``, or as ``make_roads`` raises.
    """
    locked = told = False
    while not stop.is_set():
        try:
            key = unlocked_key(store_dir, counts_as_use=False)
        except StorageError as error:
            if error.code not in _LOCKED:
                raise
            if not locked:
                _tell(on_store, error)
            locked = True
            if not spool.waiting(store_dir):
                stop.wait(_LOCK_POLL_S)
                continue
            try:
                roads = make_emergency_roads()
            except InputError as error:
                # No credential of its own yet: said once, and the emergencies wait for the PIN.
                if not told:
                    _tell(on_store, error)
                told = True
                stop.wait(_LOCK_POLL_S)
                continue
            _send_spooled(store_dir, kit_id, roads, clock, stop, on_event, may_go, on_trouble)
            continue
        if locked and on_unlocked is not None:
            on_unlocked()
        locked = told = False
        roads = make_roads(key)
        with (
            KitStore.open(store_dir, kit_id=kit_id, clock=clock, key=key) as store,
            _halt(stop, lambda: is_unlocked(store_dir)) as halt,
            handing_over(store_dir, store, clock),
            _reporting(store_dir, roads, clock, on_trouble),
        ):
            for notice in store.notices:
                _tell(on_store, notice)
            keyring = KitKeyring(store_dir, kit_id, key)
            announce = _announcer(store, on_report, on_news, on_event, on_store)
            engine = Engine(store, roads, clock, keyring, on_event=announce, may_go=may_go)
            pump = Pump(
                roads,
                LiveSealer(kit_id, keyring),
                waits=lambda: _anything_waits(store),
                allowed=may_run_live,
            )
            try:
                with (
                    tidying(store, halt),
                    listening(store_dir, pump.offer),
                    telling(store_dir, store, clock, halt),
                ):
                    engine.run(halt)
            except StorageError as error:
                # Damaged under our hands: opening it anew puts it aside, whole, and goes on with a new one.
                _log.error("the store is opened again: %s", error.code)
                _tell(on_store, error)
                stop.wait(_STORE_RETRY_S)


def _anything_waits(store: KitStore) -> bool:
    """Whether anything that is to be kept waits for the hub; old files wait for the night and hold nothing back."""
    return any(look.lane < Lane.BULK for look in store.lanes())


def _send_spooled(
    home: Path,
    kit_id: str,
    roads: SeveralRoads,
    clock: Clock,
    stop: threading.Event,
    on_event: Callable[[Event], None] | None,
    may_go: Callable[[Waiting], bool],
    on_trouble: Callable[[LinkDown], None] | None,
) -> None:
    """Send sealed emergencies until the hub has them all or somebody unlocks the kit."""

    def wanted() -> bool:
        return bool(spool.waiting(home)) and not is_unlocked(home)

    with _halt(stop, wanted) as halt, _reporting(home, roads, clock, on_trouble):
        mailbox = SpoolMailbox(home, kit_id, clock)
        keyring = EmergencyKeyring(home)
        Engine(mailbox, roads, clock, keyring, on_event=on_event, may_go=may_go, speaks=False).run(halt)


@contextmanager
def _reporting(
    store_dir: Path, roads: SeveralRoads, clock: Clock, on_trouble: Callable[[LinkDown], None] | None
) -> Iterator[None]:
    """While inside, the roads' state is told to the doctor's commands, and trouble with them to ``on_trouble``."""
    ended = threading.Event()
    teller = threading.Thread(
        target=report,
        args=(store_dir, roads, clock.monotonic_s, ended, on_trouble),
        name="road-report",
        daemon=True,
    )
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


@contextmanager
def _halt(stop: threading.Event, wanted: Callable[[], bool]) -> Iterator[threading.Event]:
    """Set once ``stop`` is, or once it is not wanted: where the kit was locked, the key in this process must go too."""
    halt, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not (over.is_set() or stop.is_set()) and wanted():
            stop.wait(_LOCK_POLL_S)
        halt.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield halt
    finally:
        over.set()
        watcher.join()


def _announcer(
    store: KitStore,
    on_report: Callable[[Report], None] | None,
    on_news: Callable[[ChannelNews], None] | None,
    on_event: Callable[[Event], None] | None,
    on_store: Callable[[ZhenbaoError], None] | None,
) -> Callable[[Event], None]:
    strange = False

    def announce(event: Event) -> None:
        nonlocal strange
        if on_event is not None:
            on_event(event)
        if event.name == "packet-refused-in" and event.reason == "packet-signer":
            # Once a connection, whoever floods the road.
            if not strange:
                _tell(on_store, InputError("hub-keys-changed"))
            strange = True
        elif event.name == "up":
            strange = False
        if (
            on_report is not None
            and event.name == "accepted"
            and event.kind == "report"
            and (kept := store.inbox(limit=1))
        ):
            on_report(kept[0].report)
        if on_news is not None and event.name == "accepted" and event.kind == "channel-news":
            for news in store.channel_news():
                if news.news.id == event.subject_id:
                    on_news(news.news)

    return announce


def _tell(hook: Callable[[ZhenbaoError], None] | None, error: ZhenbaoError) -> None:
    if hook is not None:
        hook(error)

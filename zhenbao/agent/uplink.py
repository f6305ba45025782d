"""The kit's road to the hub: the uplink's parts, put together from the kit's settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.agent.keys import PINNED_FILE, pinned
from zhenbao.agent.settings import KitSettings
from zhenbao.model.errors import InputError
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Waiting
from zhenbao.sync.keys import key_id_of
from zhenbao.sync.links.several import SeveralRoads
from zhenbao.sync.links.tls import client_context
from zhenbao.sync.live.rules import may_run
from zhenbao.sync.uplink.choice import Choice, Road, asked, choose
from zhenbao.sync.uplink.look import View, look
from zhenbao.sync.uplink.picture import FRESH_MS, Picture, load_picture
from zhenbao.sync.uplink.policy import decide, policy
from zhenbao.sync.uplink.probe import parse_address, probe, verifier
from zhenbao.sync.uplink.state import Outcome, Uplink
from zhenbao.sync.uplink.usage import load_usage
from zhenbao.sync.uplink.watch import Watch

if TYPE_CHECKING:
    import ssl

_KEY_BYTES = 32


def asker(settings: KitSettings, home: Path) -> Callable[[Uplink], Outcome] | None:
    """How this kit asks its hub; None where nobody has set the hub's address.

    The hub is known by its pinned card, as everywhere; a key in the settings counts beside it.

    Raises:
        InputError: ``link-address``; ``probe-key``, the key is none, or there is neither key nor card.
        StorageError: ``keys-unreadable``.
    """
    if not settings.probe_url and not settings.probe_key:
        return None
    address = parse_address(settings.probe_url)
    timeout_s, tls = policy().probe_timeout_s, _county(settings, home) if address.https else None

    def ask(uplink: Uplink) -> Outcome:
        # Looked up each time: the hub may have announced a new one meanwhile.
        keys = _hub_keys(settings, home)
        return probe(
            address,
            verifier(keys),
            interface=uplink.interface,
            timeout_s=timeout_s,
            tls=tls,
            key_id=key_id_of(keys[0]),
        )

    _hub_keys(settings, home)
    return ask


def _hub_keys(settings: KitSettings, home: Path) -> list[bytes]:
    """By which an answer is known as the hub's, the newest first."""
    keys = []
    if (home / PINNED_FILE).exists():
        keys = [key.sign for key in reversed(pinned(home).card.keys)]
    if settings.probe_key:
        try:
            keys.append(bytes.fromhex(settings.probe_key))
        except ValueError:
            raise InputError("probe-key") from None
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise InputError("probe-key")
    return keys


def _county(settings: KitSettings, home: Path) -> ssl.SSLContext | None:
    """The county's CA, where the hub's web server has its certificate; else the system's count."""
    ca = home / settings.hub_ca
    return client_context(ca) if ca.exists() else None


def look_once(settings: KitSettings, home: Path, clock: Clock, *, ask_hub: bool = True) -> Picture:
    """What the roads are like now, every one asked at the same time. It changes nothing that the service keeps.

    Raises:
        InputError: as :func:`asker`.
    """
    ask = asker(settings, home) if ask_hub else None
    view = _see(settings)
    roads = tuple(Road(uplink) for uplink in view.uplinks)
    now_ms, now_s = clock.now_ms(), clock.monotonic_s()
    if ask is not None and roads:
        with ThreadPoolExecutor(len(roads)) as pool:
            outcomes = pool.map(lambda road: ask(road.uplink) if road.usable else None, roads)
            pairs = zip(roads, outcomes, strict=True)
            roads = tuple(asked(road, outcome, now_s) if outcome else road for road, outcome in pairs)
    used_bytes = load_usage(home).used_bytes
    served = load_picture(home, now_ms)
    before = served.choice if served is not None else Choice()
    return Picture(now_ms, roads, choose(before, roads, now_s), used_bytes, tuple(error.code for error in view.trouble))


@contextmanager
def watching(
    settings: KitSettings, home: Path, clock: Clock, on_change: Callable[[Picture], None] | None = None
) -> Iterator[Watch | None]:
    """A watch on a thread of its own; None where the hub cannot be asked, and then nothing is held back.

    Raises:
        InputError: as :func:`asker`.
    """
    ask = asker(settings, home)
    if ask is None:
        yield None
        return
    watch = Watch(lambda: _see(settings), ask, clock, home, on_change=on_change)
    stop = threading.Event()
    thread = threading.Thread(target=watch.run, args=(stop,), name="uplink", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        watch.wake()
        thread.join(policy().probe_timeout_s)


def follow(watch: Watch, roads: SeveralRoads) -> SeveralRoads:
    """Roads that leave by the interface on which the hub has answered, now and whenever that changes.

    One that stalls makes the watch ask at once. A watch leads the roads that followed it last.
    """

    def lead(_: object = None) -> None:
        roads.via(watch.picture.interface)

    roads.on_stalled = watch.wake
    watch.on_change = lead
    lead()
    return roads


def gate(watch: Watch, clock: Clock) -> Callable[[Waiting], bool]:
    """Whether an item may go now, by what the watch sees. A watch that has stopped holds nothing back."""

    def may_go(item: Waiting) -> bool:
        now_ms, picture = clock.now_ms(), watch.picture
        stopped = not 0 <= now_ms - picture.at_ms <= FRESH_MS
        return stopped or decide(item.lane, picture.situation(now_ms)).allowed

    return may_go


def live_gate(watch: Watch, clock: Clock) -> Callable[[], bool]:
    """Whether a running trace may go now, by what the watch sees; one that has stopped vouches for no road."""

    def may_run_live() -> bool:
        now_ms, picture = clock.now_ms(), watch.picture
        fresh = 0 <= now_ms - picture.at_ms <= FRESH_MS
        return fresh and may_run(picture.situation(now_ms)).allowed

    return may_run_live


def _see(settings: KitSettings) -> View:
    return look(modem_port=settings.modem_port)

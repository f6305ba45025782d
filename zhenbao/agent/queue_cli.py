"""``zhenbao queue`` and ``zhenbao sync``: what waits, by which road it goes, how long that takes, what holds it up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from zhenbao.agent.holdups import Holdup, holdups
from zhenbao.agent.road_status import RoadStatus, Speed, ask_to_hurry, look, read_status, service_runs
from zhenbao.model.errors import InputError
from zhenbao.model.time import local_text

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.sync.engine import Event

_LOOK_S = 1.0
_LOOK_BACK_S = 60.0


def show_queue(kit: Kit) -> None:
    """The queue lane by lane, the roads, and what holds things up."""
    screen, now_ms = kit.screen, kit.clock.now_ms()
    status = read_status(kit.home)
    lanes = kit.store.lanes()
    for lane in lanes:
        screen.say(
            "queue.lane",
            lane=screen.words(f"lane.{lane.lane.name.lower()}"),
            items=lane.items,
            tried=lane.tried,
            kilobytes=lane.size_bytes / 1000,
            oldest=local_text(lane.oldest_ms),
        )
        screen.event("lane", lane=lane.lane.name.lower(), **{k: v for k, v in asdict(lane).items() if k != "lane"})
    show_roads(kit, status)
    if lanes and status is not None:
        _say_left(kit, sum(lane.size_bytes for lane in lanes), status.bytes_per_s)
    queue = kit.store.queue()
    _say_holdups(kit, holdups(lanes, status, queue.quarantined, queue.last_receipt_ms, now_ms))


def show_roads(kit: Kit, status: RoadStatus | None) -> None:
    """Each road and its state."""
    for road in status.roads if status is not None else ():
        state = "stalled" if road.stalled else "up" if road.connected else "down"
        name = kit.screen.words(f"road.{road.name}")
        kit.screen.say(f"queue.road_{state}", road=name, kilobytes=road.backlog_bytes / 1000)
        kit.screen.event("road-state", **asdict(road))


def synchronise(kit: Kit, *, timeout_s: float, watch: bool) -> None:
    """Send until nothing waits or the time is over, and say how it went; with ``watch``, say how it goes.

    Where the service runs, it does the sending: a second connection would send everything twice.
    """
    from zhenbao.agent.emergency.handover import hand_over
    from zhenbao.agent.roads import certificate_troubles
    from zhenbao.agent.status import status

    for trouble in certificate_troubles(kit.home, kit.settings, kit.clock.now_ms()):
        kit.screen.trouble(trouble)
    hand_over(kit.home, kit.store, kit.clock)
    if not service_runs(kit.home):
        kit.store.post_status(lambda: status(kit.home, kit.settings, kit.store, kit.clock.now_ms()))
    before = kit.store.queue().total
    stop = threading.Event()
    if before:
        if service_runs(kit.home):
            ask_to_hurry(kit.home)
            _follow(kit, lambda: read_status(kit.home), stop, timeout_s=timeout_s, watch=watch)
        else:
            _send(kit, stop, timeout_s=timeout_s, watch=watch)
    hand_over(kit.home, kit.store, kit.clock)
    waiting = kit.store.queue().total
    kit.screen.say("agent.synced", receipted=max(0, before - waiting), waiting=waiting)
    kit.screen.event("synced", waiting=waiting)


def _send(kit: Kit, stop: threading.Event, *, timeout_s: float, watch: bool) -> None:
    from zhenbao.agent.keys import KitKeyring
    from zhenbao.agent.roads import open_roads
    from zhenbao.sync.engine import Engine
    from zhenbao.sync.uplink.picture import load_picture

    roads = open_roads(kit.home, kit.settings)
    if (picture := load_picture(kit.home, kit.clock.now_ms())) is not None:
        roads.via(picture.interface)
    unknown = threading.Event()

    def heard(event: Event) -> None:
        if event.reason == "packet-signer" and not unknown.is_set():
            unknown.set()
            kit.screen.trouble(InputError("hub-keys-changed"))

    failed: list[BaseException] = []

    def work() -> None:
        try:
            keyring = KitKeyring(kit.home, kit.store.name)
            Engine(kit.store, roads, kit.clock, keyring, on_event=heard).run(stop)
        except BaseException as error:  # handed to the command's own thread below
            failed.append(error)
            stop.set()

    speed = Speed()
    thread = threading.Thread(target=work, name="sync", daemon=True)
    thread.start()
    try:
        status: Callable[[], RoadStatus | None] = lambda: look(roads, speed, kit.clock.monotonic_s())  # noqa: E731
        _follow(kit, status, stop, timeout_s=timeout_s, watch=watch)
    finally:
        stop.set()
        thread.join(30)
    if failed:
        raise failed[0]


def _follow(
    kit: Kit, status: Callable[[], RoadStatus | None], stop: threading.Event, *, timeout_s: float, watch: bool
) -> None:
    """Look once a second until nothing waits, the time is over, or ``stop`` is set."""
    began_s = kit.clock.monotonic_s()
    posted = sum(lane.items for lane in kit.store.lanes())
    seen: deque[tuple[float, int]] = deque()
    shown: list[Holdup] = []
    while not stop.is_set():
        lanes = kit.store.lanes()
        now_s, left = kit.clock.monotonic_s(), sum(lane.size_bytes for lane in lanes)
        seen.append((now_s, left))
        while now_s - seen[0][0] > _LOOK_BACK_S:
            seen.popleft()
        if watch:
            now = status()
            items = sum(lane.items for lane in lanes)
            by = [kit.screen.words(f"road.{r.name}") for r in now.roads if r.connected and not r.stalled] if now else []
            rate = _receipted_per_s(seen) or (now.bytes_per_s if now else None)
            _say_progress(kit, max(0, posted - items), items, left, by, rate)
            queue = kit.store.queue()
            why = holdups(lanes, now, queue.quarantined, queue.last_receipt_ms, kit.clock.now_ms())
            if [h.code for h in why] != [h.code for h in shown]:
                _say_holdups(kit, why)
                shown = why
        if not lanes or now_s - began_s >= timeout_s:
            return
        stop.wait(min(_LOOK_S, timeout_s))


def _receipted_per_s(seen: deque[tuple[float, int]]) -> float | None:
    """How fast the queue shrank in the last minute: receipts, not hopes. None while it has not."""
    (then_s, then), (now_s, now) = seen[0], seen[-1]
    return (then - now) / (now_s - then_s) if now_s > then_s and then > now else None


def _say_progress(kit: Kit, done: int, waiting: int, left: int, by: list[str], rate: float | None) -> None:
    screen = kit.screen
    road = screen.words("agent.list_separator").join(by) or screen.words("queue.no_road")
    eta = _duration(kit, left / rate) if rate else screen.words("queue.eta_unknown")
    if not screen.json_lines:
        line = screen.words("queue.progress", done=done, waiting=waiting, kilobytes=left / 1000, road=road, eta=eta)
        screen.live([line], lasting=line)
    screen.event("progress", done=done, waiting=waiting, left_bytes=left, bytes_per_s=rate)


def _say_left(kit: Kit, left: int, rate: float | None) -> None:
    eta = _duration(kit, left / rate) if rate else kit.screen.words("queue.eta_unknown")
    kit.screen.say("queue.left", kilobytes=left / 1000, eta=eta)


def _say_holdups(kit: Kit, found: list[Holdup]) -> None:
    words = kit.screen.words
    for one in found:
        road = f"{words(f'road.{one.road}')}{words('queue.colon')}" if one.road else ""
        if f"holdup.{one.code}" in words:
            kit.screen.say("queue.holdup", what=road + words(f"holdup.{one.code}", **one.facts))
        else:
            told = words(f"error.{one.code}.what", **one.facts), words(f"error.{one.code}.do", **one.facts)
            kit.screen.say("queue.holdup_do", what=road + told[0], do=told[1])
        kit.screen.event("holdup", code=one.code, road=one.road)


def _duration(kit: Kit, seconds: float) -> str:
    if seconds < 90:
        return kit.screen.words("queue.seconds", count=max(1, round(seconds)))
    if seconds < 5400:
        return kit.screen.words("queue.minutes", count=round(seconds / 60))
    return kit.screen.words("queue.hours", count=seconds / 3600)

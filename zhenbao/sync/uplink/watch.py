"""Keeps watch over the roads: looks, asks the hub, chooses, counts what it costs. One thread, asleep nearly always."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from zhenbao.model.time import Clock
from zhenbao.sync.uplink import usage
from zhenbao.sync.uplink.choice import Choice, Road, asked, choose
from zhenbao.sync.uplink.look import UNKNOWN, View
from zhenbao.sync.uplink.picture import Picture, save_picture
from zhenbao.sync.uplink.policy import Policy, is_metered, policy
from zhenbao.sync.uplink.state import Outcome, Uplink

_log = logging.getLogger(__name__)
_SAVE_BYTES, _SAVE_S = 64 << 10, 300.0
"""How much may be counted, and how long, before it is written: a flash disk is not for counting."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Where the kernel's numbers are read."""

    interfaces: Path = usage.SYSTEM
    boot: Path = usage.BOOT


class Watch:
    """Watches the roads for one kit.

    Args:
        look: what the system knows now.
        ask: ask the hub over a road, once.
        clock: the kit's.
        folder: where the month's bytes and the picture are kept.
        table: None: the policy that comes with the program.
        on_change: told when another road is chosen, or it begins or ceases to answer; on the watch's thread.
    """

    def __init__(
        self,
        look: Callable[[], View],
        ask: Callable[[Uplink], Outcome],
        clock: Clock,
        folder: Path,
        *,
        table: Policy | None = None,
        on_change: Callable[[Picture], None] | None = None,
        rng: random.Random | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._look = look
        self._ask = ask
        self._clock = clock
        self._folder = folder
        self._table = table or policy()
        self.on_change = on_change
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._counters = counters or Counters()
        self._usage = self._saved = usage.load_usage(folder)
        self._saved_s = float("-inf")
        self._due_s: dict[str, float] = {}
        self._wake, self._hurry = threading.Event(), threading.Event()
        nobody_knows = Road(UNKNOWN)
        self.picture = Picture(clock.now_ms(), (nobody_knows,), Choice(nobody_knows.name))
        """The newest; whole, from any thread. Before the first look: there may be a road."""

    def run(self, stop: threading.Event) -> None:
        """Watch until ``stop`` is set; ``wake`` ends a sleep."""
        while not stop.is_set():
            pause_s = self.step()
            self._wake.wait(pause_s)
            self._wake.clear()

    def wake(self) -> None:
        """Ask again now: a link broke, or the doctor wants to know. From any thread."""
        self._hurry.set()
        self._wake.set()

    def step(self) -> float:
        """Look once, ask where it is due, choose. Seconds until the next time."""
        if self._hurry.is_set():
            self._hurry.clear()
            self._due_s = {}
        before = self.picture
        view = self._look()
        roads = tuple(self._road(uplink, before.roads) for uplink in view.uplinks)
        choice = choose(before.choice, roads, self._clock.monotonic_s(), self._table)
        # What is critical need not wait for the answers, which may take their time.
        self.picture = self._picture(view, roads, choice)
        for road in sorted(roads, key=lambda road: road.name != choice.name):
            if self._is_due(road, roads, choice):
                answered = self._asked(road)
                roads = tuple(answered if other is road else other for other in roads)
                choice = choose(choice, roads, self._clock.monotonic_s(), self._table)
        self._due_s = {road.name: self._due_s[road.name] for road in roads if road.name in self._due_s}
        self._count(view.uplinks)
        self.picture = after = self._picture(view, roads, choice)
        self._keep(before, after)
        return self._pause_s()

    def _picture(self, view: View, roads: tuple[Road, ...], choice: Choice) -> Picture:
        trouble = tuple(error.code for error in view.trouble)
        return Picture(self._clock.now_ms(), roads, choice, self._usage.used_bytes, trouble)

    def _road(self, uplink: Uplink, before: tuple[Road, ...]) -> Road:
        """The road as it was answered before, with what is seen of it now."""
        fresh = Road(uplink)
        known = next((road for road in before if road.name == fresh.name), None)
        if known is None or not known.usable or known.uplink.kind is not uplink.kind:
            self._due_s.pop(fresh.name, None)
            return fresh
        if known.uplink.reach is not uplink.reach:
            # A login page was passed, or came up: its answers so far may say nothing any more.
            self._due_s.pop(fresh.name, None)
        return replace(known, uplink=uplink)

    def _is_due(self, road: Road, roads: tuple[Road, ...], choice: Choice) -> bool:
        """Every question costs: a road that stands by is asked only if it may be needed or is the better one."""
        if not road.usable or self._clock.monotonic_s() < self._due_s.get(road.name, float("-inf")):
            return False
        chosen = next((other for other in roads if other.name == choice.name), None)
        if chosen is None or chosen.name == road.name or chosen.answered is not True:
            return True
        order = self._table.prefer
        return order.index(road.uplink.kind) < order.index(chosen.uplink.kind)

    def _asked(self, road: Road) -> Road:
        outcome = self._ask(road.uplink)
        now_s = self._clock.monotonic_s()
        after = asked(road, outcome, now_s)
        table = self._table
        if after.streak < 0:
            wait_s = min(table.probe_first_retry_s * 2 ** min(-after.streak - 1, 16), table.probe_last_retry_s)
        elif after.streak < table.answers_to_take_over and road.name != self.picture.choice.name:
            wait_s = table.settle_s
        else:
            wait_s = table.probe_answered_s
        # Never earlier than told: two answers must lie as far apart as settling asks for.
        self._due_s[road.name] = now_s + wait_s * self._rng.uniform(1, 1 + table.probe_jitter)
        return after

    def _pause_s(self) -> float:
        now_s = self._clock.monotonic_s()
        return max(1.0, min([self._table.look_s, *(due - now_s for due in self._due_s.values() if due > now_s)]))

    def _count(self, uplinks: tuple[Uplink, ...]) -> None:
        paid = [u.interface for u in uplinks if u.interface and is_metered(u, self._table)]
        free = [u.interface for u in uplinks if u.interface and u.interface not in paid]
        boot = usage.boot_id(self._counters.boot)
        seen = usage.skipped(self._usage, usage.read_counters(free, self._counters.interfaces), boot)
        seen = seen if self._usage.boot else replace(seen, boot="")
        self._usage = usage.counted(
            seen, usage.read_counters(paid, self._counters.interfaces), boot, self._clock.now_ms()
        )

    def _keep(self, before: Picture, after: Picture) -> None:
        changed = (before.choice, before.answered) != (after.choice, after.answered)
        now_s = self._clock.monotonic_s()
        grown = self._usage.used_bytes - self._saved.used_bytes
        if changed or abs(grown) >= _SAVE_BYTES or now_s - self._saved_s >= _SAVE_S:
            self._saved, self._saved_s = self._usage, now_s
            try:
                usage.save_usage(self._folder, self._usage)
                save_picture(self._folder, after)
            except OSError as error:
                _log.warning("the picture of the roads could not be kept: %s", error.strerror)
        if changed and self.on_change is not None:
            self.on_change(after)

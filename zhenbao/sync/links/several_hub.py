"""Several roads as one link, at the hub: whatever comes by any road is heard, and a kit is answered where it was heard.

It also knows who is there: a kit's last sign of life, and the broker's word that its line broke. Neither carries
anything of a kit's content.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from zhenbao.model.errors import LinkDown
from zhenbao.sync.link import Link
from zhenbao.sync.live.chunk import is_live


@dataclass(frozen=True, slots=True)
class Presence:
    """A kit's last sign of life."""

    kit_id: str
    road: str
    heard_s: float
    """Monotonic seconds of this hub."""
    here: bool
    """False once the road said that the kit's line broke or that it said good-bye."""


class RoadsAtHub:
    """Implements ``sync.link.Link``.

    Args:
        roads: by name; a kit that was never heard is tried by the first that is connected.
        monotonic_s: a clock that never goes back.
    """

    def __init__(self, roads: dict[str, Link], *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.on_live: Callable[[str, bytes], None] = lambda sender, data: None
        """A piece of a running trace: it never stands in the engine's queue."""
        self._roads = roads
        self._monotonic_s = monotonic_s
        self._presence: dict[str, Presence] = {}
        self._lock = threading.Lock()
        for name, link in roads.items():
            self._listen(name, link)

    @property
    def connected(self) -> bool:
        return any(link.connected for link in self._roads.values())

    @property
    def backlog_bytes(self) -> int:
        return sum(link.backlog_bytes for link in self._roads.values())

    def start(self) -> None:
        for link in self._roads.values():
            link.start()

    def stop(self) -> None:
        for link in self._roads.values():
            link.stop()

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """By the road on which the kit was heard last, else by the first that is connected.

        Raises:
            LinkDown: no road is connected.
            Rejected: the road will never carry it.
        """
        heard = self._presence.get(recipient)
        names = [heard.road, *self._roads] if heard is not None else [*self._roads]
        for name in names:
            if self._roads[name].connected:
                self._roads[name].send(recipient, data, urgent=urgent)
                return
        raise LinkDown("link-down")

    def presence(self) -> Sequence[Presence]:
        """Every kit heard since the start, in no order."""
        with self._lock:
            return list(self._presence.values())

    def gone(self, road: str, kit_id: str) -> None:
        """A road says that a kit's line broke. One that was heard on another road since is not gone."""
        with self._lock:
            known = self._presence.get(kit_id)
            if known is not None and known.road == road:
                self._presence[kit_id] = replace(known, here=False)

    def _listen(self, name: str, link: Link) -> None:
        def message(sender: str, data: bytes) -> None:
            with self._lock:
                self._presence[sender] = Presence(sender, name, self._monotonic_s(), here=True)
            if is_live(data):
                self.on_live(sender, data)
            else:
                self.on_message(sender, data)

        link.on_message = message
        # Any road that comes up may reach kits that wait for something: all is due again.
        link.on_up = lambda: self.on_up()
        link.on_down = lambda: None if self.connected else self.on_down()

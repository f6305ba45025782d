"""A road inside the process that does exactly the harm it is told to: lose, repeat, reorder, damage, hold."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from zhenbao.model.errors import LinkDown


class End:
    """One side's ``Link``."""

    def __init__(self, road: Road, name: str) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.connected = False
        self._road, self._name = road, name

    @property
    def backlog_bytes(self) -> int:
        return 0

    def start(self) -> None:
        """Nothing to do: the road says when it is up."""

    def stop(self) -> None:
        self.connected = False

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """Hand over.

        Raises:
            LinkDown: the road is down.
        """
        if not self.connected:
            raise LinkDown("link-down")
        self._road.put(self._name, recipient, data)


@dataclass
class Road:
    """Between any number of ends. Nothing moves before ``carry``.

    Attributes:
        sent: (sender, data) of everything ever handed over, in order.
        under_way: (sender, recipient, data) that is on the road now.
    """

    rng: random.Random
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    under_way: list[tuple[str, str, bytes]] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)

    def end(self, name: str) -> End:
        """A new end in place of the one of this name: its process was started anew."""
        self.ends[name] = End(self, name)
        return self.ends[name]

    def put(self, sender: str, recipient: str, data: bytes) -> None:
        self.sent.append((sender, data))
        self.under_way.append((sender, recipient, data))

    def up(self) -> None:
        for end in self.ends.values():
            if not end.connected:
                end.connected = True
                end.on_up()

    def down(self) -> None:
        """Every connection breaks; what was on the road is gone."""
        self.under_way.clear()
        for end in self.ends.values():
            if end.connected:
                end.connected = False
                end.on_down()

    def carry(self) -> int:
        """Deliver what is under way; returns how many messages."""
        moving, self.under_way = self.under_way, []
        for sender, recipient, data in moving:
            end = self.ends.get(recipient)
            if end is not None and end.connected:
                end.on_message(sender, data)
        return len(moving)

    # Harm

    def lose(self, share: float) -> None:
        self.under_way = [item for item in self.under_way if self.rng.random() >= share]

    def repeat(self, share: float) -> None:
        self.under_way += [item for item in self.under_way if self.rng.random() < share]

    def reorder(self) -> None:
        self.rng.shuffle(self.under_way)

    def damage(self, share: float) -> None:
        def bent(data: bytes) -> bytes:
            if not data or self.rng.random() >= share:
                return data
            at = self.rng.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << self.rng.randrange(8))]) + data[at + 1 :]

        self.under_way = [(sender, recipient, bent(data)) for sender, recipient, data in self.under_way]

"""How things stand with each peer: what is under way to it, and when something is tried again.

All of it is kept in memory and timed by the monotonic clock: a wall clock that jumps delays nothing, and a restart only
means that some things are sent again.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from zhenbao.model.report import Receipt
from zhenbao.sync import squeeze
from zhenbao.sync.envelope import Lane
from zhenbao.sync.messages import Message

FIRST_RETRY_S = 5.0
_LAST_RETRY_S = {Lane.CRITICAL: 30.0}
LAST_RETRY_S = 300.0
_SLOW_BYTES_PER_S = 8000.0
"""A packet is given the time that a slow modem needs before it is sent again."""
LAST_PROBE_S = 60.0
_REMEMBERED = 256


@dataclass(slots=True)
class Handed:
    """An item handed to the link in this connection, without a receipt so far."""

    kind: str
    lane: Lane
    subject_id: UUID
    at_s: float
    due_s: float
    tries: int
    answered: bool = False
    """A receipt came, though it ended nothing: another engine on the same store had been faster."""
    in_parts: bool = False


@dataclass(slots=True)
class Sending:
    """A packet that goes in parts."""

    transfer: bytes
    count: int
    size_bytes: int
    have: set[int] = field(default_factory=set)
    under_way: set[int] = field(default_factory=set)
    must_ask: bool = False
    """Nobody here knows what is there already: that is asked before anything is sent."""

    @property
    def all_there(self) -> bool:
        """Nothing is left to send; only the receipt is wanting."""
        return len(self.have) == self.count


@dataclass(slots=True)
class Standing:
    """What is known of the one at the other end."""

    handed: dict[UUID, Handed] = field(default_factory=dict)
    sending: dict[UUID, Sending] = field(default_factory=dict)
    packets: OrderedDict[int, tuple[UUID, ...]] = field(default_factory=OrderedDict)
    """Which items went in which packet of this start, for refusals."""
    alone: set[UUID] = field(default_factory=set)
    """Items that were in a refused packet: each goes by itself now."""
    receipts: list[Receipt] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    """To be said with the next packet, like the receipts."""
    answered_s: float = float("-inf")
    newest_s: float = float("-inf")
    """When something was last sent for the first time."""
    probe_wait_s: float = FIRST_RETRY_S
    quiet_until_s: float = float("-inf")
    """It does not answer at all: a few items are tried again now and then, and not before this."""
    shut_until_s: float = float("-inf")
    """It refuses whatever we send (revoked, or not registered): not before then again."""
    dictionary: int = squeeze.NEWEST
    clock_ahead_ms: int = 0
    """By how much its clock was ahead of ours when it last showed it, less the time on the road."""

    def remember(self, packet: int, items: tuple[UUID, ...]) -> None:
        self.packets[packet] = items
        while len(self.packets) > _REMEMBERED:
            self.packets.popitem(last=False)


def longest_s(lane: Lane) -> float:
    """The longest wait before something of a lane is tried again."""
    return _LAST_RETRY_S.get(lane, LAST_RETRY_S)


def retry_s(lane: Lane, tries: int, size_bytes: int, rng: random.Random) -> float:
    """How long to wait for an answer to the ``tries``-th try, jittered so that kits do not come all at once."""
    wait_s = min(longest_s(lane), FIRST_RETRY_S * float(1 << min(tries - 1, 16))) * rng.uniform(0.8, 1.2)
    return wait_s + size_bytes / _SLOW_BYTES_PER_S

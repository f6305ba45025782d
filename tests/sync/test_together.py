"""Packets that have queued up are committed together, and nobody's packet harms another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from zhenbao.model.errors import StorageError
from zhenbao.model.report import Receipt
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane, pack
from zhenbao.sync.messages import Hello, Receipts


class Watched:
    """A mailbox that notes each commit, and cannot keep what ``stumbles_over`` sent."""

    def __init__(self, inner: Any, stumbles_over: str = "", code: str = "hub-write") -> None:
        self._inner = inner
        self._stumbles_over, self._code = stumbles_over, code
        self.commits: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        self.commits.append([envelope.sender for envelope in envelopes])
        if any(envelope.sender == self._stumbles_over for envelope in envelopes):
            raise StorageError(self._code)
        receipts: list[Receipt] = self._inner.accept(envelopes, now_ms)
        return receipts


class Hub:
    """A hub's engine with an end of a road for each kit."""

    def __init__(self, mailbox: Any, road: Any, clock: Any) -> None:
        self.road = road
        self._end = road.end("hub")
        self.engine = Engine(mailbox, self._end, clock, road.keyring_of("hub"))
        self._end.start()

    def take(self, *packets: tuple[str, bytes]) -> None:
        for kit, packet in packets:
            self._end.on_message(kit, packet)
        self.engine.step()

    def receipted(self) -> dict[str, int]:
        """How many receipts each kit was given."""
        return {
            kit: sum(len(m.receipts) for m in self.road.messages_to(kit) if isinstance(m, Receipts))
            for kit in ("kit-1", "kit-2")
        }


def packet(road: Any, ward: Any, kit: str, *extra: Any, lane: Lane = Lane.RESULTS) -> tuple[str, bytes]:
    """One reading of a kit, sealed."""
    value = replace(ward.reading(), id=uuid4(), kit_id=kit)
    envelope = Envelope(uuid4(), kit, "hub", "boot", 1, "observation", lane, value.id, 1, pack(value))
    return kit, road.sealed_by(kit, "hub", envelope, *extra)


def test_four_packets_of_two_kits_are_one_commit_and_each_kit_has_its_own_receipts(
    hub: Any, ward: Any, clock: Any, faulty_road: Any
) -> None:
    road, watched = faulty_road(), Watched(hub)
    there = Hub(watched, road, clock)
    there.take(*(packet(road, ward, kit) for kit in ("kit-1", "kit-2", "kit-1", "kit-1", "kit-2")))
    assert watched.commits == [["kit-1", "kit-2", "kit-1", "kit-1"], ["kit-2"]]
    assert there.receipted() == {"kit-1": 3, "kit-2": 2}
    assert there.engine.counts.accepted == len(hub.taken) == 5


def test_what_is_critical_waits_for_no_other_packet(hub: Any, ward: Any, clock: Any, faulty_road: Any) -> None:
    road, watched = faulty_road(), Watched(hub)
    critical = packet(road, ward, "kit-2", lane=Lane.CRITICAL)
    Hub(watched, road, clock).take(packet(road, ward, "kit-1"), critical, packet(road, ward, "kit-1"))
    assert watched.commits == [["kit-1", "kit-2"], ["kit-1"]]


def test_what_else_a_packet_says_is_heard_before_the_next_one_is_read(
    hub: Any, ward: Any, clock: Any, faulty_road: Any
) -> None:
    road, watched = faulty_road(), Watched(hub)
    told = packet(road, ward, "kit-1", Hello())
    Hub(watched, road, clock).take(told, packet(road, ward, "kit-1"))
    assert watched.commits == [["kit-1"], ["kit-1"]]


def test_a_kit_whose_items_cannot_be_kept_keeps_nobody_elses_out(
    hub: Any, ward: Any, clock: Any, faulty_road: Any
) -> None:
    road, watched = faulty_road(), Watched(hub, stumbles_over="kit-1")
    there = Hub(watched, road, clock)
    there.take(*(packet(road, ward, kit) for kit in ("kit-2", "kit-1", "kit-2")))
    assert there.receipted() == {"kit-1": 0, "kit-2": 2}
    assert there.engine.counts.store_errors == 1
    assert {envelope.sender for envelope, _ in hub.taken.values()} == {"kit-2"}


def test_a_damaged_store_still_ends_the_engine(hub: Any, ward: Any, clock: Any, faulty_road: Any) -> None:
    road = faulty_road()
    there = Hub(Watched(hub, stumbles_over="kit-1", code="store-damaged"), road, clock)
    with pytest.raises(StorageError, match="store-damaged"):
        there.take(packet(road, ward, "kit-2"), packet(road, ward, "kit-1"))

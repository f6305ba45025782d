"""The live desk: only who looks gets anything, of the one visit they look at, from the kit that the case is from."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from zhenbao.hub.live_ecg import LiveDesk, Piece
from zhenbao.hub.web import live_ecg as page
from zhenbao.model.errors import InputError, Rejected
from zhenbao.model.recording import NO_VALUE
from zhenbao.sync.live.chunk import Chunk
from zhenbao.sync.live.rules import live_rules

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock

VISIT, OTHER = UUID(int=1), UUID(int=2)
CHUNK = Chunk(b"12345678", VISIT, 125, ("II", "V1"), 0.005, 0, struct.pack("<4h", 200, -100, NO_VALUE, 0), 0)


class Wire:
    """Chunks by name, as if opened; what has no name is refused as a bad packet is."""

    def __init__(self, **chunks: Chunk) -> None:
        self.chunks = chunks
        self.opened = 0

    def read(self, data: bytes, road: str) -> tuple[str, Chunk]:
        self.opened += 1
        try:
            return road, self.chunks[data.decode()]
        except KeyError:
            raise Rejected("packet-signature") from None


async def pieces(watcher: Any) -> list[Piece]:
    found = []
    while True:
        try:
            found.append(await watcher.next(0.05))
        except TimeoutError:
            return found


def test_a_page_gets_its_own_visit_from_its_own_kit(clock: HandClock) -> None:
    wire = Wire(mine=CHUNK, other=replace(CHUNK, encounter_id=OTHER))
    desk = LiveDesk(wire.read, clock)

    async def look() -> list[Piece]:
        with desk.watching("kit-1", VISIT) as watcher:
            for road, name in (("kit-1", "mine"), ("kit-1", "other"), ("kit-2", "mine"), ("kit-1", "bad")):
                desk.take(road, name.encode())
            return await pieces(watcher)

    assert [piece.chunk for piece in asyncio.run(look())] == [CHUNK]
    assert desk.refused == 1


def test_where_nobody_looks_nothing_is_even_opened(clock: HandClock) -> None:
    wire = Wire(mine=CHUNK)
    desk, stop = LiveDesk(wire.read, clock), threading.Event()
    thread = threading.Thread(target=desk.run, args=(stop,))
    thread.start()
    desk.hear("kit-1", b"mine")
    stop.set()
    thread.join()
    assert wire.opened == 0


def test_a_flood_is_dropped_and_never_waits(clock: HandClock) -> None:
    desk = LiveDesk(Wire(mine=CHUNK).read, clock)

    async def flood() -> None:
        with desk.watching("kit-1", VISIT):
            for _ in range(1000):
                desk.hear("kit-1", b"mine")

    asyncio.run(flood())
    assert desk.refused > 900


def test_a_slow_page_loses_the_oldest(clock: HandClock) -> None:
    wire = Wire(**{str(n): replace(CHUNK, first_sample=2 * n) for n in range(50)})
    desk = LiveDesk(wire.read, clock)

    async def look() -> list[Piece]:
        with desk.watching("kit-1", VISIT) as watcher:
            for n in range(50):
                desk.take("kit-1", str(n).encode())
            return await pieces(watcher)

    shown = [piece.chunk.first_sample for piece in asyncio.run(look())]
    assert shown == [2 * n for n in range(30, 50)], "ten seconds at the most, the newest ones"


def test_the_delay_is_told_as_a_least_and_grows_with_the_road(clock: HandClock) -> None:
    """A kit whose clock is an hour wrong: only what one chunk took longer than another can be seen."""
    long = struct.pack("<250h", *range(250))
    begun_ms = clock.ms - 3_600_000
    wire = Wire(
        one=replace(CHUNK, samples=long, kit_ms=begun_ms),
        two=replace(CHUNK, samples=long, kit_ms=begun_ms + 1000, first_sample=125),
        late=replace(CHUNK, samples=long, kit_ms=begun_ms + 2000, first_sample=250),
    )
    desk = LiveDesk(wire.read, clock)

    async def look() -> list[Piece]:
        with desk.watching("kit-1", VISIT) as watcher:
            for name, seconds in (("one", 0.0), ("two", 1.0), ("late", 4.0)):
                clock.sleep(seconds)
                desk.take("kit-1", name.encode())
            return await pieces(watcher)

    assert [piece.delay_s for piece in asyncio.run(look())] == [1.0, 1.0, 4.0]


def test_too_many_pages_are_refused(clock: HandClock) -> None:
    desk = LiveDesk(Wire().read, clock)

    async def crowd() -> None:
        held = [desk.watching("kit-1", VISIT) for _ in range(live_rules().most_watchers)]
        for each in held:
            each.__enter__()
        with pytest.raises(InputError, match="live-full"), desk.watching("kit-1", VISIT):
            pass
        for each in held:
            each.__exit__(None, None, None)
        with desk.watching("kit-1", VISIT):
            pass

    asyncio.run(crowd())


def test_a_hub_that_stops_lets_its_pages_go(clock: HandClock) -> None:
    desk, stop = LiveDesk(Wire().read, clock), threading.Event()

    async def look() -> Piece | None:
        thread = threading.Thread(target=desk.run, args=(stop,))
        thread.start()
        with desk.watching("kit-1", VISIT) as watcher:
            stop.set()
            return await watcher.next(5)

    assert asyncio.run(look()) is None


def test_what_goes_to_the_page_is_millivolts_with_gaps_and_no_names() -> None:
    sent = page._chunk(Piece(CHUNK, 1.26)).decode()
    name, data = sent.split("\n")[:2]
    assert name == "event: chunk"
    assert json.loads(data.removeprefix("data: ")) == {
        "stream": b"12345678".hex(),
        "rate_hz": 125,
        "first": 0,
        "leads": ["II", "V1"],
        "mv": [[1.0, None], [-0.5, 0.0]],
        "delay_s": 1.3,
    }

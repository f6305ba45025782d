"""News as they come: who is told what and how soon, over any number of web processes, and never after the session."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.hub.conftest import PASSWORD, ROSTER, HandClock, KitVoice, csrf_of
from tests.hub.test_holding import session
from zhenbao.hub import handover, holding
from zhenbao.hub.case_code import case_code
from zhenbao.hub.list_settings import list_settings
from zhenbao.hub.server import Hub
from zhenbao.hub.store import HubStore, people
from zhenbao.hub.web.live import Event, Newsroom, TooMany
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.time import SystemClock
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.store.people import Practitioner, Session
    from zhenbao.hub.worklist import Worklist

FAST = replace(list_settings().live, poll_s=0.02, beat_s=0.1)
WAIT_S = 10.0


def visit(kit: KitVoice, rule: str = "EC19", urgency: Urgency = Urgency.RED, name: str = "演示患者甲") -> None:
    patient = kit.patient(name=name, number=None)
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding(rule, urgency, source="x"), code="ecg"))


class Page:
    """One page that listens, and notes what it was told."""

    def __init__(self, room: Newsroom, session: Session, case_id: Any = None) -> None:
        self.room, self.session, self.case_id = room, session, case_id
        self.told: list[Event] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Page:
        heard = await self.room.listen(self.session, Words(), self.case_id)
        self._task = asyncio.create_task(self._listen(heard))
        await self.until(lambda: self.told != [])
        assert self.told[0].kind == "hello"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self, heard: AsyncIterator[Event]) -> None:
        async for event in heard:
            self.told.append(event)

    def kinds(self) -> set[str]:
        return {event.kind for event in self.told}

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.told if event.kind == kind]

    @property
    def ended(self) -> bool:
        return self._task is not None and self._task.done()

    async def until(self, holds: Any) -> None:
        until = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < until, self.told
            await asyncio.sleep(0.01)

    async def beats(self, count: int = 2) -> None:
        """Wait for beats from now on: whatever was to be told has been told by then."""
        before = len(self.of("beat"))
        await self.until(lambda: len(self.of("beat")) >= before + count)


async def in_thread(act: Any, *args: Any, **more: Any) -> Any:
    return await asyncio.to_thread(act, *args, **more)


@pytest.fixture
def room(store: HubStore) -> Iterator[Newsroom]:
    made = Newsroom(store, FAST)
    yield made
    made.close()


async def test_a_quiet_hub_beats_and_a_new_case_is_news(
    room: Newsroom, store: HubStore, kit: KitVoice, heart: Practitioner, worklist: Worklist
) -> None:
    async with Page(room, session(store, heart)) as page:
        await page.beats()
        assert page.kinds() == {"hello", "beat"}
        await in_thread(visit, kit)
        await page.until(lambda: page.of("red") != [])
        (row,) = worklist.rows()
        assert page.of("news")[0]["topics"] == ["list"]
        (red,) = page.of("red")
        assert red["url"] == f"/cases/{row.item.id}"
        assert case_code(row.item.id) in red["text"]
        assert "演" not in json.dumps(red, ensure_ascii=False)
    assert room.listening == 0


async def test_red_rings_only_where_the_list_holds_it_and_only_red(
    room: Newsroom, store: HubStore, kit: KitVoice, heart: Practitioner, lungs: Practitioner, desk: Practitioner
) -> None:
    async with (
        Page(room, session(store, heart)) as theirs,
        Page(room, session(store, lungs)) as other,
        Page(room, session(store, desk)) as all_of_them,
    ):
        await in_thread(visit, kit, "EC34", Urgency.YELLOW)
        await theirs.until(lambda: theirs.of("news") != [])
        await theirs.beats()
        assert theirs.of("red") == []
        await in_thread(visit, kit)
        await theirs.until(lambda: theirs.of("red") != [])
        await all_of_them.until(lambda: all_of_them.of("red") != [])
        await other.beats()
        assert other.of("red") == []


async def test_a_case_that_becomes_critical_rings(
    room: Newsroom, store: HubStore, kit: KitVoice, heart: Practitioner
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC34", Urgency.YELLOW, source="x"), code="ecg"))
    async with Page(room, session(store, heart)) as page:
        await in_thread(kit.send, kit.observation(encounter, Finding("EC19", Urgency.RED, source="x"), code="ecg"))
        await page.until(lambda: page.of("red") != [])


async def test_a_name_that_comes_later_is_news_without_a_deed(
    room: Newsroom, store: HubStore, kit: KitVoice, heart: Practitioner
) -> None:
    async with Page(room, session(store, heart)) as page:
        await in_thread(kit.send, kit.patient())
        await page.until(lambda: page.of("news") != [])


async def test_the_page_of_a_case_hears_of_its_case(
    room: Newsroom, store: HubStore, kit: KitVoice, heart: Practitioner, worklist: Worklist
) -> None:
    visit(kit, name="甲")
    visit(kit, name="乙")
    one, two = (row.item.id for row in worklist.rows())
    mine = session(store, heart)
    async with Page(room, mine, one) as page, Page(room, mine, two) as other:
        await in_thread(holding.claim, store, one, mine)
        await page.until(lambda: any("case" in news["topics"] for news in page.of("news")))
        await other.until(lambda: other.of("news") != [])
        await other.beats()
        assert not any("case" in news["topics"] for news in other.of("news"))


async def test_who_loses_a_case_is_told_at_once_by_whom(
    room: Newsroom,
    store: HubStore,
    kit: KitVoice,
    heart: Practitioner,
    heart_2: Practitioner,
    desk: Practitioner,
    worklist: Worklist,
) -> None:
    visit(kit)
    (row,) = worklist.rows()
    case_id = row.item.id
    holding.claim(store, case_id, session(store, heart))
    async with Page(room, session(store, heart)) as loser, Page(room, session(store, heart_2)) as taker:
        began = time.monotonic()
        reason = "甲医师正在手术，由我处理"
        await in_thread(holding.claim, store, case_id, session(store, heart_2), over="heart", reason=reason)
        await loser.until(lambda: loser.of("lost") != [])
        assert time.monotonic() - began < 2
        (told,) = loser.of("lost")
        assert "演示医师乙" in told["text"]
        assert "接手" in told["text"]
        assert "手术" not in told["text"]
        await in_thread(worklist.assign, case_id, "heart", desk)
        await taker.until(lambda: len(taker.of("lost")) == 1)
        assert "转派" in taker.of("lost")[0]["text"]
        await in_thread(handover.hand_over, store, "heart", "heart-2", desk, "换班")
        await loser.until(lambda: len(loser.of("lost")) == 2)
        assert "交班" in loser.of("lost")[1]["text"]
        await taker.beats()
        assert len(taker.of("lost")) == 1  # nobody is told of what they did themselves, or gained


@pytest.mark.parametrize("end", ["logged out", "disabled", "after twelve hours"])
async def test_the_line_ends_with_the_session(
    room: Newsroom, store: HubStore, heart: Practitioner, clock: HandClock, end: str
) -> None:
    with store.writing() as connection:
        token, _ = people.open_session(connection, "heart", clock.ms)
        mine = people.session(connection, token, clock.ms)
    assert mine is not None
    async with Page(room, mine) as page:
        with store.writing() as connection:
            if end == "logged out":
                people.close_session(connection, token)
            elif end == "disabled":
                people.disable(connection, "heart", clock.ms)
        if end == "after twelve hours":
            clock.pass_minutes(12 * 60 + 1)
        await page.until(lambda: page.ended)
        assert page.told[-1].kind == "over"
    assert room.listening == 0


async def test_a_session_has_few_lines_and_the_oldest_gives_way(
    store: HubStore, heart: Practitioner, desk: Practitioner
) -> None:
    room = Newsroom(store, replace(FAST, most=3, most_per_session=2))
    mine, other = session(store, heart), session(store, desk)
    async with Page(room, mine) as oldest, Page(room, mine) as newer, Page(room, mine) as newest:
        await oldest.until(lambda: oldest.ended)
        assert oldest.told[-1].kind == "moved"
        await newer.beats()
        assert not newer.ended
        async with Page(room, other):
            with pytest.raises(TooMany):
                await room.listen(other, Words())
        await newest.beats()
    room.close()


async def test_a_hub_that_cannot_read_its_database_does_not_beat(
    room: Newsroom, store: HubStore, heart: Practitioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old data never looks live: a page that hears no beat says that it is old."""
    async with Page(room, session(store, heart)) as page:
        await page.beats()

        @contextlib.contextmanager
        def broken() -> Iterator[None]:
            raise StorageError("hub-read", reason="OperationalError")
            yield

        monkeypatch.setattr(store, "reading", broken)
        await asyncio.sleep(0.1)
        before = len(page.told)
        await asyncio.sleep(5 * FAST.beat_s)
        assert len(page.told) == before
        monkeypatch.undo()
        await page.beats()  # and goes on when it can


async def test_two_web_processes_tell_of_each_others_deeds(
    store: HubStore, kit: KitVoice, heart: Practitioner, clock: HandClock
) -> None:
    second = HubStore(str(store.database.url), clock, ROSTER)
    here, there = Newsroom(store, FAST), Newsroom(second, FAST)
    mine = session(store, heart)
    try:
        async with Page(here, mine) as one, Page(there, mine) as two:
            await in_thread(visit, kit)
            await one.until(lambda: one.of("red") != [])
            await two.until(lambda: two.of("red") != [])
            for _ in range(20):
                await in_thread(kit.send, kit.patient(number=None))
            await two.beats()
            assert len(two.of("red")) == 1  # each thing once
    finally:
        here.close()
        there.close()
        second.close()


# Over HTTP


@pytest.fixture
def hub(tmp_path: Path, vendored: None) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub", roster=ROSTER)
    made.start()
    made.add_practitioner("heart", name="演示医师甲", specialty="cardiology", password=PASSWORD)
    made.add_practitioner("tech", name="技术员", role="technician", password=PASSWORD)
    yield made
    made.close()


@contextlib.contextmanager
def client(hub: Hub, login: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.web_url, headers={"accept-language": "zh-CN"}, timeout=WAIT_S) as made:
        token = csrf_of(made.get("/login"))
        made.post("/login", data={"account": login, "password": PASSWORD, "csrf": token})
        yield made


def kinds_of(lines: Iterator[str]) -> Iterator[str]:
    return (line.removeprefix("event: ") for line in lines if line.startswith("event: "))


@pytest.mark.slow
def test_the_line_over_http(hub: Hub) -> None:
    kit = KitVoice(hub.store, HandClock(SystemClock().now_ms()))
    with client(hub, "heart") as browser, browser.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        heard = kinds_of(answer.iter_lines())
        assert next(heard) == "hello"
        began = time.monotonic()
        visit(kit)
        assert next(kind for kind in heard if kind == "red") == "red"
        assert time.monotonic() - began < 3
        # A hub that stops lets its listeners go at once, not after they have said goodbye.
        began = time.monotonic()
        stopping = threading.Thread(target=hub.stop)
        stopping.start()
        with contextlib.suppress(httpx.HTTPError):
            list(heard)
        assert time.monotonic() - began < 5
        stopping.join()


@pytest.mark.slow
def test_who_may_listen(hub: Hub) -> None:
    kit = KitVoice(hub.store, HandClock(SystemClock().now_ms()))
    visit(kit, "SP07", Urgency.YELLOW)
    (row,) = hub.worklist.rows()
    assert httpx.get(f"{hub.web_url}/events").status_code == 204
    with client(hub, "tech") as nobody:
        assert nobody.get("/events").status_code == 204
    with client(hub, "heart") as browser:
        unknown = "01a200fb-5100-793b-ade9-a0861613c191"
        for case in (unknown, str(row.item.id) if row.item.specialty != "cardiology" else unknown):
            assert browser.get(f"/events?case={case}").status_code == 204


@pytest.mark.slow
def test_a_page_that_goes_away_frees_its_line(hub: Hub) -> None:
    room = hub._newsroom
    assert room is not None
    with client(hub, "heart") as browser:
        with browser.stream("GET", "/events") as answer:
            heard = kinds_of(answer.iter_lines())  # dropped, it would close the line
            assert next(heard) == "hello"
            assert room.listening == 1
        until = time.monotonic() + WAIT_S
        while room.listening:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_the_hub_is_plain_only_on_this_machine(tmp_path: Path) -> None:
    """Passwords and patients never cross a network in the clear: another address needs a certificate."""
    for address in ("0.0.0.0", "::", "192.0.2.1", "hub.example", "127.0.0.1.example"):  # noqa: S104
        with pytest.raises(InputError) as refused:
            Hub(tmp_path / "hub", web_host=address)
        assert refused.value.code == "hub-plain-web"
    assert not (tmp_path / "hub").exists()
    for address in ("127.0.0.1", "::1", "localhost"):
        Hub(tmp_path / address.replace(":", "_"), web_host=address).close()

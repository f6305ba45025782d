"""Tells open pages what is new: one look at the database a second for all of them, however many listen.

Each web process looks for itself, so that any number of them may serve one hub. A page that hears nothing for a while
knows that it shows something old: a beat is only sent after a look that succeeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from zhenbao.hub.access import viewer
from zhenbao.hub.case_code import case_code
from zhenbao.hub.list_settings import LiveSettings, list_settings
from zhenbao.hub.store import HubStore, news, people, work
from zhenbao.hub.store.news import Deed, Moment
from zhenbao.hub.store.people import Practitioner, Session
from zhenbao.model.errors import StorageError, ZhenbaoError
from zhenbao.words import Words

_log = logging.getLogger(__name__)
_MOST_WAITING = 20


class TooMany(ZhenbaoError):
    """This process tells as many pages as it can."""

    def __init__(self) -> None:
        super().__init__("news-full")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell a page: ``hello``, ``beat``, ``news``, ``red``, ``lost``, ``moved`` or ``over``."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Listener:
    session: Session
    case_id: UUID | None
    words: Words
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_MOST_WAITING))
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False

    @property
    def person(self) -> Practitioner:
        return self.session.practitioner

    def tell(self, event: Event) -> None:
        # Two pieces of news of one kind say no more than one; alarms are each their own.
        if event.kind not in ("news", "beat") or all(e.kind != event.kind or e.data != event.data for e in self.events):
            self.events.append(event)
        self.awake.set()

    def dismiss(self, kind: str) -> None:
        self.gone = True
        self.tell(Event(kind))


@dataclass(frozen=True, slots=True)
class _Look:
    moment: Moment
    alive: frozenset[bytes]
    deeds: Sequence[Deed] = ()
    names: dict[str, str] = field(default_factory=dict)
    red: dict[UUID, frozenset[str]] = field(default_factory=dict)
    """Cases that have just become critical, each with the logins whose list holds it."""
    moved: bool = False
    now_ms: int = 0


class Newsroom:
    """The pages of one web process that listen.

    Args:
        store: the hub's.
        settings: how often and how many; None: as ``list.toml`` says.
    """

    def __init__(self, store: HubStore, settings: LiveSettings | None = None) -> None:
        self._store = store
        self.settings = settings or list_settings().live
        self._listeners: list[_Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._last: Moment | None = None

    @property
    def listening(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    async def listen(self, session: Session, words: Words, case_id: UUID | None = None) -> AsyncIterator[Event]:
        """What a page is told, until its session ends, its place is taken by a newer page, or it goes away.

        Args:
            session: of the page.
            words: in the page's language.
            case_id: the case that the page shows, which the person may see; None: a list.

        Raises:
            TooMany: ``news-full``.
        """
        if self._closed or self.listening >= self.settings.most:
            raise TooMany
        mine = [one for one in self._listeners if one.session.id == session.id and not one.gone]
        for oldest in mine[: len(mine) + 1 - self.settings.most_per_session]:
            oldest.dismiss("moved")
        if not self._listeners:
            # From here on nothing is missed: what the page shows is asked for again after the hello.
            self._last = await run_in_threadpool(self._moment)
        return self._events(_Listener(session, case_id, words))

    def close(self) -> None:
        """Send every page away, at once; from any thread. They come back when the hub does."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody listens
                self._loop.call_soon_threadsafe(self._send_away)

    async def _events(self, listener: _Listener) -> AsyncIterator[Event]:
        self._listeners.append(listener)
        self._start()
        try:
            yield Event("hello", {"now": self._store.clock.now_ms(), "late_s": self.settings.late_s})
            while True:
                await listener.awake.wait()
                listener.awake.clear()
                while listener.events:
                    yield listener.events.popleft()
                if listener.gone:
                    return
        finally:
            self._listeners.remove(listener)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._watch())

    def _send_away(self) -> None:
        for listener in self._listeners:
            listener.gone = True
            listener.awake.set()

    async def _watch(self) -> None:
        """Look and tell, as long as anybody listens."""
        beat_s = 0.0
        while self._listeners:
            listening = [*self._listeners]  # who comes meanwhile asks for everything anyway
            try:
                look = await run_in_threadpool(self._look, self._last, listening)
            except StorageError as error:
                # No beat: the pages will say by themselves that they are old.
                _log.error("news could not be looked for: %s", error.code)
            else:
                beat_s += self.settings.poll_s
                due = beat_s >= self.settings.beat_s
                beat_s = 0.0 if due else beat_s
                self._last = look.moment
                for listener in listening:
                    self._tell(listener, look, beat=due)
            await asyncio.sleep(self.settings.poll_s)

    def _moment(self) -> Moment:
        with self._store.reading() as connection:
            return news.now(connection)

    def _look(self, last: Moment | None, listeners: Collection[_Listener]) -> _Look:
        now_ms = self._store.clock.now_ms()
        with self._store.reading() as connection:
            moment = news.now(connection)
            alive = people.alive(connection, {one.session.id for one in listeners}, now_ms)
            if last is None or moment == last:
                return _Look(moment, alive, now_ms=now_ms)
            deeds = news.since(connection, last)
            names = people.names(connection, {deed.actor for deed in deeds})
            red = {d.case_id for d in deeds if d.action in _RANKED and d.detail.get("urgency") == "RED"}
            persons = {one.person.login: one.person for one in listeners} if red else {}
            seers = [viewer(connection, person, now_ms) for person in persons.values()]
            items = [item for id_ in red if (item := work.find(connection, id_)) is not None]
            lists = {i.id: frozenset(s.person.login for s in seers if s.may("list", i)) for i in items}
        return _Look(moment, alive, deeds, names, lists, moved=True, now_ms=now_ms)

    def _tell(self, listener: _Listener, look: _Look, *, beat: bool) -> None:
        if listener.gone:
            return
        if listener.session.id not in look.alive:
            listener.dismiss("over")
            return
        login, w = listener.person.login, listener.words
        lost: dict[UUID, Event] = {}
        for deed in look.deeds:
            url, code = f"/cases/{deed.case_id}", case_code(deed.case_id)
            if deed.action in _RANKED and login in look.red.get(deed.case_id, ()):
                told = {"id": f"case-{deed.case_id}", "text": w("hub.live.red", code=code), "url": url}
                listener.tell(Event("red", told))
            loses = deed.detail.get("before") == login and deed.detail.get("owner") != login
            if deed.action in _LOST and loses and deed.actor != login:
                why = w(f"hub.claim.why.{deed.detail.get('why', deed.action)}")
                text = w("hub.live.lost", code=code, name=look.names.get(deed.actor, deed.actor), why=why)
                lost[deed.case_id] = Event("lost", {"text": text, "url": url})
        for event in lost.values():
            listener.tell(event)
        if look.moved:
            cases = {deed.case_id for deed in look.deeds}
            topics = ["list"]
            # Without a deed it may be any case's: a receipt, a waveform.
            if listener.case_id is not None and (listener.case_id in cases or not cases):
                topics.append("case")
            listener.tell(Event("news", {"topics": topics, "now": look.now_ms}))
        elif beat:
            listener.tell(Event("beat", {"now": look.now_ms}))


_RANKED = ("case-opened", "case-ranked")
_LOST = ("case-taken-over", "case-released", "case-assigned", "case-handed-over")

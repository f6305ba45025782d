"""The discussion of a case among those who answer for it: brief history, ECG, advice, state of the green channel.

It stands in the place of a chat group, with what a chat group lacks: only who may open the case reads it, every post
has a name and a time, and nothing is ever deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import check
from zhenbao.hub.store import audit, people, records, thread, work
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.thread import CHANNELS, WRITTEN, Post
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError

LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """A post as its reader sees it."""

    post: Post
    name: str
    new: bool
    """Somebody else wrote it since the reader last looked."""
    retracted: bool


def write(
    store: HubStore,
    case_id: UUID,
    person: Practitioner,
    *,
    kind: str,
    text: str = "",
    observation_id: UUID | None = None,
    channel: str = "",
) -> Post:
    """Write a post.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``thread-kind``; ``thread-empty`` where the kind
            lacks what it is about; ``thread-long``; ``thread-ecg``: no ECG of this case.
    """
    now_ms = store.clock.now_ms()
    text = text.replace("\r\n", "\n").strip()
    chosen = next((known for known in WRITTEN if known == kind), None)
    state = next((known for known in CHANNELS if known == channel), None)
    if chosen is None:
        raise InputError("thread-kind")
    if len(text) > LONGEST_TEXT:
        raise InputError("thread-long", longest=LONGEST_TEXT)
    if (chosen in ("history", "advice") and not text) or (chosen == "channel" and state is None):
        raise InputError("thread-empty")
    with store.writing() as connection:
        item = _allowed(connection, case_id, person, now_ms)
        if chosen == "ecg":
            readings = records.observations_of(connection, item.encounter_id)
            if observation_id not in {reading.id for reading, _ in readings if reading.code == "ecg"}:
                raise InputError("thread-ecg")
        post = thread.add(
            connection,
            case_id,
            chosen,
            person.login,
            now_ms,
            text=text,
            observation_id=observation_id if chosen == "ecg" else None,
            channel=state if chosen == "channel" else None,
        )
        audit.append(
            connection, now_ms, person.login, "thread-written", f"case:{case_id}", kind=chosen, number=str(post.number)
        )
    return post


def retract(store: HubStore, case_id: UUID, person: Practitioner, number: int) -> Post:
    """Take one's own post back: it stays, struck through.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``thread-retract``: no such post of theirs, or it
            was taken back before.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        _allowed(connection, case_id, person, now_ms)
        known = thread.posts(connection, case_id)
        own = any(p.number == number and p.login == person.login and p.kind in WRITTEN for p in known)
        if not own or any(p.retracts == number for p in known):
            raise InputError("thread-retract")
        post = thread.add(connection, case_id, "retraction", person.login, now_ms, retracts=number)
        audit.append(connection, now_ms, person.login, "thread-retracted", f"case:{case_id}", number=str(number))
    return post


def read(store: HubStore, case_id: UUID, person: Practitioner) -> list[Shown]:
    """The posts for who has just been let into the case; from now on they are read by them."""
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        known = thread.posts(connection, case_id)
        seen = thread.seen_number(connection, case_id, person.login)
        names = {login: _name(connection, login) for login in {post.login for post in known}}
    if known and seen < known[-1].number:
        with store.writing() as connection:
            thread.mark_seen(connection, case_id, person.login, known[-1].number, now_ms)
    taken_back = {post.retracts for post in known}
    return [
        Shown(post, names[post.login], post.number > seen and post.login != person.login, post.number in taken_back)
        for post in known
    ]


def unread(store: HubStore, case_ids: list[UUID], person: Practitioner) -> dict[UUID, int]:
    """How many posts a person has not read, by case."""
    with store.reading() as connection:
        return thread.unread(connection, case_ids, person.login)


def _allowed(connection: Connection, case_id: UUID, person: Practitioner, now_ms: int) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    check(connection, person, "discuss", item, now_ms)
    return item


def _name(connection: Connection, login: str) -> str:
    person = people.find(connection, login)
    return person.name if person is not None else login

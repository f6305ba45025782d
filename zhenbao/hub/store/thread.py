"""The discussion of a case: posts that are only added. A retraction is a post of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, update

from zhenbao.hub.store.report_tables import thread_posts, thread_seen

Kind = Literal["history", "ecg", "advice", "channel", "retraction", "second", "opinion"]
"""病情简介, 心电, 诊疗建议, 绿色通道; a retraction; and what other pages add: a second reading, an expert's opinion."""
Channel = Literal["asked", "open", "on-the-way", "arrived", "closed"]
WRITTEN: tuple[Kind, ...] = ("history", "ecg", "advice", "channel")
"""What a person writes in the thread itself."""
CHANNELS: tuple[Channel, ...] = get_args(Channel)


@dataclass(frozen=True, slots=True)
class Post:
    """One post. Instants are the hub's."""

    number: int
    kind: Kind
    text: str
    observation_id: UUID | None
    """The ECG that it points at."""
    channel: Channel | None
    retracts: int | None
    """The number of the post that this one takes back."""
    login: str
    at_ms: int


def add(
    connection: Connection,
    case_id: UUID,
    kind: Kind,
    login: str,
    now_ms: int,
    *,
    text: str = "",
    observation_id: UUID | None = None,
    channel: Channel | None = None,
    retracts: int | None = None,
) -> Post:
    """Add a post inside a writing transaction."""
    post = Post(last_number(connection, case_id) + 1, kind, text, observation_id, channel, retracts, login, now_ms)
    connection.execute(
        insert(thread_posts).values(
            work_item_id=case_id,
            number=post.number,
            kind=kind,
            text=text,
            observation_id=observation_id,
            channel=channel,
            retracts=retracts,
            login=login,
            at_ms=now_ms,
        )
    )
    return post


def posts(connection: Connection, case_id: UUID) -> list[Post]:
    """All posts of a case in the order of their writing."""
    found = select(thread_posts).where(thread_posts.c.work_item_id == case_id).order_by(thread_posts.c.number)
    return [_post(row) for row in connection.execute(found)]


def last_number(connection: Connection, case_id: UUID) -> int:
    """The number of the newest post; 0 before the first."""
    newest = select(func.max(thread_posts.c.number)).where(thread_posts.c.work_item_id == case_id)
    return connection.execute(newest).scalar() or 0


def seen_number(connection: Connection, case_id: UUID, login: str) -> int:
    """Up to which post a person has read; 0: none."""
    found = select(thread_seen.c.number).where(thread_seen.c.login == login, thread_seen.c.work_item_id == case_id)
    return connection.execute(found).scalar() or 0


def mark_seen(connection: Connection, case_id: UUID, login: str, number: int, now_ms: int) -> None:
    """A person has read up to this post."""
    key = (thread_seen.c.login == login, thread_seen.c.work_item_id == case_id)
    changed = connection.execute(update(thread_seen).where(*key).values(number=number, seen_ms=now_ms))
    if changed.rowcount == 0:
        connection.execute(insert(thread_seen).values(login=login, work_item_id=case_id, number=number, seen_ms=now_ms))


def unread(connection: Connection, case_ids: list[UUID], login: str) -> dict[UUID, int]:
    """How many posts of others a person has not read, by case; cases without any are left out."""
    counts: dict[UUID, int] = {}
    for start in range(0, len(case_ids), 500):
        found = connection.execute(
            select(thread_posts.c.work_item_id, func.count())
            .outerjoin(
                thread_seen,
                (thread_seen.c.login == login) & (thread_seen.c.work_item_id == thread_posts.c.work_item_id),
            )
            .where(
                thread_posts.c.work_item_id.in_(case_ids[start : start + 500]),
                thread_posts.c.login != login,
                thread_posts.c.number > func.coalesce(thread_seen.c.number, 0),
            )
            .group_by(thread_posts.c.work_item_id)
        )
        counts |= {row[0]: row[1] for row in found}
    return counts


def _post(row: Row[tuple[object, ...]]) -> Post:
    r = row._mapping
    return Post(
        r["number"], r["kind"], r["text"], r["observation_id"], r["channel"], r["retracts"], r["login"], r["at_ms"]
    )

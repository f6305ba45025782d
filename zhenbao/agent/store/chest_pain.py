"""The chest-pain channel on the kit: instants that go to the hub, and what the hub tells of the channel."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from uuid import UUID

from zhenbao.agent.store.database import Database
from zhenbao.agent.store.moment import Moment
from zhenbao.agent.store.outbox import Sender, post
from zhenbao.model.chest_pain import CaseTime, ChannelNews
from zhenbao.model.errors import Rejected, StorageError
from zhenbao.model.ids import uuid7
from zhenbao.sync.envelope import Lane, pack, unpack


@dataclass(frozen=True, slots=True)
class KeptNews:
    """News of a channel, and whether the village doctor has seen it."""

    news: ChannelNews
    arrived_ms: int
    read_ms: int | None


def note(
    database: Database,
    sender: Sender,
    encounter_id: UUID,
    milestone: str,
    moment: Moment,
    *,
    at_ms: int | None = None,
    told: bool = False,
) -> CaseTime:
    """Keep an instant of a visit and queue it.

    Args:
        at_ms: when it was, by the wall clock; None: now.
        told: somebody said so.

    Raises:
        StorageError: ``store-order``, no such visit.
    """

    def save(connection: sqlite3.Connection) -> CaseTime:
        if not connection.execute("select 1 from encounters where id = ?", (str(encounter_id),)).fetchone():
            raise StorageError("store-order")
        return _note(connection, sender, encounter_id, milestone, moment, at_ms=at_ms, told=told)

    return database.write(save, urgent=True)


def times(database: Database, encounter_id: UUID) -> list[CaseTime]:
    """The instants of a visit in the order of their noting; the last of a milestone counts."""
    rows = database.read("select body from case_times where encounter_id = ? order by rowid", (str(encounter_id),))
    return [value for (body,) in rows if isinstance(value := unpack("case-time", body), CaseTime)]


def take_news(connection: sqlite3.Connection, sender: Sender, news: ChannelNews, body: bytes, moment: Moment) -> None:
    """Keep what the hub tells, and tell it when that lay here. Call inside the transaction that receipts it.

    Raises:
        Rejected: ``report-mismatch``: it names another patient than this kit has in that visit.
    """
    kept = connection.execute("select patient_id from encounters where id = ?", (str(news.encounter_id),)).fetchone()
    if kept is not None and kept[0] != str(news.patient_id):
        raise Rejected("report-mismatch", what="patient")
    new = connection.execute(
        "insert into channel_news values (?, ?, ?, ?, null, ?) on conflict do nothing",
        (str(news.id), str(news.encounter_id), news.told_ms, moment.now_ms, body),
    ).rowcount
    if new:
        # Sent while the road stands: by it the hub learns how this tablet's clocks stand to its own.
        _note(connection, sender, news.encounter_id, "delivered", moment)


def report_came(connection: sqlite3.Connection, sender: Sender, encounter_id: UUID, moment: Moment) -> None:
    """A report lies here: where its visit has instants, tell the hub when that was."""
    if connection.execute("select 1 from case_times where encounter_id = ?", (str(encounter_id),)).fetchone():
        _note(connection, sender, encounter_id, "delivered", moment)


def all_news(database: Database, encounter_id: UUID | None = None) -> list[KeptNews]:
    """What the hub told, the newest first; of one visit or of all."""
    where, values = ("", ()) if encounter_id is None else (" where encounter_id = ?", (str(encounter_id),))
    rows = database.read(
        f"select body, arrived_ms, read_ms from channel_news{where} order by told_ms desc, rowid desc",  # noqa: S608 - constant
        values,
    )
    return [
        KeptNews(value, arrived_ms, read_ms)
        for body, arrived_ms, read_ms in rows
        if isinstance(value := unpack("channel-news", body), ChannelNews)
    ]


def read_news(database: Database, sender: Sender, encounter_id: UUID, moment: Moment) -> bool:
    """The village doctor has it before their eyes: note that, and tell the hub. False where nothing was new."""

    def mark(connection: sqlite3.Connection) -> bool:
        changed = connection.execute(
            "update channel_news set read_ms = ? where encounter_id = ? and read_ms is null",
            (moment.now_ms, str(encounter_id)),
        ).rowcount
        if changed:
            _note(connection, sender, encounter_id, "village-read", moment)
        return bool(changed)

    return database.write(mark, urgent=True)


def _note(
    connection: sqlite3.Connection,
    sender: Sender,
    encounter_id: UUID,
    milestone: str,
    moment: Moment,
    *,
    at_ms: int | None = None,
    told: bool = False,
) -> CaseTime:
    time = CaseTime(
        uuid7(moment.now_ms),
        encounter_id,
        sender.name,
        milestone,
        moment.now_ms if at_ms is None else at_ms,
        moment.now_ms,
        moment.boot,
        moment.since_boot_ms,
        told,
    )
    body = pack(time)
    connection.execute(
        "insert into case_times values (?, ?, ?, ?)", (str(time.id), str(encounter_id), time.milestone, body)
    )
    # As urgent as the reading it belongs to, and far smaller.
    post(
        connection,
        sender,
        kind="case-time",
        lane=Lane.CRITICAL,
        subject_id=time.id,
        body=body,
        now_ms=moment.now_ms,
    )
    return time

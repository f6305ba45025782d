"""What the hub told of this kit's patients, follow-ups written here, and the kit's own account of itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from zhenbao.agent.store.database import Database
from zhenbao.agent.store.outbox import Sender, post
from zhenbao.model.chronic import CareBrief, DischargePlan, FollowUp
from zhenbao.model.fleet import KitStatus
from zhenbao.sync.envelope import Lane, pack, unpack

TAKES = ("care-brief", "discharge-plan")
"""Kinds that the hub may send this version besides those that every version takes."""
STATUS_EVERY_MS = 3_600_000
_AFTER_REFUSAL_MS = 24 * 3_600_000
"""An older hub refuses it: asked once a day whether it still does."""


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A discharge plan, and whether the village doctor has opened it. Times are the kit's, Unix ms."""

    plan: DischargePlan
    arrived_ms: int
    read_ms: int | None


def take_brief(connection: sqlite3.Connection, brief: CareBrief, body: bytes) -> None:
    """Keep what the hub tells of a patient; what it told before that, and comes later, changes nothing."""
    connection.execute(
        "insert into care_briefs values (?1, ?2, ?3) on conflict(patient_id) do update"
        " set told_ms = excluded.told_ms, body = excluded.body where excluded.told_ms >= care_briefs.told_ms",
        (str(brief.patient_id), brief.told_ms, body),
    )


def take_plan(connection: sqlite3.Connection, plan: DischargePlan, body: bytes, now_ms: int) -> None:
    """Keep a discharge plan; the first stays."""
    connection.execute(
        "insert into discharge_plans values (?, ?, ?, null, ?) on conflict do nothing",
        (str(plan.id), str(plan.patient_id), now_ms, body),
    )


def briefs(database: Database, patient_id: UUID | None = None) -> list[CareBrief]:
    """What the hub told last, of one patient or of all."""
    rows = database.read(
        "select body from care_briefs where ?1 is null or patient_id = ?1",
        (None if patient_id is None else str(patient_id),),
    )
    return [value for (body,) in rows if isinstance(value := unpack("care-brief", body), CareBrief)]


def plans(database: Database, patient_id: UUID | None = None) -> list[KeptPlan]:
    """Discharge plans, the last that arrived first."""
    rows = database.read(
        "select body, arrived_ms, read_ms from discharge_plans where ?1 is null or patient_id = ?1 order by rowid desc",
        (None if patient_id is None else str(patient_id),),
    )
    return [
        KeptPlan(value, arrived_ms, read_ms)
        for body, arrived_ms, read_ms in rows
        if isinstance(value := unpack("discharge-plan", body), DischargePlan)
    ]


def read_plan(database: Database, plan_id: UUID, now_ms: int) -> None:
    """The village doctor opened it."""
    database.write(
        lambda c: c.execute(
            "update discharge_plans set read_ms = ? where id = ? and read_ms is null", (now_ms, str(plan_id))
        )
    )


def save_follow_up(database: Database, sender: Sender, value: FollowUp, now_ms: int) -> None:
    """Keep a follow-up and queue it: both, or neither."""
    body = pack(value)

    def save(connection: sqlite3.Connection) -> None:
        connection.execute(
            "insert into follow_ups values (?, ?, ?, ?, ?)",
            (str(value.id), str(value.patient_id), value.disease, value.at_ms, body),
        )
        post(connection, sender, kind="follow-up", lane=Lane.RESULTS, subject_id=value.id, body=body, now_ms=now_ms)

    database.write(save)


def follow_ups(database: Database, patient_id: UUID | None = None) -> list[FollowUp]:
    """What was written here, in order of saving."""
    rows = database.read(
        "select body from follow_ups where ?1 is null or patient_id = ?1 order by rowid",
        (None if patient_id is None else str(patient_id),),
    )
    return [value for (body,) in rows if isinstance(value := unpack("follow-up", body), FollowUp)]


def post_status(database: Database, sender: Sender, make: Callable[[], KitStatus], now_ms: int) -> bool:
    """Queue the kit's account of itself, at most once an hour and never a second while one waits; False where not.

    Without a road one waits, as old as it is: what is newer goes once that is gone.
    """

    def too_soon() -> bool:
        ((waits,),) = database.read("select count(*) from outbox where kind = 'kit-status' and state = 'waiting'")
        ((last_ms,),) = database.read("select max(value) from counters where name = 'status_ms'")
        ((refused_ms,),) = database.read(
            "select max(closed_ms) from outbox where kind = 'kit-status' and state = 'refused'"
        )
        # A clock that jumped back must not silence the kit for years.
        recent = last_ms is not None and 0 <= now_ms - last_ms < STATUS_EVERY_MS
        return bool(waits) or recent or (refused_ms is not None and 0 <= now_ms - refused_ms < _AFTER_REFUSAL_MS)

    if too_soon():
        return False
    status = make()

    def save(connection: sqlite3.Connection) -> None:
        # What was delivered is superseded: a restored hub must not be offered a year of hours.
        gone = connection.execute("delete from outbox where kind = 'kit-status' and state = 'delivered'").rowcount
        connection.execute(
            "insert into counters values ('settled', ?) on conflict(name) do update set value = value + excluded.value",
            (gone,),
        )
        connection.execute("insert or replace into counters values ('status_ms', ?)", (now_ms,))
        post(
            connection, sender, kind="kit-status", lane=Lane.REPORTS, subject_id=status.id, body=pack(status),
            now_ms=now_ms,
        )  # fmt: skip
        connection.execute("delete from states where subject_id = ?", (str(status.id),))

    database.write(save)
    return True

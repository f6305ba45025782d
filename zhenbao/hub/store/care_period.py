"""Chronic care, recognised results and second readings of a period in some organisations, as the indicators need it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, func, or_, select

from zhenbao.hub.care_indicators import Care, Days, Managed, Recall
from zhenbao.hub.store import quality
from zhenbao.hub.store.chronic_tables import chronic_entries, follow_ups, recognitions
from zhenbao.hub.store.follow_ups import Kept, past
from zhenbao.hub.store.persons import parts, same_persons
from zhenbao.hub.store.report_tables import second_readings
from zhenbao.hub.store.tables import work_items
from zhenbao.model.chronic import THREE_C, FollowUp, Past
from zhenbao.model.time import local_time
from zhenbao.rules import followup
from zhenbao.sync.envelope import unpack

_DAY_MS = 86_400_000
# A follow-up says when the next is due, at most so long after it, and the last one counts for a year: one that came
# earlier changes nothing in the period.
_BACK_MS = (followup.MOST_DAYS + 1) * _DAY_MS
_REVISIT = {"1": True, "3": False}  # 2: not yet due
_READMITTED = {"1": False, "2": True}
_Done = tuple[Past, UUID, Recall | None]
"""A follow-up with its id, and what it asked if it was a recall."""


def care(connection: Connection, from_ms: int, to_ms: int, orgs: Collection[str], now_ms: int) -> Care:
    """What was done between two instants (the second excluded).

    Args:
        orgs: who manages the patients, or where the case lies: an organisation and all below it.
    """
    days = Days(_day(from_ms), _day(to_ms - 1), _day(now_ms))
    return Care(
        days,
        tuple(_managed(connection, from_ms, to_ms, orgs)) if from_ms <= now_ms else (),
        _recognised(connection, from_ms, to_ms, orgs),
        _second(connection, from_ms, to_ms, orgs),
        _scored(connection, from_ms, to_ms, orgs),
    )


def _managed(connection: Connection, from_ms: int, to_ms: int, orgs: Collection[str]) -> list[Managed]:
    ended = chronic_entries.c.ended_ms
    entries = connection.execute(
        select(chronic_entries).where(
            chronic_entries.c.org_id.in_(orgs),
            chronic_entries.c.entered_ms < to_ms,
            or_(ended.is_(None), ended >= from_ms),
        )
    ).all()
    persons = same_persons(connection, {entry.patient_id for entry in entries})
    done = _follow_ups(connection, {id_ for group in persons.values() for id_ in group}, from_ms - _BACK_MS, to_ms)
    found = []
    for entry in entries:
        mine = [each for id_ in persons[entry.patient_id] for each in done.get((id_, entry.disease), ())]
        mine.sort(key=lambda each: (each[0].on, each[1]))
        recalls = tuple(recall for _, _, recall in mine if recall is not None)
        ended_on = None if entry.ended_ms is None else _day(entry.ended_ms)
        found.append(Managed(entry.disease, entry.since, ended_on, tuple(each[0] for each in mine), recalls))
    return found


def _follow_ups(
    connection: Connection, patient_ids: Collection[UUID], from_ms: int, to_ms: int
) -> dict[tuple[UUID, str], list[_Done]]:
    """Those that came since; a kit's clock decides nothing here, its day is brought in order by ``past``."""
    found: dict[tuple[UUID, str], list[_Done]] = {}
    for part in parts(sorted(patient_ids)):
        wanted = select(follow_ups).where(follow_ups.c.patient_id.in_(part), follow_ups.c.received_ms >= from_ms)
        for row in connection.execute(wanted):
            value = unpack("follow-up", row.body)
            if isinstance(value, FollowUp) and min(row.at_ms, row.received_ms) < to_ms:
                then = past(Kept(value, row.org_id, row.received_ms))
                recall = _recall(then, value) if value.disease in THREE_C and value.form == "three-c" else None
                found.setdefault((row.patient_id, row.disease), []).append((then, value.id, recall))
    return found


def _recall(then: Past, value: FollowUp) -> Recall:
    answers = value.answers
    return Recall(then.on, _REVISIT.get(answers.get("revisit", "")), _READMITTED.get(answers.get("readmitted", "")))


def _recognised(connection: Connection, from_ms: int, to_ms: int, orgs: Collection[str]) -> int:
    used = (
        select(func.count())
        .select_from(recognitions)
        .join(work_items, work_items.c.id == recognitions.c.work_item_id)
        .where(recognitions.c.at_ms >= from_ms, recognitions.c.at_ms < to_ms, work_items.c.org_id.in_(orgs))
    )
    return connection.execute(used).scalar_one()


def _second(connection: Connection, from_ms: int, to_ms: int, orgs: Collection[str]) -> tuple[int, int]:
    """Agreed, of all that were read; one that disagreed and was amended had disagreed."""
    states = connection.execute(
        select(second_readings.c.state).where(
            second_readings.c.done_ms >= from_ms,
            second_readings.c.done_ms < to_ms,
            second_readings.c.org_id.in_(orgs),
        )
    ).scalars()
    said = list(states)
    return said.count("agreed"), len(said)


def _scored(connection: Connection, from_ms: int, to_ms: int, orgs: Collection[str]) -> tuple[int, int, int]:
    said = quality.of_period(connection, from_ms, to_ms, orgs)
    return said.count("agree"), said.count("major"), len(said)


def _day(at_ms: int) -> date:
    return local_time(at_ms).date()

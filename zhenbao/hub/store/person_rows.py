"""What lies about a person in the tables of single topics: found for an export, deleted with the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, delete, select, update

from zhenbao.hub.store.chest_pain_tables import chest_pain_channel, chest_pain_kit_times, chest_pain_written
from zhenbao.hub.store.chronic_tables import (
    care_notices,
    care_sent,
    chronic_changes,
    chronic_due,
    chronic_entries,
    discharge_plans,
    follow_ups,
    recognitions,
)
from zhenbao.hub.store.list_tables import case_codes, claim_steps, claims, name_keys, pushes
from zhenbao.hub.store.quality_tables import quality_scores
from zhenbao.hub.store.report_tables import consults, report_forms, second_readings, thread_posts, thread_seen
from zhenbao.hub.store.slot_tables import slot_requests
from zhenbao.sync.envelope import unpack

_PART = 500
Key = str
"""Of whose ids a column holds: patients, encounters, cases, reports, entries."""
_TOLD: tuple[tuple[Table, str, Key], ...] = (
    (claim_steps, "work_item_id", "cases"),
    (report_forms, "report_id", "reports"),
    (second_readings, "work_item_id", "cases"),
    (consults, "work_item_id", "cases"),
    (thread_posts, "work_item_id", "cases"),
    (chest_pain_kit_times, "encounter_id", "encounters"),
    (chest_pain_written, "encounter_id", "encounters"),
    (chest_pain_channel, "encounter_id", "encounters"),
    (chronic_changes, "entry_id", "entries"),
    (chronic_entries, "patient_id", "patients"),
    (follow_ups, "patient_id", "patients"),
    (discharge_plans, "patient_id", "patients"),
    (recognitions, "work_item_id", "cases"),
    (quality_scores, "work_item_id", "cases"),
    (slot_requests, "work_item_id", "cases"),
)
"""Part of what a person may know."""
_ASIDE: tuple[tuple[Table, str, Key], ...] = (
    (claims, "work_item_id", "cases"),
    (thread_seen, "work_item_id", "cases"),
    (case_codes, "work_item_id", "cases"),
    (pushes, "work_item_id", "cases"),
    (name_keys, "patient_id", "patients"),
    (chronic_due, "entry_id", "entries"),
    (care_notices, "patient_id", "patients"),
    (care_sent, "patient_id", "patients"),
)
"""Made from the rest, or about who works here."""
_KINDS = {follow_ups.name: "follow-up", discharge_plans.name: "discharge-plan"}
_NAMED = (("chronic", chronic_entries), ("follow-up", follow_ups), ("plan", discharge_plans))
_OF_CASES = (("reading", second_readings), ("consult", consults))


def subjects(connection: Connection, ids: Mapping[Key, Sequence[UUID]]) -> list[str]:
    """What the audit calls these things."""
    named = [(name, table, "patient_id", ids["patients"]) for name, table in _NAMED]
    named += [(name, table, "work_item_id", ids["cases"]) for name, table in _OF_CASES]
    return [
        f"{name}:{id_}"
        for name, table, column, keys in named
        for part in _parts(keys)
        for id_ in connection.execute(select(table.c.id).where(table.c[column].in_(part))).scalars()
    ]


def sent(connection: Connection, ids: Mapping[Key, Sequence[UUID]]) -> list[UUID]:
    """Under which ids messages of the person's care went to kits: briefs, plans, news of a channel."""
    found = list(ids["patients"])
    for part in _parts(ids["patients"]):
        found += connection.execute(
            select(discharge_plans.c.id).where(discharge_plans.c.patient_id.in_(part))
        ).scalars()
    news = chest_pain_channel.c
    for part in _parts(ids["encounters"]):
        found += connection.execute(select(news.news_id).where(news.encounter_id.in_(part))).scalars()
    return found


def told(connection: Connection, ids: Mapping[Key, Sequence[UUID]]) -> dict[str, list[dict[str, Any]]]:
    """The rows that a person may know, by table; what was packed is unpacked."""
    ids = _with_entries(connection, ids)
    found: dict[str, list[dict[str, Any]]] = {}
    for table, column, key in _TOLD:
        rows = [
            dict(row)
            for part in _parts(ids[key])
            for row in connection.execute(select(table).where(table.c[column].in_(part))).mappings()
        ]
        for row in rows:
            if table.name in _KINDS:
                row["body"] = unpack(_KINDS[table.name], row["body"])
        if rows:
            found[table.name] = rows
    return found


def end_care(connection: Connection, patient_ids: Sequence[UUID], now_ms: int) -> None:
    """Nobody manages the person any more: registers end, nothing is due."""
    for part in _parts(patient_ids):
        mine = chronic_entries.c.patient_id.in_(part)
        connection.execute(
            delete(chronic_due).where(chronic_due.c.entry_id.in_(select(chronic_entries.c.id).where(mine)))
        )
        connection.execute(
            update(chronic_entries).where(mine, chronic_entries.c.ended_ms.is_(None)).values(ended_ms=now_ms)
        )
        connection.execute(delete(care_notices).where(care_notices.c.patient_id.in_(part)))


def delete_all(connection: Connection, ids: Mapping[Key, Sequence[UUID]]) -> int:
    """Delete all of it; returns how many rows."""
    ids = _with_entries(connection, ids)
    return sum(
        connection.execute(delete(table).where(table.c[column].in_(part))).rowcount
        for table, column, key in (*_ASIDE, *_TOLD)
        for part in _parts(ids[key])
    )


def _with_entries(connection: Connection, ids: Mapping[Key, Sequence[UUID]]) -> dict[Key, Sequence[UUID]]:
    entries = [
        id_
        for part in _parts(ids["patients"])
        for id_ in connection.execute(
            select(chronic_entries.c.id).where(chronic_entries.c.patient_id.in_(part))
        ).scalars()
    ]
    return {**ids, "entries": entries}


def _parts(keys: Sequence[UUID]) -> list[Sequence[UUID]]:
    """Not more at once than any database takes as parameters."""
    return [keys[start : start + _PART] for start in range(0, len(keys), _PART)]

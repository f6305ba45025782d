"""Mutual recognition at the hub: what there is of a case's patient, and that a result was used instead of a test.

Whoever may open a case treats the patient: that is the relation under which summaries of results from other units are
shown. Tracings and reports of other units stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub.access import check
from zhenbao.hub.store import HubStore, audit, briefs, identities, records, work
from zhenbao.hub.store.chronic_tables import recognitions
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.chronic import RecentResult
from zhenbao.model.errors import InputError
from zhenbao.rules.recognition import Recognition, recognise


@dataclass(frozen=True, slots=True)
class Offered:
    """An earlier result of a case's patient."""

    result: RecentResult
    how: Recognition
    taken_by: str | None = None
    """Who used it instead of a new test."""
    taken_ms: int | None = None


def offered(connection: Connection, item: WorkItem, now_ms: int) -> list[Offered]:
    """Earlier results besides those of the case itself, those that may stand first."""
    persons = identities.same_person(connection, item.patient_id)
    own = {reading.id for reading, _ in records.observations_of(connection, item.encounter_id)}
    encounter = records.encounter(connection, item.encounter_id)
    complaints = {"chest_pain": encounter.chest_pain} if encounter is not None else {}
    used = {
        row.observation_id: row
        for row in connection.execute(select(recognitions).where(recognitions.c.work_item_id == item.id))
    }
    found = []
    for result in briefs.recent(connection, persons, now_ms, without=own):
        how = recognise(result, now_ms, complaints)
        row = used.get(result.observation_id)
        if how.verdict != "old":
            found.append(Offered(result, how, row.login if row else None, row.at_ms if row else None))
    return sorted(found, key=lambda each: (each.how.verdict != "stands", -each.result.effective_ms))


def take(store: HubStore, case_id: UUID, observation_id: UUID, by: Practitioner) -> None:
    """Use an earlier result instead of a new test; noted once.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``recognition-no``, it may not stand.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = work.find(connection, case_id)
        if item is None:
            raise InputError("case-unknown")
        check(connection, by, "open", item, now_ms)
        known = next((o for o in offered(connection, item, now_ms) if o.result.observation_id == observation_id), None)
        if known is None or known.how.verdict != "stands":
            raise InputError("recognition-no")
        if known.taken_by is not None:
            return
        row = {"work_item_id": case_id, "observation_id": observation_id, "login": by.login, "at_ms": now_ms}
        connection.execute(insert(recognitions).values(**row))
        audit.append(
            connection, now_ms, by.login, "result-recognised", f"case:{case_id}", observation=str(observation_id)
        )

"""The patients, encounters and observations of one batch: looked up once, decided in memory, written together.

An observation is written once; the same id with another content is refused. A patient or an encounter may be sent
again by its kit with more known of it: the newest by the kit's own sequence stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from zhenbao.hub.store import search
from zhenbao.hub.store.records import check_same
from zhenbao.hub.store.rows import insert_all
from zhenbao.hub.store.tables import encounters, observations, patient_versions, patients, work_items
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.sync.envelope import Body, Envelope

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OBSERVATIONS = select(observations.c.id, observations.c.body).where(observations.c.id.in_(_IDS))
_VERSIONS = select(patient_versions.c.patient_id, patient_versions.c.body).where(
    patient_versions.c.patient_id.in_(_IDS)
)
_CASES = select(work_items.c.patient_id, work_items.c.encounter_id).where(work_items.c.patient_id.in_(_IDS))
_NEWEST = {
    table.name: select(table.c.id, table.c.sender, table.c.sequence).where(table.c.id.in_(_IDS))
    for table in (patients, encounters)
}
_TABLES = {table.name: table for table in (patients, patient_versions, encounters, observations)}
_UPDATE = {table.name: update(table).where(table.c.id == bindparam("row_id")) for table in (patients, encounters)}
_LOOKED_UP = (Observation, Encounter, Patient)
_Rows = defaultdict[str, dict[Any, dict[str, Any]]]
"""By table and key."""


class Batch:
    """What is known of the subjects of a batch, and what is to be written.

    Args:
        values: what came, known or not.
        now_ms: the hub's time.
    """

    def __init__(self, connection: Connection, values: Iterable[Body], now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._new: _Rows = defaultdict(dict)
        self._changed: _Rows = defaultdict(dict)
        self._named: dict[UUID, tuple[str, str | None]] = {}
        ids: defaultdict[type[Body], list[UUID]] = defaultdict(list)
        for value in values:
            if isinstance(value, _LOOKED_UP):
                ids[type(value)].append(value.id)
        self._observations: dict[UUID, bytes] = dict(self._find(_OBSERVATIONS, ids[Observation]))
        self._newest: dict[str, dict[UUID, tuple[str, int]]] = {
            table: {id_: (sender, sequence) for id_, sender, sequence in self._find(_NEWEST[table], ids[type_])}
            for table, type_ in (("patients", Patient), ("encounters", Encounter))
        }
        self._versions: defaultdict[UUID, set[bytes]] = defaultdict(set)
        for patient_id, body in self._find(_VERSIONS, ids[Patient]):
            self._versions[patient_id].add(body)
        self._cases: defaultdict[UUID, list[UUID]] = defaultdict(list)
        for patient_id, encounter_id in self._find(_CASES, ids[Patient]):
            self._cases[patient_id].append(encounter_id)

    def save_patient(self, envelope: Envelope, patient: Patient) -> list[UUID]:
        """Show the newest version and keep every one. Returns the encounters whose cases may change by it."""
        versions = self._versions[patient.id]
        if envelope.body not in versions:
            versions.add(envelope.body)
            self._new["patient_versions"][patient.id, len(versions)] = {
                "patient_id": patient.id,
                "number": len(versions),
                "kit_id": envelope.sender,
                "received_ms": self._now_ms,
                "body": envelope.body,
            }
        columns = {"resident_number": patient.resident_number, "birth_date": patient.birth_date}
        if not self._save_newest("patients", envelope, patient.id, columns):
            return []
        self._named[patient.id] = (patient.name, patient.resident_number)
        return self._cases[patient.id]

    def save_encounter(self, envelope: Envelope, encounter: Encounter) -> dict[UUID, bool]:
        """Keep the newest version. Returns the encounter and whether it is the first, or nothing for an older one."""
        first = encounter.id not in self._newest["encounters"]
        columns = {"patient_id": encounter.patient_id, "started_ms": encounter.started_ms}
        return {encounter.id: first} if self._save_newest("encounters", envelope, encounter.id, columns) else {}

    def save_observation(self, envelope: Envelope, observation: Observation) -> bool:
        """Keep it. Returns False when it is known.

        Raises:
            Rejected: ``other-body``.
        """
        known = self._observations.get(observation.id)
        if known is not None:
            check_same(envelope, known)
            return False
        self._observations[observation.id] = envelope.body
        self._new["observations"][len(self._new["observations"])] = {
            "id": observation.id,
            "patient_id": observation.patient_id,
            "encounter_id": observation.encounter_id,
            "kit_id": observation.kit_id,
            "code": observation.code,
            "urgency": observation.urgency.value,
            "effective_ms": observation.effective_ms,
            "clock_ahead_ms": envelope.clock_ahead_ms,
            "received_ms": self._now_ms,
            "body": envelope.body,
        }
        return True

    def write(self) -> None:
        """Write what was saved so far."""
        for table, rows in self._new.items():
            insert_all(self._connection, _TABLES[table], list(rows.values()))
        for table, rows in self._changed.items():
            if rows:
                self._connection.execute(_UPDATE[table], list(rows.values()))
        self._new.clear()
        self._changed.clear()
        search.index_patients(self._connection, self._named)
        self._named.clear()

    def _find(self, statement: Any, ids: list[UUID]) -> Iterable[Any]:
        return self._connection.execute(statement, {"ids": ids}).all() if ids else ()

    def _save_newest(self, table: str, envelope: Envelope, id_: UUID, columns: dict[str, Any]) -> bool:
        known = self._newest[table].get(id_)
        if known is not None and known[0] == envelope.sender and known[1] > envelope.sequence:
            return False
        self._newest[table][id_] = (envelope.sender, envelope.sequence)
        row = {
            "sender": envelope.sender,
            "sequence": envelope.sequence,
            "received_ms": self._now_ms,
            "body": envelope.body,
            **columns,
        }
        if known is None or id_ in self._new[table]:
            self._new[table][id_] = {"id": id_, **row}
        else:
            self._changed[table][id_] = {"row_id": id_, **row}
        return True
